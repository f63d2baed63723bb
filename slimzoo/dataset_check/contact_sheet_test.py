import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from datasets import testing
from datasets.dataset_factory import DATASETS
from datasets.storage import records
from datasets.storage.manifests import Manifest
from datasets.testing import png, record
from preprocessing.registry import RECIPES
from slimbase.errors import UserError
from slimzoo.dataset_check import contact_sheet
from slimzoo.dataset_check.contact_sheet import Sample

HOSTILE = '<script>alert("1")</script>'


def samples(tmp_path, *contents):
    testing.write(tmp_path, contents)
    path = str(testing.shard(tmp_path, 0, 1))
    return [
        Sample(bytes([r.position] * 16), "train", path, r.position, r.offset, HOSTILE)
        for r in records.read_records(path)
    ]


def write(path, chosen, names, dataset=None, recipe="inception", size=(32, 32)):
    contact_sheet.write(
        str(path),
        f"Sheet {HOSTILE}",
        chosen,
        names,
        dataset or testing.open_tiny(),
        preprocessing_name=recipe,
        image_size=size,
    )
    return path


@pytest.fixture
def colours(tmp_path):
    """A red, a green and a blue picture."""
    contents = []
    for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250)):
        content = io.BytesIO()
        Image.new("RGB", (40, 20), colour).save(content, "PNG")
        contents.append(record(0, content=content.getvalue()))
    return samples(tmp_path, *contents)


def pictures(page):
    data = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(d))) for d in data]


def loaded(path):
    with Image.open(path) as picture:
        return picture.copy()


def mean(picture):
    return np.asarray(picture.convert("RGB")).reshape(-1, 3).mean(axis=0)


def test_page_needs_nothing_else_and_shows_names_as_text(tmp_path, colours):
    chosen = {0: colours[:2], 3: colours[2:]}
    names = {0: HOSTILE, 1: "none", 3: "dög"}
    page = write(tmp_path / "a.html", chosen, names).read_text("utf-8")
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, attributes))
    parser.feed(page)
    assert "script" not in {tag for tag, _ in tags}
    sources = [dict(attributes)["src"] for tag, attributes in tags if tag == "img"]
    assert len(sources) == 9
    assert all(source.startswith("data:image/") for source in sources)
    assert "3: dög" in page
    assert "1: none" not in page
    assert "2 of 3 classes" in page


def test_pictures_are_in_the_order_of_the_captions(tmp_path, colours):
    page = write(tmp_path / "a.html", {0: colours}, {0: "a"}).read_text("utf-8")
    shown = pictures(page)
    assert len(shown) == 9
    for number, picture in enumerate(shown):
        assert mean(picture).argmax() == number // 3
    # The original keeps its proportions; networks see squares.
    assert [p.width / p.height for p in shown[:3]] == [2, 1, 1]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_what_every_recipe_makes_is_shown_in_its_colours(tmp_path, recipe):
    pixels = np.zeros((300, 300, 3), np.uint8)
    pixels[:, :, 0] = 200  # Red, with a dark half.
    pixels[150:] = 0
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    chosen = samples(tmp_path, record(0, content=content.getvalue()))
    page = write(tmp_path / "a.html", {0: chosen}, {0: "a"}, recipe=recipe)
    before, _, after = map(mean, pictures(page.read_text("utf-8")))
    assert before.argmax() == after.argmax() == 0
    assert after[0] > 2 * after[1]


def test_png_has_a_row_per_class(tmp_path, colours):
    names = dict.fromkeys(range(3), "a")
    one = loaded(write(tmp_path / "a.png", {0: colours}, names))
    three = loaded(write(tmp_path / "b.png", dict.fromkeys(names, colours), names))
    assert one.width == three.width
    assert three.height - one.height == 2 * (
        one.height - 2 * 16 - 2 * 18
    )  # Margins and head are there once.
    pixels = np.asarray(one.convert("RGB"))
    for colour in range(3):
        others = [i for i in range(3) if i != colour]
        strong = (pixels[..., colour] > 200) & (pixels[..., others] < 60).all(axis=-1)
        assert strong.sum() > 2 * 112 * 56


def test_png_is_no_wider_than_a_screen(tmp_path, colours):
    few = loaded(write(tmp_path / "a.png", {0: colours}, {0: "a"}))
    many = loaded(write(tmp_path / "b.png", {0: 3 * colours}, {0: "a"}))
    assert few.width < many.width <= 1600
    assert many.height - few.height == 2 * (112 + 18 + 16)  # Four, four and one.
    red, green, blue = np.moveaxis(np.asarray(many.convert("RGB")).astype(int), 2, 0)
    strong = (np.maximum(np.maximum(red, green), blue) > 200) & (
        np.minimum(np.minimum(red, green), blue) < 60
    )
    assert strong.sum() > 9 * 2 * 112 * 56


def test_gray_pictures_of_one_size_are_shown_at_it(tmp_path):
    chosen = samples(tmp_path, record(1, content=png(99, (28, 28))))
    dataset = DATASETS["mnist"].find_split("train", Manifest())
    path = tmp_path / "a.html"
    page = write(path, {1: chosen}, {1: "one"}, dataset, "lenet", None)
    page = page.read_text("utf-8")
    assert "lenet, 28x28 pixels" in page
    assert len(pictures(page)) == 3
    for picture in pictures(page):
        assert np.abs(mean(picture) - 99).max() < 3


def test_few_classes_are_shown_of_many(tmp_path, colours, monkeypatch):
    monkeypatch.setattr(contact_sheet, "MOST_CLASSES", 2)
    chosen = dict.fromkeys(range(5), colours[:1])
    names = {label: f"name{label}" for label in range(5)}
    page = write(tmp_path / "a.html", chosen, names).read_text("utf-8")
    assert "name1" in page
    assert "name2" not in page


def test_a_failure_leaves_what_was_there(tmp_path, colours):
    path = tmp_path / "a.html"
    path.write_text("before")
    with pytest.raises(UserError, match="vgg recipe cannot cut"):
        write(path, {0: colours}, {0: "a"}, recipe="vgg", size=(300, 300))
    assert path.read_text() == "before"
