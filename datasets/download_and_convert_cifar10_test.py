import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from datasets import cifar10, download_and_convert_cifar10
from slimbase.errors import UserError

FOLDER = "cifar-10-batches-py"


def _pack(source):
    """Turns the unpacked folder of `source` into the archive."""
    with tarfile.open(source / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(source / FOLDER, FOLDER)
    for path in (source / FOLDER).iterdir():
        path.unlink()
    (source / FOLDER).rmdir()


def test_pictures_and_labels_are_kept(tmp_path, cifar_source, read_features):
    target = tmp_path / "cifar10"
    download_and_convert_cifar10.run(target, cifar_source)
    records = read_features(target / "cifar10_train.tfrecord")
    assert [record["image/class/label"] for record in records] == [
        [index % 10] for index in range(50)
    ]
    content = (cifar_source / FOLDER / "data_batch_3").read_bytes()
    planes = pickle.loads(content, encoding="bytes")[b"data"][4].reshape(3, 32, 32)
    record = records[24]
    assert record["image/filename"] == [b"data_batch_3/00004"]
    picture = Image.open(io.BytesIO(record["image/encoded"][0]))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    assert (np.asarray(picture) == planes.transpose(1, 2, 0)).all()
    assert record["image/format"] == [b"png"]
    assert record["image/height"] == record["image/width"] == [32]


def test_sizes_and_names_are_those_of_the_source(tmp_path, cifar_source):
    target = tmp_path / "cifar10"
    download_and_convert_cifar10.run(target, cifar_source)
    assert cifar10.get_split("train", target).num_samples == 50
    dataset = cifar10.get_split("test", target)
    assert dataset.num_samples == 10
    assert dataset.labels_to_names[0] == "airplane"
    assert dataset.labels_to_names[9] == "truck"


@pytest.mark.parametrize("form", ["folder", "folder itself", "archive", "mirror"])
def test_sources(tmp_path, cifar_source, form):
    source = cifar_source
    if form == "folder itself":
        source = cifar_source / FOLDER
    elif form in ("archive", "mirror"):
        _pack(cifar_source)
    if form == "mirror":
        source = None
    before = sorted(cifar_source.rglob("*"))
    target = tmp_path / "cifar10"
    download_and_convert_cifar10.run(target, source, mirror=str(cifar_source))
    assert sorted(p.name for p in target.iterdir()) == [
        "cifar10_test.tfrecord",
        "cifar10_train.tfrecord",
        "labels.txt",
        "manifest.json",
    ]
    assert sorted(cifar_source.rglob("*")) == before


def _write_batch(**changes):
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    batch |= {key.encode(): value for key, value in changes.items()}
    return lambda path: path.write_bytes(pickle.dumps(batch))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "there is no {} in .* has .*data_batch_1"),
        (lambda path: path.write_bytes(b""), "{} is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "{} is damaged"),
        (_write_batch(labels=[0, 10]), "{} is not a batch.*numbers from 0 to 9"),
        (_write_batch(labels=[0, -1]), "{} is not a batch.*numbers from 0 to 9"),
        (_write_batch(labels=[0, [1]]), "{} is not a batch.*numbers from 0 to 9"),
        (_write_batch(data=[[0] * 3072] * 2), "{} is not a batch.*not an array"),
        (_write_batch(labels=[0]), "{} is not a batch"),
        (_write_batch(labels=None), "{} is not a batch"),
        (lambda path: path.write_bytes(pickle.dumps([1])), "{} is damaged"),
        (lambda path: path.write_bytes(pickle.dumps({})), "{} is not a batch"),
    ],
)
def test_bad_source_is_named_and_leaves_nothing(tmp_path, cifar_source, spoil, message):
    spoil(cifar_source / FOLDER / "data_batch_2")
    with pytest.raises(UserError, match=message.format("data_batch_2")):
        download_and_convert_cifar10.run(tmp_path / "cifar10", cifar_source)
    assert not (tmp_path / "cifar10").exists()


def test_missing_source_is_named(tmp_path):
    (tmp_path / "something.else").touch()
    with pytest.raises(
        UserError, match=r"there is no .*cifar-10-python\.tar\.gz.*something\.else"
    ):
        download_and_convert_cifar10.run(tmp_path / "cifar10", tmp_path)


def test_archive_of_something_else_is_named(tmp_path, cifar_source):
    (cifar_source / FOLDER).rename(cifar_source / "other")
    archive = cifar_source / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cifar_source / "other", "other")
    with pytest.raises(UserError, match=rf"{archive} has no {FOLDER}/"):
        download_and_convert_cifar10.run(tmp_path / "cifar10", cifar_source)
    assert not list((tmp_path / "cifar10").glob("*.tfrecord"))


@pytest.mark.parametrize("option", ["source_dir", "mirror"])
def test_an_archive_as_published(tmp_path, shared_data, read_features, option):
    download_and_convert_cifar10.run(tmp_path, **{option: str(shared_data)})
    assert cifar10.get_split("train", tmp_path).num_samples == 5000
    assert cifar10.get_split("test", tmp_path).num_samples == 1000
    records = read_features(tmp_path / "cifar10_train.tfrecord")
    assert records[0]["image/filename"] == [b"0221.jpg"]  # As the batch has it.
