"""How EXIF says to turn a picture (CIPA DC-008: Exif 3.0)."""

import struct

UPRIGHT = 1

_MARK = b"Exif\0\0"  # Before EXIF in a JPEG's segment, but not in a PNG's chunk.
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 0x0112, 3
_ENTRY_BYTES = 12


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8.

    Args:
      exif: the block, with or without its mark.

    Returns:
      1, upright, for a block that is damaged, has none, or has an unknown one.
    """
    block = exif.removeprefix(_MARK)
    order = _ORDERS.get(block[:4])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for i in range(count):
            entry = start + 2 + i * _ENTRY_BYTES
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == _ORIENTATION and kind == _SHORT:
                (value,) = struct.unpack_from(f"{order}H", block, entry + 8)
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:  # It says nothing of the picture.
        pass
    return UPRIGHT
