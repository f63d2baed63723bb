"""What is known about each data set, and the one way from there to a `Dataset`."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_utils
from datasets.storage import manifests, records
from datasets.storage.manifests import Manifest
from datasets.storage.records import Stretch
from datasets.storage.split import StoredSplit
from slimbase import errors
from slimbase.errors import UserError
from slimbase.registry import Registry

# What `--dataset_name` takes for any data set that a manifest describes.
FOLDER = "folder"

# What evaluation reads by default: the first of these that a data set has.
_EVALUATION_SPLITS = ("test", "validation", "val")
# Larger splits are trusted to have their published size.
_COUNTED_BYTES = 1 << 30


class _PictureOfAnySize(slim.tfexample_decoder.Image):
    """Decodes a picture file as tf_slim does, and of an animated one the first frame.

    tf_slim's own makes four dimensions of any GIF and WebP, and one of raw pixels, for
    which networks have no use. Here the latter fail as what is no picture does.
    """

    def _decode(self, image_buffer: tf.Tensor, image_format: tf.Tensor) -> tf.Tensor:
        del image_format  # The content decides.
        image = tf.cond(
            tf.io.is_jpeg(image_buffer),
            lambda: tf.io.decode_jpeg(image_buffer, self._channels),
            lambda: tf.io.decode_image(
                image_buffer, self._channels, expand_animations=False
            ),
        )
        image.set_shape([None, None, self._channels])
        return image


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
        return self._first_of(_EVALUATION_SPLITS)

    @property
    def validation_split(self) -> str:
        """The split to choose checkpoints by: the test split if there is no other."""
        return self._first_of(_EVALUATION_SPLITS[::-1])

    def _first_of(self, names: Iterable[str]) -> str:
        splits = [name for name in names if name in self.splits_to_sizes]
        return [*splits, *self.splits_to_sizes][0]

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
        self._check_split(split_name)
        reader = reader or tf.TFRecordReader
        manifest = manifests.read_manifest(dataset_dir)
        sources = self._sources(split_name, dataset_dir, file_pattern)
        size = None
        if file_pattern is None:
            size = self._listed_size(split_name, manifest)
        if dataset_dir and size is None and reader is tf.TFRecordReader:
            size = _counted_size(tf.io.gfile.glob(sources))
        names = self._names(manifest)
        return slim.dataset.Dataset(
            data_sources=sources,
            reader=reader,
            decoder=self.decoder(),
            num_samples=self.splits_to_sizes[split_name] if size is None else size,
            items_to_descriptions=dict(self.items_to_descriptions),
            num_classes=max(names) + 1 if names else self.num_classes,
            labels_to_names=names or self.class_names(),
        )

    def find_split(self, split_name: str, manifest: Manifest) -> StoredSplit:
        """Describes one split for what reads it here; there may be no files of it.

        Args:
          split_name: a key of `splits_to_sizes`.
          manifest: that of the directory, as `manifests.read_manifest` gives it.

        Raises:
          UserError: for an unknown split, or a label file or record file that can't be
            read.
        """
        self._check_split(split_name)
        directory = manifest.directory
        sources = self._sources(split_name, directory)
        paths = sorted(tf.io.gfile.glob(sources)) if directory else []
        size = self._listed_size(split_name, manifest)
        if size is None:
            size = _counted_size(paths)
        names = self._names(manifest)
        return StoredSplit(
            name=split_name,
            manifest=manifest,
            data_sources=sources,
            record_files=paths,
            stretches=list(map(Stretch, paths)),
            num_samples=self.splits_to_sizes[split_name] if size is None else size,
            num_classes=max(names) + 1 if names else self.num_classes,
            labels_to_names=names or self.class_names(),
            decoder=self.decoder(),
            encoded_decoder=self.encoded_decoder(),
        )

    def open_split(self, split_name: str, manifest: Manifest) -> StoredSplit:
        """As `find_split`, for a split that is to be read; warns of missing shards.

        Raises:
          UserError: as `find_split`, and when there are no record files.
        """
        split = self.find_split(split_name, manifest)
        split.check_files()
        return split

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
            "image": (
                slim.tfexample_decoder.Image(
                    shape=self.image_shape, channels=self.image_shape[-1]
                )
                if self.image_shape
                else _PictureOfAnySize()
            ),
            "label": slim.tfexample_decoder.Tensor("image/class/label", shape=[]),
            **self.more_items,
        }
        return slim.tfexample_decoder.TFExampleDecoder(self.features(), items)

    def encoded_decoder(self) -> slim.tfexample_decoder.TFExampleDecoder | None:
        """Gives image, as the string that it is in the record, and label.

        None where all pictures have one shape, as these may be raw pixels; and where a
        data set makes these items itself.
        """
        is_own = type(self).decoder is not Descriptor.decoder
        if self.image_shape or is_own or {"image", "label"} & self.more_items.keys():
            return None
        features = self.features()
        keys = {"image": "image/encoded", "label": "image/class/label"}
        return slim.tfexample_decoder.TFExampleDecoder(
            {key: features[key] for key in keys.values()},
            {
                item: slim.tfexample_decoder.Tensor(key, shape=[])
                for item, key in keys.items()
            },
        )

    def shard_names(self, split_name: str, num_shards: int) -> list[str]:
        """The files that a converter writes one split to."""
        name = self.file_pattern.replace("%s", split_name)
        return [
            name.replace("*", f"{shard:05d}-of-{num_shards:05d}")
            for shard in range(num_shards)
        ]

    def _check_split(self, split_name: str) -> None:
        if split_name not in self.splits_to_sizes:
            raise errors.unknown(
                f"split name {split_name} was not recognized",
                split_name,
                self.splits_to_sizes,
            )

    def _sources(
        self,
        split_name: str,
        dataset_dir: str | os.PathLike[str],
        file_pattern: str | None = None,
    ) -> str:
        """The glob of a split's files."""
        pattern = (file_pattern or self.file_pattern).replace("%s", split_name)
        return tf.io.gfile.join(dataset_dir, pattern)

    def _listed_size(self, split_name: str, manifest: Manifest) -> int | None:
        """The size of a split by the manifest, if that is about this data set."""
        split = manifest.splits.get(split_name)
        return split.count if split and manifest.dataset == self.name else None

    def _names(self, manifest: Manifest) -> dict[int, str] | None:
        """Names by class number by the label file, if there is one."""
        directory = manifest.directory
        if not directory or not dataset_utils.has_labels(directory):
            return None
        names = dataset_utils.read_label_file(directory)
        if manifest.dataset == self.name:
            _check_names(names, manifest)
        return names


