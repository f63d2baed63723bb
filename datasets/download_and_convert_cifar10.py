"""Converts CIFAR-10 to TFRecords of PNG pictures, 32 x 32 x 3."""

import os
import pathlib
import pickle
from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import conversion
from datasets.dataset_factory import datasets_map
from slimzoo.errors import UserError

_DATA_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_NUM_TRAIN_FILES = 5
_IMAGE_SIZE = 32
_CLASS_NAMES = [
    "airplane", "automobile", "bird", "cat", "deer",
    "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip

# What arrays are made of, by the names that pickles of NumPy 1 and 2 give it.
_ARRAY_PARTS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy.core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
    ("numpy._core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
    # Bytes, in pickles that Python 2 can read.
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}

_FOLDER = "cifar-10-batches-py"
_SPLITS_TO_FILENAMES = {
    "train": [f"data_batch_{i + 1}" for i in range(_NUM_TRAIN_FILES)],
    "test": ["test_batch"],
}


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Writes `cifar10_train.tfrecord`, `cifar10_test.tfrecord` and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `cifar-10-python.tar.gz` or the unpacked
        `cifar-10-batches-py`, or is the latter; without it the archive is
        downloaded.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        folder = conversion.find_folder(
            _FOLDER, _DATA_URL, source_dir, work, contents="*_batch*"
        )
        splits = {
            split: _read_split([folder / name for name in names])
            for split, names in _SPLITS_TO_FILENAMES.items()
        }
        return conversion.Content(_CLASS_NAMES, splits)

    conversion.convert(datasets_map["cifar10"], dataset_dir, read)


def _read_split(paths: Sequence[pathlib.Path]) -> conversion.Split:
    batches = [_read_batch(path) for path in paths]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])

    def encode(index: int) -> tf.train.Example:
        return conversion.encoded_example(images[index], int(labels[index]))

    return conversion.Split(labels, encode)


def _read_batch(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads `uint8 [n, height, width, channels]` pictures and their `[n]` labels."""
    if not path.is_file():
        found = ", ".join(sorted(p.name for p in path.parent.iterdir()))
        raise UserError(f"there is no {path.name} in {path.parent}, which has {found}.")
    batch = load_pickle(path)
    try:
        labels = np.asarray(batch[b"labels"], np.int64)
        images = np.asarray(batch[b"data"], np.uint8)
        images = images.reshape(len(labels), 3, _IMAGE_SIZE, _IMAGE_SIZE)
        if not np.isin(labels, range(len(_CLASS_NAMES))).all():
            raise ValueError("there are labels outside 0 to 9")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a batch of CIFAR-10: {error}.") from error
    return images.transpose(0, 2, 3, 1), labels


def load_pickle(path: pathlib.Path):
    """Loads a pickle of plain values and NumPy arrays; nothing in it is executed.

    Raises:
      UserError: if the file is damaged or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="bytes").load()
    except Exception as error:  # A damaged pickle raises nearly anything.
        raise UserError(
            f"{path} is damaged, or not a pickle of arrays: {error}. Get it again."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Knows what pickled arrays are made of, and nothing else."""

    def find_class(self, module: str, name: str):
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ARRAY_PARTS[module, name]
