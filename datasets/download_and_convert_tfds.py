"""Converts classified pictures of tensorflow_datasets to TFRecords.

https://www.tensorflow.org/datasets/catalog/overview lists them. The package is an
optional extra.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from tqdm import tqdm

from datasets import registry
from datasets.converting import conversion
from datasets.storage import encoding
from datasets.storage.shards import number_for
from slimbase.errors import UserError

_MOST_SHOWN = 600  # Characters of a message.


def run(
    dataset_dir: str | os.PathLike[str],
    tfds_name: str | None = None,
    tfds_data_dir: str | os.PathLike[str] | None = None,
    name: str | None = None,
    num_shards: int | None = None,
    strict: bool = False,
) -> None:
    """Writes `<name>_<split>_*.tfrecord`, labels.txt and manifest.json.

    Pictures are kept as they are encoded in tensorflow_datasets, or become PNGs.

    Args:
      dataset_dir: where; does nothing if they are there already.
      tfds_name: of a builder with the features `image` and `label`, maybe with a
        configuration and a version: `stanford_dogs` or `mnist:3.0.1`.
      tfds_data_dir: where tensorflow_datasets keeps its files; by default where it
        always does.
      name: what the data set is called from now on; by default "tfds".
      num_shards: files per split; by default some of at most 128 MB.
      strict: makes a picture that can't be used an error.

    Raises:
      UserError: if the package is not installed, or has no such data set of
        classified pictures.
    """
    if not tfds_name:
        raise UserError(
            "--tfds_name is missing: a data set of classified pictures of "
            "https://www.tensorflow.org/datasets/catalog, such as stanford_dogs"
        )

    def read(work: pathlib.Path) -> conversion.Content:
        builder = _prepared(tfds_name, tfds_data_dir)
        splits, shards = {}, {}
        for split in builder.info.splits:
            spool = _Spool(work / f"tfds_{split}.pictures")
            pictures = _read_split(builder, split, spool)
            if pictures:
                # A pattern of files, train_*, would take in those of train_extra.
                key = re.sub("[^A-Za-z0-9]", "-", split)
                splits[key] = pictures
                shards[key] = num_shards or number_for(spool.size)
        if not splits:
            raise UserError(f"{tfds_name} has no pictures with labels")
        return conversion.Content(
            builder.info.features["label"].names,
            splits,
            num_shards=shards,
            stamp=builder.info.full_name,
        )

    conversion.convert(
        registry.custom(name or "tfds", {}, 0),
        dataset_dir,
        read,
        strict=strict,
        settings={"tfds_name": tfds_name, "num_shards": num_shards},
    )


class _Place(NamedTuple):
    start: int
    size: int


class _Spool:
    """Encoded pictures in one file: to be had by number, and more than memory holds."""

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._places: list[_Place] = []
        self.size = 0
        path.write_bytes(b"")

    def extend(self, contents: Iterable[bytes]) -> None:
        """Adds pictures to the end."""
        with self._path.open("ab") as file:
            for content in contents:
                file.write(content)
                self._places.append(_Place(self.size, len(content)))
                self.size += len(content)

    def __getitem__(self, index: int) -> bytes:
        start, size = self._places[index]
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)


def _prepared(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """The builder, its files downloaded."""
    tfds = _package()
    with _explained(name):
        builder = tfds.builder(name, data_dir=data_dir and os.fspath(data_dir))
        features = dict(builder.info.features.items())
    is_class = isinstance(features.get("label"), tfds.features.ClassLabel)
    if not (is_class and _is_picture(features.get("image"), tfds)):
        raise UserError(
            f"{name} is not of classified pictures: expected the features image, of "
            f"bytes, and label, a class; it has {', '.join(features)}"
        )
    with _explained(name):
        builder.download_and_prepare()
    return builder


def _is_picture(feature: Any, tfds: Any) -> bool:
    if isinstance(feature, tfds.features.Image):
        return feature.np_dtype in (np.uint8, np.uint16)
    return (
        isinstance(feature, tfds.features.Tensor)
        and feature.np_dtype == np.uint8
        and len(feature.shape) == 3
        and feature.shape[-1] in (1, 3)
    )


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Also what the builders of others raise.
        raise UserError(
            f"tensorflow_datasets cannot make {name}: {str(error)[:_MOST_SHOWN]}"
        ) from error


def _package() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UserError(
            f"--dataset_name=tfds needs the package {error.name}: "
            "pip install -e '.[tfds]' in the checkout, or "
            "pip install tensorflow-datasets"
        ) from error
    return tensorflow_datasets


def _read_split(builder: Any, split: str, spool: _Spool) -> conversion.SplitPlan | None:
    """One split, its pictures put into `spool`; None if it has no labels."""
    tfds = _package()
    decoders = {}
    if isinstance(builder.info.features["image"], tfds.features.Image):
        decoders["image"] = tfds.decode.SkipDecoding()
    rows = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding(["image", "label"], decoders=decoders),
        # In order, and each with the place where it is from.
        read_config=tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1),
    )
    labels, names = [], []

    def contents() -> Iterator[bytes]:
        total = builder.info.splits[split].num_examples
        progress = tqdm(tfds.as_numpy(rows), f"Reading {split}", total, disable=None)
        for row in progress:
            if row["label"] >= 0:  # Less stands for none.
                labels.append(int(row["label"]))
                names.append(row["tfds_id"].decode())
                yield _encoded(row["image"])

    spool.extend(contents())
    if not labels:
        logging.warning("The split %s has no labels; it is left out", split)
        return None

    def encode(index: int) -> tf.train.Example:
        return encoding.picture_example(spool[index], labels[index])

    return conversion.SplitPlan(labels, names, encode)


def _encoded(image: bytes | np.ndarray) -> bytes:
    if isinstance(image, bytes):
        return image
    return encoding.compressed(image[..., 0] if image.shape[-1] == 1 else image, "png")
