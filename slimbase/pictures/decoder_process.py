"""The program of the processes that `slimbase.pictures.isolated` starts."""

import contextlib
import importlib
import io
import signal
import sys
import warnings
from collections.abc import Callable

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, features

from slimbase import extras
from slimbase.pictures import boxes, colors, isolated, kinds
from slimbase.pictures.errors import PictureError
from slimbase.pictures.isolated import Message
from slimbase.pictures.kinds import Kind

_HEIC_PACKAGE = "pi_heif"
# What Pillow calls them.
_FORMATS = {
    kinds.JPEG: "JPEG",
    kinds.GIF: "GIF",
    kinds.BMP: "BMP",
    kinds.WEBP: "WEBP",
    kinds.TIFF: "TIFF",
    kinds.JPEG_2000: "JPEG2000",
    kinds.AVIF: "AVIF",
    kinds.HEIC: "HEIF",
}
_DEEP_MODES = ("I;16", "I;16B", "I;16L")
_WIDE_MODES = ("I", "F", "LAB", "HSV")
# Tags of TIFF (TIFF 6.0; DNG 1.7): what only cameras' raw files have.
_SUBFILE_TYPE, _DNG_VERSION, _REDUCED = 254, 50706, 1
_BITS, _PLANES, _SEPARATE = 258, 284, 2


