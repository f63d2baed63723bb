"""Augmentation on top of a recipe: random erasing, mixup and CutMix.

All of them are off unless training asks for them. Random choices derive from seeds, as
in `preprocessing.ops`.
"""

import math
from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import ops

ERASED_AREA = 0.02, 1 / 3  # Shares of the picture.
ERASED_ASPECT = 0.3, 1 / 0.3  # Height by width.


def random_erasing(image: Any, share: float, seed: Any) -> Any:
    """Sets a random box of a share of the pictures to zero.

    Zhong et al.: Random erasing data augmentation, 2017, arXiv 1708.04896. Zero is
    mid-gray or the mean colour in the recipes' ranges.

    Args:
      image: float `[height, width, channels]`, after its recipe.
      share: of the pictures in which a box is erased, from 0 to 1.
      seed: `[2]`.
    """
    draw = tf.random.stateless_uniform([5], seed)
    area = _between(*ERASED_AREA, draw[0])
    flat, tall = ERASED_ASPECT
    aspect = tf.exp(_between(math.log(flat), math.log(tall), draw[1]))
    extent = tf.sqrt(tf.stack([area * aspect, area / aspect]))
    inside = _box(tf.shape(image)[:2], draw[2:4], extent, within=True)
    erased = tf2.where(inside[..., tf.newaxis], tf.zeros_like(image), image)
    return tf2.where(draw[4] < share, erased, image)


def mixup(images: Any, targets: Any, alpha: float, seed: Any) -> tuple[Any, Any]:
    """Blends each picture with another of its batch, and their targets likewise.

    Zhang et al.: mixup: beyond empirical risk minimization, 2017, arXiv 1710.09412.

    Args:
      images: float `[batch, height, width, channels]`.
      targets: float `[batch, classes]`, rows of sum 1.
      alpha: shares are drawn from Beta(alpha, alpha), one for each picture.
      seed: `[2]`.
    """
    share = _beta(tf.shape(images)[:1], alpha, seed)
    return (
        _blend(images, share[:, None, None, None]),
        _blend(targets, share[:, None]),
    )


def cutmix(images: Any, targets: Any, alpha: float, seed: Any) -> tuple[Any, Any]:
    """Pastes a box of another picture into each; targets by the areas.

    Yun et al.: CutMix: regularization strategy to train strong classifiers with
    localizable features, 2019, arXiv 1905.04899. Arguments are those of `mixup`; the
    area of the box is drawn, before it is cut at the border.
    """
    shares, places = ops.split_seed(seed, 2)
    batch = tf.shape(images)[:1]
    size = tf.sqrt(1 - _beta(batch, alpha, shares))
    centers = tf.random.stateless_uniform([batch[0], 2], places)
    inside = tf.map_fn(
        lambda each: _box(tf.shape(images)[1:3], each[0], tf.stack([each[1]] * 2)),
        (centers, size),
        dtype=tf.bool,
    )
    kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), [1, 2])
    mixed = tf2.where(inside[..., tf.newaxis], tf.reverse(images, [0]), images)
    return mixed, _blend(targets, kept[:, None])


def mix(
    images: Any, targets: Any, mixup_alpha: float, cutmix_alpha: float, seed: Any
) -> tuple[Any, Any]:
    """Mixup or CutMix, whichever has an alpha; batches in turn by lot with both."""
    if not cutmix_alpha:
        return mixup(images, targets, mixup_alpha, seed)
    if not mixup_alpha:
        return cutmix(images, targets, cutmix_alpha, seed)
    lot, rest = ops.split_seed(seed, 2)
    return tf.cond(
        tf.random.stateless_uniform([], lot) < 0.5,
        lambda: mixup(images, targets, mixup_alpha, rest),
        lambda: cutmix(images, targets, cutmix_alpha, rest),
    )


def _between(low, high, unit):
    return low + (high - low) * unit


def _beta(shape, alpha, seed):
    one, other = (
        tf.random.stateless_gamma(shape, each, alpha)
        for each in ops.split_seed(seed, 2)
    )
    return one / tf.maximum(one + other, 1e-12)  # Both may be tiny for small alpha.


def _blend(batch, share):
    return share * batch + (1 - share) * tf.reverse(batch, [0])


def _box(size, place, extent, within=False):
    """A mask, bool `[height, width]`, of a box.

    Args:
      size: height and width of the picture, int `[2]`.
      place: of its centre, or `within` the room that it has, from 0 to 1, `[2]`.
      extent: of the box in shares of the picture's, `[2]`; cut to it.
      within: keep all of the box in the picture, rather than its centre alone.
    """
    size = tf.cast(size, tf.float32)
    extent = tf.minimum(extent, 1.0) * size
    start = place * (size - extent) if within else place * size - extent / 2
    rows, columns = (
        (position >= start[axis]) & (position < start[axis] + extent[axis])
        for axis, position in enumerate((tf.range(size[0]), tf.range(size[1])))
    )
    return rows[:, tf.newaxis] & columns[tf.newaxis]
