"""People's pictures, read right whatever they are."""

import contextlib
import functools
import os
import pathlib
import re
import stat
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from slimbase.graph import session_config
from slimbase.pictures import exif, isolated, jpegs, kinds, pngs
from slimbase.pictures.decoder_process import jpeg_complaint as _complaint
from slimbase.pictures.errors import PictureError
from slimbase.pictures.kinds import Kind

MAX_PIXELS = 120_000_000  # Medium-format cameras have 102 million.
MAX_BYTES = 500_000_000
# What is done to pictures so that they are seen right.
TURNED = "turned upright, as EXIF says"
CONVERTED = "converted to sRGB from another colour profile"
TAKEN_FOR_SRGB = "of HDR or wide colours without a profile, taken for sRGB"

_BAND_PIXELS = 1 << 20  # Converted at a time.
_LARGE_PIXELS = 25_000_000  # One by one, as each takes much memory.
_LARGE = threading.Lock()
# What libjpeg says when the code of the picture is wrong.
_DAMAGE = r"Huffman|instead of RST|Unsupported marker"
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_CMYK = 4  # Channels.
_MODES = {1: "L", 3: "RGB", _CMYK: "CMYK"}  # Of Pillow, by channels.
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


class Header(NamedTuple):
    """What a picture says of itself before it is decoded.

    Attributes:
      kind: kind of the file.
      height: in pixels, as it is stored.
      width: in pixels, as it is stored.
      orientation: by EXIF, 1 to 8; 1 if it is upright.
      is_plain: whether it is a gray or RGB picture of 8 bits a channel, opaque.
      is_clear: whether it is a PNG of which parts are transparent, or may be.
      is_sound: whether it is a JPEG that plainly is sound; see `jpegs.Header`.
      channels: number of colour channels, of a JPEG or PNG; else 0.
      profile: colour profile (ICC), if it has one and is not of sRGB; else empty.
    """

    kind: Kind
    height: int
    width: int
    orientation: int = exif.UPRIGHT
    is_plain: bool = False
    is_clear: bool = False
    is_sound: bool = False
    channels: int = 0
    profile: bytes = b""

    @property
    def is_kept(self) -> bool:
        """Whether TensorFlow decodes it to what people see."""
        return self.is_plain and self.orientation == exif.UPRIGHT and not self.profile


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
      pixels: uint8 `[height, width, channels]` in [0, 255], upright.
      changes: what was done so that it is seen right.
    """

    pixels: np.ndarray
    changes: tuple[str, ...] = ()


def read(path: str | os.PathLike, channels: int = 3) -> np.ndarray:
    """Reads a picture file; see `load` and `decode`, which it puts together."""
    return decode(load(path), channels)


def decode(content: bytes, channels: int = 3) -> np.ndarray:
    """Decodes a picture; see `picture`, whose pixels it returns."""
    return picture(content, channels).pixels


def picture(content: bytes, channels: int = 3) -> Picture:
    """Decodes a picture, upright; the first frame or page of several.

    JPEG and PNG are decoded by TensorFlow as in training; GIF, BMP, WebP, TIFF, JPEG
    2000, AVIF and HEIC by Pillow and pi-heif, in a process that may die of them. What
    is transparent is laid on white, 16 bits become 8 by scaling, and colours of another
    profile become those of sRGB. The content decides what it is. May be called from
    several threads.

    Before anything is decoded, more than `MAX_PIXELS` are refused, and large pictures
    are decoded one at a time: 120 million pixels of BMP took 2.0 GB, of PNG 1.3 GB.

    Args:
      content: of the file.
      channels: 3, or 1 for its luma.

    Raises:
      PictureError: for whatever can't be decoded.
    """
    header = look(content)
    is_large = header.height * header.width > _LARGE_PIXELS
    with _LARGE if is_large else contextlib.nullcontext():
        if header.kind is kinds.JPEG:
            stored = _decode_jpeg(header, content, channels)
        elif header.kind is kinds.PNG:  # Pillow takes what is missing for black.
            pixels = _run_tensorflow("PNG", 4 if header.is_clear else 3, content)
            stored = in_srgb(pixels, header)
        else:
            stored = _decode_elsewhere(content)
        pixels = upright(_plain(stored.pixels, channels), header.orientation)
        is_turned = header.orientation != exif.UPRIGHT
        return Picture(pixels, stored.changes + (TURNED,) * is_turned)


def look(content: bytes) -> Header:
    """Reads what a picture says of itself, without decoding it.

    Raises:
      PictureError: if it is no picture, of a kind that is not read, has no pixels, or
        more than `MAX_PIXELS`.
    """
    if not content:
        raise PictureError("is empty")
    kind = kinds.of(content[: kinds.START_BYTES])
    if kind is None:
        raise PictureError(
            f"is not a {', '.join(each.name for each in kinds.READ[:-1])} or "
            f"{kinds.READ[-1].name}: it begins with {content[:8]!r}"
        )
    if not kind.is_picture:
        raise PictureError(f"is a {kind.name}, not a picture")
    if not kind.is_read:
        raise PictureError(
            f"is a {kind.name}, which is not read: convert it to JPEG or PNG"
        )
    if kind is kinds.JPEG:
        header = _look_at_jpeg(content)
    elif kind is kinds.PNG:
        header = _look_at_png(content)
    else:
        seen = isolated.call("look", content, max_pixels=MAX_PIXELS).description
        header = Header(kind, seen["height"], seen["width"], seen["orientation"])
    height, width = header.height, header.width
    if not (width and height):
        raise PictureError(f"has no pixels: it is {width} wide and {height} high")
    if width * height > MAX_PIXELS:
        raise PictureError(f"has {width * height:,} pixels; the most is {MAX_PIXELS:,}")
    return header


def _look_at_jpeg(content: bytes) -> Header:
    jpeg = jpegs.read(content)
    if not jpeg.frame:
        raise PictureError(f"is a {kinds.JPEG.name} that is truncated or damaged")
    if jpeg.undecodable_kind:
        raise PictureError(
            f"is a {jpeg.undecodable_kind}, which TensorFlow does not decode"
        )
    if jpeg.scans > jpegs.MAX_SCANS:
        raise PictureError(
            f"has {jpeg.scans:,} scans, which take long to decode; the most is "
            f"{jpegs.MAX_SCANS}"
        )
    return Header(
        kinds.JPEG,
        jpeg.height,
        jpeg.width,
        exif.orientation(jpeg.exif),
        is_plain=jpeg.channels in (1, 3),
        is_sound=jpeg.is_sound,
        channels=jpeg.channels,
        profile=_applied(jpeg.profile, jpeg.channels),
    )


def _look_at_png(content: bytes) -> Header:
    png = pngs.read(content)
    if png is None:
        raise PictureError(f"is a {kinds.PNG.name} that is truncated or damaged")
    colors = 3 if png.channels > 2 or png.has_palette else 1
    return Header(
        kinds.PNG,
        png.height,
        png.width,
        exif.orientation(png.exif),
        is_plain=png.bits == 8 and not (png.is_clear or png.has_palette),
        is_clear=png.is_clear,
        channels=colors,
        profile=_applied(png.profile, colors),
    )


def _applied(profile: bytes, channels: int) -> bytes:
    """A profile that has to be applied; empty where it is of sRGB or does not fit."""
    fits = profile and _mode_of(profile) == _MODES.get(channels)
    return profile if fits else b""


@functools.lru_cache(256)
def _mode_of(profile: bytes) -> str:
    """The mode of pictures that a profile is for; empty if it is that of sRGB."""
    return isolated.call("profile_mode", profile).description["mode"]


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


def _decode_jpeg(header: Header, content: bytes, channels: int) -> Picture:
    """Pixels `[height, width, 1 or 3]` as they are stored, in sRGB."""
    refuse_damaged_jpeg(content)
    if header.channels == _CMYK:
        # TensorFlow is the judge of all that goes into records.
        pixels = _run_tensorflow("JPEG", 3, content)
        return _decode_elsewhere(content) if header.profile else Picture(pixels)
    if not header.profile:
        return Picture(_run_tensorflow("JPEG", channels, content))
    return in_srgb(_run_tensorflow("JPEG", 3, content), header)


def in_srgb(pixels: np.ndarray, header: Header) -> Picture:
    """Applies the profile of a picture to its pixels, or to what it was resized to.

    Args:
      pixels: uint8 `[height, width, 3 or 4]`; gray has three equal channels.
      header: of the picture, as `look` gives it.

    Returns:
      Pixels of the same shape in sRGB.
    """
    if not header.profile:
        return Picture(pixels)
    depth = 3 if header.channels > 2 else 1
    colors = np.ascontiguousarray(pixels[..., :depth])
    answer = isolated.call(
        "to_srgb",
        b"".join([header.profile, colors.tobytes()]),
        shape=colors.shape,
        profile_bytes=len(header.profile),
    )
    converted = np.concatenate([_pixels_of(answer), pixels[..., 3:]], -1)
    return Picture(converted, (CONVERTED,))


def _decode_elsewhere(content: bytes) -> Picture:
    """Pixels `[height, width, 3 or 4]` as they are stored, in sRGB."""
    answer = isolated.call("pixels", content, max_pixels=MAX_PIXELS)
    changes = (CONVERTED,) * answer.description["is_converted"]
    changes += (TAKEN_FOR_SRGB,) * answer.description["has_wide_colors"]
    return Picture(_pixels_of(answer), changes)


def _pixels_of(answer: isolated.Message) -> np.ndarray:
    return np.frombuffer(answer.content, np.uint8).reshape(answer.description["shape"])


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
    message = _complaint_of(content)
    if re.search("premature end", message, re.IGNORECASE):
        raise PictureError("is truncated")
    surplus = _EXTRANEOUS.search(message)
    # Some cameras write a few needless bytes at the end.
    needless = surplus and surplus[2] == "d9" and int(surplus[1]) <= len(content) // 100
    if re.search(_DAMAGE, message) or (surplus and not needless):
        raise PictureError("is damaged: parts of the JPEG are missing or wrong")
    # The rest is for TensorFlow to judge: this decoder is strict where it does not
    # matter (color profiles) and does not know all kinds of CMYK.


def jpeg_complaint(content: bytes) -> str:
    """Why a JPEG is not flawless, by a strict decoder, simplejpeg; empty if it is."""
    try:
        return _complaint_of(content)
    except PictureError as error:
        return str(error)


def _complaint_of(content: bytes) -> str:
    if _look_at_jpeg(content).is_sound:
        return _complaint(content)
    # Needless bytes before a table, which some cameras write, are no damage.
    content = jpegs.without_surplus(content)
    return isolated.call("complaint", content).description["complaint"]


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


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns pixels `[height, width, channels]` by an EXIF orientation."""
    if orientation not in _ORIENTATIONS:
        return pixels
    transpose, flip_rows, flip_columns = _ORIENTATIONS[orientation]
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(pixels)