def serve(max_bytes: int) -> None:
    """Answers messages on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The process that asks ends us.
    _limit_memory(max_bytes)
    warnings.simplefilter("ignore")
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while message := isolated.read(source):
        isolated.write(target, _answer(message))


def _limit_memory(max_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows.
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))


def _answer(message: Message) -> Message:
    options = dict(message.description)
    operation = _OPERATIONS[options.pop("operation")]
    try:
        return operation(message.content, **options)
    except Exception as error:
        return Message({"problem": str(_problem(error))})


def _problem(error: Exception) -> PictureError:
    """What an error of a decoder says of the picture."""
    if isinstance(error, PictureError):
        return error
    if isinstance(error, MemoryError):
        return PictureError("takes too much memory to decode")
    # Pillow raises nearly anything for a damaged file.
    is_cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
    return PictureError("is truncated" if is_cut else "is damaged")


def _complaint(content: bytes) -> Message:
    """What simplejpeg complains of; see `decode.jpeg_complaint`."""
    return Message({"complaint": jpeg_complaint(content)})


def jpeg_complaint(content: bytes) -> str:
    """What simplejpeg complains of in a JPEG; empty if nothing.

    All of its code is read, but an eighth of its sides made: a fraction of the time
    that TensorFlow takes.
    """
    try:
        simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1, min_factor=1)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def _look(content: bytes, max_pixels: int) -> Message:
    """Height, width, and the orientation by EXIF of a picture that Pillow opens."""
    with _opened(content, max_pixels) as image:
        width, height = image.size
        return Message(
            {"height": height, "width": width, "orientation": _orientation(image)}
        )


def _pixels(content: bytes, max_pixels: int) -> Message:
    """The pixels of a picture in sRGB, uint8 `[height, width, 3 or 4]`.

    The fourth channel is how opaque it is. The picture is as it is stored: to be turned
    by the orientation.
    """
    with _opened(content, max_pixels) as image:
        orientation = _orientation(image)
        image.load()
        pixels, is_converted = _in_srgb(image)
    return _of_pixels(
        pixels,
        orientation=orientation,
        is_converted=is_converted,
        has_wide_colors=not is_converted and boxes.has_wide_colors(content),
    )


def _to_srgb(content: bytes, shape: list[int], profile_bytes: int) -> Message:
    """Pixels, uint8 `[height, width, 1 or 3]`, behind their profile, to sRGB."""
    profile = bytes(content[:profile_bytes])
    pixels = np.frombuffer(content, np.uint8, offset=profile_bytes).reshape(shape)
    image = Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels)
    return _of_pixels(np.asarray(colors.to_srgb(image, profile)))


def _profile_mode(content: bytes) -> Message:
    """The mode that a profile is for, or empty where nothing need be converted."""
    profile = bytes(content)
    mode = colors.mode_of(profile)
    return Message({"mode": "" if mode is None or colors.is_srgb(profile) else mode})


_OPERATIONS: dict[str, Callable[..., Message]] = {
    "complaint": _complaint,
    "look": _look,
    "pixels": _pixels,
    "profile_mode": _profile_mode,
    "to_srgb": _to_srgb,
}


def _of_pixels(pixels: np.ndarray, **more: object) -> Message:
    pixels = np.ascontiguousarray(pixels)
    return Message({"shape": pixels.shape, **more}, pixels.reshape(-1).data)


def _opened(content: bytes, max_pixels: int) -> Image.Image:
    """A picture before it is decoded.

    Raises:
      PictureError: if there is no decoder for it, or it has too many pixels.
    """
    kind = kinds.of(bytes(content[: kinds.START_BYTES]))
    assert kind and kind in _FORMATS, "look() refuses all others"
    if kind in (kinds.HEIC, kinds.AVIF):
        _require_decoder(kind)
        if boxes.is_cut_short(content):
            raise PictureError("is truncated")
    Image.MAX_IMAGE_PIXELS = None  # Ours is the limit.
    try:
        image = Image.open(io.BytesIO(content), formats=[_FORMATS[kind]])
    except Image.UnidentifiedImageError:
        raise PictureError(f"is a {kind.name} that is truncated or damaged") from None
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(f"has {width * height:,} pixels; the most is {max_pixels:,}")
    if kind is kinds.TIFF:
        _refuse_raw(image)
        _correct_planes(image)
    return image


def _require_decoder(kind: Kind) -> None:
    """Makes Pillow know HEIC.

    Raises:
      PictureError: if there is no decoder for `kind`.
    """
    if kind is kinds.AVIF and not features.check("avif"):
        raise PictureError("is an AVIF, which this build of Pillow does not read")
    if kind is kinds.HEIC:
        try:
            package = importlib.import_module(_HEIC_PACKAGE)
        except ImportError:
            raise PictureError(
                f"is a HEIC, which needs the package pi-heif: {extras.command('heic')}"
            ) from None
        package.register_heif_opener(thumbnails=False)


def _refuse_raw(image: Image.Image) -> None:
    """Refuses a raw file, whose first page is a small preview."""
    tags = image.tag_v2
    if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & _REDUCED:
        raise PictureError(
            "is a camera's raw file, which is not read: convert it to JPEG or PNG"
        )


def _correct_planes(image: Image.Image) -> None:
    """Makes Pillow read planes of 16 bits, which it takes for planes of 8 or 32."""
    tags = image.tag_v2
    if tags.get(_PLANES) != _SEPARATE or tags.get(_BITS, (8,))[0] != 16:
        return
    ends = ";16B" if tags.prefix == b"MM" else ";16L"
    if len(image.getbands()) == 1:
        ends = ends.removesuffix("L")
    image.tile = [
        tile._replace(args=(tile.args[0] + ends, *tile.args[1:]))
        if tile.codec_name == "raw"
        else tile
        for tile in image.tile
    ]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # A broken block says nothing of the picture.
        return 1


def _in_srgb(image: Image.Image) -> tuple[np.ndarray, bool]:
    """Pixels `[height, width, 3 or 4]`, and whether a profile was applied to them."""
    is_clear = image.has_transparency_data or "transparency" in image.info
    if image.mode in _WIDE_MODES:
        raise PictureError(
            f"has pixels of the mode {image.mode}: convert it to 8 or 16 bits of gray "
            "or RGB"
        )
    if image.mode in _DEEP_MODES:
        values = np.asarray(image).astype(np.float32) / 257
        return np.stack([np.rint(values).astype(np.uint8)] * 3, -1), False
    alpha = np.asarray(image.convert("RGBA"))[..., 3:] if is_clear else None
    profile = image.info.get("icc_profile") or b""
    mode = "" if not profile or colors.is_srgb(profile) else colors.mode_of(profile)
    plain = "L" if image.mode in ("1", "L", "LA") else "RGB"
    is_converted = mode == (image.mode if image.mode == "CMYK" else plain)
    if is_converted:
        image = colors.to_srgb(image.convert(mode), profile)
    pixels = np.asarray(image.convert("RGBA" if is_clear else "RGB"))
    if alpha is not None:
        pixels = np.concatenate([pixels[..., :3], alpha], -1)
    return pixels, is_converted
