import struct

import pytest
from PIL import Image

from slimbase.pictures import exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation(orientation, order):
    block = Image.Exif()
    block.endian = order
    block[0x010F] = "a camera"
    block[0x0112] = orientation
    block[0x8298] = "by someone"
    content = block.tobytes()
    assert content.startswith(b"Exif\0\0")
    assert exif.orientation(content) == orientation
    assert exif.orientation(content.removeprefix(b"Exif\0\0")) == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_is_upright(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    assert exif.orientation(block.tobytes()) == 1


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"nonsense",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        struct.pack("<4sIHHHI", b"II*\0", 8, 1, 0x0112, 2, 1) + b"\6\0\0\0",  # A text.
        Image.Exif().tobytes(),
    ],
)
def test_what_has_none_is_upright(block):
    assert exif.orientation(block) == 1
