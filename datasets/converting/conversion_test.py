import dataclasses
import hashlib
import json
import subprocess
import sys
import threading
import time

import pytest
import tensorflow.compat.v1 as tf

from datasets import registry
from datasets.converting import conversion
from datasets.storage import manifests
from slimbase.errors import UserError
from slimbase.pictures.decode import PictureError

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


def _content(encode=_example, **more):
    names = [f"{i}.jpg" for i in range(7)]
    splits = {
        "train": conversion.SplitPlan([0, 1, 0, 1, 0, 0, 0], names, encode),
        "test": conversion.SplitPlan([0, 0], ["a", "b"], _example),
    }
    return conversion.Content(["ant", "bee", "cat"], splits, **more)


def _must_not_be_called(work):
    raise AssertionError(work)


def _bad(*indices):
    def encode(index):
        if index in indices:
            raise PictureError("is truncated")
        return _example(index)

    return encode


def _stop(*indices):
    def encode(index):
        if index in indices:
            raise UserError(f"picture {index} is bad")
        return _example(index)

    return encode


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_everything_is_written(tmp_path, read_features):
    target = tmp_path / "made" / "here"

    def read(work):
        (work / "download").write_text("gone afterwards")
        return _content(files={"more.txt": b"as it is"})

    conversion.convert(TOY, target, read, num_shards=2, settings={"seed": 3})
    shards = [f"toy_{s}-0000{i}-of-00002" for s in ("test", "train") for i in range(2)]
    assert _names(target) == ["labels.txt", "manifest.json", "more.txt", *shards]
    records = [read_features(target / shard) for shard in shards]
    assert [[r["index"][0] for r in some] for some in records] == [
        *([0], [1]),
        *([0, 1, 2], [3, 4, 5, 6]),
    ]
    assert records[3][0]["image/filename"] == [b"3.jpg"]
    assert (target / "labels.txt").read_text() == "0:ant\n1:bee\n2:cat\n"
    assert (target / "more.txt").read_bytes() == b"as it is"

    def listed(split, counts):
        return [
            {
                "name": name,
                "count": count,
                "bytes": (target / name).stat().st_size,
                "sha256": hashlib.sha256((target / name).read_bytes()).hexdigest(),
            }
            for name, count in zip(TOY.shard_names(split, 2), counts, strict=True)
        ]

    shared = {"skipped": 0, "heights": [], "widths": []}
    assert json.loads((target / "manifest.json").read_text()) == {
        "dataset": "toy",
        "version": 2,
        "file_pattern": "toy_%s-*",
        "classes": ["ant", "bee", "cat"],
        "settings": {"seed": 3},
        "fingerprint": manifests.read_manifest(target).fingerprint,
        "splits": {
            "train": {
                "count": 7,
                "per_class": [5, 2, 0],
                "shards": listed("train", [3, 4]),
                **shared,
            },
            "test": {
                "count": 2,
                "per_class": [2, 0, 0],
                "shards": listed("test", [1, 1]),
                **shared,
            },
        },
    }


def test_shards_by_split(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content(), {"train": 3, "test": 1})
    assert len(list(tmp_path.glob("toy_train-*-of-00003"))) == 3
    assert len(list(tmp_path.glob("toy_test-*-of-00001"))) == 1


