"""Leaving out records that can't be used, and finding them after a failure."""

import dataclasses
import fnmatch
import itertools
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from absl import logging
from tqdm import tqdm

from datasets.reading import check as record_check
from datasets.reading import features
from datasets.reading.check import Checker, RecordFacts
from datasets.storage import records
from datasets.storage.records import Record, Stretch
from datasets.storage.split import NO_LABEL, StoredSplit
from slimbase.errors import UserError
from slimbase.text import counted, listed

# A file that is whole in size would be taken for done.
ADVICE = (
    "Delete the record file and convert the data set again; or leave out what can't be "
    "read by --skip_bad_records, which training and evaluation take."
)
SEARCH_SECS = 60  # People wait no longer for the record's name.
_MOST_SHOWN = 5

_Read = tuple[str, Record, RecordFacts]


class Fault(NamedTuple):
    """A record that can't be used.

    Attributes:
      path: the record file.
      position: the record's number in it, from zero.
      filename: the picture's source; empty if the record does not name it.
      reason: the fault, in words that follow "it".
      is_label: whether only the label is wrong.
      advice: what to do, in sentences.
    """

    path: str
    position: int
    filename: str
    reason: str
    is_label: bool = False
    advice: str = ADVICE

    def __str__(self) -> str:
        name = f" ({self.filename})" if self.filename else ""
        return f"record {self.position} of {self.path}{name}: {self.reason}"

    def as_dict(self) -> dict[str, str | int]:
        """For JSON."""
        return {
            "record_file": self.path,
            "position": self.position,
            "filename": self.filename,
            "reason": self.reason,
        }


def faults_of(path: str, record: Record, facts: RecordFacts) -> Iterator[Fault]:
    """The faults of a record, if any."""
    place = path, record.position, facts.filename
    if facts.fault:
        yield Fault(*place, facts.fault, advice=facts.advice or ADVICE)
    if facts.label_fault:
        yield Fault(*place, facts.label_fault, is_label=True)


def label_fault(path: str, position: int, label: int, labels: range) -> Fault:
    """The fault of a record of which only the label is known, which is not in range."""
    if label == NO_LABEL:
        reason = f"it has no label in {features.LABEL_KEY}"
        return Fault(path, position, "", reason, advice=record_check.WRITE_LABEL)
    return Fault(path, position, "", record_check.out_of_range(label, labels), True)


def leave_out(
    dataset: StoredSplit, labels_offset: int = 0
) -> tuple[StoredSplit, list[Fault]]:
    """Leaves out the records of a split that would stop a run.

    Reads all of them, and logs what is left out. A label out of range is not left out:
    it may be the sign of a wrong option.

    Returns:
      The split without them, and what was left out.

    Raises:
      UserError: for a label out of range, a file that is not on this machine or is of
        another kind, or when nothing is left.
    """
    paths = dataset.record_files
    if remote := [path for path in paths if not pathlib.Path(path).is_file()]:
        raise UserError(
            f"--skip_bad_records reads files of this machine, and {remote[0]} is none"
        )
    records.refuse_other_files(paths)
    logging.info("Looking for bad records in %s", counted(len(paths), "file"))
    start, count, faults = time.monotonic(), 0, []
    kept: list[Stretch] = []
    with tqdm(unit="record", disable=None, leave=False) as progress:
        checked = record_check.map_records(paths, Checker(dataset, labels_offset))
        for path, of_path in itertools.groupby(checked, lambda read: read[0]):
            found = [Stretch(path, count=0)]
            for read in of_path:
                count += not read[1].is_last  # What has an end, and so is a record.
                faults += _faults_or_raise(read, labels_offset, dataset)
                _extend(found, *read)
                progress.update()
            kept += _whole(found)
    size = sum(stretch.count for stretch in kept)
    left = dataclasses.replace(
        dataset,
        stretches=kept,
        num_samples=size,
        is_sound=True,
        num_lost=max(0, _num_listed(dataset) - size - len(faults)),
    )
    if left.num_lost:
        logging.warning(
            "Not found: %s that the manifest lists, behind a cut or in missing files",
            counted(left.num_lost, "record"),
        )
    seconds = time.monotonic() - start
    logging.info(
        f"Read {counted(count, 'record')} in {seconds:.1f} s; left out "
        f"{len(faults)}{listed_faults(faults)}"
    )
    if not count and not faults:
        raise no_records(paths)
    if not left.num_samples:
        raise UserError(
            f"{dataset.data_sources} hold no sound records{listed_faults(faults)}"
        )
    return left, faults


def _num_listed(dataset: StoredSplit) -> int:
    """Number of records by the manifest, if that lists files of this split; else 0."""
    pattern = pathlib.Path(dataset.data_sources).name
    shards = dataset.listed.shards
    is_of_these = any(fnmatch.fnmatch(shard.name, pattern) for shard in shards)
    return dataset.listed.count or 0 if is_of_these else 0


def _faults_or_raise(
    read: _Read, labels_offset: int, dataset: StoredSplit
) -> list[Fault]:
    faults = list(faults_of(*read))
    for fault in faults:
        if fault.is_label:
            raise error_of(fault, labels_offset, dataset.num_classes)
    return faults


def _extend(
    found: list[Stretch], path: str, record: Record, facts: RecordFacts
) -> None:
    """Adds a record to the last stretch of its file, or begins one."""
    last = found[-1]
    if facts.fault:
        return
    if record.position == last.position + last.count:
        found[-1] = last._replace(count=last.count + 1)
    else:
        found.append(Stretch(path, record.position, record.offset, 1))


def _whole(found: list[Stretch]) -> list[Stretch]:
    return [stretch for stretch in found if stretch.count]


def listed_faults(faults: Iterable[Fault], most: int = _MOST_SHOWN) -> str:
    """The first of some faults, a line each, to follow a sentence."""
    faults = list(faults)
    lines = [f"\n  {fault}" for fault in faults[:most]]
    rest = len(faults) - most
    return ":" * bool(lines) + "".join(lines) + (f"\n  {rest} more" if rest > 0 else "")


def raise_first(dataset: StoredSplit, labels_offset: int = 0) -> None:
    """Looks for the first record that stops a run, for a minute at most.

    Raises:
      UserError: naming it. Returns if there seems to be none, or it takes longer.
    """
    if dataset.is_sound:
        return
    records.refuse_other_files(dataset.record_files)
    paths = [path for path in dataset.record_files if pathlib.Path(path).is_file()]
    end = time.monotonic() + SEARCH_SECS
    logging.info("Looking for the record that stopped the run")
    for read in record_check.map_records(paths, Checker(dataset, labels_offset)):
        for fault in faults_of(*read):
            raise error_of(fault, labels_offset, dataset.num_classes)
        if time.monotonic() > end:
            logging.info("It was not found in time; check_dataset.py finds it")
            return


def no_records(paths: Iterable[str]) -> UserError:
    """The error for files without a record."""
    return UserError(
        f"there are no records in {listed(paths)}. Convert the data set again."
    )


def error_of(fault: Fault, labels_offset: int, num_classes: int) -> UserError:
    """The error for a record that stops a run."""
    if fault.is_label:
        return label_error(str(fault), labels_offset, num_classes)
    return UserError(f"{fault}. {fault.advice} check_dataset.py lists all.")


def label_error(what: str, labels_offset: int, num_classes: int) -> UserError:
    """The error for a label out of range, which `what` names."""
    return UserError(
        f"{what}. The data set has {num_classes} classes, and --labels_offset is "
        f"{labels_offset}: check --dataset_name, labels.txt and --labels_offset."
    )
