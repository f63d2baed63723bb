import json

import pytest
import tensorflow.compat.v1 as tf

from datasets import conversion, registry
from slimzoo.errors import UserError

TOY = registry.Descriptor(
    "toy",
    splits_to_sizes={"train": 7, "test": 2},
    num_classes=2,
    file_pattern="toy_%s-*",
    items_to_descriptions={},
    image_format="png",
)


def _example(index):
    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[index]))
    return tf.train.Example(features=tf.train.Features(feature={"index": feature}))


def _content(encode=_example):
    splits = {
        "train": conversion.Split([0, 1, 0, 1, 0, 0, 0], encode),
        "test": conversion.Split([0, 0], _example),
    }
    return conversion.Content(["ant", "bee", "cat"], splits)


def _must_not_be_called(work):
    raise AssertionError(work)


def test_everything_is_written(tmp_path, read_features):
    target = tmp_path / "made" / "here"

    def read(work):
        (work / "download").write_text("gone afterwards")
        return _content()

    conversion.convert(TOY, target, read, num_shards=2)
    shards = [f"toy_{s}-0000{i}-of-00002" for s in ("test", "train") for i in range(2)]
    assert sorted(p.name for p in target.iterdir()) == [
        "labels.txt",
        "manifest.json",
        *shards,
    ]
    indices = [[r["index"][0] for r in read_features(target / s)] for s in shards]
    assert indices == [[0], [1], [0, 1, 2], [3, 4, 5, 6]]
    assert (target / "labels.txt").read_text() == "0:ant\n1:bee\n2:cat\n"
    assert json.loads((target / "manifest.json").read_text()) == {
        "dataset": "toy",
        "classes": ["ant", "bee", "cat"],
        "splits": {
            "train": {"count": 7, "per_class": [5, 2, 0]},
            "test": {"count": 2, "per_class": [2, 0, 0]},
        },
    }


def test_a_second_run_does_nothing(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    conversion.convert(TOY, tmp_path, _must_not_be_called)


def test_records_of_the_original_count_as_converted(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    (tmp_path / "manifest.json").unlink()
    conversion.convert(TOY, tmp_path, _must_not_be_called)


@pytest.mark.parametrize("missing", ["labels.txt", "toy_test-00000-of-00001"])
def test_an_incomplete_set_is_converted_again(tmp_path, missing):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    (tmp_path / missing).unlink()
    conversion.convert(TOY, tmp_path, lambda work: _content())
    assert (tmp_path / missing).exists()


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    left = tmp_path / ".incomplete" / "records" / "toy_train-00000-of-00001"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    conversion.convert(TOY, tmp_path, lambda work: _content())
    assert not left.parent.parent.exists()


def test_another_set_is_not_mixed_in(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    other = registry.Descriptor(
        "other",
        splits_to_sizes={"train": 1},
        num_classes=2,
        file_pattern="other_%s",
        items_to_descriptions={},
        image_format="png",
    )
    with pytest.raises(UserError, match="holds the data set toy"):
        conversion.convert(other, tmp_path, _must_not_be_called)


@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_midway_leaves_nothing(tmp_path, existing):
    target = tmp_path / "target"
    if existing:
        target.mkdir()
        (target / "mine").write_text("kept")

    def encode(index):
        if index == 5:
            raise UserError("picture 5 is bad")
        return _example(index)

    with pytest.raises(UserError, match="picture 5 is bad"):
        conversion.convert(TOY, target, lambda work: _content(encode), num_shards=3)
    if existing:
        assert [p.name for p in target.iterdir()] == ["mine"]
    else:
        assert not target.exists()


def test_a_target_that_is_a_file_is_named(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    with pytest.raises(UserError, match=f"cannot write to {target}"):
        conversion.convert(TOY, target, _must_not_be_called)
    assert target.read_text() == "mine"


URL = "http://example.com/pub/pets.gz"


def test_find_file_takes_it_packed_or_not(tmp_path):
    (tmp_path / "pets").touch()
    assert conversion.find_file(URL, tmp_path, tmp_path) == tmp_path / "pets"
    (tmp_path / "pets.gz").touch()
    assert conversion.find_file(URL, tmp_path, tmp_path) == tmp_path / "pets.gz"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([], "holds nothing"),
        (["a", "b"], "holds a, b"),
        ([f"{i:02d}" for i in range(12)], "06, 07 and 4 more"),
    ],
)
def test_find_file_says_what_is_missing_and_what_is_there(tmp_path, found, told):
    for name in found:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"there is no .*/pets.gz or .*{told}"):
        conversion.find_file(URL, tmp_path, tmp_path)


def test_find_file_says_that_there_is_no_directory(tmp_path):
    with pytest.raises(UserError, match=r"no directory .*nowhere"):
        conversion.find_file(URL, tmp_path / "nowhere", tmp_path)


@pytest.mark.parametrize("source_dir", [None, ""])
def test_find_file_downloads_to_the_work_directory(tmp_path, source_dir):
    (tmp_path / "pets.gz").write_text("pets")
    work = tmp_path / "work"
    url = (tmp_path / "pets.gz").as_uri()
    path = conversion.find_file(url, source_dir, work)
    assert path == work / "pets.gz"
    assert path.read_text() == "pets"