def test_a_second_run_does_nothing(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    conversion.convert(TOY, tmp_path, _must_not_be_called)


def test_records_of_the_original_count_as_converted(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    (tmp_path / "manifest.json").unlink()
    conversion.convert(TOY, tmp_path, _must_not_be_called)


def test_other_settings_are_refused(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content(), settings={"seed": 1})
    with pytest.raises(UserError, match="converted with seed 1, not 2"):
        conversion.convert(TOY, tmp_path, _must_not_be_called, settings={"seed": 2})


def test_another_number_of_files_is_refused(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content(), 2)
    with pytest.raises(UserError, match=r"files .*'train': 2.*, not .*'train': 3"):
        conversion.convert(TOY, tmp_path, _must_not_be_called, 3)


def test_what_was_left_out_is_not_strict(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content(_bad(1)))
    conversion.convert(TOY, tmp_path, _must_not_be_called)
    with pytest.raises(UserError, match=r"without the pictures of bad_files\.txt"):
        conversion.convert(TOY, tmp_path, _must_not_be_called, strict=True)


def test_a_source_that_has_changed(tmp_path):
    def convert(content):
        conversion.convert(TOY, tmp_path, lambda work: content, is_quick_to_read=True)

    convert(_content())
    convert(_content(stamp="A file has another date."))
    train = dataclasses.replace(_content().splits["train"], names=[*"abcdefg"])
    other = _content()
    other = dataclasses.replace(other, splits={**other.splits, "train": train})
    with pytest.raises(UserError, match="from 9 pictures and there are 9 now, some"):
        convert(other)
    other = dataclasses.replace(other, class_names=["ant", "bee", "dog"])
    with pytest.raises(UserError, match="classes ant, bee, cat, which are ant, bee, d"):
        convert(other)


@pytest.mark.parametrize("name", ["labels.txt", "more.txt", "manifest.json"])
def test_files_of_other_people_are_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name} is"):
        conversion.convert(
            TOY, tmp_path, lambda work: _content(files={"more.txt": b"new"})
        )
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("missing", ["labels.txt", "toy_test-00000-of-00001"])
@pytest.mark.parametrize("has_manifest", [True, False])
def test_an_incomplete_set_is_converted_again(tmp_path, missing, has_manifest):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    before = _names(tmp_path)
    (tmp_path / missing).unlink()
    if not has_manifest:
        (tmp_path / "manifest.json").unlink()
    conversion.convert(TOY, tmp_path, lambda work: _content())
    assert _names(tmp_path) == before


def test_a_file_of_another_size_is_written_again(tmp_path):
    conversion.convert(TOY, tmp_path, lambda work: _content())
    shard = tmp_path / "toy_test-00000-of-00001"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    conversion.convert(TOY, tmp_path, lambda work: _content())
    assert shard.read_bytes() == content


def test_shards_of_another_number_are_not_mixed_in(tmp_path):
    (tmp_path / "toy_train-00003-of-00005").write_bytes(b"")
    with pytest.raises(UserError, match="has toy_train-00003-of-00005, which is not"):
        conversion.convert(TOY, tmp_path, lambda work: _content())


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


def test_a_bad_picture_is_left_out_and_listed(tmp_path, read_features):
    conversion.convert(TOY, tmp_path, lambda work: _content(_bad(1, 4)))
    records = read_features(tmp_path / "toy_train-00000-of-00001")
    assert [record["index"][0] for record in records] == [0, 2, 3, 5, 6]
    assert (tmp_path / "bad_files.txt").read_text() == (
        "1.jpg: is truncated\n4.jpg: is truncated\n"
    )
    split = manifests.read_manifest(tmp_path).splits["train"]
    assert (split.count, split.skipped, split.per_class) == (5, 2, [4, 1, 0])


def test_a_bad_picture_is_an_error_if_wanted(tmp_path):
    target = tmp_path / "target"
    with pytest.raises(UserError, match=r"4\.jpg is truncated\. Repair it"):
        conversion.convert(TOY, target, lambda work: _content(_bad(4)), strict=True)
    assert _names(target) == [".incomplete"]


def test_nothing_but_bad_pictures_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"none of the 7 .* train .*: 0\.jpg is trunc"):
        conversion.convert(TOY, tmp_path, lambda work: _content(_bad(*range(7))))
    assert not list(tmp_path.glob("toy_*"))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_beyond_the_classes(tmp_path, labels):
    split = conversion.SplitPlan(labels, ["a", "b"], _example)
    content = conversion.Content(["ant", "bee", "cat"], {"train": split})
    with pytest.raises(UserError, match=r"split train has labels from .* 0 to 2"):
        conversion.convert(TOY, tmp_path, lambda work: content)


@pytest.mark.parametrize("existing", [True, False])
def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path, existing):
    target = tmp_path / "target"
    if existing:
        target.mkdir()
        (target / "mine").write_text("kept")

    def read(work):
        raise UserError("there is no source")

    with pytest.raises(UserError, match="there is no source"):
        conversion.convert(TOY, target, read)
    if existing:
        assert _names(target) == ["mine"]
    else:
        assert not target.exists()