def _check_names(names: Mapping[int, str], manifest: Manifest) -> None:
    """Other words for classes are fine; another order would go unnoticed."""
    converted = dict(enumerate(manifest.classes))
    for number, name in converted.items():
        found = names.get(number, "no line")
        is_another = number not in names or found in converted.values()
        if found != name and is_another:
            path = tf.io.gfile.join(manifest.directory, dataset_utils.LABELS_FILENAME)
            raise UserError(
                f"{path} has {found} for class {number}, which was {name} when the "
                "records were written. Put the lines back in order, or convert the "
                "data again."
            )


DATASETS: Registry[Descriptor] = Registry("Name of dataset unknown %s")


def register(name: str, **facts: Any) -> Descriptor:
    """Makes a data set known as `name`.

    Args:
      name: what `--dataset_name` takes.
      **facts: the other attributes of `Descriptor`.
    """
    return DATASETS.register(name, Descriptor(name, **facts))


def custom(
    name: str, splits_to_sizes: Mapping[str, int], num_classes: int
) -> Descriptor:
    """Describes a data set of someone's own, which its manifest makes known.

    Args:
      name: letters, digits, `_`, `-` and `.`; not that of a registered data set.
      splits_to_sizes: number of pictures by split, as far as it is known.
      num_classes: number of classes.

    Raises:
      UserError: for a name that can't be.
    """
    if name in DATASETS or not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise UserError(
            f"a data set cannot be called {name!r}: expected letters, digits, '_', '-' "
            f"and '.', and none of {', '.join(DATASETS)}"
        )
    return Descriptor(
        name,
        splits_to_sizes=splits_to_sizes,
        num_classes=num_classes,
        file_pattern=f"{name}_%s_*.tfrecord",
        items_to_descriptions={
            "image": "A color image of varying size.",
            "label": f"A single integer between 0 and {num_classes - 1}",
        },
        image_format="jpeg",
        missing_label=-1,
    )


def describe(
    name: str,
    dataset_dir: str | os.PathLike[str] | None,
    manifest: Manifest | None = None,
) -> Descriptor:
    """The data set `name`, or the one that the manifest in `dataset_dir` describes.

    Args:
      name: a registered name, "folder" or the name given at conversion.
      dataset_dir: where the records are, if anywhere.
      manifest: the one in `dataset_dir`, if it has been read already.

    Raises:
      UserError: if neither knows the name; lists what is known.
    """
    if name in DATASETS:
        return DATASETS[name]
    manifest = manifest or manifests.read_manifest(dataset_dir)
    own = manifest.dataset
    if own in DATASETS or not own or name not in (own, FOLDER):
        if not name:
            raise UserError(
                "--dataset_name is missing: nothing says which data set the network's "
                "classes are of"
            )
        if name != FOLDER:
            known = {*DATASETS, FOLDER, *([own] if own else [])}
            raise errors.unknown(DATASETS.unknown_message % name, name, known)
        raise UserError(
            f"{dataset_dir or 'no --dataset_dir'} has no {manifests.FILENAME} of your "
            f"own data set{f', but of {own}' if own else ''}. Make one: "
            f"download_and_convert_data.py --dataset_name={FOLDER}"
        )
    sizes = {name: split.count or 0 for name, split in manifest.splits.items()}
    return custom(own, sizes, len(manifest.classes))


def _counted_size(paths: Sequence[str]) -> int | None:
    """Counts the records in these files, unless there are none or they are large."""
    local = [path for path in map(pathlib.Path, paths) if path.is_file()]
    if not local or sum(path.stat().st_size for path in local) >= _COUNTED_BYTES:
        return None
    # Reading reports a file that is cut short.
    return sum(records.count_records(path, strict=False) for path in local)
