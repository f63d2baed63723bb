"""CIFAR's form of publication: an archive of pickled batches of pictures."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from datasets import registry
from datasets.converting import array_pickles, conversion, picture_folders, sources
from datasets.storage import encoding
from slimbase.errors import UserError

_IMAGE_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one of the two data sets is laid out.

    Attributes:
      published: its archive.
      folder: in the archive.
      splits_to_filenames: the batches in the folder, by split.
      label_key: what labels are called in a batch.
      class_names: by class number.
    """

    published: sources.Published
    folder: str
    splits_to_filenames: Mapping[str, Sequence[str]]
    label_key: bytes
    class_names: Sequence[str]


def run(
    dataset: registry.Descriptor,
    layout: Layout,
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None,
    mirror: str | None,
) -> None:
    """Writes a data set that is published as CIFAR's are.

    Args:
      dataset: what to write.
      layout: of its archive.
      dataset_dir: where; does nothing if the records are there already.
      source_dir: holds the archive or the unpacked folder, or is the latter; without
        it the archive is downloaded.
      mirror: where to download it instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        [first, *_] = layout.splits_to_filenames["test"]
        folder = sources.find_folder(
            layout.folder, layout.published, work, source_dir, mirror, contents=first
        )
        paths = {
            split: [folder / name for name in names]
            for split, names in layout.splits_to_filenames.items()
        }
        return conversion.Content(
            layout.class_names,
            {split: _read_split(some, layout) for split, some in paths.items()},
            stamp=picture_folders.stamp(itertools.chain(*paths.values())),
        )

    conversion.convert(dataset, dataset_dir, read)


def _read_split(paths: Sequence[pathlib.Path], layout: Layout) -> conversion.SplitPlan:
    batches = [_read_batch(path, layout) for path in paths]
    images = np.concatenate([images for images, _, _ in batches])
    labels = [label for _, labels, _ in batches for label in labels]
    names = [name for _, _, names in batches for name in names]

    def encode(index: int) -> tf.train.Example:
        return encoding.pixels_example(images[index], labels[index])

    return conversion.SplitPlan(labels, names, encode)


def _read_batch(
    path: pathlib.Path, layout: Layout
) -> tuple[np.ndarray, list[int], list[str]]:
    """Pictures, `uint8 [n, height, width, 3]`, the label and the name of each."""
    if not path.is_file():
        found = ", ".join(sorted(p.name for p in path.parent.iterdir()))
        raise UserError(f"there is no {path.name} in {path.parent}, which has {found}.")
    batch = array_pickles.load_arrays(path)
    try:
        labels, images = batch[layout.label_key], batch[b"data"]
        last = len(layout.class_names) - 1
        # Not by NumPy, which would go on for ever about lists within lists.
        if not _is_list_of(int, labels) or not all(0 <= x <= last for x in labels):
            raise ValueError(f"labels are not a list of numbers from 0 to {last}")
        if not isinstance(images, np.ndarray):
            raise ValueError("pictures are not an array")
        images = images.reshape(len(labels), 3, _IMAGE_SIZE, _IMAGE_SIZE)
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is not a batch of CIFAR: {error}.") from error
    return images.transpose(0, 2, 3, 1), labels, _names(path, batch, len(labels))


def _names(path: pathlib.Path, batch: Mapping[bytes, Any], count: int) -> list[str]:
    """What a batch calls its pictures, or else the place of each in the batch."""
    names = batch.get(b"filenames", [])
    if _is_list_of(bytes, names) and len(names) == count:
        return [os.fsdecode(name) for name in names]
    return [f"{path.name}/{index:05d}" for index in range(count)]


def _is_list_of(kind: type, values: Any) -> bool:
    return type(values) is list and all(type(value) is kind for value in values)
