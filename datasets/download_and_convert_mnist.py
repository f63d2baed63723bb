"""Converts MNIST to TFRecords of PNG pictures, 28 x 28 x 1."""

import os

from datasets.converting import idx
from datasets.dataset_factory import datasets_map

_DATA_URL = "http://yann.lecun.com/exdb/mnist/"
_COPY_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
# Another copy, and the authors' host, which is often out of order.
_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", _DATA_URL)
_TRAIN_DATA_FILENAME = "train-images-idx3-ubyte.gz"
_TRAIN_LABELS_FILENAME = "train-labels-idx1-ubyte.gz"
_TEST_DATA_FILENAME = "t10k-images-idx3-ubyte.gz"
_TEST_LABELS_FILENAME = "t10k-labels-idx1-ubyte.gz"
_MD5 = {
    _TRAIN_DATA_FILENAME: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    _TRAIN_LABELS_FILENAME: "d53e105ee54ea40749a09fcbcd1e9432",
    _TEST_DATA_FILENAME: "9fb629c4189551a2d022fa330f9573f3",
    _TEST_LABELS_FILENAME: "ec29112dd5afa0611ce80d1b7f02629c",
}
_CLASS_NAMES = [
    "zero", "one", "two", "three", "four",
    "five", "six", "seven", "eight", "nine",
]  # fmt: skip


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
) -> None:
    """Writes `mnist_train.tfrecord`, `mnist_test.tfrecord` and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds the four files of MNIST, gzipped or not; without it they
        are downloaded.
      mirror: where to download them instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """
    files = idx.published(_COPY_URL, _MIRRORS, _MD5)
    dataset = datasets_map["mnist"]
    idx.run(dataset, files, _CLASS_NAMES, dataset_dir, source_dir, mirror)