def test_a_failure_midway_leaves_no_record_and_the_next_run_goes_on(tmp_path):
    encoded = []

    def encode(index):
        if index == 5 and not encoded.count(5):
            encoded.append(index)
            raise UserError("picture 5 is bad")
        encoded.append(index)
        return _example(index)

    def read(work):
        downloads.append((work / "download").exists())
        (work / "download").touch()
        return _content(encode)

    downloads = []
    with pytest.raises(UserError, match="picture 5 is bad"):
        conversion.convert(TOY, tmp_path, read, num_shards=7)
    assert _names(tmp_path) == [".incomplete"]
    first = [i for i in encoded if i < 5]
    assert sorted(first) == list(range(5))
    conversion.convert(TOY, tmp_path, read, num_shards=7)
    assert [i for i in encoded if i < 5] == first  # Not written twice.
    assert downloads == [False, True]
    assert len(_names(tmp_path)) == 7 + 7 + 2
    once = tmp_path / "once"
    conversion.convert(TOY, once, lambda work: _content(), num_shards=7)
    for name in _names(once):
        assert (once / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_lost_part_of_what_is_left_is_written_again(tmp_path, read_features):
    with pytest.raises(UserError, match="5"):
        conversion.convert(TOY, tmp_path, lambda work: _content(_stop(5)), 7)
    shard = tmp_path / ".incomplete" / "records" / "toy_train-00000-of-00007"
    shard.write_bytes(b"")
    conversion.convert(TOY, tmp_path, lambda work: _content(), 7)
    assert [r["index"] for r in read_features(tmp_path / shard.name)] == [[0]]


def test_an_error_ends_what_other_threads_do(tmp_path):
    encoded = []

    def encode(index):
        if index == 0:
            raise UserError("stopped")
        encoded.append(index)
        time.sleep(0.001)
        return _example(index)

    split = conversion.SplitPlan([0] * 5000, ["x"] * 5000, encode)
    content = conversion.Content(["ant"], {"train": split})
    with pytest.raises(UserError, match="stopped"):
        conversion.convert(TOY, tmp_path, lambda work: content, 2)
    assert len(encoded) < 1000


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"seed": 2}},
        {"content": {"stamp": "changed"}},
    ],
)
def test_what_is_left_of_another_plan_is_not_used(tmp_path, read_features, change):
    def fail(index):
        if index == 6:
            raise UserError("stopped")
        return _example(index + 100)

    with pytest.raises(UserError, match="stopped"):
        conversion.convert(TOY, tmp_path, lambda work: _content(fail), num_shards=7)
    content = _content(**change.get("content", {}))
    settings = change.get("settings")
    conversion.convert(TOY, tmp_path, lambda work: content, 7, settings=settings)
    for i in range(7):
        [record] = read_features(tmp_path / f"toy_train-0000{i}-of-00007")
        assert record["index"] == [i]


KILLED = """
import os, pathlib, signal, sys
from datasets.converting import conversion, conversion_test

moved = 0
replace = pathlib.Path.replace

def killed(self, target):
    global moved
    replace(self, target)
    moved += pathlib.Path(target).parent == pathlib.Path(sys.argv[1])
    if moved == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

pathlib.Path.replace = killed
conversion.convert(
    conversion_test.TOY, sys.argv[1], lambda work: conversion_test._content(), 2
)
"""


@pytest.mark.parametrize("moved", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_killed_while_files_get_their_names(tmp_path, moved):
    result = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(moved)])
    assert result.returncode == -9
    left = _names(tmp_path)
    assert ".incomplete" in left
    assert "manifest.json" not in left
    assert len(left) == moved + 1
    conversion.convert(TOY, tmp_path, lambda work: _content(), num_shards=2)
    once = tmp_path / "once"
    conversion.convert(TOY, once, lambda work: _content(), num_shards=2)
    for name in _names(once):
        assert (once / name).read_bytes() == (tmp_path / name).read_bytes()


def test_two_at_once(tmp_path):
    reads = []

    def read(work):
        reads.append(work)
        return _content()

    def convert():
        conversion.convert(TOY, tmp_path, read, num_shards=2)

    threads = [threading.Thread(target=convert) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert ".incomplete" not in _names(tmp_path)


def test_one_waits_for_another_that_fails(tmp_path):
    target = tmp_path / "new"
    waiting = threading.Event()

    def fail(work):
        waiting.wait(10)
        time.sleep(0.2)  # The other one is at the lock.
        raise UserError("no source")

    def convert():
        waiting.set()
        conversion.convert(TOY, target, lambda work: _content())

    other = threading.Thread(target=convert)
    with pytest.raises(UserError, match="no source"):
        threading.Timer(0.2, other.start).start()
        conversion.convert(TOY, target, fail)
    other.join()
    assert (target / "manifest.json").exists()


def test_a_target_that_is_a_file_is_named(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    with pytest.raises(UserError, match=f"cannot write to {target}"):
        conversion.convert(TOY, target, _must_not_be_called)
    assert target.read_text() == "mine"
