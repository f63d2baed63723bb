"""Checks of a split before the first step."""

import itertools
import pathlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets.reading import bad_records, pipeline
from datasets.reading import check as record_check
from datasets.reading.bad_records import Fault
from datasets.storage import manifests, records
from datasets.storage.records import Record, Stretch
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError
from slimbase.pictures import exif

_READ_BYTES = 1 << 30  # Of larger splits, the first records of each file are read.
_LOOKED_AT = 16  # Records of each file, for their labels.
_DECODED = 16  # Records of a split, about.


def prepare(
    dataset: StoredSplit, labels_offset: int, skip_bad_records: bool = False
) -> tuple[StoredSplit, list[Fault]]:
    """Checks the labels of a split, and leaves out its bad records if that is wanted.

    Labels are known from the manifest, or else read: all of a split below 1 GiB, of
    others the first ones of each file. Of files of this machine, a few first records
    are read and decoded as a whole.

    Args:
      dataset: the split.
      labels_offset: what is subtracted from every label.
      skip_bad_records: whether to leave out what can't be read, which takes reading it.

    Returns:
      What to read, and what was left out.

    Raises:
      UserError: for a label out of range, a record among the first ones that can't be
        used, a file that is cut short or of another kind, or files without records.
    """
    if skip_bad_records:
        dataset, faults = bad_records.leave_out(dataset, labels_offset)
        _look_at_first(dataset, labels_offset)
        return dataset, faults
    _check_files(dataset)
    is_small = _check_frames(dataset.record_files)
    _look_at_first(dataset, labels_offset)
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
    records.refuse_other_files(map(str, local))
    size = sum(path.stat().st_size for path in local)
    is_local = len(local) == len(paths)
    is_small = is_local and size < _READ_BYTES
    if is_local and not size:
        raise bad_records.no_records(paths)
    if is_small:
        for path in local:
            records.count_records(path)
    return is_small


def _look_at_first(dataset: StoredSplit, labels_offset: int) -> None:
    """Reads and decodes some first records of a split, of files of this machine.

    Logs a warning where pictures are stored turned.

    Raises:
      UserError: for the first one that can't be used.
    """
    first = list(_first_records(dataset))
    if not first:
        return
    checker = record_check.Checker(dataset, labels_offset, decode_all=True)
    with ThreadPoolExecutor() as pool:
        all_facts = list(pool.map(checker, [record for _, record in first]))
    for (path, record), facts in zip(first, all_facts, strict=True):
        for fault in bad_records.faults_of(path, record, facts):
            raise bad_records.error_of(fault, labels_offset, dataset.num_classes)
    turned = sum(facts.orientation != exif.UPRIGHT for facts in all_facts)
    if turned:
        logging.warning(
            "%d of the first %d pictures of the split %s are stored turned, by an EXIF "
            "orientation, and nothing turns them back: the network sees them lying or "
            "mirrored. Convert the pictures again by download_and_convert_data.py, "
            "which turns them; check_dataset.py counts them all.",
            turned,
            len(first),
            dataset.name,
        )


def _first_records(dataset: StoredSplit) -> Iterator[tuple[str, Record]]:
    """Some first records of files that are spread over a split, with their paths."""
    stretches: dict[str, Stretch] = {}
    for stretch in dataset.stretches:
        path = pathlib.Path(stretch.path)
        if path.is_file() and path.stat().st_size:
            stretches.setdefault(stretch.path, stretch)
    for path, stretch in itertools.islice(
        stretches.items(), 0, None, -(-len(stretches) // _DECODED) or 1
    ):
        most = -(-_DECODED // len(stretches))
        count = most if stretch.count < 0 else min(most, stretch.count)
        start = stretch.position
        for record in itertools.islice(
            records.read_records(path), start, start + count
        ):
            yield path, record


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
            fault = _fault(dataset, labels_offset, *place)
            fault = fault or bad_records.label_fault(*place, int(found[first]), labels)
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
