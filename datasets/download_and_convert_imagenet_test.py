import json
import subprocess
import sys
import tarfile
import time

import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import download_and_convert_imagenet as converter
from datasets import imagenet
from datasets.conftest import (
    IMAGENET_PER_CLASS,
    IMAGENET_SYNSETS,
    IMAGENET_VALIDATION,
    write_tar,
)
from datasets.converting import conversion
from datasets.ilsvrc.classes import read_classes
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimbase.testing import ROOT, call, fails, photo_labels

SIZES = {
    "train": len(IMAGENET_SYNSETS) * IMAGENET_PER_CLASS,
    "validation": len(IMAGENET_VALIDATION),
}


@pytest.fixture
def few_shards(monkeypatch):
    """Over a thousand files take some seconds."""
    monkeypatch.setattr(converter, "NUM_SHARDS", {"train": 4, "validation": 2})


def read_all(split, directory, items):
    """What slim's own way of reading gives: a list per item."""
    dataset = imagenet.get_split(split, directory)
    with classic_graph():
        provider = slim.dataset_data_provider.DatasetDataProvider(
            dataset, shuffle=False, num_readers=1
        )
        tensors = provider.get(items)
        with tf.train.MonitoredSession() as session:
            rows = [session.run(tensors) for _ in range(dataset.num_samples)]
    return list(zip(*rows, strict=True))


@pytest.mark.slow
def test_published_number_of_files(tmp_path, imagenet_source):
    """All with their names, though here nearly all are empty; and read by pattern."""
    converter.run(tmp_path / "records", imagenet_source)
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == sorted(
        [
            *(f"train-{i:05d}-of-01024" for i in range(1024)),
            *(f"validation-{i:05d}-of-00128" for i in range(128)),
            *("labels.txt", "manifest.json"),
        ]
    )
    [labels] = read_all("validation", tmp_path / "records", ["label"])
    assert sorted(labels) == sorted(IMAGENET_VALIDATION.values())


