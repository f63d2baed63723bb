"""Augmentation on top of a recipe: random erasing, mixup and CutMix.

All of them are off unless training asks for them. Random choices derive from seeds, as
in `preprocessing.ops`.
"""

import math
from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import ops

ERASED_AREA = 0.02, 1 / 3  # Shares of the image.
ERASED_ASPECT = 0.3, 1 / 0.3  # Height by width.


def random_erasing(image: tf.Tensor, share: float, seed: Any) -> tf.Tensor:
    """Sets a random box to zero in a share of the images.

    Zhong et al.: Random erasing data augmentation, 2017, arXiv 1708.04896. Zero is
    mid-gray or the mean colour in the recipes' ranges.

    Args:
      image: float `[height, width, channels]`, after its recipe.
      share: share of the images in which a box is erased, from 0 to 1.
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


def mixup(
    images: tf.Tensor, targets: tf.Tensor, alpha: float, seed: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends each image with another of its batch, and their targets by the same share.

    Zhang et al.: mixup: beyond empirical risk minimization, 2017, arXiv 1710.09412.

    Args:
      images: float `[batch, height, width, channels]`.
      targets: float `[batch, classes]`, rows of sum 1.
      alpha: parameter of Beta(alpha, alpha), from which each image's share is drawn.
      seed: `[2]`.
    """
    share = _beta(tf.shape(images)[:1], alpha, seed)
    return (
        _blend(images, share[:, None, None, None]),
        _blend(targets, share[:, None]),
    )


def cutmix(
    images: tf.Tensor, targets: tf.Tensor, alpha: float, seed: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Pastes a box of another image into each image; blends targets by the areas.

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
    images: tf.Tensor,
    targets: tf.Tensor,
    mixup_alpha: float,
    cutmix_alpha: float,
    seed: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixup or CutMix, whichever has an alpha; with both, one at random per batch."""
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


def _between(low: float, high: float, unit: tf.Tensor) -> tf.Tensor:
    return low + (high - low) * unit


def _beta(shape: tf.Tensor, alpha: float, seed: Any) -> tf.Tensor:
    one, other = (
        tf.random.stateless_gamma(shape, each, alpha)
        for each in ops.split_seed(seed, 2)
    )
    return one / tf.maximum(one + other, 1e-12)  # Both may be tiny for small alpha.


def _blend(batch: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * batch + (1 - share) * tf.reverse(batch, [0])


def _box(
    size: tf.Tensor, place: tf.Tensor, extent: tf.Tensor, within: bool = False
) -> tf.Tensor:
    """A mask, bool `[height, width]`, of a box.

    Args:
      size: height and width of the image, int `[2]`.
      place: place of the box's centre, from 0 to 1, `[2]`; with `within`, place of the
        box in the room that it has.
      extent: height and width of the box in shares of the image's, `[2]`; at most 1.
      within: whether to keep all of the box in the image, rather than its centre alone.
    """
    size = tf.cast(size, tf.float32)
    extent = tf.minimum(extent, 1.0) * size
    start = place * (size - extent) if within else place * size - extent / 2
    rows, columns = (
        (position >= start[axis]) & (position < start[axis] + extent[axis])
        for axis, position in enumerate((tf.range(size[0]), tf.range(size[1])))
    )
    return rows[:, tf.newaxis] & columns[tf.newaxis]
