import gzip
import io
import json

import pytest
import tensorflow.compat.v1 as tf
from PIL import ExifTags, Image

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
    monkeypatch.setattr(preflight, "_DECODED", 2)
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


def unlabelled(number):
    """A record whose label stands under another key."""
    example = tf.train.Example.FromString(record(number))
    label = example.features.feature.pop("image/class/label")
    example.features.feature["image/label"].CopyFrom(label)
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("position", [0, 3, 40])
def test_a_record_without_a_label_is_told_with_its_keys(tmp_path, position):
    files = [*range(position), unlabelled(position), *range(5)]
    dataset = testing.write(tmp_path, files)
    with pytest.raises(UserError) as error:
        prepare(dataset)
    assert str(error.value).startswith(
        f"record {position} of {shard(tmp_path, 0, 1)}: it has no label in "
        "image/class/label; it has image/encoded, image/format, image/height, "
        "image/label, image/width. Write the number of the class as one int64 into "
        "image/class/label, or convert"
    )
    left, [fault] = prepare(dataset, skip_bad_records=True)
    assert (left.num_samples, fault.position) == (position + 5, position)


def test_first_records_are_decoded_although_a_manifest_knows_the_labels(
    tmp_path, never_read
):
    testing.write(tmp_path, [record(1, content=b"text")])
    with pytest.raises(UserError, match=r"record 0 of .*its picture can't be dec"):
        prepare(list_classes(tmp_path, 0, 1, 0, 0, 0))


def test_first_records_are_those_of_files_all_over_a_split(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_DECODED", 4)
    dataset = testing.write(tmp_path, *([i] * 3 for i in range(7)), [])
    read = [(path[-8:-6], r.position) for path, r in preflight._first_records(dataset)]
    assert read == [(f"0{i}", 0) for i in (0, 2, 4, 6)]
    (tmp_path / "few").mkdir()
    dataset = testing.write(tmp_path / "few", [1, 2], [3, 4, 5])
    read = [r.content for _, r in preflight._first_records(dataset)]
    assert read == [record(i) for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("files", [[[]], [[], []]])
def test_files_without_records_are_told(tmp_path, skip, files):
    dataset = testing.write(tmp_path, *files)
    with pytest.raises(UserError, match=r"there are no records in .*tiny_train-00-of-"):
        prepare(dataset, skip_bad_records=skip)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("size", [preflight._READ_BYTES, 10])
def test_compressed_files_are_told(tmp_path, monkeypatch, skip, size):
    monkeypatch.setattr(preflight, "_READ_BYTES", size)
    testing.write(tmp_path, range(5), range(5))
    path = shard(tmp_path, 1, 2)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match=r"01-of-02 is compressed \(GZIP\), .*gunzip"):
        prepare(testing.open_tiny(tmp_path), skip_bad_records=skip)


@pytest.mark.parametrize("skip", [False, True])
def test_turned_pictures_are_warned_of(tmp_path, monkeypatch, skip):
    warned = []
    monkeypatch.setattr(
        preflight.logging, "warning", lambda text, *args: warned.append(text % args)
    )
    prepare(testing.write(tmp_path, range(5)), skip_bad_records=skip)
    assert not warned
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = io.BytesIO()
    Image.new("RGB", (30, 20)).save(content, "JPEG", exif=exif)
    turned = record(1, content=content.getvalue())
    prepare(testing.write(tmp_path, [0, turned, turned, 3]), skip_bad_records=skip)
    [text] = warned
    assert text.startswith(
        "2 of the first 4 pictures of the split train are stored tur"
    )


def test_bad_records_are_left_out_where_that_is_wanted(tmp_path):
    dataset = testing.write(tmp_path, range(5))
    testing.damage(shard(tmp_path, 0, 1))
    left, [fault] = prepare(dataset, skip_bad_records=True)
    assert left.num_samples == 4
    assert fault.position == 4
