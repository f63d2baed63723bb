"""Reads every record of a data set and finds what is wrong."""

import bisect
import collections
import hashlib
import pathlib
import time
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from datasets import dataset_factory, registry
from datasets.reading import bad_records
from datasets.reading import check as record_check
from datasets.reading.bad_records import Fault
from datasets.reading.check import Checker, RecordFacts
from datasets.storage import manifests, records
from datasets.storage.manifests import Manifest
from datasets.storage.records import Record
from datasets.storage.split import StoredSplit, missing_shards
from slimbase import files
from slimbase.errors import UserError
from slimbase.pictures import exif, kinds
from slimbase.text import counted, listed
from slimzoo.config.check import CheckConfig
from slimzoo.dataset_check import contact_sheet, report
from slimzoo.dataset_check import manifest as check_manifest
from slimzoo.dataset_check.contact_sheet import Sample
from slimzoo.dataset_check.found import Found, FoundSplit, Problem, Turned
from slimzoo.dataset_check.near_copies import Compared, Comparison, thumbnail

_DIGEST_BYTES = 16
_CONVERT = "Delete files that are not as the manifest has them, and convert again."
_RELABEL = "Check --dataset_name and labels.txt, or convert again with right labels."
_FOREIGN = "Unpack compressed record files, and move files of other kinds away."
_EMPTY = "Convert the pictures again, or take files of no records away."
_TURN = (
    "Where pictures are stored turned, convert the pictures again by "
    "download_and_convert_data.py, which turns them."
)
_SEPARATE = (
    "Where a picture is in two splits or has two labels, delete the copies that are "
    "wrong and convert the pictures again, into another directory."
)


class _Place(NamedTuple):
    """A record, with its split and its file."""

    split: str
    path: str
    record: Record


class _Seen(NamedTuple):
    """The place where a picture was seen first."""

    split: str
    path: str
    position: int
    label: int | None


def check(config: CheckConfig) -> Found:
    """Reads all records that `config` names, and writes the files that it names.

    Raises:
      UserError: if there is nothing to read.
    """
    if not config.dataset_dir:
        raise UserError("--dataset_dir is missing")
    contact_sheet.check(config.contact_sheet)
    directory = config.dataset_dir or ""
    manifest = manifests.read_manifest(directory)
    name = config.dataset_name or manifest.dataset
    if not name:
        raise UserError(
            f"--dataset_name is missing, as {directory} has no manifest; pictures are "
            "converted first, by download_and_convert_data.py"
        )
    descriptor = dataset_factory.describe(name, directory, manifest)
    datasets = _splits(config, descriptor, manifest)
    start = time.monotonic()
    dataset = next(iter(datasets.values()))
    found = Found(descriptor.name, directory, _names(dataset))
    survey = _Survey(found, config.samples_per_class)
    for split, dataset in datasets.items():
        survey.read(split, dataset)
    settings = manifest.settings or {}
    # Published splits are what they are.
    is_own = descriptor.name not in registry.DATASETS
    survey.compare(is_own and not settings.get("allow_near_copies"))
    if manifest.dataset == descriptor.name:
        one = config.dataset_split_name
        for split in [one] if one else manifest.splits:
            texts = check_manifest.compare(found, split, manifest)
            found.problems += [Problem(split, text, _CONVERT) for text in texts]
    found.seconds = time.monotonic() - start
    if config.contact_sheet:
        contact_sheet.write(
            config.contact_sheet,
            f"{found.dataset_name} in {directory}",
            survey.samples,
            found.names,
            dataset,
            preprocessing_name=config.preprocessing_name,
            image_size=config.image_size,
            distortions=config.distortions,
        )
    if config.output_file:
        files.write_json(config.output_file, report.as_json(found))
    return found


def _splits(
    config: CheckConfig, descriptor: registry.Descriptor, manifest: Manifest
) -> dict[str, StoredSplit]:
    """The splits to read: the named one, or all that have records."""
    names = list(descriptor.splits_to_sizes)
    if config.dataset_split_name:
        names = [config.dataset_split_name]
    datasets = {name: descriptor.find_split(name, manifest) for name in names}
    present = {name: split for name, split in datasets.items() if split.record_files}
    for split in present.values() or [datasets[names[0]]]:
        split.check_files()
    return present


def _names(dataset: StoredSplit) -> dict[int, str]:
    names = dataset.labels_to_names or {}
    return {label: names.get(label, str(label)) for label in range(dataset.num_classes)}


