"""manifest.json: what a converter wrote down about the records beside it."""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class ListedShard:
    """A record file of a manifest; None stands for what the manifest does not say.

    Attributes:
      name: the file's name.
      count: number of its records.
      bytes: its size.
      sha256: its checksum, in hexadecimal digits.
    """

    name: str
    count: int | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclasses.dataclass(frozen=True)
class ListedSplit:
    """A split of a manifest.

    Attributes:
      count: number of records; None if the manifest does not say.
      skipped: number of pictures that were left out.
      per_class: number of records by class; empty if the manifest does not say.
      heights: the least and the largest, in pixels, if records have them.
      widths: as `heights`.
      shards: the record files.
    """

    count: int | None = None
    skipped: int = 0
    per_class: Sequence[int] = ()
    heights: Sequence[int] = ()
    widths: Sequence[int] = ()
    shards: Sequence[ListedShard] = ()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of a manifest; without a manifest, all but `directory` is empty.

    Attributes:
      directory: where the records are; "" for none.
      dataset: the data set's name; None if there is no manifest.
      version: of the format.
      file_pattern: glob of a split's files; `%s` stands for the split.
      classes: names of the classes, by number.
      settings: what else decided the records, such as a seed; None before version 2.
      fingerprint: of all that decided the records; None before version 2.
      splits: by name.
    """

    directory: str = ""
    dataset: str | None = None
    version: int = 1
    file_pattern: str = ""
    classes: Sequence[str] = ()
    settings: Mapping[str, Any] | None = None
    fingerprint: str | None = None
    splits: Mapping[str, ListedSplit] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What is written to the file."""
        content = dataclasses.asdict(self)
        del content["directory"]  # It may be moved.
        return content


def make_manifest(
    directory: str | os.PathLike[str],
    dataset_name: str,
    file_pattern: str,
    class_names: Sequence[str],
    settings: Mapping[str, Any],
    fingerprint: str,
    written: Mapping[str, Sequence[Shard]],
) -> Manifest:
    """Describes the record files that a conversion has written.

    Args:
      directory: where they are.
      dataset_name: the data set's name.
      file_pattern: glob of a split's files.
      class_names: names of the classes, by number.
      settings: what else decided the records, such as a seed.
      fingerprint: of all that decided the records.
      written: the record files of each split.
    """
    return Manifest(
        directory=os.fspath(directory),
        dataset=dataset_name,
        version=VERSION,
        file_pattern=file_pattern,
        classes=list(class_names),
        settings=dict(settings),
        fingerprint=fingerprint,
        splits={split: _listed(shards) for split, shards in written.items()},
    )


def _listed(shards: Sequence[Shard]) -> ListedSplit:
    return ListedSplit(
        count=sum(shard.count for shard in shards),
        skipped=sum(len(shard.skipped) for shard in shards),
        per_class=np.sum([shard.per_class for shard in shards], axis=0).tolist(),
        heights=_extent([side for shard in shards for side in shard.heights]),
        widths=_extent([side for shard in shards for side in shard.widths]),
        shards=[
            ListedShard(shard.name, shard.count, shard.bytes, shard.sha256)
            for shard in shards
        ],
    )


def _extent(sides: Sequence[int]) -> list[int]:
    return [min(sides), max(sides)] if sides else []


def read_manifest(dataset_dir: str | os.PathLike[str] | None) -> Manifest:
    """Reads the manifest in `dataset_dir`, if there is one.

    Raises:
      UserError: if it is not one of ours.
    """
    if not dataset_dir:
        return Manifest()
    directory = os.fspath(dataset_dir)
    path = tf.io.gfile.join(directory, FILENAME)
    if not tf.io.gfile.exists(path):
        return Manifest(directory)
    try:
        return _parse(directory, json.loads(_content(path)))
    except ValueError as error:
        raise UserError(
            f"{path} is damaged, or not that of a data set: {error}. Move it away "
            "to have the records counted."
        ) from error


def _content(path: str) -> str:
    with tf.io.gfile.GFile(path) as file:
        return file.read()


def _parse(directory: str, content: Any) -> Manifest:
    """Raises ValueError for what is not a manifest, however old."""
    kinds = {"dataset": str, "classes": list, "splits": dict, "settings": dict}
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    for key, kind in kinds.items():
        if not isinstance(content.get(key, kind()), kind):
            raise ValueError(f"expected a {kind.__name__} for {key}")
    splits = content.get("splits", {})
    known = {field.name for field in dataclasses.fields(Manifest)} - {"directory"}
    return Manifest(
        directory,
        **{key: value for key, value in content.items() if key in known - {"splits"}},
        splits={name: _parse_split(name, split) for name, split in splits.items()},
    )


def _parse_split(name: str, content: Any) -> ListedSplit:
    if not isinstance(content, dict) or not isinstance(content.get("count", 0), int):
        raise ValueError(f"expected a count for the split {name}")
    shards = content.get("shards", [])
    if not isinstance(shards, list) or not all(map(_is_shard, shards)):
        raise ValueError(f"expected names of the files of the split {name}")
    per_class = content.get("per_class", [])
    is_counts = isinstance(per_class, list) and all(
        isinstance(count, int) for count in per_class
    )
    return ListedSplit(
        count=content.get("count"),
        skipped=content.get("skipped", 0),
        per_class=per_class if is_counts else (),
        heights=content.get("heights", ()),
        widths=content.get("widths", ()),
        shards=[
            ListedShard(
                shard["name"],
                shard.get("count"),
                shard.get("bytes"),
                shard.get("sha256"),
            )
            for shard in shards
        ],
    )


def _is_shard(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("name"), str)
