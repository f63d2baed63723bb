import io

import pytest
from PIL import Image, features

from slimbase.pictures import kinds


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("JPEG", kinds.JPEG),
        ("MPO", kinds.JPEG),
        ("PNG", kinds.PNG),
        ("GIF", kinds.GIF),
        ("BMP", kinds.BMP),
        ("WEBP", kinds.WEBP),
        ("TIFF", kinds.TIFF),
        ("JPEG2000", kinds.JPEG_2000),
        ("AVIF", kinds.AVIF),
    ],
)
def test_what_pillow_writes(name, kind):
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this build of Pillow has no AVIF")
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, name)
    assert kinds.of(content.getvalue()[: kinds.START_BYTES]) is kind
    assert kind.is_read


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", kinds.HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", kinds.HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", kinds.AVIF),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", kinds.RAW),
        (b"II*\0\x10\0\0\0CR\2\0", kinds.RAW),
        (b"\xff\x0a\0\0", kinds.JPEG_XL),
        (b"8BPS\0\1", kinds.PSD),
        (b'\xef\xbb\xbf  <svg xmlns="', kinds.SVG),
        (b"BM" + b"\0" * 12 + b"\x28\0\0\0", kinds.BMP),
        (b"BMW and other cars, which are not pictures", None),
        (b"", None),
        (b"BM", None),
        (b"some text", None),
        (b"RIFF\0\0\0\0CDDA", None),
    ],
)
def test_kinds(content, kind):
    assert kinds.of(content) is kind


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound"),
        (b"%PDF-1.7", "PDF document"),
        (b"<!DOCTYPE HTML><html>", "web page"),
    ],
)
def test_what_is_no_picture(content, name):
    kind = kinds.of(content)
    assert kind is not None
    assert kind.name == name
    assert not (kind.is_picture or kind.is_read)


def test_suffixes_are_of_one_kind():
    suffixes = [suffix for kind in kinds.PICTURES for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_photos_of_phones(shared_data):
    expected = {".heic": kinds.HEIC, ".avif": kinds.AVIF, ".tif": kinds.TIFF}
    paths = list((shared_data / "phone_photos").iterdir())
    assert paths
    for path in paths:
        start = path.read_bytes()[: kinds.START_BYTES]
        assert kinds.of(start) is expected[path.suffix], path.name
