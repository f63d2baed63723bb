import gzip
import hashlib
import io
import json
import random

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import ExifTags, Image

from datasets import registry, testing
from datasets.reading import bad_records
from datasets.testing import NUM_CLASSES, damage, png, record
from slimbase.errors import UserError
from slimzoo.config.check import CheckConfig
from slimzoo.dataset_check import check as check_dataset
from slimzoo.dataset_check import report

NAMES = ("ant", "bee", "<i>cat", "dög", "e\x1b[31mel")
FILES = {"train": 2, "test": 1}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Two splits that are known by name as `tiny`."""
    descriptor = registry.Descriptor(
        "tiny",
        splits_to_sizes=dict.fromkeys(FILES, 0),
        num_classes=NUM_CLASSES,
        file_pattern="tiny_%s-*",
        items_to_descriptions={},
        image_format="png",
    )
    monkeypatch.setitem(registry.DATASETS, "tiny", descriptor)


@pytest.fixture
def directory(tmp_path):
    """Twelve sound records in three files of two splits."""
    testing.write(tmp_path, [0, 1, 2, 3, 4], range(5, 9))
    testing.write(tmp_path, [20, 21, 22], name="tiny_test")
    names = (f"{i}:{name}\n" for i, name in enumerate(NAMES))
    (tmp_path / "labels.txt").write_text("".join(names))
    return tmp_path


def check(directory, **options):
    return check_dataset.check(
        CheckConfig(dataset_name="tiny", dataset_dir=str(directory), **options)
    )


def problems(directory, **options):
    return [problem.text for problem in check(directory, **options).problems]


def test_sound_sets_have_no_problems(directory):
    found = check(directory)
    assert found.problems == []
    train, test = found.splits["train"], found.splits["test"]
    assert (train.count, test.count) == (9, 3)
    assert train.per_class == {0: 2, 1: 2, 2: 2, 3: 2, 4: 1}
    assert train.formats == {"png": 9}
    assert set(train.sizes) == {(2, 2)}
    assert train.bytes == sum(path.stat().st_size for path in directory.glob("*train*"))
    assert list(found.names.values()) == list(NAMES)


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_is_read_where_one_is_named(directory, split):
    assert list(check(directory, dataset_split_name=split).splits) == [split]


def test_all_kinds_of_bad_records_are_reported(tmp_path):
    testing.write(
        tmp_path,
        [record(0, content=b"text", filename="zero.jpg"), 1, b"no example", 3],
        [4, record(5, 9), 6],
    )
    damage(testing.shard(tmp_path, 1, 2))
    first, second = testing.shard(tmp_path, 0, 2), testing.shard(tmp_path, 1, 2)
    texts = problems(tmp_path)
    assert [text.split(": ")[0] for text in texts] == [
        f"record 0 of {first} (zero.jpg)",
        f"record 2 of {first}",
        f"record 1 of {second}",
        f"record 2 of {second}",
    ]
    reasons = ("can't be decoded", "no tf.train.Example", "its label 9", "corrupt")
    for text, reason in zip(texts, reasons, strict=True):
        assert reason in text


def test_pictures_of_training_in_the_test_split_are_reported(directory):
    testing.write(directory, [20, 7, 8], name="tiny_test")
    first, second = problems(directory)
    assert "record 1 of" in first
    assert "tiny_test-00-of-01: its picture is in the split train, too" in first
    assert f"record 2 of {testing.shard(directory, 1, 2)}" in first
    assert "record 2 of" in second


def test_one_picture_of_two_classes_is_reported(directory):
    testing.write(directory, [0, 1, record(1, 3, png(1)), 1, 2], range(5, 9))
    found = check(directory)
    [problem] = found.problems
    assert "record 2 of" in problem.text
    assert "its picture has label 3, and 1 in record 1 of" in problem.text
    assert found.splits["train"].repeated == [
        f"record 3 of {testing.shard(directory, 0, 2)} is record 1 of "
        f"{testing.shard(directory, 0, 2)}"
    ]
    text = report.text(found)
    assert "1 picture is more than once in train:\n  record 3 of" in text
    assert text.splitlines()[-1].startswith("Where a picture is in two splits or has")


def test_samples_are_few_and_each_another_picture(tmp_path, monkeypatch):
    contents = [record(0, 0, png(number)) for number in (1, 1, 1, 2, 3, 4, 5)]
    shown = {}
    monkeypatch.setattr(
        check_dataset.contact_sheet, "write", lambda *a, **_: shown.update(a[2])
    )
    for most, files in ((2, [contents]), (9, [contents]), (2, [contents[::-1]])):
        testing.write(tmp_path, *files)
        check(tmp_path, samples_per_class=most, contact_sheet="a.png")
        digests = [sample.digest for sample in shown[0]]
        assert len(digests) == len(set(digests)) == min(most, 5)
        if most == 9:
            first = digests[:2]
        elif most == 2 and files[0] is not contents:
            assert digests == first  # Whatever their order.


def manifest(directory, **changes):
    """Writes what a converter would have."""
    splits = {}
    for split, counts in (("train", [2, 2, 2, 2, 1]), ("test", [1, 1, 1, 0, 0])):
        shards = [
            {
                "name": path.name,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(directory.glob(f"tiny_{split}-*"))
        ]
        splits[split] = {"count": sum(counts), "per_class": counts, "shards": shards}
    content = {"dataset": "tiny", "splits": splits} | changes
    (directory / "manifest.json").write_text(json.dumps(content))


def test_records_as_the_manifest_has_them_are_sound(directory):
    manifest(directory)
    assert problems(directory) == []


def test_records_other_than_the_manifests_are_reported(directory):
    manifest(directory)
    testing.write(directory, [record(0, 1), 1, 2, 3, 4], range(5, 9))
    (directory / "tiny_test-00-of-01").unlink()
    testing.write(directory, [20, 21, 22, 23], name="tiny_test")
    texts = problems(directory)
    assert any("1 picture of class 0 (ant); the manifest has 2" in t for t in texts)
    assert any("3 pictures of class 1 (bee); the manifest has 2" in t for t in texts)
    assert any("00-of-02 is not as it was written" in text for text in texts)
    assert any("4 records; the manifest has 3" in text for text in texts)
    assert any("bytes; the manifest has" in text for text in texts)
    assert not any("01-of-02" in text for text in texts)


def test_shards_that_are_missing_are_reported(directory):
    manifest(directory)
    testing.shard(directory, 1, 2).unlink()
    texts = problems(directory)
    assert any("01-of-02 is missing; the manifest has it" in text for text in texts)
    assert any("5 records; the manifest has 9" in text for text in texts)


@pytest.mark.parametrize(("split", "count"), [(None, 1), ("train", 0)])
def test_a_split_of_the_manifest_without_files_is_reported_once(
    directory, split, count
):
    manifest(directory)
    (directory / "tiny_test-00-of-01").unlink()
    found = check(directory, dataset_split_name=split).problems
    text = "no record files are there; the manifest has 3 records in 1 file"
    assert [(p.split, p.text) for p in found] == [("test", text)] * count


def test_manifest_of_another_set_says_nothing(directory):
    manifest(directory, dataset="other", splits={"train": {"count": 1}})
    assert problems(directory) == []


def test_everything_is_written_as_json(directory, tmp_path):
    testing.write(directory, [20, 7, record(8, 8)], name="tiny_test")
    output = tmp_path / "found.json"
    found = check(directory, output_file=str(output))
    content = json.loads(output.read_text())
    assert content["splits"]["train"]["records"] == 9
    assert content["splits"]["train"]["per_class"]["4"] == 1
    assert content["splits"]["train"]["sizes"] == [
        {"height": 2, "width": 2, "pictures": 9}
    ]
    assert content["classes"]["3"] == "dög"
    assert [p["problem"] for p in content["problems"]] == [
        p.text for p in found.problems
    ]
    assert content["problems"][0]["position"] == 1
    assert content["problems"][0]["record_file"].endswith("tiny_test-00-of-01")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset_name": None}, "--dataset_name is missing"),
        ({"dataset_dir": None}, "--dataset_dir is missing"),
        ({"dataset_name": "tinny"}, "tiny"),
        ({"dataset_split_name": "val"}, "split name val was not recognized"),
        ({"contact_sheet": "a.pdf"}, r"--contact_sheet=a.pdf should end in .html or"),
        ({"preprocessing_name": "none", "contact_sheet": "a.png"}, "none"),
    ],
)
def test_mistakes_are_refused(directory, options, message):
    given = {"dataset_name": "tiny", "dataset_dir": str(directory)} | options
    with pytest.raises(UserError, match=message):
        check_dataset.check(CheckConfig(**given))


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no record files match"):
        check(tmp_path)


@pytest.mark.parametrize("files", [1, 3])
def test_files_without_records_are_a_problem(tmp_path, files):
    testing.write(tmp_path, *[[]] * files)
    found = check(tmp_path)
    [problem] = found.problems
    assert problem.text.startswith("there are no records in ")
    assert problem.text.count("tiny_train-") == files
    assert report.text(found).endswith("take files of no records away.")


def test_one_of_several_files_may_be_empty(directory):
    testing.write(directory, [], range(5, 9))
    assert problems(directory) == []


def test_compressed_files_and_those_of_other_kinds_are_problems(directory):
    first, second = (testing.shard(directory, i, 2) for i in range(2))
    first.write_bytes(gzip.compress(first.read_bytes()))
    second.write_text("path,label\n")
    found = check(directory)
    assert [problem.split for problem in found.problems] == ["train", "train"]
    compressed, text = (problem.text for problem in found.problems)
    assert compressed.startswith(f"{first} is compressed (GZIP), and")
    assert f"gunzip -c < {first} >" in compressed
    assert text.startswith(f"{second} is a text file, which begins with 'path,label'")
    assert found.splits["test"].count == 3


def test_pictures_that_are_stored_turned_are_counted(directory, tmp_path):
    def turned(number, orientation):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        content = io.BytesIO()
        pixels = Image.new("RGB", (30, 20), (number, 0, 0))
        pixels.save(content, "JPEG", exif=exif)
        name = f"{number}.jpg"
        return record(number, content=content.getvalue(), filename=name)

    testing.write(directory, [1, turned(10, 6), turned(20, 3), turned(30, 1)], [2])
    output = tmp_path / "found.json"
    [problem] = check(directory, output_file=str(output)).problems
    path = testing.shard(directory, 0, 2)
    assert problem.text == (
        "2 pictures of 5 are stored turned (EXIF orientation 3, 6), and training and "
        "evaluation take them as they are stored; the first is record 1 of "
        f"{path} (10.jpg)"
    )
    assert "convert the pictures again" in problem.advice
    content = json.loads(output.read_text())
    assert content["splits"]["train"]["turned"] == 2
    assert content["problems"][0]["position"] == 1


def test_records_without_labels_and_of_formats_that_are_not_decoded(directory):
    example = tf.train.Example.FromString(record(40))
    label = example.features.feature.pop("image/class/label")
    example.features.feature["label"].CopyFrom(label)
    content = io.BytesIO()
    Image.new("RGB", (30, 20)).save(content, "TIFF")
    tiff = record(41, content=content.getvalue())
    testing.write(directory, [1, example.SerializeToString(), tiff], [2])
    found = check(directory)
    unlabelled, format_ = (problem.text for problem in found.problems)
    assert "record 1 of" in unlabelled
    assert "no label in image/class/label; it has image/encoded, image/f" in unlabelled
    assert "record 2 of" in format_
    assert "its picture is of the format TIFF, which TensorFlow" in format_
    assert found.splits["train"].formats == {"png": 3, "tiff": 1}
    text = report.text(found)
    assert "Write the number of the class as one int64 into image/class/label" in text


@pytest.mark.parametrize("seed", range(3))
def test_any_bytes_are_read_to_the_end(directory, seed):
    """And no record that is not damaged is found fault with."""
    manifest(directory)  # So that sizes are known.
    rng = random.Random(seed)
    path = testing.shard(directory, 0, 2)
    content = path.read_bytes()
    for _ in range(10):
        path.write_bytes(testing.mutated(content, rng))
        found = check(directory, dataset_split_name="train")
        assert found.splits["train"].count >= 4
        assert not any("01-of-02" in problem.text for problem in found.problems)


# Text


def test_report_for_people(directory):
    text = report.text(check(directory))
    assert text.startswith(f"tiny in {directory}: 12 records, 5 classes; read in ")
    assert "train: all pictures are 2x2" in text
    assert "No pictures in test of dög, e\\x1b[31mel" in text
    assert text.endswith("Nothing is wrong.")
    [row] = [line for line in text.splitlines() if " ant " in line]
    assert row.split()[:4] == ["0", "ant", "2", "1"]
    assert row.endswith("#" * 30)
    assert r"e\x1b[31mel" in text
    assert max(map(len, text.splitlines()[1:])) < 80


def test_report_of_problems_is_short(tmp_path):
    testing.write(tmp_path, [b"text"] * 30)
    lines = report.text(check(tmp_path)).splitlines()
    assert "30 problems:" in lines
    assert lines[-3].strip().startswith("and 10 more, which --output_file")
    assert lines[-1] == bad_records.ADVICE


def test_report_says_what_to_do_once_for_each_kind_of_problem(tmp_path):
    testing.write(tmp_path, [b"text", b"text", 1, record(2, 9)])
    name = "tiny_train-00000-of-00002"
    testing.shard(tmp_path, 0, 1).rename(tmp_path / name)
    text = report.text(check(tmp_path))
    assert text.count("1 of 2 files is missing: ") == 1
    *_, before, missing, bad, label = text.splitlines()
    assert not before
    assert missing.startswith("Delete files that are not as the manifest has them")
    assert "--skip_bad_records" in bad
    assert "labels.txt" in label


def test_one_is_not_many(tmp_path):
    testing.write(tmp_path, [0])
    assert "1 record, 5 classes" in report.text(check(tmp_path))


def test_most_repeated_pictures_are_counted_alone(directory):
    testing.write(directory, [0] * 9, range(1, 9))
    lines = report.text(check(directory)).splitlines()
    at = lines.index("8 pictures are more than once in train:")
    assert "record 1 of" in lines[at + 1]
    assert lines[at + 4].strip() == "and 5 more"


def test_report_of_many_classes_shows_the_extremes():
    split = check_dataset.FoundSplit([], 0)
    split.per_class.update({label: label + 1 for label in range(100)})
    names = {label: f"name{label}" for label in range(100)}
    text = report.text(check_dataset.Found("many", "d", names, {"train": split}))
    assert "The 20 smallest and the 20 largest of 100 classes:" in text
    assert "name19 " in text
    assert "name80 " in text
    assert "name50" not in text


def test_histogram_counts_every_picture():
    split = check_dataset.FoundSplit([], 0)
    rng = np.random.default_rng(0)
    split.sizes = [(int(h), 100) for h in rng.integers(50, 700, 1000)]
    text = report.text(check_dataset.Found("d", "d", {0: "a"}, {"train": split}))
    rows = [line.split() for line in text.splitlines() if "  to " in line]
    heights = rows[:-1]
    assert sum(int(row[3]) for row in heights) == 1000
    assert rows[-1][:4] == ["100", "to", "100", "1,000"]
