"""OpenVINO, which computes frozen graphs and ONNX files on CPUs."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase import extras
from slimzoo.formats.loaded import Loaded
from slimzoo.formats.predictor import Port, Values

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


def save(
    graph_def: tf.GraphDef, input_name: str, outputs: Sequence[str], path: pathlib.Path
) -> None:
    """Writes a frozen graph as a file that `load` reads."""
    path.write_bytes(graph_def.SerializeToString())


def load(path: str, precision: str) -> Loaded:
    """Loads a frozen graph or an ONNX file, to compute in float32 or bfloat16."""
    openvino = extras.load("openvino", "openvino", "--runtime=openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(path),
        "CPU",
        {
            # By default it takes bfloat16 wherever the CPU has it.
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "PERFORMANCE_HINT": "LATENCY",  # One batch at a time, on all cores.
        },
    )
    request = compiled.create_infer_request()
    places = {  # An operation that is left out gives its name to another output.
        name.removesuffix(":0"): i
        for i, port in enumerate(compiled.outputs)
        for name in port.names
    }

    def run(images: np.ndarray, names: Sequence[str]) -> Values:
        values = request.infer({0: images}, share_inputs=True)
        return tuple(values[places[name]] for name in names)

    return Loaded(_ports(compiled.inputs), _ports(compiled.outputs), run)


def _ports(ports: Sequence[Any]) -> list[Port]:
    return [
        Port(
            min(port.names, key=len, default=str(i)).removesuffix(":0"),
            tuple(
                None if size.is_dynamic else size.get_length()
                for size in port.partial_shape
            ),
            np.dtype(port.element_type.to_dtype()).name,
        )
        for i, port in enumerate(ports)
    ]
