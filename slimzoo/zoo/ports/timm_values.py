"""Values and pictures that a test of timm's models makes anew: NumPy only.

`tools/record_timm.py` makes the same where PyTorch is, and records the logits.
"""

import math
import zlib
from collections.abc import Mapping

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]

RECORDED_CLASSES = slice(0, 1000, 25)  # Of 1,000 logits, these 40.
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def values(shapes: Shapes, scaled: bool) -> dict[str, np.ndarray]:
    """Values by name that depend on name and shape alone.

    Args:
      shapes: of all parameters.
      scaled: whether batch norm's scales are random, else ones.
    """
    return {name: _value(name, shapes, scaled) for name in shapes}


def _value(name: str, shapes: Shapes, scaled: bool) -> np.ndarray:
    shape = shapes[name]
    layer, _, parameter = name.rpartition(".")
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if parameter == "num_batches_tracked":
        return np.array(7, np.int64)
    if parameter == "running_var":
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if f"{layer}.running_mean" in shapes and parameter == "weight":
        scales = random.uniform(0.5, 1.5, shape) if scaled else np.ones(shape)
        return scales.astype(np.float32)
    if parameter in ("bias", "running_mean"):
        return (random.standard_normal(shape) * 0.1).astype(np.float32)
    deviation = math.sqrt(2 / math.prod(shape[1:]))
    return (random.standard_normal(shape) * deviation).astype(np.float32)


def pictures(size: int) -> np.ndarray:
    """One picture at random, `[1, size, size, 3]`, float32 in [-1, 1]."""
    random = np.random.RandomState(0)
    return random.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)


def packed(shapes: Shapes) -> dict[str, int | list[int]]:
    """Shapes with the five of a batch norm as its number of channels."""
    found: dict[str, int | list[int]] = {}
    for name, shape in shapes.items():
        layer = name.rpartition(".")[0]
        if f"{layer}.running_mean" in shapes:
            found[layer] = shapes[f"{layer}.weight"][0]
        else:
            found[name] = list(shape)
    return found


def unpacked(record: Mapping[str, int | list[int]]) -> dict[str, tuple[int, ...]]:
    """The shapes that `packed` was made from."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in record.items():
        if isinstance(shape, list):
            found[name] = tuple(shape)
            continue
        for parameter in _NORM:
            counts = parameter == "num_batches_tracked"
            found[f"{name}.{parameter}"] = () if counts else (shape,)
    return found
