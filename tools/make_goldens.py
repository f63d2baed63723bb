"""Records what networks must be into nets/goldens, for nets/zoo_test.py.

    python -m tools.make_goldens my_network
    python -m tools.make_goldens --records_dir=DIR my_network ...
    python -m tools.make_goldens --records_dir=DIR dcgan_generator ... \\
        --output_dir=nets/goldens_gans

A record states, as JSON, a network's variables, end points and values for a stated
filling. It is taken of the network as it is now, or with `--records_dir` from
DIR/<name>.json, which another implementation has written. Records of the generative
networks go elsewhere, to where nets/gans_test.py reads them.
"""

import argparse
import gzip
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from nets import testing
from nets.nets_factory import NETWORKS
from slimbase.command_line import exit_status
from slimbase.errors import UserError
from slimbase.graph import classic_graph

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "nets" / "goldens"
_BATCH_SIZE = 2


def record(name: str) -> dict[str, Any]:
    """The record of the registered network `name` that nets/zoo_test.py compares."""
    network = NETWORKS[name]
    facts = {
        "model": name,
        "default_image_size": network.image_size,
        "num_classes": network.classes,
        "input_shape": [_BATCH_SIZE, *network.input_shape],
    }
    with classic_graph():
        images, logits, end_points = testing.build(facts, is_training=True)
        facts["train"] = _structure(logits, end_points) | _values_in_training(images)
    with classic_graph():
        images, logits, end_points = testing.build(facts, is_training=False)
        values = testing.run([logits, testing.tensors(end_points)], images)
        facts["infer"] = _structure(logits, end_points) | {
            "logits": _fingerprint(values[0]),
            "end_point_values": {k: _fingerprint(v) for k, v in values[1].items()},
        }
    return facts


def _structure(logits: tf.Tensor, end_points: dict[str, Any]) -> dict[str, Any]:
    trainable = {variable.op.name for variable in tf.trainable_variables()}
    shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    collections = ("MODEL_VARIABLES", "REGULARIZATION_LOSSES", "UPDATE_OPS")
    return {
        "variables": [[n, shape, n in trainable] for n, shape in shapes.items()],
        "logits_tensor": logits.name,
        "end_points": {
            key: [tensor.name, tensor.shape.as_list()]
            for key, tensor in testing.tensors(end_points).items()
        },
        **{
            key.lower(): len(tf.get_collection(getattr(tf.GraphKeys, key)))
            for key in collections
        },
        "parameters": sum(v.shape.num_elements() for v in tf.trainable_variables()),
    }


def _values_in_training(images: tf.Tensor) -> dict[str, Any]:
    """The regularization loss, and the first moving mean after one update."""
    loss = tf.losses.get_regularization_loss()
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)[:2]
    means = [v for v in tf.global_variables() if v.op.name.endswith("moving_mean")]
    with tf.control_dependencies(updates):
        after = {v.op.name: tf.identity(v) for v in (means[:1] if updates else ())}
    loss, after = testing.run([loss, after], images)
    values: dict[str, Any] = {"regularization_loss": float(loss)}
    if after:
        fingerprints = {key: _fingerprint(value) for key, value in after.items()}
        values["first_moving_mean_after_update"] = fingerprints
    return values


def _fingerprint(value: np.ndarray) -> dict[str, Any]:
    """The statistics of `value` that `testing.assert_close` compares."""
    flat = np.asarray(value, np.float64).reshape(-1)
    return {
        "shape": list(np.shape(value)),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "samples": flat[:: max(1, flat.size // 8)][:8].tolist(),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes OUTPUT_DIR/<name>.json.gz for each name.

    Raises:
      UserError: for a network that has a record already, or an unknown one.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records_dir", type=pathlib.Path)
    parser.add_argument("--output_dir", type=pathlib.Path, default=GOLDENS)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args(arguments)
    args.output_dir.mkdir(exist_ok=True)
    for name in args.names:
        path = args.output_dir / f"{name}.json.gz"
        if args.records_dir:
            facts = json.loads((args.records_dir / f"{name}.json").read_text("utf-8"))
        elif path.exists():
            raise UserError(
                f"{path} says already what {name} must be. If that changes on purpose, "
                "delete the file, and say why where you propose the change."
            )
        else:
            facts = record(name)
        text = json.dumps(_rounded(facts), separators=(",", ":"))
        packed = gzip.compress(text.encode(), mtime=0)
        path.write_bytes(packed)
        parts = ("train", "infer") if "train" in facts else ()
        counts = {facts[part]["parameters"] for part in parts}
        sizes = "".join(f", {count:,} parameters" for count in sorted(counts))
        print(f"{path.name}: {len(packed)} bytes{sizes}")


if __name__ == "__main__":
    exit_status.run(main)
