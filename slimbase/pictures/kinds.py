"""Kinds of files, by the bytes that they begin with."""

from typing import NamedTuple

START_BYTES = 64  # What `of` needs.


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
      name: name of the format.
      is_picture: whether files of this kind hold a still picture.
      is_read: whether `slimbase.pictures.decode` decodes it.
      suffixes: suffixes of such files, in lower case.
    """

    name: str
    is_picture: bool = True
    is_read: bool = True
    suffixes: tuple[str, ...] = ()


JPEG = Kind("JPEG", suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = Kind("PNG", suffixes=(".png",))
GIF = Kind("GIF", suffixes=(".gif",))
BMP = Kind("BMP", suffixes=(".bmp",))
WEBP = Kind("WebP", suffixes=(".webp",))
TIFF = Kind("TIFF", suffixes=(".tif", ".tiff"))
JPEG_2000 = Kind("JPEG 2000", suffixes=(".jp2", ".j2k"))
AVIF = Kind("AVIF", suffixes=(".avif",))
HEIC = Kind("HEIC", suffixes=(".heic", ".heif", ".hif"))

JPEG_XL = Kind("JPEG XL", is_read=False, suffixes=(".jxl",))
RAW = Kind(
    "camera's raw file",
    is_read=False,
    suffixes=(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
)
PSD = Kind("Photoshop document", is_read=False, suffixes=(".psd",))
SVG = Kind("SVG drawing", is_read=False, suffixes=(".svg",))

_PDF = Kind("PDF document", is_picture=False, is_read=False)
_VIDEO = Kind("video", is_picture=False, is_read=False)
_SOUND = Kind("sound", is_picture=False, is_read=False)
_PAGE = Kind("web page", is_picture=False, is_read=False)

PICTURES = (
    *(JPEG, PNG, GIF, BMP, WEBP, TIFF, JPEG_2000, AVIF, HEIC),
    *(JPEG_XL, RAW, PSD, SVG),
)
READ = tuple(kind for kind in PICTURES if kind.is_read)

_STARTS = {
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG": PNG,
    b"GIF87a": GIF,
    b"GIF89a": GIF,
    b"\0\0\0\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,  # Without a container.
    b"\xff\x0a": JPEG_XL,
    b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,  # BigTIFF.
    b"MM\0+": TIFF,
    b"IIRO": RAW,  # Of Olympus.
    b"IIU\0": RAW,  # Of Panasonic.
    b"FUJIFILMCCD-RAW": RAW,
    b"8BPS": PSD,
    b"%PDF-": _PDF,
}
# What stands behind `RIFF` and a length.
_RIFF = {b"WEBP": WEBP, b"AVI ": _VIDEO, b"WAVE": _SOUND}
# Brands of ISO base media files (ISO/IEC 23008-12 and the AV1 image file format).
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC
    ),
    b"crx ": RAW,
}
_ANY_CODEC = (b"mif1", b"msf1", b"mif2")  # The other brands tell which.
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # Lengths, in bytes.
_MARKUP = {b"<svg": SVG, b"<!doctype html": _PAGE, b"<html": _PAGE}


def of(content: bytes) -> Kind | None:
    """Returns the kind of a file by its first `START_BYTES`; None if unknown."""
    for start, kind in _STARTS.items():
        if content.startswith(start):
            is_canon = kind is TIFF and content[8:10] == b"CR"
            return RAW if is_canon else kind
    if content.startswith(b"BM"):  # As many a text does.
        length = int.from_bytes(content[14:18], "little")
        return BMP if length in _BMP_HEADERS else None
    if content.startswith(b"RIFF"):
        return _RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _by_brand(content)
    text = content.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for tag, kind in _MARKUP.items() if text.startswith(tag)), None)


def _by_brand(content: bytes) -> Kind:
    major = content[8:12]
    if major not in _ANY_CODEC:
        return _BRANDS.get(major, _VIDEO)
    end = min(int.from_bytes(content[:4], "big"), len(content))
    others = (content[i : i + 4] for i in range(16, end, 4))
    return next((_BRANDS[brand] for brand in others if brand in _BRANDS), HEIC)
