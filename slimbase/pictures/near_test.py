import io

import numpy as np
import pytest
from PIL import Image

from slimbase.pictures import near
from slimbase.pictures.errors import PictureError


@pytest.fixture(scope="module")
def photos(shared_data):
    paths = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))
    return [path.read_bytes() for path in paths[:60]]


def _encoded(image, kind="JPEG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def _opened(content):
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: _encoded(image, quality=40),
        lambda image: _encoded(image.resize((image.width // 2, image.height // 2))),
        lambda image: _encoded(image.resize((224, 224)), "PNG"),
        lambda image: _encoded(image, "WEBP", quality=60),
        lambda image: _encoded(image.resize((image.width * 2, image.height * 2))),
    ],
)
def test_copies_are_found_and_nothing_else(photos, copy):
    copies = [copy(_opened(content)) for content in photos[:20]]
    thumbnails = [near.thumbnail(content) for content in [*photos, *copies]]
    found = list(near.pairs(thumbnails))
    assert found == [(i, len(photos) + i) for i in range(len(copies))]


def test_a_copy_that_exif_turns(photos):
    image = _opened(photos[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = _encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif)
    thumbnails = list(map(near.thumbnail, [photos[0], turned]))
    assert list(near.pairs(thumbnails)) == [(0, 1)]


def test_other_colors_are_no_copy(photos):
    red, green, blue = _opened(photos[0]).split()
    swapped = Image.merge("RGB", (blue, red, green))
    thumbnails = list(map(near.thumbnail, [photos[0], _encoded(swapped)]))
    assert not list(near.pairs(thumbnails))


def test_pictures_of_one_color_are_no_copies():
    contents = [_encoded(Image.new("RGB", (64, 64), (20, 40, 60 + i))) for i in (0, 1)]
    assert not list(near.pairs(list(map(near.thumbnail, contents))))


def test_what_cannot_be_decoded(photos):
    for content in (b"no picture", photos[0][:500], photos[0][:-2000]):
        with pytest.raises(PictureError):
            near.thumbnail(content)


def test_small_pictures_are_not_compared(photos):
    assert near.thumbnail(_encoded(Image.new("RGB", (31, 40)))) is None
    assert list(near.pairs([None, near.thumbnail(photos[0]), None])) == []
    assert list(near.pairs([None])) == []


def test_of_many_those_are_found_too(monkeypatch):
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (600, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    copies = np.clip(blocks + random.integers(-6, 7, blocks.shape), 0, 255)
    thumbnails = [*blocks.astype(np.uint8), *copies.astype(np.uint8)]
    expected = [(i, 600 + i) for i in range(600)]
    assert sorted(near.pairs(thumbnails)) == expected
    monkeypatch.setattr(near, "_ALL_WITH_ALL", 100)
    assert sorted(near.pairs(thumbnails)) == expected


def test_groups():
    assert near.groups(9, iter([(1, 2), (5, 7), (2, 8), (4, 7)])) == [
        [1, 2, 8],
        [4, 5, 7],
    ]
    assert near.groups(3, iter([])) == []
