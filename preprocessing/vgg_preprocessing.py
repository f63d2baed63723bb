"""The VGG recipe: a crop at a random scale, less the mean colour of ImageNet.

Simonyan and Zisserman, Very deep convolutional networks for large-scale image
recognition, 2014: https://arxiv.org/abs/1409.1556

Of an encoded picture, training decodes and resizes no more than what the crop shows,
rounded to whole pixels: what it shows is shifted by up to half a pixel of the picture
and scaled by up to half a pixel per side otherwise than in the whole picture, decoded
and resized, for the same seed. Where these are at least 2, 4 or 8 times as many as
the result has, a JPEG is decoded at that fraction of its size.
"""

import math
from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from preprocessing import encoded, ops
from preprocessing.choices import NONE, Distortions
from preprocessing.distortions import apply, colors
from preprocessing.registry import register
from slimbase.errors import UserError

_R_MEAN = 123.68
_G_MEAN = 116.78
_B_MEAN = 103.94
# What the mean colour becomes by the weights of `ops.to_grayscale`.
_GRAY_MEAN = 0.2989 * _R_MEAN + 0.5870 * _G_MEAN + 0.1140 * _B_MEAN

_RESIZE_SIDE_MIN = 256
_RESIZE_SIDE_MAX = 512


def preprocess_for_train(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    resize_side_min: int = _RESIZE_SIDE_MIN,
    resize_side_max: int = _RESIZE_SIDE_MAX,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Crops one picture at a random scale and place, and mirrors half of them.

    Args:
      image: `[height, width, channels]`, values of 0 to 255; or an encoded picture, a
        string scalar, which is decoded as far as need be and to three channels.
      output_height: height of the result in pixels.
      output_width: width of the result in pixels.
      resize_side_min: least length of the shorter side before the crop, in pixels.
      resize_side_max: greatest length; every integer between is equally likely.
      use_grayscale: whether to make it one channel rather than three.
      seed: int32 or int64 `[2]`, fixes scale, place and mirroring.
      distortions: what is to be done otherwise. The least area of a crop, which is that
        of a square picture, limits the resized side.

    Returns:
      float32 `[output_height, output_width, channels]`, less the mean.

    Raises:
      UserError: if the crop is larger than the resized pictures.
    """
    _require_room(output_height, output_width, resize_side_min)
    more_seed = None
    if distortions:
        more_seed, seed = ops.split_seed(seed, 2)
    if distortions.min_crop_area is not None:
        side = math.sqrt(output_height * output_width / distortions.min_crop_area)
        resize_side_max = max(resize_side_min, round(side))
    side_seed, crop_seed, flip_seed = ops.split_seed(seed, 3)
    resize_side = tf.random.stateless_uniform(
        [], side_seed, resize_side_min, resize_side_max + 1, dtype=tf.int32
    )
    if encoded.is_encoded(image):
        image = _random_window(
            image, resize_side, output_height, output_width, crop_seed
        )
    else:
        image = _aspect_preserving_resize(image, resize_side)
        image = ops.random_crop(image, output_height, output_width, crop_seed)
    image = ops.set_color(image, use_grayscale)
    if distortions:
        color_seed, more_seed = ops.split_seed(more_seed, 2)
        image = apply(image, distortions, 255.0, more_seed)
        if distortions.colors(by_recipe=False):
            image = colors(image, 255.0, color_seed)
    if distortions.mirrors("horizontal", by_recipe=True):
        image = tf2.image.stateless_random_flip_left_right(image, flip_seed)
    return _subtract_mean(image, use_grayscale)


def preprocess_for_eval(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    resize_side: int,
    use_grayscale: bool = False,
) -> tf.Tensor:
    """Crops the middle of one picture whose shorter side was made `resize_side`.

    The other arguments, the result and the error are `preprocess_for_train`'s.
    """
    _require_room(output_height, output_width, resize_side)
    image = _aspect_preserving_resize(image, resize_side)
    image = ops.central_crop(image, output_height, output_width)
    image = ops.set_color(image, use_grayscale)
    return _subtract_mean(image, use_grayscale)


@register(
    "vgg",
    framing="shorter side to 256 pixels, central crop",
    value_range="0 to 255 less the mean colour",
    mean=(_R_MEAN, _G_MEAN, _B_MEAN),
    scale=1.0,
    source="https://arxiv.org/abs/1409.1556",
    central_fraction=lambda fraction, height, width: {
        "resize_side_min": round(max(height, width) / fraction)
    },
    trains_on_encoded=True,
    mirrors=True,
)
def preprocess_image(
    image: tf.Tensor,
    output_height: int,
    output_width: int,
    is_training: bool = False,
    resize_side_min: int = _RESIZE_SIDE_MIN,
    resize_side_max: int = _RESIZE_SIDE_MAX,
    use_grayscale: bool = False,
    seed: Any = None,
    distortions: Distortions = NONE,
) -> tf.Tensor:
    """Preprocesses one picture by `preprocess_for_train` or `preprocess_for_eval`.

    Evaluation makes the shorter side `resize_side_min`.
    """
    if is_training:
        return preprocess_for_train(
            image,
            output_height,
            output_width,
            resize_side_min,
            resize_side_max,
            use_grayscale,
            seed,
            distortions,
        )
    return preprocess_for_eval(
        image, output_height, output_width, resize_side_min, use_grayscale
    )


def _require_room(height: int, width: int, side: int) -> None:
    if min(height, width) > side:
        raise UserError(
            f"The vgg recipe cannot cut {height}x{width} pixels out of pictures whose "
            f"shorter side it makes {side}. Use a smaller image size, a larger "
            "resize_side_min, or --preprocessing_name=inception, which takes any size."
        )


def _aspect_preserving_resize(image: tf.Tensor, smallest_side: tf.Tensor) -> tf.Tensor:
    """Returns the picture with its shorter side of that length, as float32."""
    height, width = tf.unstack(_scaled(tf.shape(image)[:2], smallest_side))
    return ops.resize(image, height, width)


def _scaled(size: tf.Tensor, smallest_side: tf.Tensor) -> tf.Tensor:
    """Height and width, int32 `[2]`, when the shorter one has that length."""
    size = tf.cast(size, tf.float32)
    scale = tf.cast(smallest_side, tf.float32) / tf.reduce_min(size)
    return tf.cast(tf.round(size * scale), tf.int32)


def _random_window(
    contents: tf.Tensor, smallest_side: tf.Tensor, height: int, width: int, seed: Any
) -> tf.Tensor:
    """The crop of the resized picture by `ops.random_crop`, decoded from its file."""

    def choose(size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        scaled = _scaled(size, smallest_side)
        offset = ops.random_offset(scaled, height, width, seed)
        scale = size / scaled
        begin, window = (
            tf.cast(tf.round(tf.cast(pixels, tf.float64) * scale), tf.int32)
            for pixels in (offset, [height, width])
        )
        window = tf.maximum(window, 1)
        return tf.minimum(begin, size - window), window, tf.constant(0)

    image, _ = encoded.crop(contents, choose, (height, width))
    return ops.resize(image, height, width)


def _subtract_mean(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    if use_grayscale:
        return image - _GRAY_MEAN
    shape = tf.shape(image)
    # By rows of all channels: broadcasting along an axis of three is ten times as slow.
    means = tf.tile([_R_MEAN, _G_MEAN, _B_MEAN], shape[1:2])
    centred = tf.reshape(tf.reshape(image, [shape[0], -1]) - means, shape)
    centred.set_shape(image.shape)
    return centred
