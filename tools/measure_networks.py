"""Counts what networks take, at their default size, into nets/complexity.json.

    python -m tools.measure_networks                 # All networks.
    python -m tools.measure_networks lenet vgg_16    # Only these; the others stay.

Multiply-adds are those of convolutions and matrix products, at batch size 1 and with
padding counted as pixels, which is how papers count them.
"""

import argparse
import json
import math
import pathlib
from typing import Any

import tensorflow.compat.v1 as tf

from nets.nets_factory import NETWORKS, get_network_fn
from slimzoo.graph import classic_graph

FILE = pathlib.Path(__file__).resolve().parent.parent / "nets" / "complexity.json"

# Multiply-adds per value of the output, by shape of the weights.
_PER_OUTPUT = {
    "Conv2D": lambda weights: math.prod(weights[:3]),
    "Conv3D": lambda weights: math.prod(weights[:4]),
    "DepthwiseConv2dNative": lambda weights: math.prod(weights[:2]),
}


def measure(name: str) -> dict[str, int]:
    """Multiply-adds of an example's logits and trainable parameters of a network."""
    network = NETWORKS[name]
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, [1, *network.input_shape])
        logits, _ = get_network_fn(name, network.classes)(images)
        needed = tf.graph_util.extract_sub_graph(
            graph.as_graph_def(), [logits.op.name]
        ).node
        operations = [graph.get_operation_by_name(node.name) for node in needed]
        return {
            "multiply_adds": sum(map(_multiply_adds, operations)),
            "parameters": sum(v.shape.num_elements() for v in tf.trainable_variables()),
        }


def _multiply_adds(operation: tf.Operation) -> int:
    inputs = [tensor.shape.as_list() for tensor in operation.inputs]
    outputs = [tensor.shape.num_elements() for tensor in operation.outputs]
    if operation.type in _PER_OUTPUT:
        return outputs[0] * _PER_OUTPUT[operation.type](inputs[1])
    if operation.type == "Conv2DBackpropInput":  # A transposed convolution.
        return math.prod(inputs[2]) * math.prod(inputs[1][:3])
    if operation.type == "MatMul":
        return outputs[0] * inputs[0][0 if operation.get_attr("transpose_a") else 1]
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Measures the networks that are named and writes the file."""
    parser = argparse.ArgumentParser(description="Measures networks.")
    parser.add_argument("names", nargs="*", help="by default all networks")
    names = parser.parse_args(arguments).names
    known = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    for name in names or NETWORKS:
        known[name] = measure(name)
        print(name, known[name])
        _write({name: known[name] for name in sorted(known) if name in NETWORKS})


def _write(measured: dict[str, Any]) -> None:
    lines = (f'  "{name}": {json.dumps(facts)}' for name, facts in measured.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
