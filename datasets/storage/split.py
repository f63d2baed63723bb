"""A split of a converted data set, as it is on disk."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

import slimbase.compat  # noqa: F401  tf_slim needs it on today's TensorFlow.
from datasets.storage.manifests import ListedSplit, Manifest
from datasets.storage.records import WORK_DIRECTORY, Stretch
from slimbase import files
from slimbase.errors import UserError

NO_LABEL = int(np.iinfo(np.int64).min)  # In place of a record's label.
_SHARD = re.compile(r"(.*?)(\d{5})-of-(\d{5})(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class StoredSplit:
    """A split on disk, and what reading it needs.

    It is made once per run, by `Descriptor.open_split` of `datasets.registry`, and
    handed to all that read the split. The names of slim's `Dataset` mean the same here.

    Attributes:
      name: the split's name, such as "train".
      manifest: what `manifest.json` says of the directory.
      data_sources: glob of the record files.
      record_files: their paths, sorted.
      stretches: the records to read; all of these files', but for bad ones left out.
      num_samples: number of these records, as far as it is known without reading.
      num_classes: number of classes.
      labels_to_names: names by class number, if there are any.
      decoder: makes the items image and label, and others, of a record.
      encoded_decoder: makes image, as the string that it is in the record, and label;
        None where records may hold pictures that are no files.
      is_sound: whether all records of `stretches` have been read and are sound.
      num_lost: number of records that the manifest lists and that were not found when
        bad ones were left out.
    """

    name: str
    manifest: Manifest
    data_sources: str
    record_files: Sequence[str]
    stretches: Sequence[Stretch]
    num_samples: int
    num_classes: int
    labels_to_names: Mapping[int, str] | None
    decoder: slim.tfexample_decoder.TFExampleDecoder
    encoded_decoder: slim.tfexample_decoder.TFExampleDecoder | None
    is_sound: bool = False
    num_lost: int = 0

    @property
    def directory(self) -> str:
        """Where the record files are; "" for none."""
        return self.manifest.directory

    def key_of(self, item: str) -> str:
        """The record key that `decoder` makes an item of; "" if it is not just one."""
        handler = getattr(self.decoder, "_items_to_handlers", {}).get(item)
        if isinstance(handler, slim.tfexample_decoder.Image):
            return handler.keys[0]
        is_plain = isinstance(handler, slim.tfexample_decoder.Tensor)
        return handler.keys[0] if is_plain and len(handler.keys) == 1 else ""

    def without_default_label(
        self, decoder: slim.tfexample_decoder.TFExampleDecoder
    ) -> slim.tfexample_decoder.TFExampleDecoder:
        """`decoder`, but with the label `NO_LABEL` for a record that has none.

        Published sets have a default, as in 2017, which looks like any other label.

        Args:
          decoder: `self.decoder` or `self.encoded_decoder`.
        """
        key = self.key_of("label")
        if not key:
            return decoder
        feature = decoder._keys_to_features[key]
        if not isinstance(feature, tf.FixedLenFeature) or feature.default_value is None:
            return decoder
        none = feature._replace(default_value=np.full(feature.shape, NO_LABEL))
        return slim.tfexample_decoder.TFExampleDecoder(
            {**decoder._keys_to_features, key: none}, decoder._items_to_handlers
        )

    @property
    def listed(self) -> ListedSplit:
        """What the manifest says of the split; without a manifest, nothing."""
        return self.manifest.splits.get(self.name, ListedSplit())

    def check_files(self) -> None:
        """Logs a warning where shards are missing.

        Raises:
          UserError: when there are no files; says what is in their directory.
        """
        if self.record_files:
            for text in missing_shards(self.record_files):
                logging.warning("%s", text)
            return
        directory = files.parent(self.data_sources)
        if tf.io.gfile.isdir(tf.io.gfile.join(directory, WORK_DIRECTORY)):
            raise UserError(
                f"no record files match {self.data_sources}: the conversion into "
                f"{directory} has not ended. Run download_and_convert_data.py again, "
                "which goes on where it was."
            )
        raise UserError(
            f"no record files match {self.data_sources}: {files.listing(directory)}. "
            "Make the records with download_and_convert_data.py, or check "
            "--dataset_dir, --dataset_name and --dataset_split_name."
        )


def missing_shards(paths: Iterable[str]) -> Iterator[str]:
    """What shards are missing by the names of the others, a sentence for each set."""
    sets: dict[tuple[str, int, str], set[int]] = {}
    for path in paths:
        if match := _SHARD.fullmatch(path):
            key = match[1], int(match[3]), match[4]
            sets.setdefault(key, set()).add(int(match[2]))
    for (start, count, end), present in sets.items():
        missing = count - len(present)
        if missing > 0:
            first = next(shard for shard in range(count) if shard not in present)
            name = f"{start}{first:05d}-of-{count:05d}{end}"
            are = "is missing:" if missing == 1 else "are missing, the first of them"
            yield f"{missing} of {count} files {are} {name}"
