import io
import pathlib
import random
import tarfile
from collections import Counter

import pytest
from PIL import Image

from datasets import download_and_convert_flowers as converter
from datasets import flowers
from datasets.conftest import FLOWER_CLASSES, FLOWERS_PER_CLASS
from slimbase.errors import UserError

NUM_PHOTOS = len(FLOWER_CLASSES) * FLOWERS_PER_CLASS


def test_photos_are_kept_as_they_are(tmp_path, flowers_source, read_features):
    target = tmp_path / "flowers"
    converter.run(target, flowers_source)
    seen = []
    for path in sorted(target.glob("*.tfrecord")):
        for record in read_features(path):
            name = record["image/filename"][0].decode()
            photo = flowers_source / "flower_photos" / name
            assert record["image/encoded"] == [photo.read_bytes()]
            assert record["image/format"] == [b"jpg"]
            with Image.open(photo) as picture:
                assert record["image/height"] == [picture.height]
                assert record["image/width"] == [picture.width]
            label = FLOWER_CLASSES.index(pathlib.Path(name).parent.name)
            assert record["image/class/label"] == [label]
            seen.append(name)
    assert len(seen) == len(set(seen)) == NUM_PHOTOS


def test_files_and_sizes(tmp_path, flowers_source):
    target = tmp_path / "flowers"
    converter.run(target, flowers_source)
    assert sorted(p.name for p in target.iterdir()) == [
        *(f"flowers_train_{i:05d}-of-00005.tfrecord" for i in range(5)),
        *(f"flowers_validation_{i:05d}-of-00005.tfrecord" for i in range(5)),
        "labels.txt",
        "manifest.json",
    ]
    validation = flowers.get_split("validation", target)
    assert validation.num_samples == round(NUM_PHOTOS * 350 / 3670) == 3
    assert validation.num_classes == len(FLOWER_CLASSES)
    assert validation.labels_to_names == dict(enumerate(FLOWER_CLASSES))
    assert flowers.get_split("train", target).num_samples == NUM_PHOTOS - 3


def test_conversion_is_repeatable(tmp_path, flowers_source):
    for name in ("one", "two"):
        converter.run(tmp_path / name, flowers_source)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("form", ["folder itself", "archive", "mirror"])
def test_sources(tmp_path, flowers_source, form):
    archive = flowers_source / "flower_photos.tgz"
    source = flowers_source
    if form == "folder itself":
        source = flowers_source / "flower_photos"
    else:
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(flowers_source / "flower_photos", "flower_photos")
        (flowers_source / "flower_photos").rename(tmp_path / "elsewhere")
    if form == "mirror":
        source = None
    before = sorted(flowers_source.rglob("*"))
    target = tmp_path / "flowers"
    converter.run(target, source, mirror=str(flowers_source))
    assert flowers.get_split("train", target).num_samples == NUM_PHOTOS - 3
    assert not [p for p in target.iterdir() if p.is_dir()]
    assert sorted(flowers_source.rglob("*")) == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("no picture"), "is not a JPEG"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "is truncated"),
    ],
)
def test_bad_photo_is_listed_or_stops_the_run(tmp_path, flowers_source, spoil, reason):
    spoil(flowers_source / "flower_photos" / "rose" / "7.jpg")
    target = tmp_path / "flowers"
    with pytest.raises(UserError, match=f"rose/7.jpg {reason}"):
        converter.run(target, flowers_source, strict=True)
    assert not list(target.glob("*.tfrecord"))
    converter.run(target, flowers_source)
    assert (target / "bad_files.txt").read_text().startswith(f"rose/7.jpg: {reason}")
    splits = [flowers.get_split(s, target) for s in ("train", "validation")]
    assert sum(split.num_samples for split in splits) == NUM_PHOTOS - 1


def test_photo_of_another_kind_becomes_a_jpeg(tmp_path, flowers_source, read_features):
    photo = flowers_source / "flower_photos" / "rose" / "7.jpg"
    Image.new("RGB", (20, 30), "red").save(photo, "PNG")
    target = tmp_path / "flowers"
    converter.run(target, flowers_source, strict=True)
    records = [r for path in target.glob("*.tfrecord") for r in read_features(path)]
    [record] = [r for r in records if r["image/filename"] == [b"rose/7.jpg"]]
    with Image.open(io.BytesIO(record["image/encoded"][0])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (20, 30))
    assert record["image/format"] == [b"jpg"]
    assert (record["image/width"], record["image/height"]) == ([20], [30])


def test_missing_source_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"there is no .*flower_photos\.tgz.*nothing"):
        converter.run(tmp_path / "flowers", tmp_path / "empty")


def test_split_of_the_published_set_is_the_originals():
    labels = [i % 5 for i in range(3670)]
    splits = converter.split_photos(labels)
    # The original shuffles with seed 0 and takes the first 350.
    shuffled = list(range(3670))
    random.seed(0)
    random.shuffle(shuffled)
    assert splits == {"validation": shuffled[:350], "train": shuffled[350:]}


@pytest.mark.parametrize(
    ("per_class", "validation"),
    [
        ([120] * 5, 57),
        ([2] * 5, 5),
        ([1000, 2], 96),
        ([633, 898, 641, 699, 799], 350),
    ],
)
def test_split_of_other_numbers(per_class, validation):
    labels = [label for label, count in enumerate(per_class) for _ in range(count)]
    splits = converter.split_photos(labels)
    assert len(splits["validation"]) == validation
    assert sorted(splits["train"] + splits["validation"]) == list(range(len(labels)))
    for indices in splits.values():
        assert set(Counter(labels[i] for i in indices)) == set(range(len(per_class)))


def test_class_of_one_photo_is_an_error(tmp_path, flowers_source):
    for path in list((flowers_source / "flower_photos" / "rose").iterdir())[1:]:
        path.unlink()
    with pytest.raises(UserError, match="class rose has one photo"):
        converter.run(tmp_path / "flowers", flowers_source)


def test_six_hundred_real_photos(tmp_path, shared_data):
    converter.run(tmp_path, shared_data)
    assert flowers.get_split("train", tmp_path).num_samples == 543
    assert flowers.get_split("validation", tmp_path).num_samples == 57
    assert list(flowers.get_split("train", tmp_path).labels_to_names.values()) == [
        "daisy",
        "dandelion",
        "roses",
        "sunflowers",
        "tulips",
    ]
