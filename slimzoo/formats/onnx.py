"""ONNX files."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase import extras
from slimbase.errors import UserError
from slimzoo.formats.loaded import Loaded
from slimzoo.formats.predictor import BY_NAME, Port, Predictor, Values, choose_output
from slimzoo.formats.trained import INPUT_NAME, PROBABILITIES, Settings, Trained

PACKAGES = ("tf2onnx", "onnxruntime")

_OPSET = 18  # The newest that tf2onnx 1.17 writes.
_FLOATS = "tensor(float)"
_CHANNELS = (1, 3, None)


def write(trained: Trained, path: pathlib.Path, settings: Settings) -> None:
    """Writes a file from images `[batch, height, width, channels]` to probabilities."""
    graph_def = trained.part(
        [trained.probabilities], settings.fold, settings.batch_size
    )
    names = {INPUT_NAME: INPUT_NAME, trained.probabilities: PROBABILITIES}
    path.write_bytes(convert(graph_def, names))


def convert(
    graph_def: tf.GraphDef, names: Mapping[str, str], wanted_by: str = "--format=onnx"
) -> bytes:
    """Converts a frozen graph to the content of an ONNX file.

    Args:
      graph_def: a graph with nothing but what the outputs need.
      names: names in the file by operation, first of the input, then of the outputs.
      wanted_by: the option that asks for it, if the package is not installed.
    """
    tf2onnx = extras.load("tf2onnx", "onnx", wanted_by)
    tensors = {f"{operation}:0": name for operation, name in names.items()}
    given, *wanted = tensors
    with tf.Graph().as_default():
        model, _ = tf2onnx.convert.from_graph_def(
            graph_def,
            input_names=[given],
            output_names=wanted,
            opset=_OPSET,
            tensors_to_rename=tensors,
        )
    return model.SerializeToString()


def check_packages() -> None:
    """Imports the packages of the extra `onnx`.

    Raises:
      UserError: when one is not installed; says how to install it.
    """
    for package in PACKAGES:
        extras.load(package, "onnx", "--format=onnx")


def save(
    graph_def: tf.GraphDef, input_name: str, outputs: Sequence[str], path: pathlib.Path
) -> None:
    """Writes a frozen graph as a file that `load` reads."""
    names = {name: name for name in (input_name, *outputs)}
    path.write_bytes(convert(graph_def, names, "--runtime=onnxruntime"))


def load(path: str, precision: str) -> Loaded:
    """Loads a file with ONNX Runtime, which computes in float32."""
    runtime = extras.load("onnxruntime", "onnx", "--runtime=onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # Errors.
    session = runtime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    inputs, outputs = map(_ports, (session.get_inputs(), session.get_outputs()))

    def run(images: np.ndarray, names: Sequence[str]) -> Values:
        return tuple(session.run(list(names), {inputs[0].name: images}))

    return Loaded(inputs, outputs, run)


def _ports(nodes: Sequence[Any]) -> list[Port]:
    return [
        Port(
            node.name,
            tuple(size if isinstance(size, int) else None for size in node.shape),
            "float32" if node.type == _FLOATS else str(node.type),
        )
        for node in nodes
    ]


class OnnxFile(Predictor):
    """A network of an ONNX file, in any runtime that reads such files."""

    def __init__(self, path: str, loaded: Loaded, input_rank: int):
        """Finds the input and the output.

        Args:
          path: the path of the file, for errors.
          loaded: the file in a runtime.
          input_rank: dimensions of the input.

        Raises:
          UserError: when it has no fitting ones.
        """
        if not _takes_images(loaded.inputs, input_rank):
            raise UserError(
                f"{path} should have one input of floats [batch, height, width, "
                f"channels], channels last; it has {_described(loaded.inputs)}"
            )
        output = choose_output(path, loaded.outputs, _described(loaded.outputs))
        self.input_shape = loaded.inputs[0].shape or ()
        self.num_classes = output.shape[1] if output.shape else None
        self.outputs_probabilities = BY_NAME.get(output.name)
        self._loaded, self._output = loaded, output

    def ports(self) -> tuple[list[Port], list[Port]]:
        """The file's inputs and outputs."""
        return self._loaded.inputs, self._loaded.outputs

    def _run(self, images: np.ndarray) -> Values:
        return self._loaded.run(images, [self._output.name])

    def close(self) -> None:
        """Frees the runtime's network."""
        del self._loaded


def _takes_images(inputs: Sequence[Port], rank: int) -> bool:
    if len(inputs) != 1 or inputs[0].dtype != "float32":
        return False
    shape = inputs[0].shape
    return shape is not None and len(shape) == rank and shape[-1] in _CHANNELS


def _described(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.name} {list(port.shape or ())}" for port in ports)
