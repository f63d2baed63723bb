"""Pictures and runs for the tests of the recipes."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf


def picture(height: int, width: int, channels: int) -> np.ndarray:
    """A smooth uint8 picture with some noise, a function of its shape alone.

    The goldens were computed on these.
    """
    random = np.random.default_rng(height * 10007 + width * 31 + channels)
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = 127 + 90 * np.sin(x / (17 + 5 * c) + c) * np.cos(y / (23 - 4 * c))
    noise = random.normal(0, 12, (height, width, channels))
    return np.clip(np.round(waves + noise), 0, 255).astype(np.uint8)


def coordinates(height: int, width: int) -> np.ndarray:
    """A float32 picture `[height, width, 3]` of each pixel's row, column and 1."""
    rows, columns = np.indices((height, width), np.float32)
    return np.stack([rows, columns, np.ones_like(rows)], -1)


def run(function: Callable[[], Any]) -> Any:
    """What the tensors that `function` builds evaluate to."""
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(function())


def run_on_seeds(function: Callable[[Any], Any], seeds: Iterable[int]) -> list[Any]:
    """What the tensors that `function` builds for a seed evaluate to for each."""
    with tf.Graph().as_default(), tf.Session() as session:
        seed = tf.placeholder(tf.int32, [2])
        output = function(seed)
        return [session.run(output, {seed: [number, 1]}) for number in seeds]
