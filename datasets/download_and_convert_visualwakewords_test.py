import contextlib
import hashlib
import io
import json
import os
import random
import zipfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import ExifTags, Image

from datasets import dataset_utils, visualwakewords
from datasets import download_and_convert_visualwakewords as converter
from datasets import download_and_convert_visualwakewords_lib as lib
from datasets.conftest import picture
from datasets.testing import mutated
from slimbase.errors import UserError

ARCHIVES = {
    "train2014.zip": ("train2014",),
    "val2014.zip": ("val2014",),
    "annotations_trainval2014.zip": ("annotations",),
}


def _pack(source, target):
    """Writes the three archives that COCO publishes."""
    target.mkdir(parents=True)
    for name, folders in ARCHIVES.items():
        with zipfile.ZipFile(target / name, "w") as archive:
            for folder in folders:
                for path in sorted((source / folder).iterdir()):
                    archive.write(path, path.relative_to(source))
    return target


def _records(target, split, read_features):
    records = [
        r for p in sorted(target.glob(f"{split}.record-*")) for r in read_features(p)
    ]
    return {r["image/filename"][0].decode(): r for r in records}


@pytest.mark.parametrize("form", ["folders", "archives", "mirror", "there", "urls"])
def test_records(tmp_path, coco_source, read_features, form):
    target = tmp_path / "vww"
    if form == "folders":
        converter.run(target, source_dir=coco_source, strict=True)
    elif form == "archives":
        packed = _pack(coco_source, tmp_path / "packed")
        converter.run(target, source_dir=packed, strict=True)
        assert sorted(p.name for p in packed.iterdir()) == sorted(ARCHIVES)
    elif form == "mirror":
        packed = _pack(coco_source, tmp_path / "packed")
        converter.run(target, mirror=str(packed), strict=True)
    elif form == "urls":
        packed = _pack(coco_source, tmp_path / "packed")
        urls = [(packed / name).as_uri() for name in ARCHIVES]
        keys = ("coco_train_url", "coco_validation_url", "coco_annotations_url")
        converter.run(target, **dict(zip(keys, urls, strict=True)), strict=True)
        kept = (target / "coco_dataset").iterdir()
        assert sorted(p.name for p in kept) == sorted(ARCHIVES)
    else:  # As the original left them.
        coco_source.rename(target.mkdir() or target / "coco_dataset")
        coco_source = target / "coco_dataset"
        converter.run(target, strict=True)
    for split, shards, count in (("train", 100, 3), ("val", 10, 2)):
        assert len(list(target.glob(f"{split}.record-*-of-{shards:05d}"))) == shards
        records = _records(target, split, read_features)
        names = [f"COCO_{split}2014_{n:012d}.jpg" for n in range(1, count + 1)]
        assert list(records) == names
        assert [r["image/class/label"] for r in records.values()] == [[1], [0], [0]][
            :count
        ]
        record = records[names[0]]
        content = (coco_source / f"{split}2014" / names[0]).read_bytes()
        assert record["image/encoded"] == [content]
        digest = hashlib.sha256(content).hexdigest().encode()
        assert record["image/key/sha256"] == [digest]
        assert record["image/source_id"] == [b"1"]
        assert record["image/format"] == [b"jpeg"]
        assert (record["image/width"], record["image/height"]) == ([30], [20])
        assert record["image/object/area"] == [150.0]
        box = {"xmin": 3 / 30, "xmax": 18 / 30, "ymin": 5 / 20, "ymax": 15 / 20}
        for side, value in box.items():
            key = f"image/object/bbox/{side}"
            np.testing.assert_allclose(record[key], [value], rtol=1e-6)
            assert records[names[1]][key] == []
        assert visualwakewords.get_split(split, target).num_samples == count
    names = visualwakewords.get_split("val", target).labels_to_names
    assert names == {0: "background", 1: "person"}


