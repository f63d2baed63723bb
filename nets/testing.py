"""What tests of networks share: golden records, stated variables and pictures."""

import gzip
import json
import pathlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from nets import nets_factory

_WEIGHT_DECAY = 1e-4  # Of what is recorded and compared.


def read_golden(path: pathlib.Path) -> dict[str, Any]:
    """A record of what a network must be, packed by tools/make_goldens.py."""
    assert path.exists(), f"no {path.name}: python -m tools.make_goldens NAME"
    return json.loads(gzip.decompress(path.read_bytes()))


def build(record: dict[str, Any], is_training: bool) -> tuple[tf.Tensor, ...]:
    """Builds the network of a record in the default graph.

    Returns:
      Its pictures, a placeholder; its output; its end points by name.
    """
    network_fn = nets_factory.get_network_fn(
        record["model"], record["num_classes"], _WEIGHT_DECAY, is_training
    )
    images = tf.placeholder(tf.float32, record["input_shape"], name="input")
    return images, *network_fn(images)


def tensors(end_points: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """End points without what some networks put among them, as numbers."""
    return {key: value for key, value in end_points.items() if hasattr(value, "name")}


def fill(name: str, shape: Sequence[int]) -> np.ndarray:
    """The stated value of a variable, which depends on its name and shape alone."""
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    draw = draw.astype(np.float32)
    leaf = name.split("/")[-1]
    if leaf == "moving_variance":
        return 1 + 0.5 * np.abs(draw)
    if leaf == "gamma":
        return 1 + 0.1 * draw
    if leaf in ("beta", "moving_mean", "biases", "bias") or len(shape) < 2:
        return 0.1 * draw
    fan_in = np.prod(shape[:2] if leaf == "depthwise_weights" else shape[:-1])
    return draw * np.float32(np.sqrt(2.0 / fan_in))


def pictures(shape: Sequence[int]) -> np.ndarray:
    """The stated input, in [-1, 1]."""
    return np.random.default_rng(7).uniform(-1, 1, shape).astype(np.float32)


def session() -> tf.Session:
    """A session that runs graphs as they are.

    TensorFlow rewrites a graph at each new kind of run, so that further runs are
    quicker. Tests need one run of each kind, which takes less time than the rewriting.
    """
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return tf.Session(config=config)


def run(fetches: Any, images: tf.Tensor) -> Any:
    """Evaluates `fetches` with stated variables and pictures."""
    variables = tf.global_variables()
    values = {
        variable.initializer.inputs[1]: fill(variable.op.name, variable.shape.as_list())
        for variable in variables
    }
    with session() as running:
        running.run([variable.initializer for variable in variables], values)
        return running.run(fetches, {images: pictures(images.shape.as_list())})


def assert_close(value: np.ndarray, fingerprint: dict[str, Any], what: str) -> None:
    """Compares an array with its shape, moments and samples in a golden record."""
    flat = np.asarray(value, np.float64).reshape(-1)
    tolerance = 1e-3 * max(fingerprint["std"], 1e-6)
    assert list(np.shape(value)) == fingerprint["shape"], what
    assert abs(flat.mean() - fingerprint["mean"]) < tolerance, what
    assert abs(flat.std() - fingerprint["std"]) < tolerance, what
    samples = flat[:: max(1, flat.size // 8)][:8]
    np.testing.assert_allclose(
        samples, fingerprint["samples"], rtol=1e-3, atol=tolerance, err_msg=what
    )
