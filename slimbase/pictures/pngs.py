"""What the chunks of a PNG say (ISO/IEC 15948), without decoding it."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LENGTH = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBB")  # Width, height, bits, type of color.
_TYPES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # Channels by type of color.
_PALETTE, _WITH_ALPHA = 3, (4, 6)
_MOST_PROFILE_BYTES = 4 << 20


class Header(NamedTuple):
    """What a PNG says of itself.

    Attributes:
      height: in pixels.
      width: in pixels.
      bits: bits of each channel's values.
      channels: number of channels, with alpha; 1 for a palette.
      has_palette: whether colours are numbers of a palette.
      is_clear: whether parts of it are transparent, or may be.
      exif: content of the chunk eXIf; empty if there is none.
      profile: colour profile (ICC); empty if there is none.
    """

    height: int
    width: int
    bits: int
    channels: int
    has_palette: bool
    is_clear: bool = False
    exif: bytes = b""
    profile: bytes = b""


def read(content: bytes) -> Header | None:
    """Reads the chunks of a PNG; None if there is no header.

    A profile that is damaged, or larger than 4 MiB, is taken for none.
    """
    header = None
    for name, begin, end in _chunks(content):
        if header is None:
            if name != b"IHDR" or end - begin != 13:
                return None
            width, height, bits, color = _HEADER.unpack_from(content, begin)
            if color not in _TYPES:
                return None
            header = Header(
                height,
                width,
                bits,
                _TYPES[color],
                has_palette=color == _PALETTE,
                is_clear=color in _WITH_ALPHA,
            )
        elif name == b"tRNS":
            header = header._replace(is_clear=True)
        elif name == b"eXIf":
            header = header._replace(exif=content[begin:end])
        elif name == b"iCCP":
            header = header._replace(profile=_profile(content[begin:end]))
    return header


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name of each chunk, and where its data begin and end."""
    if not content.startswith(_SIGNATURE):
        return
    position = len(_SIGNATURE)
    while position + _LENGTH.size <= len(content):
        length, name = _LENGTH.unpack_from(content, position)
        begin = position + _LENGTH.size
        yield name, begin, min(begin + length, len(content))
        position = begin + length + 4


def _profile(chunk: bytes) -> bytes:
    _, _, packed = chunk.partition(b"\0")  # Its name; then the method, always 0.
    decompressor = zlib.decompressobj()
    try:
        profile = decompressor.decompress(packed[1:], _MOST_PROFILE_BYTES)
    except zlib.error:
        return b""
    return b"" if decompressor.unconsumed_tail else profile