@pytest.mark.parametrize(
    ("threshold", "interest", "labels", "areas"),
    [
        (0.005, "person", [1, 0, 0], [150.0]),
        (0.0049, "person", [1, 1, 0], [150.0, 3.0]),
        (0.25, "person", [0, 0, 0], []),  # The share must be exceeded.
        (0.0, "dog", [1, 0, 0], [60.5]),
    ],
)
def test_what_counts(
    tmp_path, coco_source, read_features, threshold, interest, labels, areas
):
    target = tmp_path / "vww"
    converter.run(target, threshold, interest, coco_source)
    records = _records(target, "train", read_features)
    assert [r["image/class/label"][0] for r in records.values()] == labels
    assert records["COCO_train2014_000000000001.jpg"]["image/object/area"] == areas
    assert dataset_utils.read_label_file(target) == {0: "background", 1: interest}
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["settings"] == {
        "small_object_area_threshold": threshold,
        "foreground_class_of_interest": interest,
    }


def test_annotations_are_put_beside(tmp_path, coco_source):
    converter.run(tmp_path / "vww", source_dir=coco_source)
    for split, count in (("train", 3), ("val", 2)):
        path = tmp_path / "vww" / f"instances_visualwakewords_{split}2014.json"
        annotations = json.loads(path.read_text())
        assert [image["id"] for image in annotations["images"]] == [1, 2, 3][:count]
        assert annotations["annotations"]["1"] == {
            "objects": [{"area": 150.0, "bbox": [3, 5, 15, 10]}],
            "label": 1,
        }
        assert annotations["annotations"]["2"] == {"objects": [], "label": 0}
        assert annotations["categories"] == [{"id": 1, "name": "person"}]


def test_another_class_into_the_same_directory_is_refused(tmp_path, coco_source):
    converter.run(tmp_path / "vww", source_dir=coco_source)
    with pytest.raises(
        UserError, match=r"foreground_class_of_interest person, not dog"
    ):
        converter.run(tmp_path / "vww", 0.005, "dog", coco_source)


