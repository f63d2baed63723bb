"""What the markers of a JPEG say (ITU-T T.81), without decoding it."""

import re
import struct
from typing import NamedTuple

# APP1 has EXIF. Frames may be baseline, extended or progressive.
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_FRAMES = (0xC0, 0xC1, 0xC2)
_FRAME = struct.Struct(">BHHB")  # Bits, height, width, channels.
_START_OF_IMAGE = b"\xff\xd8"
# All starts of frames, and of these the kinds that no decoder of ours knows.
_ALL_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_HIERARCHICAL = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
_ALONE = (0x01, *range(0xD0, 0xD8))  # Markers without a length.
_PLAIN = ((8, 1), (8, 3))  # Gray and color.
# The end of pixels' code, in which 0xff is followed by 0 or a restart marker.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_BLANK = bytes(64)  # More zeros than that code has, unless a disk has lost parts of it.


class Facts(NamedTuple):
    """What a JPEG says of itself.

    Attributes:
      height: in pixels.
      width: in pixels.
      may_have_exif: which may say to turn it.
    """

    height: int
    width: int
    may_have_exif: bool


def facts_if_sound(content: bytes) -> Facts | None:
    """The facts of a JPEG that is plainly sound.

    That is gray or in color with 8 bits, and of segments that follow each other up to
    its very end. To see that takes a fiftieth of the time of decoding it. What is cut
    short or partly overwritten does not pass; single wrong bits of the pixels' code
    may. Of what does not pass, much is sound.

    Returns:
      None if it takes a closer look.
    """
    try:
        return _facts_if_sound(content)
    except (IndexError, struct.error):  # A segment is said to end behind the content.
        return None


def _facts_if_sound(content: bytes) -> Facts | None:
    if not content.startswith(_START_OF_IMAGE):
        return None
    position, height, width, has_scan, may_have_exif = 2, 0, 0, False, False
    while content[position] == 0xFF:
        marker = content[position + 1]
        if marker == _END_OF_IMAGE:
            is_all = has_scan and position + 2 == len(content)
            facts = Facts(height, width, may_have_exif)
            return facts if is_all and height * width else None
        length = int.from_bytes(content[position + 2 : position + 4], "big")
        if length < 2:
            return None
        may_have_exif |= marker == _APP1
        if marker in _FRAMES:
            bits, height, width, channels = _FRAME.unpack_from(content, position + 4)
            if (bits, channels) not in _PLAIN:
                return None
        position += 2 + length
        if marker == _START_OF_SCAN:
            end = _MARKER.search(content, position)
            if not end or content.find(_BLANK, position, end.start()) >= 0:
                return None
            position, has_scan = end.start(), True
    return None


def undecodable_kind(content: bytes) -> str | None:
    """Which kind of JPEG this is, if it is one that decoders must not be given.

    libjpeg-turbo writes a lossless picture in its full size, whatever size it was asked
    for, and with it beyond the buffer that simplejpeg gives to it.

    Returns:
      `lossless JPEG`, `hierarchical JPEG` or `JPEG of 12 bits`; None for all others,
      and for what is no JPEG.
    """
    position = len(_START_OF_IMAGE)
    while True:
        # As libjpeg reads: what stands before a marker, and filler bytes, are skipped.
        position = content.find(b"\xff", position)
        while 0 <= position < len(content) and content[position] == 0xFF:
            position += 1
        if not 0 <= position < len(content):
            return None
        marker = content[position]
        position += 1
        if marker == 0 or marker in _ALONE:
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return None
        if marker in _ALL_FRAMES:
            if marker in _LOSSLESS:
                return "lossless JPEG"
            if marker in _HIERARCHICAL:
                return "hierarchical JPEG"
            bits = content[position + 2 : position + 3]
            return None if bits in (b"", b"\x08") else f"JPEG of {bits[0]} bits"
        position += int.from_bytes(content[position : position + 2], "big")
