"""What computes a network: TensorFlow, or other runtimes on the CPU."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError, reason, unknown
from slimzoo.formats import onnx, openvino
from slimzoo.formats.loaded import Loaded
from slimzoo.formats.predictor import Predictor, Values

TENSORFLOW = "tensorflow"
ONNX_RUNTIME = "onnxruntime"
OPENVINO = "openvino"
_OUTPUT = "runtime_output_{}"  # Names of the operations that end a graph.


@dataclasses.dataclass(frozen=True)
class Opening:
    """How a network is opened.

    Attributes:
      end_point: name of an operation of a frozen graph whose values are wanted too.
      input_layer: name of a frozen graph's input, if it is not the only placeholder.
      output_layer: name of a frozen graph's output, if it is not the only one.
      runtime: the runtime, as `--runtime` takes it.
      precision: the precision of other runtimes than TensorFlow.
      master: address of the TensorFlow server.
      gpu_memory_growth: whether GPU memory is taken as it is needed.
      input_rank: dimensions of the input: 4 for images, 5 for clips.
    """

    end_point: str | None = None
    input_layer: str | None = None
    output_layer: str | None = None
    runtime: str = TENSORFLOW
    precision: str = "float32"
    master: str = ""
    gpu_memory_growth: bool = False
    input_rank: int = 4


@dataclasses.dataclass(frozen=True)
class _Runtime:
    """A runtime beside TensorFlow.

    Attributes:
      title: the name that it is known by.
      load: `f(path, precision)` loads a file.
      save: `f(graph_def, input, outputs, path)` writes a frozen graph as such a file.
      suffix: suffix of that file.
      precisions: precisions that it computes in.
    """

    title: str
    load: Callable[[str, str], Loaded]
    save: Callable[[tf.GraphDef, str, Sequence[str], pathlib.Path], None]
    suffix: str
    precisions: tuple[str, ...] = ("float32",)


def check(runtime: str, precision: str) -> None:
    """Raises UserError for an unknown runtime, or one without that precision."""
    if runtime == TENSORFLOW:
        return
    if runtime not in _RUNTIMES:
        known = (TENSORFLOW, *_RUNTIMES)
        raise unknown(f"--runtime={runtime} is unknown", runtime, known)
    if precision not in _RUNTIMES[runtime].precisions:
        can = [name for name, each in _RUNTIMES.items() if precision in each.precisions]
        raise UserError(
            f"--runtime={runtime} does not compute in --precision={precision}: give "
            f"--runtime={' or '.join((TENSORFLOW, *can))}, or --precision=float32"
        )


def from_graph(
    runtime: str, images: tf.Tensor, outputs: Sequence[tf.Tensor], precision: str
) -> Callable[[np.ndarray], Values]:
    """Loads a frozen graph into a runtime beside TensorFlow.

    Args:
      runtime: name of the runtime.
      images: the graph's input.
      outputs: the outputs that are wanted.
      precision: float32, or another that the runtime has.

    Returns:
      A function from float32 images to the values of `outputs`.

    Raises:
      UserError: when the runtime is not installed, or cannot compute the graph.
    """
    check(runtime, precision)
    chosen = _RUNTIMES[runtime]
    names = [_OUTPUT.format(i) for i in range(len(outputs))]
    graph_def = images.graph.as_graph_def()
    for name, output in zip(names, outputs, strict=True):
        node = graph_def.node.add(name=name, op="Identity", input=[output.name])
        node.attr["T"].type = output.dtype.as_datatype_enum
    graph_def = tf.graph_util.extract_sub_graph(graph_def, names)
    with (
        tempfile.TemporaryDirectory() as directory,
        _explained_errors(chosen, "the network"),
    ):
        path = pathlib.Path(directory) / f"network{chosen.suffix}"
        chosen.save(graph_def, images.op.name, names, path)
        loaded = _explained(chosen, chosen.load(str(path), precision))
    return lambda images: loaded.run(images, names)


def open_onnx(path: str, opening: Opening) -> Predictor:
    """Opens an ONNX file in the runtime that `opening` names.

    Raises:
      UserError: when the runtime is not installed, or cannot read or compute the
        network.
    """
    check(opening.runtime, opening.precision)
    chosen = _RUNTIMES[opening.runtime]
    with _explained_errors(chosen, path):
        loaded = chosen.load(path, opening.precision)
    return onnx.OnnxFile(path, _explained(chosen, loaded), opening.input_rank)


@contextlib.contextmanager
def _explained_errors(chosen: _Runtime, what: str) -> Iterator[None]:
    """Turns whatever a runtime raises into an error for the user."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Each has its own, of which some are RuntimeError.
        why = reason(str(error)) or type(error).__name__
        raise UserError(f"{chosen.title} cannot do {what}: {why}") from error


def _explained(chosen: _Runtime, loaded: Loaded) -> Loaded:
    def run(images: np.ndarray, names: Sequence[str]) -> Values:
        with _explained_errors(chosen, "the network"):
            return loaded.run(np.ascontiguousarray(images, np.float32), names)

    return dataclasses.replace(loaded, run=run)


_RUNTIMES = {
    OPENVINO: _Runtime(
        "OpenVINO", openvino.load, openvino.save, ".pb", ("float32", "bfloat16")
    ),
    ONNX_RUNTIME: _Runtime("ONNX Runtime", onnx.load, onnx.save, ".onnx"),
}
