import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from datasets import dataset_factory, download_and_convert_tfds
from datasets.conftest import picture
from slimbase.errors import UserError

JPEGS = [picture(seed=number) for number in range(5)]


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip(
        "tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets"
    )


@pytest.fixture(scope="module")
def builders(tfds):
    """Builders, which tensorflow_datasets knows by name from now on."""

    class _Builder(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")
        PICTURE = tfds.features.Image()
        LABEL = tfds.features.ClassLabel(names=["ant", "bee"])

        def _info(self):
            features = {"image": self.PICTURE, "label": self.LABEL}
            features["more"] = tfds.features.Text()
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _):
            counts = {"train": 4, "train_extra": 2, "test": 3, "unlabelled": 2}
            return {
                split: self._generate_examples(split, count)
                for split, count in counts.items()
            }

        def _generate_examples(self, split, count):
            for number in range(count):
                label = -1 if split == "unlabelled" else number % 2
                yield number, self._example(number) | {"label": label, "more": "x"}

    class SlimTinyJpegs(_Builder):
        def _example(self, number):
            return {"image": io.BytesIO(JPEGS[number])}

    class SlimTinyDigits(_Builder):
        PICTURE = tfds.features.Image(shape=(8, 9, 1))

        def _example(self, number):
            return {"image": np.full((8, 9, 1), number, np.uint8)}

    class SlimTinyArrays(_Builder):
        PICTURE = tfds.features.Tensor(shape=(8, 9, 3), dtype=np.uint8)

        def _example(self, number):
            return {"image": np.full((8, 9, 3), number, np.uint8)}

    class SlimTinyFloats(_Builder):
        PICTURE = tfds.features.Image(shape=(8, 9, 1), dtype=np.float32)

        def _example(self, number):
            return {"image": np.full((8, 9, 1), number, np.float32)}

    class SlimTinyRegression(_Builder):
        LABEL = tfds.features.Scalar(dtype=np.int64)

        def _example(self, number):
            return {"image": io.BytesIO(JPEGS[number])}


def _run(target, tmp_path, builder, **options):
    download_and_convert_tfds.run(
        target,
        tfds_name=builder,
        tfds_data_dir=tmp_path / "tfds",
        strict=True,
        **options,
    )


def _records(target, split, read_features):
    paths = sorted(target.glob(f"tfds_{split}_*.tfrecord"))
    return [record for path in paths for record in read_features(path)]


def test_encoded_pictures_are_kept(tmp_path, builders, read_features):
    target = tmp_path / "data"
    _run(target, tmp_path, "slim_tiny_jpegs:1.2.0")
    records = _records(target, "train", read_features)
    assert sorted(record["image/encoded"][0] for record in records) == sorted(JPEGS[:4])
    for record in records:
        number = JPEGS.index(record["image/encoded"][0])
        assert record["image/class/label"] == [number % 2]
        assert record["image/format"] == [b"jpeg"]
        assert record["image/filename"][0].startswith(b"slim_tiny_jpegs-train.tf")
    assert len({record["image/filename"][0] for record in records}) == 4
    assert json.loads((target / "manifest.json").read_text())["classes"] == [
        "ant",
        "bee",
    ]


@pytest.mark.parametrize(
    ("name", "channels"), [("slim_tiny_digits", 1), ("slim_tiny_arrays", 3)]
)
def test_pixels_become_pngs(tmp_path, builders, read_features, name, channels):
    target = tmp_path / "data"
    _run(target, tmp_path, name, num_shards=1)
    values = []
    for record in _records(target, "test", read_features):
        assert record["image/format"] == [b"png"]
        with Image.open(io.BytesIO(record["image/encoded"][0])) as image:
            assert image.size == (9, 8)
            assert len(image.getbands()) == channels
            [value] = np.unique(np.asarray(image))
        values.append(int(value))
        assert record["image/class/label"] == [value % 2]
    assert sorted(values) == [0, 1, 2]


def test_later_steps_know_it(tmp_path, builders):
    target = tmp_path / "data"
    _run(target, tmp_path, "slim_tiny_digits", name="digits")
    assert len(list(target.glob("digits_train_*"))) == 1
    for name in ("digits", "folder"):
        for split, size in (("train", 4), ("train-extra", 2), ("test", 3)):
            dataset = dataset_factory.get_dataset(name, split, target)
            assert dataset.num_samples == size
            assert dataset.labels_to_names == {0: "ant", 1: "bee"}
    with pytest.raises(ValueError, match="unlabelled"):
        dataset_factory.get_dataset("digits", "unlabelled", target)


def test_a_second_run_does_nothing_and_another_set_is_refused(tmp_path, builders):
    target = tmp_path / "data"
    _run(target, tmp_path, "slim_tiny_digits")
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    _run(target, tmp_path, "slim_tiny_digits")
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before
    with pytest.raises(UserError, match="tfds_name slim_tiny_digits, not slim_tiny_j"):
        _run(target, tmp_path, "slim_tiny_jpegs")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slim_tiny_floats", "is not of classified pictures.*has image, label, more"),
        ("slim_tiny_regression", "is not of classified pictures"),
        ("slim_tiny_nothing", "cannot make slim_tiny_nothing: .*not found"),
        ("slim_tiny_jpegs:9.9.9", r"cannot make slim_tiny_jpegs:9\.9\.9"),
        ("", "--tfds_name is missing"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, builders, name, message):
    with pytest.raises(UserError, match=f"(?s){message}") as caught:
        _run(tmp_path / "data", tmp_path, name)
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "data").exists()


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[tfds\]'"):
        download_and_convert_tfds.run(tmp_path / "data", tfds_name="mnist")
    assert not (tmp_path / "data").exists()
