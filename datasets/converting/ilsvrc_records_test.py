import io
import os
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets.conftest import (
    IMAGENET_PER_CLASS,
    IMAGENET_SYNSETS,
    IMAGENET_VALIDATION,
    imagenet_annotation,
    write_tar,
)
from datasets.converting import ilsvrc_records
from datasets.ilsvrc.classes import Classes, read_classes
from slimbase.errors import UserError
from slimbase.pictures.decode import PictureError

FISH = "n01440764"
NO_BOXES = np.empty((0, 4), np.float32)


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def features(example) -> dict[str, list]:
    return {
        key: list(getattr(value, value.WhichOneof("kind")).value)
        for key, value in example.features.feature.items()
    }


def picture(kind="JPEG", mode="RGB", size=(40, 20), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).resize(size).convert(mode).save(content, kind, quality=95)
    return content.getvalue()


def test_features_of_a_record():
    classes = read_classes()
    boxes = np.array([[0.25, 0.5, 0.75, 1], [0, 0, 0.5, 0.5]], np.float32)
    content = picture()
    assert features(ilsvrc_records.example(content, 1, classes, boxes)) == {
        "image/height": [20],
        "image/width": [40],
        "image/colorspace": [b"RGB"],
        "image/channels": [3],
        "image/class/label": [1],
        "image/class/synset": [FISH.encode()],
        "image/class/text": [b"tench, Tinca tinca"],
        "image/object/bbox/xmin": [0.25, 0],
        "image/object/bbox/ymin": [0.5, 0],
        "image/object/bbox/xmax": [0.75, 0.5],
        "image/object/bbox/ymax": [1, 0.5],
        "image/object/bbox/label": [1, 1],
        "image/object/class/label": [1, 1],
        "image/format": [b"JPEG"],
        "image/encoded": [content],
    }


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("GIF", "P")]
)
def test_what_is_no_plain_jpeg_is_made_one(kind, mode):
    content = picture(kind, mode)
    example = ilsvrc_records.example(content, 1, read_classes(), NO_BOXES)
    [encoded] = features(example)["image/encoded"]
    with Image.open(io.BytesIO(encoded)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (40, 20))
        expected = np.asarray(Image.open(io.BytesIO(picture())), np.float32)
        tolerance = 30 if kind == "GIF" else 12  # A GIF has few colors.
        assert np.abs(np.asarray(image, np.float32) - expected).mean() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_the_picture(orientation):
    """A white object on black is where its box says."""
    pixels = np.zeros((40, 80), np.uint8)
    pixels[8:24, 48:72] = 255
    image, content, exif = Image.fromarray(pixels), io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(content, "JPEG", exif=exif, quality=95)
    box = np.array([[0.6, 0.2, 0.9, 0.6]], np.float32)
    record = features(
        ilsvrc_records.example(content.getvalue(), 1, read_classes(), box)
    )
    [encoded] = record["image/encoded"]
    decoded = np.asarray(Image.open(io.BytesIO(encoded)).convert("L"))
    height, width = decoded.shape
    assert (record["image/height"], record["image/width"]) == ([height], [width])
    rows, columns = np.nonzero(decoded > 128)
    found = {
        "xmin": columns.min() / width,
        "ymin": rows.min() / height,
        "xmax": (columns.max() + 1) / width,
        "ymax": (rows.max() + 1) / height,
    }
    for side, value in found.items():
        assert record[f"image/object/bbox/{side}"] == pytest.approx([value])


def test_gray_is_kept():
    content = picture(mode="L")
    example = ilsvrc_records.example(content, 1, read_classes(), NO_BOXES)
    assert features(example)["image/encoded"] == [content]


def test_damaged_picture_is_refused():
    with pytest.raises(PictureError):
        ilsvrc_records.example(picture()[:200], 1, read_classes(), NO_BOXES)


def read(root, boxes=(), classes=None, **splits) -> dict[str, list[dict[str, Any]]]:
    content = ilsvrc_records.read_content(
        classes or read_classes(), {s: root / p for s, p in splits.items()}, boxes
    )
    return {
        split: [
            features(pictures.encode(index)) | {"name": name, "label": label}
            for index, (name, label) in enumerate(
                zip(pictures.names, pictures.labels.tolist(), strict=True)
            )
        ]
        for split, pictures in content.splits.items()
    }


def test_archives(imagenet_source, imagenet_files):
    content = read(
        imagenet_source,
        [imagenet_source / "ILSVRC2012_bbox_train_v2.tar.gz"],
        train="ILSVRC2012_img_train.tar",
        validation="ILSVRC2012_img_val.tar",
    )
    train = content["train"]
    assert len(train) == len(IMAGENET_SYNSETS) * IMAGENET_PER_CLASS
    for record in train:
        synset = record["name"][:9]
        path = f"{synset}/{record['name']}"
        assert record["label"] == IMAGENET_SYNSETS[synset]
        assert record["image/class/label"] == [record["label"]]
        assert record["image/class/synset"] == [synset.encode()]
        assert record["image/encoded"] == [imagenet_files["train"][path]]
        has_box = path.replace("JPEG", "xml") in imagenet_files["boxes"]
        labels = [record["label"]] if has_box else []
        assert record["image/object/class/label"] == labels
        assert record["image/object/bbox/xmin"] == [0.25] * has_box
        assert record["image/object/bbox/ymax"] == [1.0] * has_box
    assert sorted(
        (record["name"], record["label"]) for record in content["validation"]
    ) == [
        (f"ILSVRC2012_val_{number:08d}.JPEG", label)
        for number, label in enumerate(IMAGENET_VALIDATION.values(), 1)
    ]


