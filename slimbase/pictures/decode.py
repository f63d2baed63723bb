"""People's pictures, read right whatever they are."""

import contextlib
import functools
import io
import os
import pathlib
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import simplejpeg
import tensorflow.compat.v1 as tf
from PIL import ExifTags, Image

from slimbase.graph import session_config
from slimbase.pictures import jpegs

MAX_PIXELS = 120_000_000  # Medium-format cameras have 102 million.
MAX_BYTES = 500_000_000

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"RIFF": "WebP",
}
_FILTERS = threading.Lock()
_BAND_PIXELS = 1 << 20  # Converted at a time.
_LARGE_PIXELS = 25_000_000  # One by one, as each takes much memory.
_LARGE = threading.Lock()
# What libjpeg says when the code of the picture is wrong.
_DAMAGE = r"Huffman|instead of RST|Unsupported marker"
_LUMA = np.array(
    [[0.299], [0.587], [0.114]], np.float32
)  # ITU-R BT.601, as JPEG has it.
# How a picture becomes upright: (transpose, then flip rows, then flip columns).
_ORIENTATIONS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class PictureError(ValueError):
    """Why a picture can't be read: one line, to be shown after the file's name."""


def read(path: str | os.PathLike, channels: int = 3) -> np.ndarray:
    """Reads a picture file; see `load` and `decode`, which it puts together."""
    return decode(load(path), channels)


def decode(content: bytes, channels: int = 3) -> np.ndarray:
    """Decodes a picture, upright; the first frame of an animated one.

    JPEG and PNG are decoded by TensorFlow as in training, GIF, BMP and WebP by Pillow.
    What is transparent is laid on white, 16 bits become 8 by scaling. The content
    decides what it is. May be called from several threads.

    Before anything is decoded, more than `MAX_PIXELS` are refused, and large pictures
    are decoded one at a time: 120 million pixels of BMP took 2.0 GB, of PNG 1.3 GB.

    Args:
      content: of the file.
      channels: 3, or 1 for its luma.

    Returns:
      uint8 `[height, width, channels]` in [0, 255]. A gray picture has three equal
      channels.

    Raises:
      PictureError: for whatever can't be decoded.
    """
    image, orientation = look(content)
    width, height = image.size
    with _LARGE if width * height > _LARGE_PIXELS else contextlib.nullcontext():
        pixels = _plain(_decode(image, content, channels), channels)
        return _upright(pixels, orientation)


def look(content: bytes) -> tuple[Image.Image, int]:
    """What a picture says of itself before it is decoded.

    Returns:
      The picture, not yet decoded, and its EXIF orientation: 1 if it is upright.

    Raises:
      PictureError: if it is no picture, has no pixels, or more than `MAX_PIXELS`.
    """
    if not content:
        raise PictureError("is empty")
    with _ignoring_warnings():
        image, orientation = _opened(content)
    width, height = image.size
    if not (width and height):
        raise PictureError(f"has no pixels: it is {width} wide and {height} high")
    if width * height > MAX_PIXELS:
        raise PictureError(f"has {width * height:,} pixels; the most is {MAX_PIXELS:,}")
    return image, orientation


