"""Looks data sets up by name."""

import os
from typing import Any

import tf_slim as slim

import datasets
from datasets.registry import DATASETS, describe
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase.registry import import_modules

# Programs that make the records; some may define flags.
_ASIDE = ("download_and_convert_", "build_", "process_", "preprocess_")

import_modules(
    datasets, wanted=lambda name: not name.partition(".")[2].startswith(_ASIDE)
)

datasets_map = DATASETS

__all__ = ["DATASETS", "datasets_map", "describe", "get_dataset", "open_split"]


def get_dataset(
    name: str,
    split_name: str,
    dataset_dir: str | os.PathLike[str],
    file_pattern: str | None = None,
    reader: Any = None,
) -> slim.dataset.Dataset:
    """Describes a split of the data set `name`; see `Descriptor.get_split`.

    Raises:
      ValueError: for an unknown `name` or `split_name`; the known ones are listed.
    """
    dataset = describe(name, dataset_dir)
    return dataset.get_split(split_name, dataset_dir, file_pattern, reader)


def open_split(
    name: str, split_name: str, dataset_dir: str | os.PathLike[str]
) -> StoredSplit:
    """Describes a split of the data set `name` for what reads it here.

    Raises:
      UserError: for an unknown `name` or `split_name`, or when there are no records.
    """
    manifest = manifests.read_manifest(dataset_dir)
    return describe(name, dataset_dir, manifest).open_split(split_name, manifest)
