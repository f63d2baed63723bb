import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
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
    header = jpegs.read(content.getvalue())
    assert header.is_sound
    assert (header.height, header.width, header.bits) == (height, width, 8)
    assert header.channels == len(mode)
    assert header.scans > 1 if options.get("progressive") else header.scans == 1
    assert not header.exif
    assert not header.profile
    assert not header.undecodable_kind


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
    assert jpegs.read(content.getvalue()).is_sound
    assert not jpegs.read(harm(content.getvalue())).is_sound


def test_cmyk_needs_a_closer_look(colors):
    content = io.BytesIO()
    Image.fromarray(colors).convert("CMYK").save(content, "JPEG")
    header = jpegs.read(content.getvalue())
    assert not header.is_sound
    assert header.channels == 4


def test_exif_and_profile(colors):
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    profile = bytes(range(256)) * 300  # More than a segment holds.
    Image.fromarray(colors).save(content, "JPEG", exif=exif, icc_profile=profile)
    header = jpegs.read(content.getvalue())
    assert header.is_sound
    assert header.exif == exif.tobytes()
    assert header.profile == profile


def segment(marker, content=b""):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def headers(frame, bits=8, before=b""):
    """A JPEG up to its first scan."""
    size = bytes([bits, 0, 8, 0, 8, 1, 1, 0x11, 0])
    return b"\xff\xd8" + before + segment(frame, size) + segment(0xDA, b"\1\1\0\0\0\0")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (headers(0xC0), ""),
        (headers(0xC2), ""),
        (headers(0xC9), ""),  # Arithmetic coding is decoded.
        (headers(0xC3), "lossless JPEG"),
        (headers(0xCB), "lossless JPEG"),
        (headers(0xC5), "hierarchical JPEG"),
        (headers(0xC1, bits=12), "JPEG of 12 bits"),
        (
            headers(0xC3, before=segment(0xE1, b"\xff\xc0 in a segment")),
            "lossless JPEG",
        ),
        (headers(0xC0, before=segment(0xFE, b"\xff\xc3 in a comment")), ""),
        # libjpeg skips surplus and filler bytes before a marker.
        (headers(0xC3, before=b"surplus\xff\0\xff\xff\xff"), "lossless JPEG"),
        (headers(0xC3, before=b"\xff\xd0\xff\1"), "lossless JPEG"),
        (headers(0xC4), ""),
        (headers(0xC0)[:9], ""),
        (b"", ""),
        (b"\xff\xd8\xff", ""),
        (b"\xff\xd8\xff\xe1\0\0\xff\xc3\0\x0b\x08\0\1\0\1\1", "lossless JPEG"),
    ],
)
def test_kinds_that_decoders_must_not_be_given(content, kind):
    assert jpegs.read(content).undecodable_kind == kind


def test_filler_before_a_table(colors):
    content = io.BytesIO()
    Image.fromarray(colors).save(content, "JPEG")
    plain = content.getvalue()
    table = _segment(plain, 0xDB)
    filled = plain[:table] + b"\0\xff" + plain[table:]
    header = jpegs.read(filled)
    assert (header.height, header.width) == (32, 48)
    assert not header.is_sound
    assert jpegs.without_surplus(filled) == jpegs.without_surplus(plain) == plain


def test_scans_are_counted(colors):
    scan = segment(0xDA, b"\1\1\0\0\0\0") + b"code"
    assert jpegs.read(headers(0xC2) + scan * 6 + b"\xff\xd9").scans == 7


@pytest.mark.parametrize("progressive", [False, True])
def test_tensorflow_decodes_all_that_is_called_sound(colors, progressive):
    """Of the headers of a JPEG, each byte is changed several times."""
    content = io.BytesIO()
    Image.fromarray(colors).save(
        content, "JPEG", progressive=progressive, optimize=True
    )
    plain = content.getvalue()
    random = np.random.default_rng(0)
    end = plain.rindex(b"\xff\xda") + 14
    sound = 0
    for at in range(2, end):
        for value in {*random.integers(0, 256, 4), plain[at] ^ 1, plain[at] ^ 0x10}:
            changed = plain[:at] + bytes([value]) + plain[at + 1 :]
            header = jpegs.read(changed)
            if not header.is_sound or header.height * header.width > 100_000:
                continue
            sound += 1
            pixels = tf.io.decode_jpeg(changed)
            assert pixels.shape[:2] == (header.height, header.width)
    assert sound > 500
