"""Counts what networks take, at their default size, into nets/complexity.json.

    python -m tools.measure_networks                 # All networks.
    python -m tools.measure_networks lenet vgg_16    # Only these; the others stay.

Multiply-adds are counted at batch size 1; see slimzoo/zoo/complexity.py.
"""

import argparse
import json
import pathlib
from typing import Any

import tensorflow.compat.v1 as tf

from nets.nets_factory import NETWORKS, get_network_fn
from slimbase.graph import classic_graph
from slimzoo.zoo import complexity

FILE = pathlib.Path(__file__).resolve().parent.parent / "nets" / "complexity.json"


def measure(name: str) -> dict[str, int]:
    """Multiply-adds of an example's logits and trainable parameters of a network."""
    network = NETWORKS[name]
    with classic_graph() as graph:
        images = tf.placeholder(tf.float32, [1, *network.input_shape])
        logits, _ = get_network_fn(name, network.classes)(images)
        return {
            "multiply_adds": complexity.multiply_adds(graph, logits),
            "parameters": sum(v.shape.num_elements() for v in tf.trainable_variables()),
        }


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
