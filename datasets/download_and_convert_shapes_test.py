import io

import numpy as np
import pytest
from PIL import Image

from datasets import download_and_convert_shapes as converter
from datasets import shapes
from slimbase.errors import UserError


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(shapes.SPLITS_TO_SIZES, "train", 40)
    monkeypatch.setitem(shapes.SPLITS_TO_SIZES, "test", 20)


def _draw(name, seed):
    return np.asarray(converter.draw_shape(np.random.default_rng(seed), name))


def _background(name, seed, monkeypatch):
    """The picture of `seed` with a figure too small to be seen."""
    with monkeypatch.context() as patch:
        patch.setitem(converter.FIGURES, name, converter.FIGURES[name] * 1e-6)
        return _draw(name, seed)


@pytest.mark.parametrize("name", converter.FIGURES)
def test_figures_are_in_the_picture_and_stand_out(name, monkeypatch):
    weights = np.array([0.299, 0.587, 0.114])
    for seed in range(20):
        picture = _draw(name, seed)
        assert picture.shape == (64, 64, 3)
        difference = (picture.astype(float) - _background(name, seed, monkeypatch)) @ (
            weights
        )
        figure = np.abs(difference) > 30
        assert figure.sum() > 60
        assert np.abs(difference[figure]).mean() > 55
        border = np.concatenate([figure[0], figure[-1], figure[:, 0], figure[:, -1]])
        assert not border.any()


def test_pictures_vary_and_repeat_under_a_seed():
    assert (_draw("star", 1) == _draw("star", 1)).all()
    assert (_draw("star", 1) != _draw("star", 2)).any()


def test_records(tmp_path, few, read_features):
    target = tmp_path / "shapes"
    converter.run(target)
    assert sorted(p.name for p in target.iterdir()) == [
        "labels.txt",
        "manifest.json",
        *(
            f"shapes_{s}-0000{i}-of-00004.tfrecord"
            for s in ("test", "train")
            for i in range(4)
        ),
    ]
    labels = []
    encoded = set()
    names = set()
    for path in sorted(target.glob("shapes_*")):
        for record in read_features(path):
            picture = Image.open(io.BytesIO(record["image/encoded"][0]))
            assert (picture.format, picture.size) == ("JPEG", (64, 64))
            assert record["image/format"] == [b"jpeg"]
            labels += record["image/class/label"]
            encoded |= set(record["image/encoded"])
            names |= set(record["image/filename"])
    assert np.bincount(labels).tolist() == [6] * 10
    assert {b"shapes/train/00039", b"shapes/test/00000"} < names
    assert len(names) == 60
    assert len(encoded) == 60  # No picture of one split is in the other.
    dataset = shapes.get_split("train", target)
    assert dataset.num_samples == 40
    assert list(dataset.labels_to_names.values()) == list(converter.FIGURES)


def test_drawing_again_gives_the_same_files(tmp_path, few):
    for name in ("one", "two"):
        converter.run(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_there_is_no_source(tmp_path):
    with pytest.raises(UserError, match="leave --source_dir out"):
        converter.run(tmp_path / "shapes", tmp_path)


def test_samples_are_pictures_named_by_their_class(tmp_path):
    paths = converter.write_samples(tmp_path / "samples", per_class=2)
    assert [p.name for p in paths] == [
        f"{name}_{number}.png" for name in converter.FIGURES for number in range(2)
    ]
    contents = {path.read_bytes() for path in paths}
    assert len(contents) == 20
    with Image.open(paths[0]) as picture:
        assert picture.size == (64, 64)
