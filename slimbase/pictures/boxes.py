"""What the boxes of HEIC and AVIF files say (ISO/IEC 14496-12 and 23008-12)."""

import struct

_BOX = struct.Struct(">I4s")
_LONG = struct.Struct(">Q")
_NUMBERED_COLORS = b"colrnclx"
_NUMBERS = struct.Struct(">HH")
# Of ITU-T H.273: BT.709's and sRGB's, and what does not say.
_SRGB_PRIMARIES, _HDR_TRANSFERS = (1, 2), (16, 18)


def is_cut_short(content: bytes) -> bool:
    """Whether the last box ends behind the end of the file."""
    position = 0
    while position + _BOX.size <= len(content):
        length, _ = _BOX.unpack_from(content, position)
        if length == 0:  # Up to the end of the file.
            return False
        if length == 1 and position + 16 <= len(content):
            (length,) = _LONG.unpack_from(content, position + _BOX.size)
        if length < _BOX.size:
            return True
        position += length
    return position != len(content)


def has_wide_colors(content: bytes) -> bool:
    """Whether colours are said, by number, to be others than those of sRGB.

    These have no profile by which they could be converted.
    """
    at = content.find(_NUMBERED_COLORS)
    if at < 0:
        return False
    try:
        numbers = _NUMBERS.unpack_from(content, at + len(_NUMBERED_COLORS))
    except struct.error:
        return False
    primaries, transfer = numbers
    return primaries not in _SRGB_PRIMARIES or transfer in _HDR_TRANSFERS
