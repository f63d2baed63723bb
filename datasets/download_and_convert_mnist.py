"""Converts MNIST to TFRecords of PNG pictures, 28 x 28 x 1."""

import gzip
import math
import os
import pathlib
import struct
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import conversion
from datasets.dataset_factory import datasets_map
from slimzoo.errors import UserError

_DATA_URL = "http://yann.lecun.com/exdb/mnist/"
_TRAIN_DATA_FILENAME = "train-images-idx3-ubyte.gz"
_TRAIN_LABELS_FILENAME = "train-labels-idx1-ubyte.gz"
_TEST_DATA_FILENAME = "t10k-images-idx3-ubyte.gz"
_TEST_LABELS_FILENAME = "t10k-labels-idx1-ubyte.gz"
_IMAGE_SIZE = 28
_CLASS_NAMES = [
    "zero", "one", "two", "three", "four",
    "five", "six", "seven", "eight", "nine",
]  # fmt: skip

_SPLITS_TO_FILENAMES = {
    "train": (_TRAIN_DATA_FILENAME, _TRAIN_LABELS_FILENAME),
    "test": (_TEST_DATA_FILENAME, _TEST_LABELS_FILENAME),
}


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Writes `mnist_train.tfrecord`, `mnist_test.tfrecord` and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds the four files of MNIST, gzipped or not; without it they
        are downloaded.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        splits = {
            split: _read_split(
                *(conversion.find_file(_DATA_URL + f, source_dir, work) for f in names)
            )
            for split, names in _SPLITS_TO_FILENAMES.items()
        }
        return conversion.Content(_CLASS_NAMES, splits)

    conversion.convert(datasets_map["mnist"], dataset_dir, read)


def _read_split(
    images_path: pathlib.Path, labels_path: pathlib.Path
) -> conversion.Split:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape != (len(labels), _IMAGE_SIZE, _IMAGE_SIZE) or labels.ndim != 1:
        raise UserError(
            f"{images_path} has the shape {images.shape} and {labels_path} "
            f"{labels.shape}; expected (n, {_IMAGE_SIZE}, {_IMAGE_SIZE}) and (n,)."
        )
    if labels.max(initial=0) >= len(_CLASS_NAMES):
        raise UserError(f"{labels_path} has the label {labels.max()}; expected 0 to 9.")

    def encode(index: int) -> tf.train.Example:
        return conversion.encoded_example(images[index], int(labels[index]))

    return conversion.Split(labels, encode)


def read_idx(path: pathlib.Path) -> np.ndarray:
    """Reads an array of bytes from a file in MNIST's idx format, gzipped or not.

    Raises:
      UserError: if the file isn't one, or isn't whole.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        zero, kind, rank = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{rank}I", content, 4)
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
        if (zero, kind) != (0, 8) or len(values) != math.prod(shape):
            raise ValueError(f"{len(values)} bytes do not make up {shape}")
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(
            f"{path} is not an idx file of bytes, or damaged: {error}. Get it again."
        ) from error
    return values.reshape(shape)