def load(path: str | os.PathLike) -> bytes:
    """Reads the content of a picture file of at most `MAX_BYTES`.

    Raises:
      PictureError: for whatever can't be read, also a file that isn't there.
    """
    path = pathlib.Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # A pipe might never end.
            is_directory = stat.S_ISDIR(status.st_mode)
            raise PictureError("is a directory" if is_directory else "is not a file")
        if status.st_size > MAX_BYTES:
            size = status.st_size
            raise PictureError(f"has {size:,} bytes; the most is {MAX_BYTES:,}")
        return path.read_bytes()
    except PictureError:
        raise
    except (FileNotFoundError, ValueError):  # The latter for names that can't be.
        raise PictureError("is not there") from None
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _ignoring_warnings() -> Iterator[None]:
    """Those of Pillow; with a lock, as the filters are those of all threads."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(content: bytes) -> tuple[Image.Image, int]:
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.UnidentifiedImageError:
        kind = kind_of(content)
        raise PictureError(
            f"is a {kind} that is truncated or damaged"
            if kind
            else f"is not a JPEG, PNG, GIF, BMP or WebP: it begins with {content[:8]!r}"
        ) from None
    except Image.DecompressionBombError:
        raise PictureError(
            f"has far too many pixels; the most is {MAX_PIXELS:,}"
        ) from None
    except Exception:
        raise PictureError("is damaged, or made to do harm") from None
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # A broken block says nothing of the picture.
        orientation = 1
    return image, orientation


def kind_of(content: bytes) -> str | None:
    """The kind of picture that some bytes begin like, if any."""
    return next((k for start, k in _STARTS.items() if content.startswith(start)), None)


def is_clear(image: Image.Image) -> bool:
    """Whether parts of a picture are transparent, or may be."""
    return image.has_transparency_data or "transparency" in image.info


def _decode(image: Image.Image, content: bytes, channels: int) -> np.ndarray:
    """`[height, width, 1, 3 or 4]`, the fourth being how opaque it is."""
    clear = is_clear(image)
    if image.format in ("JPEG", "MPO"):  # The latter is two JPEGs in a file.
        refuse_damaged_jpeg(content)
        depth = 3 if image.mode == "CMYK" else channels
        return _run_tensorflow("JPEG", depth, content)
    if image.format == "PNG":  # Pillow takes what is missing for black.
        return _run_tensorflow("PNG", 4 if clear else 3, content)
    try:
        with _ignoring_warnings():
            image.load()
        return np.asarray(image.convert("RGBA" if clear else "RGB"))
    except Exception as error:  # Pillow raises nearly anything for a damaged file.
        truncated = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise PictureError("is truncated" if truncated else "is damaged") from None


def _plain(pixels: np.ndarray, channels: int) -> np.ndarray:
    """What is transparent laid on white, and made gray for one channel."""
    if pixels.shape[2] == channels:
        return pixels
    height, width, depth = pixels.shape
    plain = np.empty((height, width, channels), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for start in range(0, height, rows):  # Bounds the memory that floats take.
        band = pixels[start : start + rows].astype(np.float32)
        if depth == 4:
            opaque = band[..., 3:] / 255
            band = band[..., :3] * opaque + 255 * (1 - opaque)
        if channels == 1:
            band = band @ _LUMA
        np.rint(band, out=plain[start : start + rows], casting="unsafe")
    return plain


def refuse_damaged_jpeg(content: bytes) -> None:
    """Finds damage that TensorFlow's decoder goes over: the rest would be noise.

    Raises:
      PictureError: if it is cut short, parts of it are missing or wrong, or it is of a
        kind that is not decoded.
    """
    if kind := jpegs.undecodable_kind(content):
        raise PictureError(f"is a {kind}, which TensorFlow does not decode")
    message = jpeg_complaint(content)
    if re.search("premature end", message, re.IGNORECASE):
        raise PictureError("is truncated")
    surplus = re.search(r"(\d+) extraneous bytes before marker 0x(\w\w)", message)
    # Some cameras write a few needless bytes at the end.
    needless = surplus and surplus[2] == "d9" and int(surplus[1]) <= len(content) // 100
    if re.search(_DAMAGE, message) or (surplus and not needless):
        raise PictureError("is damaged: parts of the JPEG are missing or wrong")
    # The rest is for TensorFlow to judge: this decoder is strict where it does not
    # matter (color profiles) and does not know all kinds of CMYK.


def jpeg_complaint(content: bytes) -> str:
    """What a strict decoder has to say of a JPEG; empty if nothing.

    All of its code is read, but an eighth of its sides made: a fraction of the time
    that TensorFlow takes.
    """
    if kind := jpegs.undecodable_kind(content):
        return f"{kind} is not decoded"
    try:
        simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1, min_factor=1)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def _run_tensorflow(kind: str, channels: int, content: bytes) -> np.ndarray:
    try:
        return _tensorflow_decoder(kind, channels)(content)
    except tf.errors.OpError:
        raise PictureError(
            f"is damaged, truncated or a {kind} of a rare kind"
        ) from None


@functools.cache
def _tensorflow_decoder(kind: str, channels: int) -> Callable[[bytes], np.ndarray]:
    """A session of its own works in eager programs and while a graph is built."""
    decode = {"JPEG": tf.io.decode_jpeg, "PNG": tf.io.decode_png}[kind]
    graph = tf.Graph()
    with graph.as_default(), tf.device("/cpu:0"):
        content = tf.placeholder(tf.string, [])
        image = decode(content, channels)
    config = session_config(on_cpu=True)
    return tf.Session(graph=graph, config=config).make_callable(image, [content])


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation not in _ORIENTATIONS:
        return pixels
    transpose, flip_rows, flip_columns = _ORIENTATIONS[orientation]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(pixels)
