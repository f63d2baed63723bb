"""manifest.json: what a converter wrote down about the records beside it."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from datasets.storage.shards import Shard
from slimbase.errors import UserError

FILENAME = "manifest.json"
VERSION = 2  # 1 had no settings and no shards.

Manifest = Mapping[str, Any]


def make(
    dataset_name: str,
    file_pattern: str,
    class_names: Sequence[str],
    settings: Mapping[str, Any],
    fingerprint: str,
    written: Mapping[str, Sequence[Shard]],
) -> dict[str, Any]:
    """What is written down.

    Args:
      dataset_name: of the data set.
      file_pattern: of its record files.
      class_names: by class number.
      settings: what else decided the records, as a seed.
      fingerprint: of all that decided them.
      written: the record files of each split.
    """
    return {
        "dataset": dataset_name,
        "version": VERSION,
        "file_pattern": file_pattern,
        "classes": list(class_names),
        "settings": dict(settings),
        "fingerprint": fingerprint,
        "splits": {split: _of_split(parts) for split, parts in written.items()},
    }


def _of_split(parts: Sequence[Shard]) -> dict[str, Any]:
    sides = {}
    for key in ("heights", "widths"):
        extents = [side for shard in parts for side in getattr(shard, key)]
        sides[key] = [min(extents), max(extents)] if extents else []
    return {
        "count": sum(shard.count for shard in parts),
        "skipped": sum(len(shard.skipped) for shard in parts),
        "per_class": np.sum([shard.per_class for shard in parts], axis=0).tolist(),
        **sides,
        "shards": [
            {key: getattr(shard, key) for key in ("name", "count", "bytes", "sha256")}
            for shard in parts
        ],
    }


def read(dataset_dir: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest in `dataset_dir`; empty if there is none.

    Raises:
      UserError: if it is not one of ours.
    """
    path = tf.io.gfile.join(dataset_dir, FILENAME)
    if not tf.io.gfile.exists(path):
        return {}
    with tf.io.gfile.GFile(path) as file:
        try:
            manifest = json.loads(file.read())
            _check(manifest)
        except ValueError as error:
            raise UserError(
                f"{path} is damaged, or not that of a data set: {error}. Move it away "
                "to have the records counted."
            ) from error
    return manifest


def shards(manifest: Manifest) -> list[dict[str, Any]]:
    """The record files that are listed: name, count, bytes and sha256 of each."""
    splits = manifest.get("splits", {}).values()
    return [shard for split in splits for shard in split.get("shards", ())]


def _check(manifest: Any) -> None:
    """Raises ValueError where the rest of the program would stumble."""
    kinds = {"dataset": str, "classes": list, "splits": dict}
    if not isinstance(manifest, dict):
        raise ValueError("expected an object")
    for key, kind in kinds.items():
        if not isinstance(manifest.get(key, kind()), kind):
            raise ValueError(f"expected a {kind.__name__} for {key}")
    for name, split in manifest.get("splits", {}).items():
        if not isinstance(split, dict) or not isinstance(split.get("count", 0), int):
            raise ValueError(f"expected a count for the split {name}")