def test_items(tmp_path, imagenet_source, few_shards):
    converter.run(tmp_path, imagenet_source)
    items = ["image", "label", "label_text", "object/bbox", "object/label"]
    images, labels, texts, boxes, box_labels = read_all("train", tmp_path, items)
    assert {image.shape for image in images} == {(20, 40, 3)}
    assert sorted(set(labels)) == sorted(IMAGENET_SYNSETS.values())
    words = read_classes().names
    assert [text.decode() for text in texts] == [words[label] for label in labels]
    assert [list(b) for b in box_labels] == [
        [label] * len(box) for label, box in zip(labels, boxes, strict=True)
    ]
    # Each second picture has a box; ymin, xmin, ymax, xmax.
    boxed = [box.tolist() for box in boxes if len(box)]
    assert boxed == [[[0.25, 0.25, 1.0, 0.75]]] * (SIZES["train"] // 2)


def test_what_get_split_knows(tmp_path, imagenet_source, few_shards):
    converter.run(tmp_path, imagenet_source)
    for split, size in SIZES.items():
        dataset = imagenet.get_split(split, tmp_path)
        assert dataset.num_samples == size
        assert dataset.num_classes == 1001
        assert dataset.labels_to_names[0] == "background"
        assert dataset.labels_to_names[1] == "tench, Tinca tinca"
        assert dataset.labels_to_names[1000].startswith("toilet tissue")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    counts = manifest["splits"]["train"]["per_class"]
    assert counts[1] == counts[2] == counts[152] == IMAGENET_PER_CLASS


def test_names_are_in_the_records(tmp_path, imagenet_source, few_shards, read_features):
    converter.run(tmp_path, imagenet_source)
    names = {
        record["image/filename"][0].decode()
        for path in tmp_path.glob("train-*")
        for record in read_features(path)
    }
    assert names == {
        f"{synset}_{i}.JPEG"
        for synset in IMAGENET_SYNSETS
        for i in range(IMAGENET_PER_CLASS)
    }


def unpack(source, into):
    with tarfile.open(source) as archive:
        archive.extractall(into, filter="data")
    source.unlink()


def unpacked(root):
    unpack(root / "ILSVRC2012_img_train.tar", root / "train")
    for path in sorted((root / "train").iterdir()):
        unpack(path, path.with_suffix(""))
    unpack(root / "ILSVRC2012_img_val.tar", root / "val")
    unpack(root / "ILSVRC2012_bbox_train_v2.tar.gz", root / "bounding_boxes")


def kaggle(root):
    unpacked(root)
    data, boxes = (root / "ILSVRC" / s / "CLS-LOC" for s in ("Data", "Annotations"))
    data.mkdir(parents=True)
    boxes.mkdir(parents=True)
    (root / "train").rename(data / "train")
    (root / "val").rename(data / "val")
    (root / "bounding_boxes").rename(boxes / "train")


def csv(root):
    command = [sys.executable, ROOT / "datasets" / "process_bounding_boxes.py"]
    unpack(root / "ILSVRC2012_bbox_train_v2.tar.gz", root / "boxes")
    with (root / "imagenet_2012_bounding_boxes.csv").open("w") as file:
        subprocess.run([*command, root / "boxes"], stdout=file, check=True, timeout=60)


@pytest.mark.parametrize("layout", [unpacked, kaggle, csv])
def test_layouts_give_the_same_records(layout, tmp_path, imagenet_source, few_shards):
    converter.run(tmp_path / "expected", imagenet_source)
    layout(imagenet_source)
    before = sorted(imagenet_source.rglob("*"))
    converter.run(tmp_path / "records", imagenet_source)
    names = sorted(path.name for path in (tmp_path / "expected").iterdir())
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == names
    for name in names:
        first, second = (tmp_path / at / name for at in ("expected", "records"))
        if name == "manifest.json":
            first, second = (json.loads(path.read_text()) for path in (first, second))
            del first["fingerprint"], second["fingerprint"]  # Of the sources.
            assert first == second
        else:
            assert first.read_bytes() == second.read_bytes()
    assert sorted(imagenet_source.rglob("*")) == before


def test_mirror(tmp_path, imagenet_source, few_shards, monkeypatch):
    converter.run(tmp_path / "records", mirror=imagenet_source.as_uri())
    assert imagenet.get_split("train", tmp_path / "records").num_samples == 12
    monkeypatch.setenv("SLIMZOO_MIRROR", str(imagenet_source))
    converter.run(tmp_path / "again", mirror=None)
    for path in (tmp_path / "records").glob("*-of-*"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_mirror_without_an_archive(tmp_path, imagenet_source):
    (imagenet_source / "ILSVRC2012_img_val.tar").unlink()
    with pytest.raises(UserError, match=r"ILSVRC2012_img_val\.tar"):
        converter.run(tmp_path / "records", mirror=imagenet_source.as_uri())


def test_one_split_alone(tmp_path, imagenet_source, few_shards, caplog):
    (imagenet_source / "ILSVRC2012_img_train.tar").unlink()
    converter.run(tmp_path / "records", imagenet_source)
    assert "has no train pictures; taking only the others" in caplog.text
    assert imagenet.get_split("validation", tmp_path / "records").num_samples == 3
    assert not list((tmp_path / "records").glob("train*"))


def test_without_a_source_the_account_is_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIMZOO_MIRROR", raising=False)
    told = fails(
        *("download_and_convert_data.py", "--dataset_name=imagenet"),
        f"--dataset_dir={tmp_path / 'records'}",
    )
    assert "ImageNet cannot be downloaded without an account" in told
    assert "https://image-net.org/download.php" in told
    assert "datasets/download_imagenet.sh DIRECTORY" in told
    assert not (tmp_path / "records").exists()


def test_source_without_imagenet(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        UserError, match=r"no pictures of ImageNet: .*photos holds noth"
    ):
        converter.run(tmp_path / "records", tmp_path / "photos")


def spoil(source):
    """Cuts one validation picture short."""
    path = source / "ILSVRC2012_img_val.tar"
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive}  # pyright: ignore
    files["ILSVRC2012_val_00000002.JPEG"] = files["ILSVRC2012_val_00000002.JPEG"][:-200]
    write_tar(path, files)


def test_bad_picture_is_left_out(tmp_path, imagenet_source, few_shards):
    spoil(imagenet_source)
    converter.run(tmp_path, imagenet_source)
    assert imagenet.get_split("validation", tmp_path).num_samples == 2
    listed = (tmp_path / "bad_files.txt").read_text()
    assert listed.startswith("ILSVRC2012_val_00000002.JPEG: is truncated")


def test_bad_picture_stops_if_strict(tmp_path, imagenet_source, few_shards):
    spoil(imagenet_source)
    with pytest.raises(UserError, match=r"ILSVRC2012_val_00000002\.JPEG is truncated"):
        converter.run(tmp_path / "records", imagenet_source, strict=True)


def test_bad_annotation_stops_if_strict(tmp_path, imagenet_source, few_shards):
    path = imagenet_source / "ILSVRC2012_bbox_train_v2.tar.gz"
    write_tar(path, {"n01440764/n01440764_0.xml": b"<annotation>"})
    converter.run(tmp_path / "records", imagenet_source)
    with pytest.raises(UserError, match="is not an annotation"):
        converter.run(tmp_path / "strict", imagenet_source, strict=True)


def test_count(imagenet_source, tmp_path):
    assert converter.count(imagenet_source, None) == SIZES
    (tmp_path / "synsets.txt").write_text("n01440764\nn01751748\n")
    assert converter.count(imagenet_source, tmp_path / "synsets.txt") == {
        "train": IMAGENET_PER_CLASS,
        "validation": 1,
    }


def test_real_photos(shared_data, tmp_path, few_shards):
    photos = shared_data / "imagenet_samples"
    source = tmp_path / "source"
    for path in photos.glob("*.JPEG"):
        folder = source / "train" / path.name[:9]
        folder.mkdir(parents=True)
        (folder / path.name).symlink_to(path)
    call(
        *("download_and_convert_data.py", "--dataset_name=imagenet"),
        *(f"--source_dir={source}", f"--dataset_dir={tmp_path / 'records'}"),
    )
    expected = {row["file"]: int(row["label"]) for row in photo_labels(photos)}
    labels, texts = read_all("train", tmp_path / "records", ["label", "label_text"])
    assert sorted(labels) == sorted(expected.values())
    words = read_classes().names
    assert [text.decode() for text in texts] == [words[label] for label in labels]
    assert not (tmp_path / "records" / "bad_files.txt").exists()


@pytest.mark.slow
def test_killed_again_and_again(tmp_path, imagenet_source, imagenet_files):
    """The next run goes on; in the end records are as those of one run."""
    pictures = list(imagenet_files["train"].values()) * 150
    write_tar(
        imagenet_source / "ILSVRC2012_img_train.tar",
        {f"n01440764/n01440764_{i}.JPEG": p for i, p in enumerate(pictures)},
    )
    command = (
        *(sys.executable, "download_and_convert_data.py", "--dataset_name=imagenet"),
        f"--source_dir={imagenet_source}",
    )
    expected, records = tmp_path / "expected", tmp_path / "records"
    subprocess.run([*command, f"--dataset_dir={expected}"], cwd=ROOT, check=True)

    def written():
        return len(list(records.glob(".incomplete/records/*.json")))

    for _ in range(4):
        process = subprocess.Popen([*command, f"--dataset_dir={records}"], cwd=ROOT)
        before, started = written(), time.monotonic()
        while written() < before + 100 and time.monotonic() < started + 60:
            assert process.poll() is None
        process.kill()
        process.wait()
        assert not (records / "manifest.json").exists()
    assert written() >= 400
    subprocess.run([*command, f"--dataset_dir={records}"], cwd=ROOT, check=True)
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in records.iterdir()) == names
    for name in names:
        assert (records / name).read_bytes() == (expected / name).read_bytes()


def test_done_is_done(tmp_path, imagenet_source, few_shards, monkeypatch):
    converter.run(tmp_path, imagenet_source)
    monkeypatch.setattr(conversion.shards, "write_shard", None)
    converter.run(tmp_path, imagenet_source)
