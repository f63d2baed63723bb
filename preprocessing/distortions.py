"""The distortions that a training may choose beyond those of a recipe.

All random choices derive from a picture's seed, as in `preprocessing.ops`.
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import affine, ops, recoloring, trivial
from preprocessing.choices import Distortions

# Of the Inception recipe.
BRIGHTNESS = 32.0 / 255.0
SATURATION = 0.5, 1.5
_CROP_ASPECT = 0.75, 1.33  # Width by height.


def apply(
    image: tf.Tensor, distortions: Distortions, unit: float, seed: Any
) -> tf.Tensor:
    """Rotates, mirrors vertically and augments a picture of final size.

    Args:
      image: float `[height, width, channels]`, from 0 to `unit`.
      distortions: the choices.
      unit: value of full intensity.
      seed: `[2]`.
    """
    flip_seed, turn_seed, augment_seed = ops.split_seed(seed, 3)
    if distortions.mirrors("vertical"):
        image = tf2.image.stateless_random_flip_up_down(image, flip_seed)
    if distortions.rotate:
        turn = tf.random.stateless_uniform([], turn_seed, -1.0, 1.0)
        image = affine.rotate(image, turn * distortions.rotate, "REFLECT")
    if distortions.augment:
        image = trivial.augment(image * (255.0 / unit), augment_seed) * (unit / 255.0)
    return image


def crop(
    image: tf.Tensor, height: int, width: int, min_area: float, seed: Any
) -> tf.Tensor:
    """A random crop of at least a share of a picture, resized; for recipes without.

    Args:
      image: `[height, width, channels]`.
      height: height of the result in pixels.
      width: width of the result in pixels.
      min_area: least share of the area.
      seed: `[2]`.

    Returns:
      float32 `[height, width, channels]`.
    """
    begin, size, _ = tf2.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed=seed,
        min_object_covered=0.0,
        aspect_ratio_range=_CROP_ASPECT,
        area_range=(min_area, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.slice(image, begin, size)
    window.set_shape([None, None, image.shape[-1]])
    return ops.resize(window, height, width)


def colors(image: tf.Tensor, unit: float, seed: Any) -> tf.Tensor:
    """Changes brightness and saturation at random, for recipes that do not.

    The ranges are those of the Inception recipe.

    Args:
      image: float `[height, width, channels]`, from 0 to `unit`; of gray pictures, the
        brightness is changed alone.
      unit: value of full intensity.
      seed: `[2]`.

    Returns:
      A picture as `image`.
    """
    brightness, saturation = tf.unstack(tf.random.stateless_uniform([2], seed))
    change = (2 * brightness - 1) * BRIGHTNESS
    if image.shape.as_list()[-1] != 3:
        return tf.clip_by_value(image + change * unit, 0.0, unit)
    low, high = SATURATION
    factor = low + (high - low) * saturation
    return recoloring.brighten_and_saturate(image, change, factor, unit, (0.0, unit))


def mirror(image: tf.Tensor, seed: Any) -> tf.Tensor:
    """Mirrors half of the pictures horizontally."""
    return tf2.image.stateless_random_flip_left_right(image, seed)