class _Survey:
    """Reads splits and collects findings.

    Attributes:
      samples: samples of each class, by the class's number.
    """

    def __init__(self, found: Found, samples_per_class: int):
        self._found = found
        self._most = samples_per_class
        self._seen: dict[bytes, _Seen] = {}
        self._comparison = Comparison()
        self.samples: dict[int, list[Sample]] = collections.defaultdict(list)

    def read(self, split: str, dataset: StoredSplit) -> None:
        """Reads all records of a split."""
        paths = list(dataset.record_files)
        if remote := [path for path in paths if not pathlib.Path(path).is_file()]:
            raise UserError(f"{remote[0]} is not a file of this machine")
        size = sum(pathlib.Path(path).stat().st_size for path in paths)
        findings = self._found.splits[split] = FoundSplit(paths, size)
        for text in missing_shards(paths):
            self._found.problems.append(Problem(split, text, _CONVERT))
        paths = [path for path in paths if not self._is_foreign(split, path)]
        checker = Checker(dataset, strict=True)

        def look(record: Record) -> tuple[RecordFacts, bytes, np.ndarray | None]:
            known = checker(record)
            digest = hashlib.blake2b(known.encoded, digest_size=_DIGEST_BYTES).digest()
            return known, digest, None if known.fault else thumbnail(known.encoded)

        with tqdm(
            desc=split,
            total=dataset.num_samples,
            unit="picture",
            disable=None,
            leave=False,
        ) as progress:
            for path, record, (known, digest, small) in record_check.map_records(
                paths, look
            ):
                place = _Place(split, path, record)
                self._add(findings, place, known, digest)
                self._comparison.add(
                    Compared(
                        split,
                        path,
                        record.position,
                        known.filename,
                        known.label,
                        digest,
                        small,
                    )
                )
                progress.update()
        if paths and not findings.count:
            text = f"there are no records in {listed(paths)}"
            self._found.problems.append(Problem(split, text, _EMPTY))
        if findings.turned:
            self._found.problems.append(_turned(split, findings))

    def _is_foreign(self, split: str, path: str) -> bool:
        """Whether a file is no plain record file, which then is a problem."""
        try:
            records.refuse_other_files([path])
        except UserError as error:
            self._found.problems.append(Problem(split, str(error), _FOREIGN))
            return True
        return False

    def compare(self, is_problem: bool) -> None:
        """Reports near copies; `is_problem` says whether two splits may have them."""
        for copy in self._comparison.copies():
            if copy.is_harmless or not is_problem:
                self._found.splits[copy.split].near.append(copy.text)
            else:
                problem = _problem(copy.split, copy.fault, _SEPARATE)
                self._found.problems.append(problem)

    def _add(
        self, split: FoundSplit, place: _Place, facts: RecordFacts, digest: bytes
    ) -> None:
        """Adds a record to the findings."""
        split.count += 1
        faults = list(bad_records.faults_of(place.path, place.record, facts))
        for fault in faults:
            advice = _RELABEL if fault.is_label else fault.advice
            self._found.problems.append(_problem(place.split, fault, advice))
        if not facts.encoded:
            return
        split.formats[_format(facts.encoded)] += 1
        if facts.size:
            split.sizes.append(facts.size)
        if facts.orientation != exif.UPRIGHT:
            at = place.path, place.record.position, facts.filename
            split.turned.append(Turned(facts.orientation, *at))
        if facts.label is not None:
            split.per_class[facts.label] += 1
        self._compare(split, place, facts, digest)
        if facts.label is not None and not faults:
            self._sample(self.samples[facts.label], place, facts.filename, digest)

    def _sample(
        self, samples: list[Sample], place: _Place, filename: str, digest: bytes
    ) -> None:
        """Keeps the pictures of least digests, whatever the order of the records."""
        if any(sample.digest == digest for sample in samples):
            return
        if len(samples) < self._most or digest < samples[-1].digest:
            record = place.record
            at = place.split, place.path, record.position, record.offset
            bisect.insort(samples, Sample(digest, *at, filename))
            del samples[self._most :]

    def _compare(
        self, split: FoundSplit, place: _Place, facts: RecordFacts, digest: bytes
    ) -> None:
        """Reports a picture whose bytes were there before."""
        name, path, record = place
        here = _Seen(name, path, record.position, facts.label)
        first = self._seen.setdefault(digest, here)
        if first is here:
            return
        as_there = f"record {first.position} of {first.path}"
        if first.split != name:
            reason = f"its picture is in the split {first.split}, too: {as_there}"
        elif first.label != facts.label:
            reason = f"its picture has label {facts.label}, and {first.label} in "
            reason += as_there
        else:
            split.repeated.append(f"record {record.position} of {path} is {as_there}")
            return
        fault = Fault(path, record.position, facts.filename, reason)
        self._found.problems.append(_problem(name, fault, _SEPARATE))


def _problem(split: str, fault: Fault, advice: str) -> Problem:
    place = fault.as_dict()
    del place["reason"]
    return Problem(split, str(fault), advice, place)


def _turned(name: str, split: FoundSplit) -> Problem:
    """The problem of all pictures of a split that are stored turned."""
    first = split.turned[0]
    orientations = listed(sorted({picture.orientation for picture in split.turned}), 8)
    source = f" ({first.filename})" if first.filename else ""
    text = (
        f"{counted(len(split.turned), 'picture')} of {split.count:,} "
        f"{'is' if len(split.turned) == 1 else 'are'} stored turned (EXIF orientation "
        f"{orientations}), and training and evaluation take them as they are stored; "
        f"the first is record {first.position} of {first.record_file}{source}"
    )
    place = first._asdict()
    del place["orientation"]
    return Problem(name, text, _TURN, place)


def _format(encoded: bytes) -> str:
    kind = kinds.of(encoded[: kinds.START_BYTES])
    return kind.name.lower() if kind else "raw"
