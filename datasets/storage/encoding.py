"""From any picture to one that TensorFlow reads as people see it."""

import io
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import simplejpeg
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import dataset_utils
from slimbase.pictures import decode, jpegs

_JPEG_QUALITY = 95
_MOST_JPEG_PIXELS = 65_500  # Of a side; libjpeg encodes no more.
# Pillow's names; MPO is a JPEG with another one behind it.
_KINDS = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
_PLAIN_MODES = ("L", "RGB")


class Encoded(NamedTuple):
    """A picture as it is put into a record.

    Attributes:
      content: encoded, upright, gray or RGB, 8 bits a channel.
      format: "jpeg" or "png".
      height: in pixels.
      width: in pixels.
    """

    content: bytes
    format: str
    height: int
    width: int


def encode_picture(
    content: bytes, formats: Collection[str] = ("jpeg", "png")
) -> Encoded:
    """Checks a picture and, where TensorFlow would misread it, encodes it anew.

    Kept byte for byte: upright 8-bit gray and RGB pictures of one of `formats`. Encoded
    anew: CMYK, palettes, 16 bits, what is transparent (laid on white), what EXIF says
    to turn, GIF (the first frame), BMP, WebP. A JPEG becomes one of quality 95, others
    a PNG if that is one of `formats`.

    Args:
      content: of the file; it decides what it is.
      formats: what may come out, "jpeg" or "png".

    Raises:
      PictureError: with the reason if the picture is damaged or can't be read.
    """
    jpeg = jpegs.facts_if_sound(content) if "jpeg" in formats else None
    is_upright = jpeg and (not jpeg.may_have_exif or decode.look(content)[1] == 1)
    if jpeg and is_upright and jpeg.height * jpeg.width <= decode.MAX_PIXELS:
        return Encoded(content, "jpeg", jpeg.height, jpeg.width)
    image, orientation = decode.look(content)
    kind = _KINDS.get(image.format or "", "")
    is_plain = image.mode in _PLAIN_MODES and not decode.is_clear(image)
    if kind in formats and is_plain and orientation == 1 and not _is_deep(content):
        if kind == "jpeg":
            decode.refuse_damaged_jpeg(content)
        else:
            decode.decode(content)
        width, height = image.size
        return Encoded(content, kind, height, width)
    pixels = decode.decode(content)
    height, width = pixels.shape[:2]
    if kind == "jpeg" or "png" not in formats:
        if max(height, width) > _MOST_JPEG_PIXELS:
            raise decode.PictureError(
                f"is {width} wide and {height} high; a JPEG has at most "
                f"{_MOST_JPEG_PIXELS:,}"
            )
        content = simplejpeg.encode_jpeg(pixels, _JPEG_QUALITY, colorsubsampling="444")
        return Encoded(content, "jpeg", height, width)
    return Encoded(compressed(pixels, "png"), "png", height, width)


def picture_example(
    content: bytes,
    label: int,
    formats: Collection[str] = ("jpeg", "png"),
    format_name: bytes | None = None,
) -> tf.train.Example:
    """The record of a picture file; see `encode_picture`.

    Args:
      content: of the file.
      label: its class.
      formats: what may be in the record.
      format_name: what `image/format` says, if not one of these names.
    """
    encoded = encode_picture(content, formats)
    return dataset_utils.image_to_tfexample(
        encoded.content,
        format_name or encoded.format.encode(),
        encoded.height,
        encoded.width,
        label,
    )


def pixels_example(
    pixels: np.ndarray, label: int, image_format: str = "png"
) -> tf.train.Example:
    """The record of a picture, `uint8 [height, width]` or `[height, width, 3]`."""
    height, width = pixels.shape[:2]
    return dataset_utils.image_to_tfexample(
        compressed(pixels, image_format), image_format.encode(), height, width, label
    )


def compressed(pixels: np.ndarray, image_format: str) -> bytes:
    """A picture, `uint8 [height, width]` or `[height, width, 3]`, as a file has it."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, image_format, quality=_JPEG_QUALITY)
    return encoded.getvalue()


def _is_deep(content: bytes) -> bool:
    """Whether it is a PNG of 16 bits a channel, which Pillow takes for RGB."""
    return content.startswith(b"\x89PNG") and content[24:25] == b"\x10"
