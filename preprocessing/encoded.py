"""Decodes the parts of encoded pictures that recipes use, and no more.

A window of a JPEG has exactly the pixels that it has in the whole picture. If it is at
least 2, 4 or 8 times as large as needed, libjpeg decodes it at that fraction of its
size: each pixel is about the mean of the pixels that it replaces.
"""

from collections.abc import Callable

import tensorflow.compat.v1 as tf

CHANNELS = 3
_SHRINKS = 2, 4, 8  # Divisors of sides that libjpeg has.
_END_OF_IMAGE = b"\xff\xd9"


def is_encoded(image: tf.Tensor) -> bool:
    """Whether a picture is a string scalar rather than pixels."""
    return isinstance(image, bytes) or getattr(image, "dtype", None) == tf.string


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Pixels of a JPEG, PNG, BMP or GIF (its first), uint8 `[height, width, 3]`."""
    pixels = tf.io.decode_image(contents, CHANNELS, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, CHANNELS])


def crop(
    contents: tf.Tensor,
    choose: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
    least: tuple[int, int] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a window of a picture.

    Args:
      contents: string scalar: a JPEG, or another file, which is decoded as a whole.
      choose: `f(size)`, the size int32 `[2]`, height and width of the picture. Returns
        first row and column, and height and width of the window, both int32 `[2]`,
        and one more tensor. `crop` calls it once for each way to decode.
      least: height and width below which a window of a JPEG is not made smaller.

    Returns:
      The window, uint8 `[height, width, 3]`, at its size or at a half, a fourth or an
      eighth of it; and the tensor that `choose` added.
    """

    def of_jpeg():
        whole = tf.io.extract_jpeg_shape(contents)[:2]
        begin, size, more = choose(whole)
        return _decode_window(contents, whole, begin, size, least), more

    def of_pixels():
        pixels = decode(contents)
        begin, size, more = choose(tf.shape(pixels)[:2])
        begin, size = tf.concat([begin, [0]], 0), tf.concat([size, [-1]], 0)
        return tf.slice(pixels, begin, size), more

    length = tf.strings.length(contents)
    end = tf.strings.substr(contents, -tf.minimum(length, 2), 2)
    # Of a JPEG that is cut short, a window above the cut would decode.
    is_whole = tf.io.is_jpeg(contents) & tf.equal(end, _END_OF_IMAGE)
    pixels, more = tf.cond(is_whole, of_jpeg, of_pixels)
    return tf.ensure_shape(pixels, [None, None, CHANNELS]), more


def _decode_window(
    contents: tf.Tensor,
    whole: tf.Tensor,
    begin: tf.Tensor,
    size: tf.Tensor,
    least: tuple[int, int] | None,
) -> tf.Tensor:
    if least is None:
        return _decode_at(1, contents, whole, begin, size)
    spare = tf.reduce_min(size // least)
    case = tf.reduce_sum(tf.cast(spare >= _SHRINKS, tf.int32))
    smaller = [
        lambda shrink=shrink: _decode_at(shrink, contents, whole, begin, size)
        for shrink in _SHRINKS
    ]
    # Most pictures are decoded at full size, and branches not taken cost time too.
    return tf.cond(
        tf.equal(case, 0),
        lambda: _decode_at(1, contents, whole, begin, size),
        lambda: tf.switch_case(case - 1, smaller),
    )


def _decode_at(
    shrink: int,
    contents: tf.Tensor,
    whole: tf.Tensor,
    begin: tf.Tensor,
    size: tf.Tensor,
) -> tf.Tensor:
    begin, size, whole = begin // shrink, size // shrink, -(-whole // shrink)
    # Colours are interpolated with those beside them, which a window's first and last
    # column lack.
    start = tf.maximum(begin - [0, 1], 0)
    end = tf.minimum(begin + size + [0, 1], whole)
    window = tf.concat([start, end - start], 0)
    pixels = tf.io.decode_and_crop_jpeg(contents, window, CHANNELS, ratio=shrink)
    left = begin[1] - start[1]
    return pixels[:, left : left + size[1]]
