"""MNIST's form of publication, four idx files, which Fashion-MNIST has taken over."""

import gzip
import math
import os
import pathlib
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import registry
from datasets.converting import conversion, picture_folders, sources
from datasets.storage import encoding
from slimbase.errors import UserError

# Pictures and labels of each split.
SPLITS_TO_FILENAMES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}

_IMAGE_SIZE = 28
_MAX_BYTES = 1 << 28  # MNIST's largest file has 47 million.


def published(
    url: str, mirrors: Sequence[str], md5: Mapping[str, str]
) -> dict[str, sources.Published]:
    """Where the four files are, by name.

    Args:
      url: of the directory they are in, ending with a slash.
      mirrors: other such directories.
      md5: the checksum of each file, gzipped.
    """
    return {
        name: sources.Published(
            url + name, tuple(mirror + name for mirror in mirrors), md5[name]
        )
        for names in SPLITS_TO_FILENAMES.values()
        for name in names
    }


def run(
    dataset: registry.Descriptor,
    files: Mapping[str, sources.Published],
    class_names: Sequence[str],
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None,
    mirror: str | None,
) -> None:
    """Writes a data set that is published as four idx files.

    Args:
      dataset: what to write.
      files: what `published` gives.
      class_names: by class number.
      dataset_dir: where; does nothing if the records are there already.
      source_dir: holds the four files, gzipped or not; without it they are
        downloaded.
      mirror: where to download them instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        paths = {
            name: sources.find_file(file, work, source_dir, mirror)
            for name, file in files.items()
        }
        splits = {
            split: _read_split(paths[images], paths[labels], len(class_names))
            for split, (images, labels) in SPLITS_TO_FILENAMES.items()
        }
        stamp = picture_folders.stamp(paths.values())
        return conversion.Content(class_names, splits, stamp=stamp)

    conversion.convert(dataset, dataset_dir, read)


def _read_split(
    images_path: pathlib.Path, labels_path: pathlib.Path, num_classes: int
) -> conversion.SplitPlan:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape != (len(labels), _IMAGE_SIZE, _IMAGE_SIZE) or labels.ndim != 1:
        raise UserError(
            f"{images_path} has the shape {images.shape} and {labels_path} "
            f"{labels.shape}; expected (n, {_IMAGE_SIZE}, {_IMAGE_SIZE}) and (n,)."
        )
    if labels.max(initial=0) >= num_classes:
        raise UserError(
            f"{labels_path} has the label {labels.max()}; expected 0 to "
            f"{num_classes - 1}."
        )
    file = images_path.name.removesuffix(".gz")

    def encode(index: int) -> tf.train.Example:
        return encoding.pixels_example(images[index], int(labels[index]))

    return conversion.SplitPlan(
        labels, [f"{file}/{index:05d}" for index in range(len(labels))], encode
    )


def read_idx(path: pathlib.Path) -> np.ndarray:
    """Reads an array of bytes from a file in MNIST's idx format, gzipped or not.

    Raises:
      UserError: if the file isn't one, or isn't whole.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zero, kind, rank = struct.unpack(">HBB", file.read(4))
            if (zero, kind, rank > 0) != (0, 8, True):
                raise ValueError("it does not begin as one")
            shape = struct.unpack(f">{rank}I", file.read(4 * rank))
            size = math.prod(shape)
            if size > _MAX_BYTES:  # Before memory is taken for them.
                raise ValueError(f"{shape} are more than {_MAX_BYTES:,} bytes")
            content = file.read(size + 1)
        if len(content) != size:
            found = "more" if len(content) > size else f"{len(content):,}"
            raise ValueError(f"{shape} are {size:,} bytes, but it has {found}")
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(
            f"{path} is not an idx file of bytes, or damaged: {error}. Get it again."
        ) from error
    return np.frombuffer(content, np.uint8).reshape(shape)
