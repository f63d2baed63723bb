import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from datasets.storage import encoding
from slimbase import testing
from slimbase.pictures import decode
from slimbase.pictures.decode import PictureError

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def colors():
    """A smooth picture, `uint8 [40, 60, 3]`, that JPEG changes little."""
    y, x = np.mgrid[:40, :60]
    return np.stack([6 * y, 4 * x, 255 - 6 * y], axis=-1).astype(np.uint8)


def _file(pixels, kind, mode=None, **options):
    content = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_plain_pictures_are_kept(colors, kind, mode):
    content = _file(colors, kind, mode)
    assert encoding.encode_picture(content) == (content, kind, 40, 60)


def _with_exif(colors, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return _file(colors, "jpeg", exif=exif, quality=95)


def test_exif_of_upright_pictures_is_kept(colors):
    content = _with_exif(colors, 1)
    assert encoding.encode_picture(content) == (content, "jpeg", 40, 60)


@pytest.mark.parametrize(
    ("make", "kind", "size"),
    [
        (lambda c: _with_exif(c, 6), "jpeg", (60, 40)),
        (lambda c: _file(c, "jpeg", "CMYK", quality=95), "jpeg", (40, 60)),
        (lambda c: _file(c, "png", "RGBA"), "png", (40, 60)),
        (lambda c: _file(c, "png", "P"), "png", (40, 60)),
        (lambda c: _file(c[..., 0].astype(np.uint16) * 257, "png"), "png", (40, 60)),
        (lambda c: _file(c, "gif", "P"), "png", (40, 60)),
        (lambda c: _file(c, "bmp"), "png", (40, 60)),
        (lambda c: _file(c, "webp", lossless=True), "png", (40, 60)),
    ],
)
def test_others_are_encoded_anew(colors, make, kind, size):
    content = make(colors)
    encoded = encoding.encode_picture(content)
    assert (encoded.format, encoded.height, encoded.width) == (kind, *size)
    assert encoded.content != content
    # What TensorFlow reads now is what people saw before.
    seen = decode.decode(content).astype(int)
    header = decode.look(encoded.content)
    assert header.is_plain
    assert (header.channels, header.orientation) == (3, 1)
    now = decode.decode(encoded.content).astype(int)
    assert np.abs(now - seen).max() <= (0 if kind == "png" else 12)
    assert np.abs(now - seen).mean() < 1.5


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_colors_of_another_profile_are_encoded_anew(colors, kind):
    profile = testing.color_profile("Adobe RGB")
    content = _file(colors, kind, icc_profile=profile)
    with encoding.noting() as changes:
        encoded = encoding.encode_picture(content)
    assert changes == [decode.CONVERTED]
    assert (encoded.format, encoded.height, encoded.width) == (kind, 40, 60)
    assert not decode.look(encoded.content).profile
    pixels = decode.decode(encoded.content).astype(int)
    seen = decode.decode(content)
    assert np.abs(pixels - seen).max() <= (0 if kind == "png" else 16)
    assert np.abs(seen.astype(int) - colors).mean() > 5
    same = _file(colors, kind, icc_profile=testing.color_profile("sRGB"))
    assert encoding.encode_picture(same).content == same


def test_an_orientation_of_zero_is_upright(colors):
    content = _with_exif(colors, 0)
    assert encoding.encode_picture(content) == (content, "jpeg", 40, 60)


def test_photos_of_phones_become_jpegs(shared_data):
    for name in ("pug.heic", "rotated.avif", "rgb16.tif"):
        path = shared_data / "phone_photos" / name
        with encoding.noting() as changes:
            encoded = encoding.encode_picture(path.read_bytes())
        made = "png" if path.suffix == ".tif" else "jpeg"
        assert encoded.format == made
        kind = {".heic": "HEIC", ".avif": "AVIF", ".tif": "TIFF"}[path.suffix]
        assert changes[0] == f"{kind} made {made.upper()}"
        seen = decode.read(path)
        pixels = decode.decode(encoded.content).astype(int)
        assert pixels.shape == seen.shape
        assert np.abs(pixels - seen).mean() < 2.5


def test_where_only_jpeg_will_do(colors):
    encoded = encoding.encode_picture(_file(colors, "png"), formats=("jpeg",))
    assert (encoded.format, encoded.height, encoded.width) == ("jpeg", 40, 60)
    pixels = simplejpeg.decode_jpeg(encoded.content)
    assert np.abs(pixels.astype(int) - colors).mean() < 1.5


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp"])
def test_half_a_picture_is_refused(colors, kind):
    content = _file(colors, kind)
    with pytest.raises(PictureError):
        encoding.encode_picture(content[: len(content) // 2])


def test_what_is_too_long_for_a_jpeg():
    content = _file(np.zeros((2, 70_000, 3), np.uint8), "png")
    with pytest.raises(PictureError, match="70000 wide and 2 high; a JPEG has at most"):
        encoding.encode_picture(content, formats=("jpeg",))


def test_records(colors):
    content = _file(colors, "jpeg")
    features = encoding.picture_example(content, 3).features.feature
    assert features["image/encoded"].bytes_list.value == [content]
    assert features["image/format"].bytes_list.value == [b"jpeg"]
    assert features["image/class/label"].int64_list.value == [3]
    assert features["image/height"].int64_list.value == [40]
    assert features["image/width"].int64_list.value == [60]
    named = encoding.picture_example(content, 3, format_name=b"jpg").features.feature
    assert named["image/format"].bytes_list.value == [b"jpg"]


def test_records_of_pixels(colors):
    features = encoding.pixels_example(colors, 3).features.feature
    [content] = features["image/encoded"].bytes_list.value
    np.testing.assert_array_equal(decode.decode(content), colors)
    assert features["image/format"].bytes_list.value == [b"png"]
