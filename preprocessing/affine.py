"""Affine maps of one picture: rotation, shear and translation."""

import math

import tensorflow.compat.v1 as tf


def transform(image: tf.Tensor, matrix: list, fill: str = "CONSTANT") -> tf.Tensor:
    """Maps a picture, bilinearly between pixels.

    Args:
      image: float `[height, width, channels]`.
      matrix: six scalars a to f: the pixel at (x, y) of the result, centres at whole
        numbers, is that of the picture at (a x + b y + c, d x + e y + f).
      fill: what is beyond the picture: `CONSTANT` for zeros, or `REFLECT`.

    Returns:
      A picture as `image`.
    """
    values = [tf.cast(value, tf.float32) for value in (*matrix, 0.0, 0.0)]
    mapped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.stack(values)[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=fill,
    )[0]
    mapped.set_shape(image.shape)
    return mapped


def rotate(image: tf.Tensor, degrees: tf.Tensor, fill: str = "CONSTANT") -> tf.Tensor:
    """Turns a picture about its middle, counterclockwise; see `transform`."""
    radians = degrees * (math.pi / 180.0)
    cos, sin = tf.cos(radians), tf.sin(radians)
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
    x, y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    matrix = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
    return transform(image, matrix, fill)
