"""Checks of a split before the first step."""

import pathlib
import time
from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from datasets.reading import bad_records, pipeline
from datasets.reading import check as record_check
from datasets.reading.bad_records import Fault
from datasets.storage import manifests, records
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError

_READ_BYTES = 1 << 30  # Of larger splits, the first records of each file are read.
_LOOKED_AT = 16  # Records of each file.


def prepare(
    dataset: StoredSplit, labels_offset: int, skip_bad_records: bool = False
) -> tuple[StoredSplit, list[Fault]]:
    """Checks the labels of a split, and leaves out its bad records if that is wanted.

    Labels are known from the manifest, or else read: all of a split below 1 GiB, of
    others the first ones of each file.

    Args:
      dataset: the split.
      labels_offset: what is subtracted from every label.
      skip_bad_records: whether to leave out what can't be read, which takes reading it.

    Returns:
      What to read, and what was left out.

    Raises:
      UserError: for a label out of range, or a file that is cut short.
    """
    if skip_bad_records:
        return bad_records.leave_out(dataset, labels_offset)
    _check_files(dataset)
    is_small = _check_frames(dataset.record_files)
    counts = dataset.listed.per_class
    if not counts or sum(counts) != dataset.num_samples:  # Of other records, if any.
        _check_labels(dataset, labels_offset, None if is_small else _LOOKED_AT)
        return dataset, []
    labels = range(labels_offset, dataset.num_classes)
    for label, count in enumerate(counts):
        if count and label not in labels:
            _check_labels(dataset, labels_offset, secs=bad_records.SEARCH_SECS)
            raise bad_records.label_error(
                f"{manifests.FILENAME} of {dataset.directory} lists pictures: "
                f"{record_check.out_of_range(label, labels)}",
                labels_offset,
                dataset.num_classes,
            )
    return dataset, []


def _check_files(dataset: StoredSplit) -> None:
    """Refuses a split that has lost files since its manifest was written."""
    for shard in dataset.listed.shards:
        if shard.bytes is None:
            continue
        path = tf.io.gfile.join(dataset.directory, shard.name)
        there = tf.io.gfile.exists(path)
        if there and tf.io.gfile.stat(path).length == shard.bytes:
            continue
        what = "is not as it was written" if there else "is missing"
        raise UserError(
            f"{path} {what}: {manifests.FILENAME} lists it with {shard.bytes:,} "
            "bytes. Convert the data set again, or go on with what is left by "
            "--skip_bad_records."
        )


def _check_frames(paths: Sequence[str]) -> bool:
    """Whether these are small files of this machine; raises where one is cut short.

    A damaged length may make TensorFlow's reader end the process for want of memory.
    """
    local = [path for path in map(pathlib.Path, paths) if path.is_file()]
    size = sum(path.stat().st_size for path in local)
    is_small = len(local) == len(paths) and size < _READ_BYTES
    if is_small:
        for path in local:
            records.count_records(path)
    return is_small


def _check_labels(
    dataset: StoredSplit,
    labels_offset: int,
    most: int | None = None,
    secs: float = np.inf,
) -> None:
    """Reads labels, at most `most` of each file, and for about `secs` at most.

    Raises:
      UserError: for the first one out of range.
    """
    labels = range(labels_offset, dataset.num_classes)
    end = time.monotonic() + secs
    for paths, positions, found in pipeline.labels(dataset, most):
        wrong = np.flatnonzero((found < labels.start) | (found >= labels.stop))
        if wrong.size:
            first = wrong[0]
            place = paths[first].decode(), int(positions[first])
            fault = _fault(dataset, labels_offset, *place) or Fault(
                *place, "", record_check.out_of_range(int(found[first]), labels), True
            )
            raise bad_records.error_of(fault, labels_offset, dataset.num_classes)
        if time.monotonic() > end:
            return


def _fault(
    dataset: StoredSplit, labels_offset: int, path: str, position: int
) -> Fault | None:
    """What is wrong with a record; None for those of files on other machines."""
    if not pathlib.Path(path).is_file():
        return None
    record = next(r for r in records.read_records(path) if r.position == position)
    facts = record_check.Checker(dataset, labels_offset)(record)
    return next(bad_records.faults_of(path, record, facts), None)
