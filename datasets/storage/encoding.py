"""From any picture to one that TensorFlow reads as people see it."""

import contextlib
import io
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import simplejpeg
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import dataset_utils
from slimbase.pictures import decode, kinds

_JPEG_QUALITY = 95
_MOST_JPEG_PIXELS = 65_500  # Of a side; libjpeg encodes no more.
# Lossy themselves; a PNG of a photo takes up several times the room.
_AS_JPEG = (kinds.JPEG, kinds.HEIC, kinds.AVIF)
_PLAIN = "CMYK, palettes, 16 bits or transparency made plain RGB"
# Where a caller wants to know what was changed.
_changes: ContextVar[list[str] | None] = ContextVar("changes", default=None)


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
    to turn, colours of another profile than sRGB, and all other kinds of files, such as
    GIF (the first frame), WebP and HEIC. JPEG, HEIC and AVIF become a JPEG of quality
    95, others a PNG if that is one of `formats`.

    Args:
      content: of the file; it decides what it is.
      formats: what may come out, "jpeg" or "png".

    Raises:
      PictureError: with the reason if the picture is damaged or can't be read.
    """
    header = decode.look(content)
    kind = header.kind.name.lower()
    if kind in formats and header.is_kept:
        if not header.is_sound:
            decode.decode(content)  # TensorFlow is the judge of what it has to read.
        return Encoded(content, kind, header.height, header.width)
    pixels, changes = decode.picture(content)
    height, width = pixels.shape[:2]
    made = "jpeg" if header.kind in _AS_JPEG or "png" not in formats else "png"
    if made != kind:
        changes = (f"{header.kind.name} made {made.upper()}", *changes)
    elif not header.is_plain:
        changes = (_PLAIN, *changes)
    for change in changes:
        _note(change)
    if made == "jpeg":
        if max(height, width) > _MOST_JPEG_PIXELS:
            raise decode.PictureError(
                f"is {width} wide and {height} high; a JPEG has at most "
                f"{_MOST_JPEG_PIXELS:,}"
            )
        content = simplejpeg.encode_jpeg(pixels, _JPEG_QUALITY, colorsubsampling="444")
        return Encoded(content, "jpeg", height, width)
    return Encoded(compressed(pixels, "png"), "png", height, width)


@contextlib.contextmanager
def noting() -> Iterator[list[str]]:
    """Gives a list to which `encode_picture` adds what it changes, in this thread."""
    changes: list[str] = []
    token = _changes.set(changes)
    try:
        yield changes
    finally:
        _changes.reset(token)


def _note(change: str) -> None:
    changes = _changes.get()
    if changes is not None:
        changes.append(change)


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
