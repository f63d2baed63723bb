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


def segment(marker, content=b""):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def headers(frame, bits=8, before=b""):
    """A JPEG up to its first scan."""
    size = bytes([bits, 0, 8, 0, 8, 1, 1, 0x11, 0])
    return b"\xff\xd8" + before + segment(frame, size) + segment(0xDA, b"\1\1\0\0\0\0")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (headers(0xC0), None),
        (headers(0xC2), None),
        (headers(0xC9), None),  # Arithmetic coding is decoded.
        (headers(0xC3), "lossless JPEG"),
        (headers(0xCB), "lossless JPEG"),
        (headers(0xC5), "hierarchical JPEG"),
        (headers(0xC1, bits=12), "JPEG of 12 bits"),
        (
            headers(0xC3, before=segment(0xE1, b"\xff\xc0 in a segment")),
            "lossless JPEG",
        ),
        (headers(0xC0, before=segment(0xFE, b"\xff\xc3 in a comment")), None),
        # libjpeg skips surplus and filler bytes before a marker.
        (headers(0xC3, before=b"surplus\xff\0\xff\xff\xff"), "lossless JPEG"),
        (headers(0xC3, before=b"\xff\xd0\xff\1"), "lossless JPEG"),
        (headers(0xC4), None),
        (headers(0xC0)[:9], None),
        (b"", None),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8\xff\xe1\0\0\xff\xc3\0\x0b\x08", "lossless JPEG"),
    ],
)
def test_kinds_that_decoders_must_not_be_given(content, kind):
    assert jpegs.undecodable_kind(content) == kind