def test_bad_photos_are_listed(tmp_path, coco_source):
    folder = coco_source / "train2014"
    (folder / "COCO_train2014_000000000002.jpg").write_bytes(picture(size=(20, 30)))
    (folder / "COCO_train2014_000000000003.jpg").unlink()
    packed = _pack(coco_source, tmp_path / "packed")
    with zipfile.ZipFile(packed / "val2014.zip") as archive:
        start = archive.getinfo("val2014/COCO_val2014_000000000001.jpg").header_offset
    content = bytearray((packed / "val2014.zip").read_bytes())
    content[start + 200] ^= 1  # Its checksum is another one now.
    (packed / "val2014.zip").write_bytes(content)
    target = tmp_path / "vww"
    converter.run(target, source_dir=packed)
    bad = (target / "bad_files.txt").read_text().splitlines()
    assert bad[0] == (
        "COCO_train2014_000000000002.jpg: is 20 x 30, but its boxes are for 30 x 20"
    )
    assert bad[1].startswith("COCO_train2014_000000000003.jpg: is not in ")
    assert bad[2].startswith("COCO_val2014_000000000001.jpg: cannot be unpacked")
    assert visualwakewords.get_split("val", target).num_samples == 1
    with pytest.raises(UserError, match=r"000002\.jpg is 20 x 30"):
        converter.run(tmp_path / "strict", source_dir=packed, strict=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_turned_with_the_photo(
    tmp_path, coco_source, read_features, orientation
):
    """A white box on black is where the record says, as EXIF wants it seen."""
    name = "COCO_train2014_000000000001.jpg"
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[5:15, 3:18] = 255
    photo = Image.fromarray(pixels)
    exif = photo.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    photo.save(coco_source / "train2014" / name, quality=100, exif=exif)
    converter.run(tmp_path / "vww", source_dir=coco_source, strict=True)
    record = _records(tmp_path / "vww", "train", read_features)[name]
    shown = np.asarray(Image.open(io.BytesIO(record["image/encoded"][0])).convert("L"))
    height, width = shown.shape
    assert (record["image/height"], record["image/width"]) == ([height], [width])
    rows, columns = np.nonzero(shown > 128)
    expected = {
        "xmin": columns.min() / width,
        "xmax": (columns.max() + 1) / width,
        "ymin": rows.min() / height,
        "ymax": (rows.max() + 1) / height,
    }
    for side, value in expected.items():
        np.testing.assert_allclose(record[f"image/object/bbox/{side}"], [value], 1e-5)


@pytest.mark.parametrize("form", ["folders", "archives"])
def test_stamp_tells_other_photos_and_annotations(
    tmp_path, coco_source, monkeypatch, form
):
    stamps = []
    monkeypatch.setattr(
        converter.conversion,
        "convert",
        lambda dataset, target, read, *_, **__: stamps.append(read(target).stamp),
    )
    source = coco_source
    if form == "archives":
        source = _pack(coco_source, tmp_path / "packed")
    converter.run(tmp_path / "vww", source_dir=source)
    converter.run(tmp_path / "vww", source_dir=source)
    assert stamps[0] == stamps[1]
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for number, path in enumerate(files, 1):
        os.utime(path, (number, number))
        converter.run(tmp_path / "vww", source_dir=source)
    assert len(set(stamps)) == 1 + len(files)


def _edit(**changes):
    def edit(content):
        for key, value in changes.items():
            name, _, field = key.partition("_")
            if field:
                content[name][0][field] = value
            elif value is None:
                del content[name]
            else:
                content[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_edit(images=None), "train2014.json has no list of images"),
        (_edit(images={}), "has no list of images"),
        (_edit(images=[1]), r"images\[0\] is not an object"),
        (_edit(images_height=0), r"images\[0\] has the height 0; expected a number"),
        (_edit(images_width=True), r"has the width true; expected a number"),
        (_edit(images_id=1.5), "has the id 1.5; expected a whole number"),
        (_edit(images_id=10**30), "has the id 1000"),
        (_edit(images_file_name=""), 'has the file_name ""; expected a text'),
        (_edit(images_file_name="../../x.jpg"), "'../../x.jpg' would not be in"),
        (_edit(images_file_name="\ud800.jpg"), r"'\\ud800.jpg' would not be in"),
        (_edit(annotations_area=float("nan")), "has the area NaN; expected an area"),
        (_edit(annotations_area="1"), 'has the area "1"'),
        (_edit(annotations_bbox=[1, 2, 3]), r"expected \[x, y, width, height\]"),
        (_edit(annotations_bbox=[1, 2, 3, None]), "has the bbox"),
        (_edit(categories_name=None), "has the name null"),
    ],
)
def test_annotations_that_are_none_are_named(tmp_path, coco_source, edit, message):
    path = coco_source / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        converter.run(tmp_path / "vww", source_dir=coco_source)
    assert not (tmp_path / "vww").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"foreground_class_of_interest": "persons"},
            r"no category 'persons'\. Did you mean person\? Known: dog, person",
        ),
        ({"small_object_area_threshold": 1.5}, "at least 0 and less than 1"),
        ({"small_object_area_threshold": float("nan")}, "at least 0 and less than 1"),
        ({"source_dir": "nowhere"}, "there is no .*annotations_trainval2014.zip"),
    ],
)
def test_wrong_options_are_named(tmp_path, coco_source, options, message):
    with pytest.raises(UserError, match=message):
        converter.run(tmp_path / "vww", **({"source_dir": coco_source} | options))
    assert not (tmp_path / "vww").exists()


@pytest.mark.parametrize("name", ARCHIVES)
def test_archive_that_is_none_is_named(tmp_path, coco_source, name):
    packed = _pack(coco_source, tmp_path / "packed")
    (packed / name).write_bytes(b"PK no zip")
    with pytest.raises(UserError, match=f"{name} is not a zip archive"):
        converter.run(tmp_path / "vww", source_dir=packed)
    with zipfile.ZipFile(packed / name, "w"):
        pass
    with pytest.raises(UserError, match=r"cannot read annotations/|can be used: COCO_"):
        converter.run(tmp_path / "vww", source_dir=packed)


def test_fuzzed_annotations_are_read_or_named(coco_source):
    path = coco_source / "annotations" / "instances_train2014.json"
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(400):
        with contextlib.suppress(UserError):
            file = io.BytesIO(mutated(content, rng))
            annotations = lib.wakewords(file, "it", 0.005, "person")
            lib.labelled_photos(json.loads(json.dumps(annotations)), "it")


