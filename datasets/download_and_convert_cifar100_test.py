import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from datasets import cifar100, download_and_convert_cifar100
from slimbase.errors import UserError

FOLDER = "cifar-100-python"


def test_pictures_fine_labels_and_names_are_kept(
    tmp_path, cifar100_source, read_features
):
    target = tmp_path / "cifar100"
    download_and_convert_cifar100.run(target, cifar100_source)
    records = read_features(target / "cifar100_train.tfrecord")
    assert [r["image/class/label"] for r in records] == [[i] for i in range(100)]
    assert records[42]["image/filename"] == [b"thing_s_000042.png"]
    content = (cifar100_source / FOLDER / "train").read_bytes()
    planes = pickle.loads(content, encoding="bytes")[b"data"][42].reshape(3, 32, 32)
    with Image.open(io.BytesIO(records[42]["image/encoded"][0])) as picture:
        np.testing.assert_array_equal(picture, planes.transpose(1, 2, 0))


def test_sizes_and_names(tmp_path, cifar100_source):
    target = tmp_path / "cifar100"
    with tarfile.open(cifar100_source / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(cifar100_source / FOLDER, FOLDER)
    (cifar100_source / FOLDER).rename(tmp_path / "elsewhere")
    download_and_convert_cifar100.run(target, mirror=str(cifar100_source))
    assert cifar100.get_split("train", target).num_samples == 100
    dataset = cifar100.get_split("test", target)
    assert (dataset.num_samples, dataset.num_classes) == (10, 100)
    assert dataset.labels_to_names[99] == "worm"


def test_coarse_labels_alone_are_an_error(tmp_path, cifar100_source):
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"coarse_labels": [0, 1]}
    (cifar100_source / FOLDER / "test").write_bytes(pickle.dumps(batch))
    with pytest.raises(UserError, match=r"test is not a batch of CIFAR.*fine_labels"):
        download_and_convert_cifar100.run(tmp_path / "cifar100", cifar100_source)
    assert not (tmp_path / "cifar100").exists()