def test_order_is_random_and_the_same_from_anywhere(
    tmp_path, imagenet_source, imagenet_files
):
    write(tmp_path / "train", imagenet_files["train"])
    expected = [name.rpartition("/")[2] for name in sorted(imagenet_files["train"])]
    random.Random(12345).shuffle(expected)
    for root, place in [
        (tmp_path, "train"),
        (imagenet_source, "ILSVRC2012_img_train.tar"),
    ]:
        content = read(root, train=place)
        assert [record["name"] for record in content["train"]] == expected


def test_validation_in_folders(tmp_path, imagenet_files):
    """What preprocess_imagenet_validation_data made; the folder decides."""
    contents = imagenet_files["validation"].items()
    names = {f"n02085620/{name}": content for name, content in contents}
    content = read(write(tmp_path, names), validation="")
    assert [record["label"] for record in content["validation"]] == [152] * 3


def test_pictures_of_all_classes_in_one_folder(tmp_path):
    files = {f"{s}_1.JPEG": picture() for s in IMAGENET_SYNSETS}
    content = read(write(tmp_path, files), train="")
    assert {record["name"][:9]: record["label"] for record in content["train"]} == (
        IMAGENET_SYNSETS
    )


def test_boxes_of_validation_pictures(tmp_path, imagenet_files):
    [synset, *_] = IMAGENET_VALIDATION
    others = [(FISH, 0, 0, 20, 20), (synset, 10, 5, 30, 20)]
    write(tmp_path / "validation", imagenet_files["validation"])
    write(
        tmp_path / "boxes",
        {"val/ILSVRC2012_val_00000001.xml": imagenet_annotation(others)},
    )
    write(tmp_path / "train", imagenet_files["train"])
    content = read(
        tmp_path, [tmp_path / "boxes"], train="train", validation="validation"
    )
    boxed = {
        record["name"]: record["image/object/bbox/xmin"]
        for record in content["validation"] + content["train"]
        if record["image/object/bbox/xmin"]
    }
    assert boxed == {"ILSVRC2012_val_00000001.JPEG": [0.25]}


def test_classes_of_ones_own(tmp_path, imagenet_files, caplog):
    write(tmp_path, imagenet_files["train"])
    classes = Classes(["n02085620", FISH], ["dog", "fish"])
    content = read(tmp_path, classes=classes, train="")["train"]
    assert {(r["name"][:9], r["label"]) for r in content} == {
        ("n02085620", 1),
        (FISH, 2),
    }
    assert {r["image/class/text"][0] for r in content} == {b"dog", b"fish"}
    assert "1 folders are of other classes and left out: n01443537" in caplog.text


def test_what_is_missing_is_told(tmp_path, imagenet_files, caplog):
    write(tmp_path, imagenet_files["train"])
    read(tmp_path, train="")
    assert "The split train has 12 pictures of the published 1,281,167" in caplog.text
    assert "no picture of 997 of the 1000 classes: n01484850, " in caplog.text
    assert "and 992 more" in caplog.text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dogs/rex.JPEG"], r"has dogs/rex.JPEG: expected folders of synsets"),
        ([f"{FISH}/1.JPEG", "rex.JPEG"], r"has rex.JPEG: expected folders of synsets"),
        (["ILSVRC2012_val_00050001.JPEG"], "has ILSVRC2012_val_00050001.JPEG"),
        (["ILSVRC2012_val_00000000.JPEG"], "has ILSVRC2012_val_00000000.JPEG"),
        (["n99999999/1.JPEG"], "has no picture of the 1000 classes"),
    ],
)
def test_mistakes(names, message, tmp_path):
    write(tmp_path, {name: picture() for name in names})
    with pytest.raises(UserError, match=message):
        read(tmp_path, train="")


def test_stamp_tells_other_sources(tmp_path, imagenet_source):
    def stamp(boxes):
        splits = {"train": imagenet_source / "ILSVRC2012_img_train.tar"}
        return ilsvrc_records.read_content(read_classes(), splits, boxes).stamp

    boxes = imagenet_source / "ILSVRC2012_bbox_train_v2.tar.gz"
    assert stamp([boxes]) == stamp([boxes])
    assert stamp([boxes]) != stamp([])


@pytest.mark.parametrize("change", ["picture", "folder", "archive"])
def test_stamp_tells_other_pictures(tmp_path, change):
    root = write(tmp_path / "train", {f"{FISH}/1.JPEG": picture()})
    path = root / FISH / "1.JPEG"
    if change == "archive":
        root = path = tmp_path / "train.tar"
        write_tar(path, {f"{FISH}/1.JPEG": picture()})
    elif change == "folder":
        path = path.parent

    def stamp():
        return ilsvrc_records.read_content(read_classes(), {"train": root}, []).stamp

    before = stamp()
    assert stamp() == before
    os.utime(path, (1, 1))
    assert stamp() != before
