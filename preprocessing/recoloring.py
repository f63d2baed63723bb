"""Brightness and saturation of a picture in one pass.

`tf.image` goes through hue, saturation and value and back, pixel by pixel. With the
largest of a pixel's three values `most` and the smallest `least`, saturation times a
factor, limited to 1, is the same as drawing each value c away from the largest:

    most - (most - c) * min(factor, most / (most - least))
"""

import numpy as np
import tensorflow.compat.v1 as tf

_TOGETHER = 8  # Pixels per row of a matrix product; more or fewer were slower.


def brighten_and_saturate(
    image: tf.Tensor,
    brightness: tf.Tensor,
    saturation: tf.Tensor,
    unit: float = 1.0,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> tf.Tensor:
    """Returns the picture brighter and with its saturation multiplied, in this order.

    But for rounding, the result is that of `tf.image.adjust_brightness`,
    `adjust_saturation` and clipping to [0, 1].

    Args:
      image: float32 `[height, width, 3]`, from 0 to `unit`.
      brightness: scalar, added to all values, as a share of `unit`.
      saturation: scalar, at least 0.
      unit: value of full intensity.
      value_range: values that 0 and full intensity become.
    """
    low, high = value_range
    span = (high - low) / unit
    red, green, blue = tf.unstack(image, axis=-1)
    most = tf.maximum(tf.maximum(red, green), blue)
    least = tf.minimum(tf.minimum(red, green), blue)
    bright = most + brightness * unit
    # Any share makes grey of grey.
    room = bright / tf.maximum(most - least, 1e-6 * unit)
    share = tf.clip_by_value(room, 0.0, saturation)
    rest = bright - most * share + low / span
    result = _for_channels(rest, span)
    result += _for_channels(share, span) * tf.reshape(image, tf.shape(result))
    result = tf.reshape(tf.clip_by_value(result, low, high), tf.shape(image))
    result.set_shape(image.shape)
    return result


def _for_channels(plane: tf.Tensor, factor: float) -> tf.Tensor:
    """Repeats each value of a plane three times, multiplied by `factor`.

    A matrix product does it several times faster than broadcasting along an axis of
    three.
    """
    pixels = plane.shape.num_elements() or 1
    together = max(n for n in range(1, _TOGETHER + 1) if pixels % n == 0)
    spread = np.kron(np.eye(together), np.full([1, 3], factor))
    return tf.matmul(tf.reshape(plane, [-1, together]), tf.constant(spread, tf.float32))
