"""The CIFAR recipe: shifted, mirrored and recoloured; zero mean, unit deviation.

Krizhevsky, Learning multiple layers of features from tiny images, 2009:
https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import ops
from preprocessing.choices import NONE, Distortions
from preprocessing.distortions import apply, crop
from preprocessing.registry import register

_PADDING = 4


def preprocess_for_train(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    padding: int = _PADDING,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Distorts one picture at random.

    Args:
      image: `[height, width, channels]`, values of 0 to 255.
      output_height: height of the result in pixels; at most the picture's plus twice
        the padding.
      output_width: width of the result in pixels; at most the picture's plus twice the
        padding.
      padding: pixels of zeros added on every side before the random crop.
      add_image_summaries: whether to show the picture before and after.
      use_grayscale: whether to make it one channel rather than three.
      seed: int32 or int64 `[2]`, fixes the distortions.
      distortions: what is to be done otherwise. With a least area of crops, pictures
        are cropped and resized before they are padded.

    Returns:
      float32 `[output_height, output_width, channels]` of mean 0 and deviation 1.
    """
    more_seed = None
    if distortions:
        more_seed, seed = ops.split_seed(seed, 2)
    crop_seed, flip_seed, brightness_seed, contrast_seed = ops.split_seed(seed, 4)
    if add_image_summaries:
        ops.add_image_summary("image", image)
    image = ops.set_color(tf.cast(image, tf.float32), use_grayscale)
    if distortions.min_crop_area is not None:
        area_seed, more_seed = ops.split_seed(more_seed, 2)
        area = distortions.min_crop_area
        image = crop(image, output_height, output_width, area, area_seed)
    image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    image = ops.random_crop(image, output_height, output_width, crop_seed)
    if distortions:
        image = apply(image, distortions, 255.0, more_seed)
    if distortions.mirrors("horizontal", by_recipe=True):
        image = tf2.image.stateless_random_flip_left_right(image, flip_seed)
    if add_image_summaries:
        ops.add_image_summary("distorted_image", image)
    if distortions.colors(by_recipe=True):
        image = tf2.image.stateless_random_brightness(image, 63, brightness_seed)
        image = tf2.image.stateless_random_contrast(image, 0.2, 1.8, contrast_seed)
    return tf.image.per_image_standardization(image)


def preprocess_for_eval(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Crops one picture centrally, or pads it with zeros; see `preprocess_for_train`.

    Returns:
      float32 `[output_height, output_width, channels]` of mean 0 and deviation 1.
    """
    if add_image_summaries:
        ops.add_image_summary("image", image)
    image = ops.set_color(tf.cast(image, tf.float32), use_grayscale)
    image = tf.image.resize_image_with_crop_or_pad(image, output_height, output_width)
    if add_image_summaries:
        ops.add_image_summary("resized_image", image)
    return tf.image.per_image_standardization(image)


@register(
    "cifarnet",
    framing="central crop, or zero padding of smaller pictures",
    value_range="mean 0 and standard deviation 1 in each picture",
    mean=None,
    scale=None,
    source="https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
    mirrors=True,
    distorts_colors=True,
)
def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool = False,
    add_image_summaries: bool = True,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Preprocesses one picture by `preprocess_for_train` or `preprocess_for_eval`."""
    if is_training:
        return preprocess_for_train(
            image,
            output_height,
            output_width,
            add_image_summaries=add_image_summaries,
            use_grayscale=use_grayscale,
            seed=seed,
            distortions=distortions,
        )
    return preprocess_for_eval(
        image, output_height, output_width, add_image_summaries, use_grayscale
    )
