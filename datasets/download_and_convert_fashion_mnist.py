"""Converts Fashion-MNIST to TFRecords of PNG pictures, 28 x 28 x 1."""

import os

from datasets.converting import idx
from datasets.dataset_factory import datasets_map

_DATA_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
)
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_CLASS_NAMES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
) -> None:
    """Writes `fashion_mnist_train.tfrecord`, the same for test, and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds the four files, gzipped or not, which are called as MNIST's;
        without it they are downloaded.
      mirror: where to download them instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """
    files = idx.published(_DATA_URL, _MIRRORS, _MD5)
    dataset = datasets_map["fashion_mnist"]
    idx.run(dataset, files, _CLASS_NAMES, dataset_dir, source_dir, mirror)
