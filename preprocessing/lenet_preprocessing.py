"""The LeNet recipe: a central crop or zero padding, scaled to about [-1, 1].

LeCun et al., Gradient-based learning applied to document recognition, 1998:
http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf
"""

from typing import Any

import tensorflow.compat.v1 as tf

from preprocessing import ops
from preprocessing.choices import NONE, Distortions
from preprocessing.distortions import apply, colors, crop, mirror
from preprocessing.registry import register


@register(
    "lenet",
    framing="central crop, or zero padding of smaller pictures",
    value_range="[-1, 1)",
    mean=128.0,
    scale=128.0,
    source="http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
)
def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Preprocesses one picture; nothing in this recipe itself is random.

    Args:
      image: `[height, width, channels]`, values of 0 to 255.
      output_height: height of the result in pixels.
      output_width: width of the result in pixels.
      is_training: whether to apply `distortions`.
      use_grayscale: whether to make it one channel; otherwise it keeps its own.
      seed: int32 or int64 `[2]`, fixes the distortions.
      distortions: what is to be done otherwise. With a least area of crops, these are
        resized.

    Returns:
      float32 `[output_height, output_width, channels]` in [-1, 1).
    """
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = ops.to_grayscale(image)
    seeds = ops.split_seed(seed, 4) if is_training and distortions else []
    if seeds and distortions.min_crop_area is not None:
        area = distortions.min_crop_area
        image = crop(image, output_height, output_width, area, seeds[0])
    image = tf.image.resize_image_with_crop_or_pad(image, output_height, output_width)
    if seeds:
        image = apply(image, distortions, 255.0, seeds[1])
        if distortions.mirrors("horizontal"):
            image = mirror(image, seeds[2])
        if distortions.colors(by_recipe=False):
            image = colors(image, 255.0, seeds[3])
    return (image - 128.0) / 128.0
