import gzip
import io
import struct

import numpy as np
import pytest
from PIL import Image

from datasets import download_and_convert_mnist, mnist
from datasets.conftest import MNIST_SIZES, write_idx
from slimbase.errors import UserError


def test_pictures_and_labels_are_kept(tmp_path, mnist_source, read_features):
    target = tmp_path / "mnist"
    before = {p.name: p.read_bytes() for p in mnist_source.iterdir()}
    download_and_convert_mnist.run(target, mnist_source)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        raw = gzip.decompress(before[f"{prefix}-images-idx3-ubyte.gz"])
        images = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
        records = read_features(target / f"mnist_{split}.tfrecord")
        assert len(records) == MNIST_SIZES[prefix]
        for index, record in enumerate(records):
            picture = Image.open(io.BytesIO(record["image/encoded"][0]))
            assert (picture.format, picture.mode) == ("PNG", "L")
            assert (np.asarray(picture) == images[index]).all()
            assert record["image/class/label"] == [index % 10]
            assert record["image/format"] == [b"png"]
            name = f"{prefix}-images-idx3-ubyte/{index:05d}"
            assert record["image/filename"] == [name.encode()]
            assert record["image/height"] == record["image/width"] == [28]
    assert {p.name: p.read_bytes() for p in mnist_source.iterdir()} == before


def test_six_is_called_six(tmp_path, mnist_source):
    target = tmp_path / "mnist"
    download_and_convert_mnist.run(str(target), str(mnist_source))
    names = mnist.get_split("test", str(target)).labels_to_names
    words = "zero one two three four five six seven eight nine"
    assert [names[digit] for digit in range(10)] == words.split()


def test_sizes_are_those_of_the_source(tmp_path, mnist_source):
    target = tmp_path / "mnist"
    download_and_convert_mnist.run(target, mnist_source)
    assert mnist.get_split("train", target).num_samples == 30
    assert mnist.get_split("test", target).num_samples == 20


def test_unpacked_files_do_as_well(tmp_path, mnist_source):
    for path in list(mnist_source.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    download_and_convert_mnist.run(tmp_path / "mnist", mnist_source)
    assert mnist.get_split("test", tmp_path / "mnist").num_samples == 20


def test_files_are_got_from_a_mirror(tmp_path, mnist_source):
    target = tmp_path / "mnist"
    download_and_convert_mnist.run(target, mirror=str(mnist_source))
    assert sorted(p.name for p in target.iterdir()) == [
        "labels.txt",
        "manifest.json",
        "mnist_test.tfrecord",
        "mnist_train.tfrecord",
    ]


TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"


def _idx(array):
    return lambda path: write_idx(path, np.asarray(array))


def _cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def _header_of_shorts(path):
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 11, 1, 20) + bytes(20)))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        (
            TEST_IMAGES,
            lambda path: path.unlink(),
            "there is no .*{}.* holds t10k-labels",
        ),
        (TEST_IMAGES, _cut_short, "{} is not an idx file"),
        (TEST_IMAGES, lambda path: path.write_bytes(b""), "{} is not an idx file"),
        (TEST_IMAGES, lambda path: path.write_text("no"), "{} is not an idx file"),
        (TEST_IMAGES, _idx(np.zeros((20, 32, 32))), r"{} has the shape \(20, 32, 32\)"),
        (TEST_LABELS, _idx(np.zeros(19)), r"{} \(19,\); expected"),
        (TEST_LABELS, _idx([10] * 20), "{} has the label 10; expected 0 to 9"),
        (TEST_LABELS, _header_of_shorts, "{} is not an idx file"),
    ],
)
def test_bad_source_is_named_and_leaves_nothing(
    tmp_path, mnist_source, name, spoil, message
):
    spoil(mnist_source / name)
    with pytest.raises(UserError, match=message.format(name)):
        download_and_convert_mnist.run(tmp_path / "mnist", mnist_source)
    assert not (tmp_path / "mnist").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["source_dir", "mirror"])
def test_the_published_set(tmp_path, shared_data, read_features, option):
    download_and_convert_mnist.run(tmp_path, **{option: str(shared_data / "mnist")})
    assert mnist.get_split("train", tmp_path).num_samples == 60000
    (tmp_path / "manifest.json").unlink()  # Now they are counted.
    assert mnist.get_split("train", tmp_path).num_samples == 60000
    assert mnist.get_split("test", tmp_path).num_samples == 10000
    records = read_features(tmp_path / "mnist_test.tfrecord")
    labels = [record["image/class/label"][0] for record in records]
    assert labels[:10] == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
