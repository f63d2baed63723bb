"""The LeNet recipe: a central crop or zero padding, scaled to about [-1, 1].

LeCun et al., Gradient-based learning applied to document recognition, 1998:
http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf
"""

from typing import Any

import tensorflow.compat.v1 as tf

from preprocessing import ops
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
) -> tf.Tensor:
    """Preprocesses one picture; nothing in this recipe is random.

    Args:
      image: `[height, width, channels]`, values of 0 to 255.
      output_height: height of the result in pixels.
      output_width: width of the result in pixels.
      is_training: makes no difference here.
      use_grayscale: whether to make it one channel; otherwise it keeps its own.
      seed: makes no difference here.

    Returns:
      float32 `[output_height, output_width, channels]` in [-1, 1).
    """
    image = tf.cast(image, tf.float32)
    if use_grayscale:
        image = ops.to_grayscale(image)
    image = tf.image.resize_image_with_crop_or_pad(image, output_height, output_width)
    return (image - 128.0) / 128.0
