import json

import pytest

from datasets import testing
from datasets.reading import preflight
from datasets.testing import record, shard
from slimbase.errors import UserError


def prepare(dataset, offset=0, **options):
    return preflight.prepare(dataset, offset, **options)


def list_classes(directory, *counts, count=None):
    """Writes a manifest of so many pictures per class."""
    split = {"count": sum(counts) if count is None else count, "per_class": counts}
    manifest = {"dataset": "tiny", "splits": {"train": split}}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return testing.open_tiny(directory)


@pytest.fixture
def never_read(monkeypatch):
    """Fails where records are read."""

    def fail(*_):
        raise AssertionError("records were read")

    monkeypatch.setattr(preflight.pipeline, "labels", fail)


def test_sound_sets_pass_as_they_are(tmp_path):
    dataset = testing.write(tmp_path, range(5), [], [3])
    assert prepare(dataset) == (dataset, [])


@pytest.mark.parametrize(("label", "offset"), [(5, 0), (-1, 0), (0, 1), (1, 2)])
def test_label_out_of_range_is_told_with_its_place(tmp_path, label, offset):
    sound = [2, 3, 4]
    bad = record(2, label, filename="x.png")
    dataset = testing.write(tmp_path, sound, [*sound, bad, bad])
    with pytest.raises(UserError) as error:
        prepare(dataset, offset)
    assert str(error.value) == (
        f"record 3 of {shard(tmp_path, 1, 2)} (x.png): its label {label} is none of "
        f"{offset} to 4. The data set has 5 classes, and --labels_offset is {offset}: "
        "check --dataset_name, labels.txt and --labels_offset."
    )


def test_large_sets_are_looked_at_in_each_file(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_READ_BYTES", 100)
    monkeypatch.setattr(preflight, "_LOOKED_AT", 2)
    dataset = testing.write(tmp_path, [1, 2, record(3, 9)], [4])
    prepare(dataset)
    dataset = testing.write(tmp_path, [1, 2, 3], [4, record(3, 9)])
    with pytest.raises(UserError, match=r"record 1 of .*01-of-02: its label 9"):
        prepare(dataset)


def test_the_manifest_saves_reading(tmp_path, never_read):
    testing.write(tmp_path, range(1, 5))
    dataset = list_classes(tmp_path, 0, 1, 1, 1, 1)
    assert prepare(dataset, 1) == (dataset, [])


@pytest.mark.parametrize(
    ("counts", "offset"), [((1, 1, 1), 1), ((1, 1, 0, 0, 0, 1), 0)]
)
def test_the_manifest_tells_labels_out_of_range(tmp_path, counts, offset):
    labels = [label for label, count in enumerate(counts) if count]
    testing.write(tmp_path, [record(label, label) for label in labels])
    with pytest.raises(
        UserError, match=r"record [02] of .*: its label [05] is none of"
    ):
        prepare(list_classes(tmp_path, *counts), offset)


def test_the_manifest_alone_is_enough(tmp_path):
    testing.write(tmp_path, [1, 2])
    with pytest.raises(UserError, match=r"manifest.json of .*: its label 0 is none of"):
        prepare(list_classes(tmp_path, 1, 1), 1)


@pytest.mark.parametrize(
    "manifest",
    [
        {"splits": {"train": {"per_class": [2, 1]}}},  # Of other records.
        {"splits": {"train": {"per_class": "many"}}},
        {},
    ],
)
def test_manifests_that_do_not_tell_are_done_without(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    dataset = testing.write(tmp_path, [1, record(2, 8)])
    with pytest.raises(UserError, match="its label 8"):
        prepare(dataset)


@pytest.mark.parametrize("content", [{"splits": {"train": 7}}, {"splits": []}, []])
def test_manifests_that_are_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is damaged, or not that of a data set: expec"):
        prepare(testing.write(tmp_path, [1]))


@pytest.mark.parametrize("lost", [None, b""])
def test_files_that_the_manifest_lists(tmp_path, lost):
    testing.write(tmp_path, [1], [2])
    path = shard(tmp_path, 1, 2)
    listed = {"name": path.name, "bytes": path.stat().st_size}
    manifest = {"splits": {"train": {"count": 2, "shards": [listed]}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    prepare(testing.open_tiny(tmp_path))
    path.unlink() if lost is None else path.write_bytes(lost)
    with pytest.raises(UserError, match=r"01-of-02 is .*Convert the data set ag"):
        prepare(testing.open_tiny(tmp_path))
    left, _ = prepare(testing.open_tiny(tmp_path), skip_bad_records=True)
    assert left.num_samples == 1


def test_cut_files_are_told_before_they_are_read(tmp_path, never_read):
    dataset = testing.write(tmp_path, range(5))
    path = shard(tmp_path, 0, 1)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"record 4 is not whole"):
        prepare(dataset)


def test_corrupt_records_are_told_with_their_place(tmp_path):
    dataset = testing.write(tmp_path, range(5))
    testing.damage(shard(tmp_path, 0, 1))
    with pytest.raises(UserError, match=r"record 4 of .*: it is corrupt"):
        prepare(dataset)


def test_bad_records_are_left_out_where_that_is_wanted(tmp_path):
    dataset = testing.write(tmp_path, range(5))
    testing.damage(shard(tmp_path, 0, 1))
    left, [fault] = prepare(dataset, skip_bad_records=True)
    assert left.num_samples == 4
    assert fault.position == 4
