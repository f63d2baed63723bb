"""TrivialAugment: one operation of random strength for each picture.

Müller and Hutter, TrivialAugment: tuning-free yet state-of-the-art data augmentation,
2021, arXiv 2103.10158; the operations and strengths are those of its wide space. What
geometric operations uncover is black.
"""

from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf

from preprocessing import affine, ops

LEVELS = 31  # Strengths, of which the first changes nothing.

_MOST_SHEAR, _MOST_SHIFT, _MOST_DEGREES = 0.99, 32, 135.0
_MOST_FACTOR = 0.99
_FEWEST_BITS, _BITS = 2, 8
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow has it.
_SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))  # Thirteenths.

Operation = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def augment(image: tf.Tensor, seed: Any) -> tf.Tensor:
    """Applies one operation of `OPERATIONS`, each equally likely, as its strengths.

    Args:
      image: float `[height, width, channels]` in [0, 255], of one or three channels.
      seed: `[2]`.

    Returns:
      A picture as `image`, values of whole numbers but for geometric operations.
    """
    which, level_seed, sign_seed = ops.split_seed(seed, 3)
    kind = tf.random.stateless_uniform([], which, 0, len(OPERATIONS), tf.int32)
    level = tf.random.stateless_uniform([], level_seed, 0, LEVELS, tf.int32)
    strength = tf.cast(level, tf.float32) / (LEVELS - 1)
    is_less = tf.random.stateless_uniform([], sign_seed) < 0.5
    sign = tf.where_v2(is_less, -1.0, 1.0)
    return tf.switch_case(
        kind,
        [
            lambda operation=operation: operation(image, strength, sign)
            for operation in OPERATIONS.values()
        ],
    )


def _identity(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    del strength, sign
    return tf.identity(image)


def _shear_x(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    # Rows are moved by the place of their middle, which is half a pixel lower.
    shear = strength * sign * _MOST_SHEAR
    return affine.transform(image, [1.0, shear, 0.5 * shear, 0.0, 1.0, 0.0])


def _shear_y(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    shear = strength * sign * _MOST_SHEAR
    return affine.transform(image, [1.0, 0.0, 0.0, shear, 1.0, 0.5 * shear])


def _translate_x(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _translate(image, strength * sign, axis=1)


def _translate_y(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _translate(image, strength * sign, axis=0)


def _translate(image: tf.Tensor, share: tf.Tensor, axis: int) -> tf.Tensor:
    """Shifts by whole pixels: a slice takes a fraction of what `transform` does."""
    room, begin = [[0, 0], [0, 0], [0, 0]], [0, 0, 0]
    room[axis] = [_MOST_SHIFT, _MOST_SHIFT]
    shift = tf.cast(tf.round(share * _MOST_SHIFT), tf.int32)
    begin[axis] = _MOST_SHIFT + shift
    shifted = tf.slice(tf.pad(image, room), tf.stack(begin), tf.shape(image))
    shifted.set_shape(image.shape)
    return shifted


def _rotate(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return affine.rotate(image, strength * sign * _MOST_DEGREES)


def _brightness(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _blend(tf.zeros_like(image), image, strength, sign)


def _color(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    return _blend(tf.floor(_luma(image)), image, strength, sign)


def _contrast(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    mean = tf.floor(tf.reduce_mean(tf.floor(_luma(image))) + 0.5)
    return _blend(mean, image, strength, sign)


def _sharpness(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    channels = tf.shape(image)[-1]
    kernel = tf.constant(_SMOOTH)[:, :, tf.newaxis, tf.newaxis] / 13.0
    kernel = tf.tile(kernel, [1, 1, channels, 1])
    smooth = tf.nn.depthwise_conv2d(image[tf.newaxis], kernel, [1, 1, 1, 1], "VALID")
    smooth = tf.floor(smooth[0] + 0.5)
    # Those at the border stay as they are.
    inside = tf.pad(tf.ones_like(smooth, tf.bool), [[1, 1], [1, 1], [0, 0]])
    smooth = tf.where_v2(inside, tf.pad(smooth, [[1, 1], [1, 1], [0, 0]]), image)
    return _blend(smooth, image, strength, sign)


def _posterize(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    del sign
    bits = _BITS - tf.round(strength * (_BITS - _FEWEST_BITS))
    step = tf.pow(2.0, _BITS - bits)
    return tf.floor(image / step) * step


def _solarize(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    del sign
    return tf.where_v2(image < 255.0 * (1.0 - strength), image, 255.0 - image)


def _auto_contrast(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    del strength, sign
    low = tf.reduce_min(tf.reduce_min(image, 0), 0)  # Faster than both at once.
    span = tf.reduce_max(tf.reduce_max(image, 0), 0) - low
    stretched = (image - low) * (255.0 / tf.maximum(span, 1.0))
    stretched = tf.clip_by_value(tf.floor(stretched), 0.0, 255.0)
    return tf.where_v2(span > 0, stretched, image)


def _equalize(image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
    del strength, sign
    planes = tf.transpose(image, [2, 0, 1])
    equalized = tf.map_fn(_equalized, planes)
    equalized.set_shape([image.shape[-1], *image.shape[:2]])
    return tf.transpose(equalized, [1, 2, 0])


def _equalized(plane: tf.Tensor) -> tf.Tensor:
    """Float `[height, width]` of which each value is about as frequent as any other."""
    values = tf.cast(plane, tf.int32)
    counts = tf.histogram_fixed_width(plane, [0.0, 256.0], 256)
    counts = tf.cast(counts, tf.float32)  # Exact, up to 16 million pixels.
    numbers = tf.range(256.0)
    last = tf.cast(tf.reduce_max(tf.where_v2(counts > 0, numbers, 0.0)), tf.int32)
    step = tf.floor((tf.reduce_sum(counts) - counts[last]) / 255.0)
    begin = tf.cumsum(counts, exclusive=True)
    table = tf.floor((begin + tf.floor(step / 2.0)) / tf.maximum(step, 1.0))
    table = tf.where_v2(step > 0, tf.clip_by_value(table, 0.0, 255.0), numbers)
    return tf.gather(table, values)


def _luma(image: tf.Tensor) -> tf.Tensor:
    """`[height, width, 1]`."""
    if image.shape.as_list()[-1] == 1:
        return image
    # A product of matrices: to sum along an axis of three takes several times as long.
    luma = tf.matmul(tf.reshape(image, [-1, 3]), tf.constant(_LUMA, shape=[3, 1]))
    return tf.reshape(luma, [*tf.unstack(tf.shape(image)[:2]), 1])


def _blend(
    other: tf.Tensor, image: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor
) -> tf.Tensor:
    factor = 1.0 + strength * sign * _MOST_FACTOR
    return tf.clip_by_value(tf.floor(other + (image - other) * factor), 0.0, 255.0)


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "shear x": _shear_x,
    "shear y": _shear_y,
    "translate x": _translate_x,
    "translate y": _translate_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto contrast": _auto_contrast,
    "equalize": _equalize,
}
