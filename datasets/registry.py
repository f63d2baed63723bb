"""What is known about each data set, and the one way from there to a `Dataset`."""

import dataclasses
import json
import os
import pathlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_utils
from slimzoo import errors
from slimzoo.errors import UserError
from slimzoo.registry import Registry

MANIFEST_FILENAME = "manifest.json"

# What evaluation reads by default: the first of these that a data set has.
_EVALUATION_SPLITS = ("test", "validation", "val")
# Larger splits are trusted to have their published size.
_COUNTED_BYTES = 1 << 30
# A TFRecord is a length, its checksum, the payload and the payload's checksum.
_RECORD_HEADER = struct.Struct("<QI")
_RECORD_FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Descriptor:
    """A data set of classified pictures, kept as TFRecords, and its facts.

    Attributes:
      name: what `--dataset_name` takes.
      splits_to_sizes: number of pictures in each split of the published set.
      num_classes: of the published set.
      file_pattern: glob of a split's files; `%s` stands for the split.
      items_to_descriptions: what each item that the decoder gives means.
      image_format: what pictures are where a record doesn't say.
      image_shape: `(height, width, channels)` if all pictures have one; otherwise
        they are of any size and decoded to three channels.
      missing_label: the label where a record has none. As in the original, a
        one-element tuple declares the feature as a vector.
      more_features: record keys besides picture and label, as `tf.parse_example`
        takes them.
      more_items: handlers of `slim.tfexample_decoder` that make items of them.
      class_names: gives the names by class where a directory has no label file.
    """

    name: str
    splits_to_sizes: Mapping[str, int]
    num_classes: int
    file_pattern: str
    items_to_descriptions: Mapping[str, str]
    image_format: str
    image_shape: tuple[int, int, int] | None = None
    missing_label: int | tuple[int] = 0
    more_features: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    more_items: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_names: Callable[[], dict[int, str] | None] = lambda: None

    @property
    def evaluation_split(self) -> str:
        """The split to evaluate on: the test split if there is one."""
        return next(s for s in _EVALUATION_SPLITS if s in self.splits_to_sizes)

    def get_split(
        self,
        split_name: str,
        dataset_dir: str | os.PathLike[str],
        file_pattern: str | None = None,
        reader: Any = None,
    ) -> slim.dataset.Dataset:
        """Describes one split, as it is in `dataset_dir`.

        Args:
          split_name: a key of `splits_to_sizes`.
          dataset_dir: where the records are; "" for none. What is not found there
            is as published.
          file_pattern: glob of the split's files below `dataset_dir`, if not the
            data set's own; `%s` stands for the split.
          reader: class of TF reader; `tf.TFRecordReader` by default.

        Returns:
          A `slim.dataset.Dataset` with, beyond its own attributes, `num_classes`
          and `labels_to_names`, a dict or None.

        Raises:
          UserError: for an unknown split, or a label file, manifest or record file
            that can't be read.
        """
        if split_name not in self.splits_to_sizes:
            raise errors.unknown(
                f"split name {split_name} was not recognized",
                split_name,
                self.splits_to_sizes,
            )
        reader = reader or tf.TFRecordReader
        pattern = (file_pattern or self.file_pattern).replace("%s", split_name)
        sources = tf.io.gfile.join(dataset_dir, pattern)
        size = names = None
        if dataset_dir and file_pattern is None:
            size = self._listed_size(split_name, dataset_dir)
        if dataset_dir and size is None and reader is tf.TFRecordReader:
            size = _counted_size(sources)
        if dataset_dir and dataset_utils.has_labels(dataset_dir):
            names = dataset_utils.read_label_file(dataset_dir)
        return slim.dataset.Dataset(
            data_sources=sources,
            reader=reader,
            decoder=self.decoder(),
            num_samples=self.splits_to_sizes[split_name] if size is None else size,
            items_to_descriptions=dict(self.items_to_descriptions),
            num_classes=max(names) + 1 if names else self.num_classes,
            labels_to_names=names or self.class_names(),
        )

    def features(self) -> dict[str, Any]:
        """What a record holds, by key, as `tf.parse_example` takes it."""
        label_shape = [1] if isinstance(self.missing_label, tuple) else []
        return {
            "image/encoded": tf.FixedLenFeature((), tf.string, default_value=""),
            "image/format": tf.FixedLenFeature(
                (), tf.string, default_value=self.image_format
            ),
            "image/class/label": tf.FixedLenFeature(
                label_shape, tf.int64, default_value=self.missing_label
            ),
            **self.more_features,
        }

    def decoder(self) -> slim.tfexample_decoder.TFExampleDecoder:
        """Makes the items out of a serialized record."""
        items = {
            "image": slim.tfexample_decoder.Image(
                shape=self.image_shape,
                channels=self.image_shape[-1] if self.image_shape else 3,
            ),
            "label": slim.tfexample_decoder.Tensor("image/class/label", shape=[]),
            **self.more_items,
        }
        return slim.tfexample_decoder.TFExampleDecoder(self.features(), items)

    def shard_names(self, split_name: str, num_shards: int) -> list[str]:
        """The files that a converter writes one split to."""
        name = self.file_pattern.replace("%s", split_name)
        return [
            name.replace("*", f"{shard:05d}-of-{num_shards:05d}")
            for shard in range(num_shards)
        ]

    def _listed_size(
        self, split_name: str, dataset_dir: str | os.PathLike[str]
    ) -> int | None:
        """The size of a split by the manifest, if that is about this data set."""
        manifest = read_manifest(dataset_dir)
        if manifest.get("dataset") != self.name:
            return None
        return manifest.get("splits", {}).get(split_name, {}).get("count")


DATASETS: Registry[Descriptor] = Registry("Name of dataset unknown %s")


def register(name: str, **facts: Any) -> Descriptor:
    """Makes a data set known as `name`.

    Args:
      name: what `--dataset_name` takes.
      **facts: the other attributes of `Descriptor`.
    """
    return DATASETS.register(name, Descriptor(name, **facts))


def read_manifest(dataset_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """What a converter wrote down about `dataset_dir`; empty if it didn't."""
    path = tf.io.gfile.join(dataset_dir, MANIFEST_FILENAME)
    if not tf.io.gfile.exists(path):
        return {}
    with tf.io.gfile.GFile(path) as file:
        try:
            manifest = json.loads(file.read())
        except ValueError as error:
            raise UserError(
                f"{path} is damaged: {error}. Delete it to have the records counted."
            ) from error
    return manifest if isinstance(manifest, dict) else {}


def count_records(path: pathlib.Path) -> int:
    """Counts the records of a local TFRecord file by their headers alone.

    Raises:
      UserError: if the file doesn't end with the end of a record.
    """
    count = position = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while position < size:
            header = file.read(_RECORD_HEADER.size)
            if len(header) == _RECORD_HEADER.size:
                length, _ = _RECORD_HEADER.unpack(header)
                position += _RECORD_HEADER.size + length + _RECORD_FOOTER_BYTES
            if len(header) < _RECORD_HEADER.size or position > size:
                raise UserError(
                    f"{path} is cut short, damaged or not a TFRecord file: record "
                    f"{count} is not whole. Delete it and convert the data again."
                )
            file.seek(position)
            count += 1
    return count


def _counted_size(pattern: str) -> int | None:
    """Counts what is in the files of a split, unless there are none or it is much."""
    paths = [pathlib.Path(path) for path in tf.io.gfile.glob(pattern)]
    files = [path for path in paths if path.is_file()]  # Remote files are not.
    if not files or sum(path.stat().st_size for path in files) >= _COUNTED_BYTES:
        return None
    return sum(map(count_records, files))
