import dataclasses
import json
import logging

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from datasets import testing
from datasets.reading import bad_records, pipeline
from datasets.storage.records import Stretch
from datasets.testing import damage, record, shard
from slimbase.errors import UserError
from slimbase.graph import classic_graph

TEXT = record(2, content=b"text", filename="two.png")


@pytest.fixture
def damaged(tmp_path):
    """Of 14 records in three files, four are bad in three ways."""
    testing.write(
        tmp_path, [0, 1, TEXT, 3, 4], [5, 6, 7], [b"text", 9, TEXT, 11, 12, 13]
    )
    damage(shard(tmp_path, 1, 3))
    return testing.open_tiny(tmp_path)


GOOD = [0, 1, 3, 4, 5, 6, 9, 11, 12, 13]


def numbers_and_positions(dataset):
    """Of what evaluation reads."""

    def preprocess(image):
        return tf.cast(image[0, 0, 0], tf.int64)

    with classic_graph(), tf.Session() as session:
        batches = pipeline.eval_batches(dataset, preprocess, 100)
        [batch] = pipeline.next_batches(batches, 1)
        session.run(tf.tables_initializer())
        read = session.run(batch)
    places = zip(read.record_files, read.positions, strict=True)
    return list(read.images), [(path[-8:-6], int(at)) for path, at in places]


# Leaving out


def test_bad_records_are_left_out_and_told(damaged, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "absl"):
        left, faults = bad_records.leave_out(damaged)
    assert left.num_samples == len(GOOD)
    assert [(fault.path, fault.position, fault.filename) for fault in faults] == [
        (str(shard(tmp_path, 0, 3)), 2, "two.png"),
        (str(shard(tmp_path, 1, 3)), 2, ""),
        (str(shard(tmp_path, 2, 3)), 0, ""),
        (str(shard(tmp_path, 2, 3)), 2, "two.png"),
    ]
    assert "Read 14 records" in caplog.text
    assert "left out 4" in caplog.text
    for fault in faults:
        assert str(fault) in caplog.text
    assert len(damaged.stretches) == 3
    assert not damaged.is_sound


def test_evaluation_reads_the_rest_and_knows_the_places(damaged):
    left, _ = bad_records.leave_out(damaged)
    numbers, places = numbers_and_positions(left)
    assert numbers == GOOD
    assert places == [
        *((b"00", i) for i in (0, 1, 3, 4)),
        *((b"01", i) for i in (0, 1)),
        *((b"02", i) for i in (1, 3, 4, 5)),
    ]


def test_pictures_behind_a_bad_record_are_found_by_their_places(damaged, tmp_path):
    left, _ = bad_records.leave_out(damaged)
    place = str(shard(tmp_path, 2, 3)), 5
    pictures = pipeline.read_pictures(left, [place])
    assert (pictures[place] == 13).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_training_reads_the_rest_each_once(damaged, count):
    left, _ = bad_records.leave_out(damaged)
    seen = []
    for index in range(count):
        with classic_graph(), tf.Session() as session:
            batches = pipeline.train_batches(
                left,
                lambda image, seed: tf.cast(image[0, 0, 0], tf.int64),
                1,
                shard=(index, count),
            )
            [(number, _)] = pipeline.next_batches(batches, 1)
            session.run(tf.tables_initializer())
            numbers = [int(session.run(number)[0]) for _ in range(12)]
        seen += numbers[: len(set(numbers))]
    assert sorted(seen) == GOOD


def test_a_damaged_length_ends_the_file_alone(tmp_path):
    testing.write(tmp_path, [0, 1, 2], [3, 4])
    damage(shard(tmp_path, 0, 2), len(record(0)) + 16)
    left, [fault] = bad_records.leave_out(testing.open_tiny(tmp_path))
    assert numbers_and_positions(left)[0] == [0, 3, 4]
    assert fault.position == 1
    assert "length is damaged" in fault.reason


