"""Writes record files, encoding pictures on all cores in a bounded amount of memory."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from datasets.storage import encoding
from slimbase import files, parallel
from slimbase.errors import UserError
from slimbase.pictures.decode import PictureError
from slimbase.text import printable

_CHUNK = 8  # Pictures that a thread takes at a time,
_CHUNKS_AHEAD = 2  # and how many such, per core, wait to be written.
_BLOCK_BYTES = 1 << 20
_SHARD_BYTES = 128 << 20  # Fits into memory and is soon copied.


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """The pictures of one split, in the order in which they are written.

    Attributes:
      labels: class numbers of the pictures, a list or a NumPy array.
      names: names of the pictures; `image/filename` of their records.
      encode: gives the record, but for the name, of the picture at an index into
        `labels`. It is called from several threads and raises `PictureError` for a
        picture that can't be used.
    """

    labels: Sequence[int] | np.ndarray
    names: Sequence[str]
    encode: Callable[[int], tf.train.Example]


@dataclasses.dataclass(frozen=True)
class Shard:
    """A record file that is complete.

    Attributes:
      name: the file's name.
      count: number of its records.
      bytes: the file's size.
      sha256: the file's checksum, in hexadecimal digits.
      per_class: number of records by class.
      heights: the smallest and the largest, in pixels; empty if records have none.
      widths: as `heights`.
      skipped: the name of each picture that can't be used, and the reason.
      changed: number of pictures by what was changed in them.
    """

    name: str
    count: int
    bytes: int
    sha256: str
    per_class: list[int]
    heights: list[int]
    widths: list[int]
    skipped: list[tuple[str, str]]
    changed: dict[str, int] = dataclasses.field(default_factory=dict)


class _EncodedRecord(NamedTuple):
    index: int
    content: bytes = b""
    height: int | None = None
    width: int | None = None
    problem: str = ""
    changes: Sequence[str] = ()


def write_shard(
    path: pathlib.Path,
    split: SplitPlan,
    indices: range,
    num_classes: int,
    pool: Executor,
    advance: Callable[[int], Any],
    strict: bool,
) -> Shard:
    """Writes one file, and beside it `<name>.json` when it is complete.

    Args:
      path: the file to write.
      split: the pictures.
      indices: the pictures of `split` that belong into this file.
      num_classes: number of classes of the data set.
      pool: threads that encode.
      advance: called with the number of pictures done since the last call.
      strict: whether a picture that can't be used is an error.

    Raises:
      UserError: for such a picture, or if the file can't be written.
    """
    temporary = path.with_name(f"{path.name}.partial")
    labels, heights, widths, skipped = [], [], [], []
    changed: Counter[str] = Counter()
    try:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in _records(split, indices, pool):
                advance(1)
                if record.problem:
                    name = split.names[record.index]
                    if strict:
                        raise UserError(
                            f"{printable(name)} {record.problem}. Repair it or take it "
                            "out. Without --strict, it and all others like it are left "
                            "out and listed in bad_files.txt."
                        )
                    skipped.append((printable(name), record.problem))
                    continue
                writer.write(record.content)
                labels.append(int(split.labels[record.index]))
                changed.update(record.changes)
                if record.height is not None:
                    heights.append(record.height)
                    widths.append(record.width)
        shard = Shard(
            name=path.name,
            count=len(labels),
            bytes=temporary.stat().st_size,
            sha256=sha256(temporary),
            per_class=_counts(labels, num_classes),
            heights=_extent(heights),
            widths=_extent(widths),
            skipped=skipped,
            changed=dict(changed),
        )
        temporary.replace(path)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition("; ")[2]
        raise UserError(
            f"cannot write {path}: {reason}. When it can be, the same command goes on "
            "from here."
        ) from error
    files.write_json(_facts_path(path), dataclasses.asdict(shard))
    return shard


def finished_shard(path: pathlib.Path, target: pathlib.Path) -> Shard | None:
    """The notes of `write_shard` on a complete file, at `path` or at `target`."""
    try:
        facts = json.loads(_facts_path(path).read_text("utf-8"))
        there = path if path.exists() else target
        if there.stat().st_size != facts["bytes"]:
            return None
    except (OSError, ValueError):
        return None
    facts["skipped"] = [tuple(pair) for pair in facts["skipped"]]
    return Shard(**facts)


def number_for(total_bytes: int) -> int:
    """How many files hold `total_bytes` of pictures, of at most 128 MB each."""
    return math.ceil(total_bytes / _SHARD_BYTES)


def sha256(path: pathlib.Path) -> str:
    """The SHA-256 checksum of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _facts_path(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.json")


def _records(
    split: SplitPlan, indices: range, pool: Executor
) -> Iterator[_EncodedRecord]:
    chunks = (indices[i : i + _CHUNK] for i in range(0, len(indices), _CHUNK))
    ahead = _CHUNKS_AHEAD * (os.cpu_count() or 1)
    encode = _encoder(split)
    return itertools.chain.from_iterable(parallel.in_order(pool, encode, chunks, ahead))


def _encoder(split: SplitPlan) -> Callable[[range], list[_EncodedRecord]]:
    def encode(index: int) -> _EncodedRecord:
        try:
            with encoding.noting() as changes:
                example = split.encode(index)
        except PictureError as error:
            return _EncodedRecord(index, problem=str(error))
        feature = example.features.feature
        feature["image/filename"].bytes_list.value[:] = [
            os.fsencode(split.names[index])
        ]
        height, width = (
            feature[key].int64_list.value[0] if key in feature else None
            for key in ("image/height", "image/width")
        )
        # Deterministic, so that a conversion repeated gives the same checksums.
        content = example.SerializeToString(deterministic=True)
        return _EncodedRecord(index, content, height, width, changes=changes)

    return lambda indices: [encode(index) for index in indices]


def _counts(labels: Sequence[int], num_classes: int) -> list[int]:
    return np.bincount(np.array(labels, np.int64), minlength=num_classes).tolist()


def _extent(values: Sequence[int]) -> list[int]:
    return [min(values), max(values)] if values else []
