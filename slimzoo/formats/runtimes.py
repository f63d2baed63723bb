"""Runtimes beside TensorFlow that compute frozen networks on the CPU."""

import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase import extras
from slimbase.errors import UserError, reason, unknown
from slimzoo.formats import writers

TENSORFLOW = "tensorflow"
_OUTPUT = "runtime_output_{}"  # Operations that are made the ends of a graph.


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or an output.

    Attributes:
      name: of it.
      shape: None where it is any.
      is_float: whether it is of 32-bit floats.
    """

    name: str
    shape: tuple[int | None, ...]
    is_float: bool


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A network in a runtime.

    Attributes:
      inputs: of it.
      outputs: of it.
      run: `f(images, names)`, from the only input to the values of these outputs.
    """

    inputs: list[Port]
    outputs: list[Port]
    run: Callable[[np.ndarray, Sequence[str]], tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True)
class _Runtime:
    """One of them.

    Attributes:
      title: its own name.
      load: `f(path, precision)` of a file.
      save: `f(graph_def, input, outputs, path)` writes a frozen graph as such a file.
      suffix: of that file.
      precisions: that it computes in.
    """

    title: str
    load: Callable[[str, str], Loaded]
    save: Callable[[tf.GraphDef, str, list[str], pathlib.Path], None]
    suffix: str
    precisions: tuple[str, ...] = ("float32",)


def check(runtime: str, precision: str) -> None:
    """Raises UserError for a runtime that is not known, or not in that precision."""
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
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """What a runtime makes of a frozen graph.

    Args:
      runtime: name of one beside TensorFlow.
      images: its input.
      outputs: those wanted.
      precision: float32, or what else the runtime has.

    Returns:
      A function from float32 pictures to the values of `outputs`.

    Raises:
      UserError: when the runtime is not installed, or cannot do the graph.
    """
    check(runtime, precision)
    chosen = _RUNTIMES[runtime]
    names = [_OUTPUT.format(i) for i in range(len(outputs))]
    graph_def = images.graph.as_graph_def()
    for name, output in zip(names, outputs, strict=True):
        node = graph_def.node.add(name=name, op="Identity", input=[output.name])
        node.attr["T"].type = output.dtype.as_datatype_enum
    graph_def = tf.graph_util.extract_sub_graph(graph_def, names)
    with tempfile.TemporaryDirectory() as directory, _told(chosen, "the network"):
        path = pathlib.Path(directory) / f"network{chosen.suffix}"
        chosen.save(graph_def, images.op.name, names, path)
        loaded = chosen.load(str(path), precision)
    run = _explained(chosen, loaded.run)
    return lambda images: run(images, names)


def from_file(runtime: str, path: str, precision: str) -> Loaded:
    """A network of an ONNX file.

    Raises:
      UserError: when the runtime is not installed, or cannot read or do the network.
    """
    check(runtime, precision)
    chosen = _RUNTIMES[runtime]
    with _told(chosen, path):
        loaded = chosen.load(path, precision)
    if not _takes_pictures(loaded.inputs):
        raise UserError(
            f"{path} should have one input of floats [batch, height, width, channels], "
            f"channels last; it has {_shown(loaded.inputs)}"
        )
    return dataclasses.replace(loaded, run=_explained(chosen, loaded.run))


def _takes_pictures(inputs: list[Port]) -> bool:
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return False
    return inputs[0].is_float and inputs[0].shape[3] in (1, 3, None)


def choose_output(path: str, loaded: Loaded) -> Port:
    """The logits or probabilities among the outputs, or the only one of two dimensions.

    Raises:
      UserError: when there is none.
    """
    rows = {p.name: p for p in loaded.outputs if p.is_float and len(p.shape) == 2}
    for name in ("logits", "probabilities", *(rows if len(rows) == 1 else ())):
        if name in rows:
            return rows[name]
    raise UserError(
        f"{path} should have an output 'logits' or 'probabilities' [batch, classes]; "
        f"it has {_shown(loaded.outputs)}"
    )


def _shown(ports):
    return ", ".join(f"{port.name} {list(port.shape)}" for port in ports)


@contextlib.contextmanager
def _told(chosen: _Runtime, what: str) -> Iterator[None]:
    """Turns whatever a runtime raises into an error for the user."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Each has its own, of which some are RuntimeError.
        why = reason(str(error)) or type(error).__name__
        raise UserError(f"{chosen.title} cannot do {what}: {why}") from error


def _explained(chosen, run):
    def explained(images, names):
        with _told(chosen, "the network"):
            return run(np.ascontiguousarray(images, np.float32), names)

    return explained


def _load_openvino(path: str, precision: str) -> Loaded:
    openvino = extras.load("openvino", "openvino", "--runtime=openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(path),
        "CPU",
        {
            # Left alone, it takes bfloat16 wherever the CPU has it.
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[
                precision
            ],
            "PERFORMANCE_HINT": "LATENCY",  # One batch at a time, on all cores.
        },
    )
    request = compiled.create_infer_request()
    inputs, outputs = map(_openvino_ports, (compiled.inputs, compiled.outputs))

    places = {  # What it leaves out as doing nothing gives its name to another.
        name.removesuffix(":0"): i
        for i, port in enumerate(compiled.outputs)
        for name in port.names
    }

    def run(images, names):
        values = request.infer({0: images}, share_inputs=True)
        return tuple(values[places[name]] for name in names)

    return Loaded(inputs, outputs, run)


def _openvino_ports(ports: Any) -> list[Port]:
    return [
        Port(
            min(port.names, key=len, default=str(i)).removesuffix(":0"),
            tuple(
                None if size.is_dynamic else size.get_length()
                for size in port.partial_shape
            ),
            port.element_type.to_dtype() == np.float32,
        )
        for i, port in enumerate(ports)
    ]


def _save_frozen(graph_def, input_name, outputs, path) -> None:
    path.write_bytes(graph_def.SerializeToString())


def _load_onnxruntime(path: str, precision: str) -> Loaded:
    runtime = extras.load("onnxruntime", "onnx", "--runtime=onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # Errors.
    session = runtime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    inputs, outputs = map(_onnx_ports, (session.get_inputs(), session.get_outputs()))

    def run(images, names):
        return tuple(session.run(list(names), {inputs[0].name: images}))

    return Loaded(inputs, outputs, run)


def _onnx_ports(nodes: Any) -> list[Port]:
    return [
        Port(
            node.name,
            tuple(size if isinstance(size, int) else None for size in node.shape),
            node.type == "tensor(float)",
        )
        for node in nodes
    ]


def _save_onnx(graph_def, input_name, outputs, path) -> None:
    names = {name: name for name in (input_name, *outputs)}
    content = writers.to_onnx(graph_def, names, "--runtime=onnxruntime")
    path.write_bytes(content)


_RUNTIMES = {
    "openvino": _Runtime(
        "OpenVINO", _load_openvino, _save_frozen, ".pb", ("float32", "bfloat16")
    ),
    "onnxruntime": _Runtime("ONNX Runtime", _load_onnxruntime, _save_onnx, ".onnx"),
}
