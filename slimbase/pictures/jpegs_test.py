import io

import numpy as np
import pytest
from PIL import Image

from slimbase.pictures import jpegs


@pytest.fixture
def colors():
    """`uint8 [32, 48, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


def _segment(jpeg, marker):
    """Where a segment of a JPEG begins."""
    return jpeg.index(bytes([0xFF, marker]))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart": True}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_plain(colors, mode, options):
    options = {"restart_marker_blocks": 1} if "restart" in options else options
    content = io.BytesIO()
    Image.fromarray(colors).convert(mode).save(content, "JPEG", **options)
    height, width = colors.shape[:2]
    assert jpegs.facts_if_sound(content.getvalue()) == (height, width, False)


def _overwritten(jpeg, piece):
    middle = (_segment(jpeg, 0xDA) + len(jpeg)) // 2
    return jpeg[:middle] + piece + jpeg[middle + len(piece) :]


@pytest.mark.parametrize(
    "harm",
    [
        lambda jpeg: b"",
        lambda jpeg: jpeg[:2],
        lambda jpeg: b"XX" + jpeg[2:],
        lambda jpeg: jpeg[: _segment(jpeg, 0xDA)] + b"\xff\xd9",
        lambda jpeg: jpeg[:20],
        lambda jpeg: jpeg[: len(jpeg) // 2],
        lambda jpeg: jpeg[:-1],
        lambda jpeg: jpeg + b"more",
        lambda jpeg: jpeg[:2] + b"\0" + jpeg[3:],
        lambda jpeg: _overwritten(jpeg, bytes(64)),
        lambda jpeg: _overwritten(jpeg, b"\xff\xd8\xff\xe0"),
        lambda jpeg: _overwritten(jpeg, b"\xff" * 8),
        lambda jpeg: jpeg[: _segment(jpeg, 0xC0)] + jpeg[_segment(jpeg, 0xDA) :],
    ],
)
def test_what_needs_a_closer_look(harm):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "JPEG")
    assert jpegs.facts_if_sound(content.getvalue()) == (40, 60, False)
    assert jpegs.facts_if_sound(harm(content.getvalue())) is None


def test_cmyk_needs_a_closer_look(colors):
    content = io.BytesIO()
    Image.fromarray(colors).convert("CMYK").save(content, "JPEG")
    assert jpegs.facts_if_sound(content.getvalue()) is None


def test_exif_is_told(colors):
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colors).save(content, "JPEG", exif=exif)
    assert jpegs.facts_if_sound(content.getvalue()) == (32, 48, True)