@pytest.mark.parametrize("loss", ["cut", "missing", "none"])
def test_records_of_the_manifest_that_are_not_found_are_counted(tmp_path, caplog, loss):
    testing.write(tmp_path, [0, 1, 2, 3], [4])
    cut, whole = shard(tmp_path, 0, 2), shard(tmp_path, 1, 2)
    listed = {"count": 5, "shards": [{"name": cut.name}, {"name": whole.name}]}
    other = {"count": 7, "shards": [{"name": "tiny_test-00-of-01"}]}
    manifest = {"dataset": "tiny", "splits": {"train": listed, "test": other}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    if loss == "cut":  # Within the second record.
        cut.write_bytes(cut.read_bytes()[: len(record(0)) + 30])
    elif loss == "missing":
        cut.unlink()
    left, faults = bad_records.leave_out(testing.open_tiny(tmp_path))
    expected = {"cut": (2, 1, 2), "missing": (1, 0, 4), "none": (5, 0, 0)}[loss]
    assert (left.num_samples, len(faults), left.num_lost) == expected
    told = f"Not found: {left.num_lost} records that the manifest lists"
    assert (told in caplog.text) == (loss != "none")


def test_records_without_a_label_are_left_out(tmp_path):
    example = tf.train.Example.FromString(record(1))
    del example.features.feature["image/class/label"]
    testing.write(tmp_path, [0, example.SerializeToString(deterministic=True), 2])
    unlabelled = testing.open_tiny(tmp_path, missing_label=-1)
    left, [fault] = bad_records.leave_out(unlabelled)
    assert fault.position == 1
    assert fault.reason.startswith("it has no label in image/class/label; it has ")
    assert left.num_samples == 2


def test_sound_sets_are_left_as_they_are(tmp_path):
    dataset = testing.write(tmp_path, [0, 1], [], [2])
    left, faults = bad_records.leave_out(dataset)
    assert faults == []
    assert left.num_samples == 3
    assert left.stretches == [
        Stretch(str(shard(tmp_path, 0, 3)), 0, 0, 2),
        Stretch(str(shard(tmp_path, 2, 3)), 0, 0, 1),
    ]


def test_labels_out_of_range_are_not_left_out(tmp_path):
    dataset = testing.write(tmp_path, [0, record(1, 7, filename="x.png")])
    with pytest.raises(
        UserError, match=r"record 1 of .*\(x.png\): its label 7 is none"
    ):
        bad_records.leave_out(dataset)


def test_nothing_left_is_told(tmp_path):
    dataset = testing.write(tmp_path, [b"text"] * 9)
    with pytest.raises(UserError, match=r"hold no sound records:\n  record 0") as error:
        bad_records.leave_out(dataset)
    assert str(error.value).endswith("\n  4 more")


def test_files_elsewhere_are_refused():
    path = "gs://bucket/tiny_train-00"
    dataset = dataclasses.replace(testing.open_tiny(), record_files=[path])
    with pytest.raises(UserError, match=f"this machine, and {path} is none"):
        bad_records.leave_out(dataset)


# Told after a failure


def run(dataset, read, **options):
    """Reads all until it fails; the message."""

    def preprocess(image, seed=None):
        return tf.ensure_shape(tf.cast(image, tf.float32), [2, 2, 3])

    make = getattr(pipeline, f"{read}_batches")
    with classic_graph(), tf.Session() as session, pytest.raises(UserError) as error:
        [batch] = pipeline.next_batches(make(dataset, preprocess, 2, **options), 1)
        session.run(tf.tables_initializer())
        with pipeline.explained_errors(dataset, options.get("labels_offset", 0)):
            for _ in range(10):
                session.run(batch)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("read", ["train", "eval"])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (TEXT, "(two.png): its picture can't be decoded: Unknown image file format"),
        (b"text", ": it is no tf.train.Example"),
        (b"", ": it has no picture in image/encoded"),
    ],
)
def test_the_record_of_a_failure_is_named(tmp_path, read, bad, reason):
    dataset = testing.write(tmp_path, [0, 1, 2], [3, bad])
    told = run(dataset, read)
    assert f"record 1 of {shard(tmp_path, 1, 2)}" in told
    assert reason in told
    assert "--skip_bad_records" in told
    assert "check_dataset.py" in told


@pytest.mark.parametrize("read", ["train", "eval"])
def test_the_corrupt_record_of_a_failure_is_named(tmp_path, read):
    dataset = testing.write(tmp_path, [0, 1, 2], [3, 4])
    damage(shard(tmp_path, 0, 2))
    told = run(dataset, read)
    assert f"record 2 of {shard(tmp_path, 0, 2)}: it is corrupt" in told


@pytest.mark.parametrize("read", ["train", "eval"])
def test_the_label_of_a_failure_is_named(tmp_path, read):
    dataset = testing.write(tmp_path, [1, 2, record(3, 0)])
    told = run(dataset, read, labels_offset=1)
    assert "record 2 of" in told
    assert "its label 0 is none of 1 to 4. The data set has 5 classes, and" in told
    assert "--labels_offset is 1" in told


@pytest.mark.parametrize("read", ["train", "eval"])
def test_another_size_than_the_sets_is_named(tmp_path, read):
    """TensorFlow's own error has nothing to say of pictures."""
    testing.write(tmp_path, [0, record(1, content=testing.png(1, (3, 5)))])
    told = run(testing.open_tiny(tmp_path, image_shape=(2, 2, 3)), read)
    assert "record 1 of" in told
    assert "its picture has 5x3 pixels instead of 2x2" in told


def test_the_search_ends_in_time(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(bad_records, "SEARCH_SECS", -1)
    dataset = testing.write(tmp_path, [0, 1, b"text"])
    with caplog.at_level(logging.INFO, "absl"):
        told = run(dataset, "eval")
    assert "a record holds no picture that can be decoded" in told
    assert "check_dataset.py finds it" in caplog.text


def test_what_no_record_explains_stays_as_it_is(tmp_path):
    dataset = testing.write(tmp_path, [0, 1])
    with classic_graph(), tf.Session() as session:
        batches = pipeline.eval_batches(
            dataset, lambda image: tf.reshape(image, [1, 1, 1]), 2
        )
        [batch] = pipeline.next_batches(batches, 1)
        session.run(tf.tables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
            with pipeline.explained_errors(dataset):
                session.run(batch)


def test_what_is_listed_is_short(tmp_path):
    faults = [bad_records.Fault("p", i, "", "why") for i in range(np.int64(8))]
    assert bad_records.listed_faults([]) == ""
    assert bad_records.listed_faults(faults[:1]) == ":\n  record 0 of p: why"
    assert bad_records.listed_faults(faults).endswith("record 4 of p: why\n  3 more")
