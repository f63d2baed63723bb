"""Converts CIFAR-10 to TFRecords of PNG pictures, 32 x 32 x 3."""

import os

from datasets.converting import cifar_batches, sources
from datasets.dataset_factory import datasets_map

_DATA_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_MD5 = "c58f30108f718f92721af3b95e74349a"
_NUM_TRAIN_FILES = 5
_CLASS_NAMES = [
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
) -> None:
    """Writes `cifar10_train.tfrecord`, `cifar10_test.tfrecord` and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `cifar-10-python.tar.gz` or the unpacked
        `cifar-10-batches-py`, or is the latter; without it the archive is
        downloaded.
      mirror: where to download it instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """
    layout = cifar_batches.Layout(
        published=sources.Published(_DATA_URL, md5=_MD5),
        folder="cifar-10-batches-py",
        splits_to_filenames={
            "train": [f"data_batch_{i + 1}" for i in range(_NUM_TRAIN_FILES)],
            "test": ["test_batch"],
        },
        label_key=b"labels",
        class_names=_CLASS_NAMES,
    )
    dataset = datasets_map["cifar10"]
    cifar_batches.run(dataset, layout, dataset_dir, source_dir, mirror)