def test_fuzzed_archives_are_read_or_named(tmp_path, coco_source, monkeypatch):
    monkeypatch.setattr(converter, "_NUM_SHARDS", {"train": 1, "val": 1})
    packed = _pack(coco_source, tmp_path / "packed")
    rng = random.Random(0)
    for number, name in enumerate([*ARCHIVES] * 20):
        content = (packed / name).read_bytes()
        kept = rng.choice([0, len(content) - 300])  # The directory is at the end.
        (packed / name).write_bytes(content[:kept] + mutated(content[kept:], rng))
        with contextlib.suppress(UserError):
            converter.run(tmp_path / str(number), source_dir=packed)
        (packed / name).write_bytes(content)


def test_functions_of_the_original(tmp_path, coco_source, read_features):
    lib.create_labels_file("person", tmp_path / "labels.txt")
    assert (tmp_path / "labels.txt").read_text() == "0:background\n1:person\n"
    lib.create_visual_wakeword_annotations(
        str(coco_source / "annotations" / "instances_train2014.json"),
        str(tmp_path / "wakewords.json"),
        0.005,
        "person",
    )
    (coco_source / "train2014" / "COCO_train2014_000000000003.jpg").unlink()
    lib.create_tf_record_for_visualwakewords_dataset(
        str(tmp_path / "wakewords.json"),
        str(coco_source / "train2014"),
        str(tmp_path / "train.record"),
        2,
    )
    assert len(list(tmp_path.glob("train.record-0000?-of-00002"))) == 2
    theirs = _records(tmp_path, "train", read_features)
    converter.run(tmp_path / "vww", source_dir=coco_source)
    assert theirs == _records(tmp_path / "vww", "train", read_features)
    assert len(theirs) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": []}, "has no annotations by photo"),
        ({"annotations": {}}, "has no list of images"),
        (
            {"annotations": {"1": {"label": 2, "objects": []}}},
            "label 2; expected 0 or 1",
        ),
        ({"annotations": {"1": {"label": 1}}}, "objects null; expected a list"),
        ({"annotations": {}}, "photo 1 is not an object"),
    ],
)
def test_wakewords_that_are_none_are_named(tmp_path, content, message):
    if "list of images" not in message:
        image = {"id": 1, "file_name": "1.jpg", "height": 20, "width": 30}
        content = {"images": [image]} | content
    path = tmp_path / "wakewords.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        lib.create_tf_record_for_visualwakewords_dataset(path, tmp_path, "out", 1)


def test_coco_is_downloaded_and_unpacked(tmp_path, coco_source):
    packed = _pack(coco_source, tmp_path / "packed")
    urls = [(packed / name).as_uri() for name in ARCHIVES]
    lib.download_coco_dataset(tmp_path / "coco", *urls)
    for folders in ARCHIVES.values():
        for folder in folders:
            ours = sorted(p.name for p in (tmp_path / "coco" / folder).iterdir())
            assert ours == sorted(p.name for p in (coco_source / folder).iterdir())


def test_an_empty_record_has_the_defaults(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "val.record-00000-of-00010")) as writer:
        writer.write(b"")
    dataset = visualwakewords.get_split("val", tmp_path)
    with tf.Graph().as_default(), tf.Session() as session:
        values = session.run(dataset.decoder.decode(b"", ["label", "object/bbox"]))
    assert values[0] == -1
    assert values[1].shape == (0, 4)


def test_photos_of_2017(tmp_path, coco_source, read_features, caplog):
    for path in sorted(coco_source.rglob("*2014*"), reverse=True):
        path.rename(path.with_name(path.name.replace("2014", "2017")))
    for path in (coco_source / "annotations").iterdir():
        path.write_text(path.read_text().replace("2014", "2017"))
    target = tmp_path / "vww"
    converter.run(target, source_dir=coco_source)
    records = _records(target, "train", read_features)
    assert list(records) == [f"COCO_train2017_{n:012d}.jpg" for n in range(1, 4)]
    assert (target / "instances_visualwakewords_val2017.json").exists()
    assert "has COCO of 2017: its splits are others" in caplog.text
