"""Small steps that recipes are composed of, each on one picture.

A picture is a tensor `[height, width, channels]` with one or three channels, whose
sizes may be unknown until it is decoded. All random choices derive from one seed, a
tensor of shape `[2]`, so that they do not depend on the order of execution.
"""

from typing import Any

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as tf2

from slimbase.errors import UserError


def split_seed(seed: Any, count: int) -> list[Any]:
    """Returns `count` independent seeds, of which a single one is `seed` itself.

    Args:
      seed: int32 or int64 `[2]`; None draws one, as the graph-level seed governs.
      count: number of seeds.
    """
    if seed is None:
        seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    elif count == 1:
        return [seed]
    return tf.unstack(tf.random.split(seed, count))


def set_color(image: tf.Tensor, use_grayscale: bool) -> tf.Tensor:
    """Returns the float picture with one channel or with three."""
    return to_grayscale(image) if use_grayscale else to_rgb(image)


def to_rgb(image: tf.Tensor) -> tf.Tensor:
    """Returns the picture with three channels, repeating a single one."""
    channels = _channels(image)
    if channels == 3:
        return image
    # No tf.cond where the number is unknown: the graph optimizer takes the shapes
    # that hold within one branch for the picture's.
    image = tf.tile(image, [1, 1, 3 // (channels or tf.shape(image)[-1])])
    return tf.ensure_shape(image, [None, None, 3])


def to_grayscale(image: tf.Tensor) -> tf.Tensor:
    """Returns the float picture with one channel, by luma weights if it has three.

    The weights are those of Rec. 601: 0.2989 red, 0.5870 green and 0.1140 blue.
    """
    channels = _channels(image)
    if channels == 1:
        return image
    rgb = to_rgb(image)
    gray = tf.image.rgb_to_grayscale(rgb)
    if channels == 3:
        return gray
    # The weights do not quite sum to one: a grey picture is better left as it is.
    return tf2.where(tf.equal(tf.shape(image)[-1], 1), rgb[..., :1], gray)


def _channels(image: tf.Tensor) -> int | None:
    """The number of channels; None if it is unknown until the picture is decoded."""
    channels = image.shape.as_list()[-1]
    if channels not in (None, 1, 3):
        raise UserError(
            f"A picture has 1 or 3 channels here, got {channels}; decode it as one."
        )
    return channels


def resize(
    image: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Returns the picture as float32 of another size, by bilinear interpolation.

    It samples at corners rather than at pixel centres, as TensorFlow 1 did and as
    published checkpoints were trained.
    """
    return tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=[height, width])[0]


def random_crop(image: tf.Tensor, height: int, width: int, seed: Any) -> tf.Tensor:
    """Cuts `height` x `width` pixels out of the picture, anywhere in it."""
    _require_known_to_fit(image, height, width)
    offset = random_offset(tf.shape(image)[:2], height, width, seed)
    return _crop(image, offset, height, width)


def random_offset(size: tf.Tensor, height: int, width: int, seed: Any) -> tf.Tensor:
    """The place of a random crop of `height` x `width` pixels in a picture.

    Args:
      size: int32 `[2]`, height and width of the picture.
      height: height of the crop.
      width: width of the crop.
      seed: seed, int `[2]`.

    Returns:
      int32 `[2]`, the first row and column.
    """
    spare = _spare(size, height, width)
    offset = tf.random.stateless_uniform([2], seed, maxval=tf.int32.max, dtype=tf.int32)
    return offset % (spare + 1)


def central_crop(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Cuts `height` x `width` pixels out of the middle of the picture."""
    _require_known_to_fit(image, height, width)
    offset = _spare(tf.shape(image)[:2], height, width) // 2
    return _crop(image, offset, height, width)


def _require_known_to_fit(image: tf.Tensor, height: int, width: int) -> None:
    rows, columns, _ = image.shape.as_list()
    if (rows or height) < height or (columns or width) < width:
        raise UserError(
            f"{_misfit(height, width)}, which has {rows}x{columns}; ask for a smaller "
            "one."
        )


def _misfit(height: int, width: int) -> str:
    return f"A crop of {height}x{width} pixels does not fit in the picture"


def _spare(size: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The numbers of rows and columns outside a crop; an error if it does not fit."""
    message = _misfit(height, width)
    fits = tf.debugging.assert_greater_equal(size, [height, width], message=message)
    with tf.control_dependencies([fits]):
        return size - [height, width]


def _crop(image: tf.Tensor, offset: Any, height: int, width: int) -> tf.Tensor:
    crop = tf.slice(image, tf.concat([offset, [0]], 0), [height, width, -1])
    crop.set_shape([height, width, image.shape[-1]])
    return crop


def add_image_summary(
    name: str, image: tf.Tensor, boxes: tf.Tensor | None = None
) -> None:
    """Adds a summary of the picture, with `boxes` drawn in, to the caller's graph.

    Does nothing eagerly and in the functions of `tf.data`, whose summaries nobody
    could collect.
    """
    if tf.executing_eagerly() or tf2.inside_function():
        return
    image = image[tf.newaxis]
    if boxes is not None:
        image = tf.image.convert_image_dtype(image, tf.float32)
        image = tf.image.draw_bounding_boxes(image, boxes)
    tf.summary.image(name, image, max_outputs=1)
