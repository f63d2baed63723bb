import struct

import pytest

from slimbase.pictures import boxes


def box(name, content=b"", length=None):
    length = len(content) + 8 if length is None else length
    return struct.pack(">I4s", length, name) + content


@pytest.mark.parametrize(
    ("content", "is_cut"),
    [
        (box(b"ftyp", b"heic") + box(b"mdat", b"12345"), False),
        (box(b"ftyp", b"heic") + box(b"mdat", b"12345", 0), False),
        (box(b"ftyp", b"heic") + box(b"mdat", struct.pack(">Q", 16), 1), False),
        (box(b"ftyp", b"heic") + box(b"mdat", b"12345", 14), True),
        (box(b"ftyp", b"heic") + box(b"mdat", b"12345")[:6], True),
        (box(b"ftyp", b"heic") + box(b"mdat", b"1", 3), True),
        (box(b"mdat", struct.pack(">Q", 99), 1), True),
    ],
)
def test_is_cut_short(content, is_cut):
    assert boxes.is_cut_short(content) == is_cut


@pytest.mark.parametrize(
    ("primaries", "transfer", "is_wide"),
    [(1, 13, False), (2, 2, False), (1, 16, True), (9, 16, True), (12, 13, True)],
)
def test_has_wide_colors(primaries, transfer, is_wide):
    color = b"nclx" + struct.pack(">HHHB", primaries, transfer, 0, 128)
    content = box(b"ftyp", b"avif") + box(b"meta", box(b"colr", color))
    assert boxes.has_wide_colors(content) == is_wide
    assert not boxes.has_wide_colors(content[: content.index(b"nclx") + 5])
    assert not boxes.has_wide_colors(box(b"meta", box(b"colr", b"prof")))
