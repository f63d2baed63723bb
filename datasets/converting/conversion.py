"""What all converters share: all records are written, or a next run goes on.

A converter reads its source, which a user has on disk or which is downloaded, into
a `Content` and hands it to `convert`.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from absl import logging
from tqdm import tqdm

from datasets import dataset_utils, registry
from datasets.converting import resume
from datasets.storage import manifests, shards
from datasets.storage.manifests import Manifest
from datasets.storage.records import WORK_DIRECTORY
from datasets.storage.shards import Shard, SplitPlan
from slimbase import files, locks
from slimbase.errors import UserError
from slimbase.pictures.errors import PictureError
from slimbase.text import counted, listed, printable

_WRITERS = 2
_MOST_SHOWN = 5  # Classes.
_RECORDS = "records"
# What differs in the reasons of several pictures: numbers and first bytes.
_OWN = re.compile(r"\b\d[\d,]*\b(?! or later)|b'.*'|b\".*\"")


@dataclasses.dataclass(frozen=True)
class Content:
    """What a converter found.

    Attributes:
      class_names: by class number.
      splits: pictures by split.
      files: contents of more files to be put beside the records, by name.
      num_shards: number of files by split, where `convert` is given none.
      stamp: another text when a file of the source may have changed; an interrupted
        conversion does not go on then.
    """

    class_names: Sequence[str]
    splits: Mapping[str, SplitPlan]
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    num_shards: Mapping[str, int] = dataclasses.field(default_factory=dict)
    stamp: str = ""


def convert(
    dataset: registry.Descriptor,
    dataset_dir: str | os.PathLike[str],
    read: Callable[[pathlib.Path], Content],
    num_shards: int | Mapping[str, int] | None = None,
    *,
    strict: bool = False,
    settings: Mapping[str, Any] | None = None,
    is_quick_to_read: bool = False,
) -> None:
    """Writes a data set's records, labels.txt and manifest, unless they are there.

    Files get their names when all of them are complete. What was done until a failure
    stays in a directory `.incomplete`, from where the next call goes on.

    Args:
      dataset: what to write; its pattern names the files.
      dataset_dir: where; made if missing. Other processes that convert to it wait.
      read: finds the pictures. It takes a directory for what it downloads and
        unpacks, which is kept until all is written.
      num_shards: number of files per split, one for all or by split; by default
        what the content says, or else 1.
      strict: makes a picture that can't be used an error; by default it is left out
        and listed in bad_files.txt.
      settings: what else decides the records, as a seed; for the manifest.
      is_quick_to_read: whether to compare the source with records that are there.

    Raises:
      UserError: if `dataset_dir` holds another data set or the same one made
        otherwise, or files that are in the way; or from `read`.
    """
    directory = pathlib.Path(dataset_dir)
    work = directory / WORK_DIRECTORY
    settings = dict(settings or {})
    numbers = _numbers(num_shards, dataset.splits_to_sizes)
    made = not directory.exists()
    with locks.locked(directory):
        try:
            if resume.is_done(dataset, directory, numbers, strict, settings):
                if is_quick_to_read:
                    _compare(dataset, directory, read(work), settings)
                logging.info(
                    "%s holds the data set %s already; nothing to do.",
                    directory,
                    dataset.name,
                )
            else:
                _make(work)
                content = read(work)
                _check(dataset, content)
                _convert(dataset, directory, content, num_shards, strict, settings)
            shutil.rmtree(work, ignore_errors=True)
        except KeyboardInterrupt:
            logging.warning("Stopped. The same command goes on from here")
            raise
        finally:
            with contextlib.suppress(OSError):  # They are not empty if all went well.
                work.rmdir()
            if made:
                with contextlib.suppress(OSError):
                    directory.rmdir()


def _convert(
    dataset: registry.Descriptor,
    directory: pathlib.Path,
    content: Content,
    num_shards: int | Mapping[str, int] | None,
    strict: bool,
    settings: Mapping[str, Any],
) -> None:
    numbers = _numbers(num_shards, content.splits) | dict(content.num_shards)
    plan = {
        split: dataset.shard_names(split, numbers[split]) for split in content.splits
    }
    fingerprint = _fingerprint(dataset, content, settings)
    names = dict(enumerate(content.class_names))
    extra = {
        **content.files,
        dataset_utils.LABELS_FILENAME: dataset_utils.label_lines(names).encode(),
    }
    resume.refuse_others(dataset, directory, plan, extra)
    unfinished = directory / WORK_DIRECTORY / _RECORDS
    resume.go_on_or_start(unfinished, [fingerprint, content.stamp, plan, strict])
    written = {
        split: _write_split(split, content, names, unfinished, directory, strict)
        for split, names in plan.items()
    }
    _check_written(content, written)
    if dataset.name not in registry.DATASETS:  # Published classes are what they are.
        _check_classes(content, written)
    bad_files = [f"{name}: {reason}\n" for name, reason in _skipped(written)]
    if bad_files:
        extra[resume.BAD_FILES_FILENAME] = "".join(bad_files).encode()
    for name, text in extra.items():
        (unfinished / name).write_bytes(text)
    manifest = manifests.make_manifest(
        directory,
        dataset.name,
        dataset.file_pattern,
        content.class_names,
        settings,
        fingerprint,
        written,
    )
    files.write_json(unfinished / manifests.FILENAME, manifest.as_json())

    (directory / manifests.FILENAME).unlink(missing_ok=True)
    (directory / resume.BAD_FILES_FILENAME).unlink(missing_ok=True)
    record_files = itertools.chain.from_iterable(plan.values())
    # The manifest is the last one, as it says that all are there.
    for name in [*record_files, *extra, manifests.FILENAME]:
        # A run that was killed may have come to some of them.
        if (unfinished / name).exists() or not (directory / name).exists():
            (unfinished / name).replace(directory / name)
    _log_written(dataset, directory, manifest)
    _log_changes(directory, written)


def _fingerprint(
    dataset: registry.Descriptor, content: Content, settings: Mapping[str, Any]
) -> str:
    """Another text for other pictures, by name, other classes or other settings."""
    facts = [dataset.name, *content.class_names], settings
    digest = hashlib.sha256(json.dumps(facts).encode())
    for pictures in content.splits.values():
        digest.update(np.asarray(pictures.labels, np.int64).tobytes())
        for name in pictures.names:
            digest.update(os.fsencode(name) + b"\0")
    return digest.hexdigest()


def _compare(
    dataset: registry.Descriptor,
    directory: pathlib.Path,
    content: Content,
    settings: Mapping[str, Any],
) -> None:
    fingerprint = _fingerprint(dataset, content, settings)
    manifest = manifests.read_manifest(directory)
    if manifest.fingerprint == fingerprint:
        _check_left_out(directory, content)
    if manifest.fingerprint in (None, fingerprint):
        return
    then = sum((s.count or 0) + s.skipped for s in manifest.splits.values())
    now = sum(len(pictures.labels) for pictures in content.splits.values())
    classes = list(manifest.classes), list(content.class_names)
    what = f"{then:,} pictures and there are {now:,} now, some with other names"
    if classes[0] != classes[1]:
        what = "the classes {}, which are {} now".format(*map(", ".join, classes))
    raise UserError(
        f"{directory} was converted from {what}. To convert those, choose another "
        "--dataset_dir, or delete that one."
    )


def _check_left_out(directory: pathlib.Path, content: Content) -> None:
    """Raises UserError if a picture that was left out can be used now."""
    left_out = directory / resume.BAD_FILES_FILENAME
    if not left_out.exists():
        return
    names = {line.partition(": ")[0] for line in left_out.read_text().splitlines()}
    for pictures in content.splits.values():
        for index, name in enumerate(pictures.names):
            if printable(name) not in names:
                continue
            try:
                pictures.encode(index)
            except PictureError:
                continue
            raise UserError(
                f"{printable(name)} was left out of {directory}, as "
                f"{resume.BAD_FILES_FILENAME} says, and can be used now. To convert it "
                "with the others, choose another --dataset_dir, or delete that one."
            )


def _numbers(
    num_shards: int | Mapping[str, int] | None, splits: Iterable[str]
) -> dict[str, int]:
    if isinstance(num_shards, Mapping):
        return dict(num_shards)
    return dict.fromkeys(splits, num_shards or 1)


def _make(work: pathlib.Path) -> None:
    try:
        work.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {work.parent}: {error.strerror}") from error


def _check(dataset: registry.Descriptor, content: Content) -> None:
    names = list(content.class_names)
    for split, pictures in content.splits.items():
        labels = np.asarray(pictures.labels)
        if len(labels) != len(pictures.names):
            raise ValueError(f"{split}: {len(labels)} labels, {len(pictures.names)}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise UserError(
                f"{dataset.name}: split {split} has labels from {labels.min()} to "
                f"{labels.max()}; expected 0 to {len(names) - 1}"
            )


def _write_split(
    name: str,
    content: Content,
    shard_names: Sequence[str],
    unfinished: pathlib.Path,
    directory: pathlib.Path,
    strict: bool,
) -> list[Shard]:
    pictures = content.splits[name]
    total, number = len(pictures.labels), len(shard_names)
    bounds = [i * total // number for i in range(number + 1)]

    def write(shard_name: str, start: int, end: int) -> Shard:
        path = unfinished / shard_name
        shard = shards.finished_shard(path, directory / shard_name)
        if shard:
            progress.update(end - start)
            return shard
        return shards.write_shard(
            path,
            pictures,
            range(start, end),
            len(content.class_names),
            encoders,
            progress.update,
            strict,
        )

    # Some files at a time, as writing and checksums take as long as encoding.
    with _progress(name, total) as progress, _threads(_WRITERS) as writers:
        # Left first: writers end where encoders take no more.
        with _threads() as encoders:
            return list(writers.map(write, shard_names, bounds, bounds[1:]))


@contextlib.contextmanager
def _threads(number: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Some threads, by default one per core; a failure leaves what has not begun."""
    pool = ThreadPoolExecutor(number or os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _progress(name: str, total: int) -> tqdm:
    return tqdm(desc=f"Converting {name}", total=total, unit="img", disable=None)


def _skipped(written: Mapping[str, Sequence[Shard]]) -> list[tuple[str, str]]:
    return [pair for parts in written.values() for s in parts for pair in s.skipped]


def _check_written(content: Content, written: Mapping[str, Sequence[Shard]]) -> None:
    """Warns of classes that a split has no picture of.

    Raises:
      UserError: if a split has pictures, and none can be used.
    """
    for split, parts in written.items():
        skipped = _skipped({split: parts})
        if skipped and not any(shard.count for shard in parts):
            name, reason = skipped[0]
            raise UserError(
                f"none of the {len(skipped)} pictures of the split {split} can be "
                f"used: {name} {reason}"
            )
        counts = np.sum([shard.per_class for shard in parts], axis=0)
        lacking = [n for n, c in zip(content.class_names, counts, strict=True) if not c]
        if lacking:
            logging.warning(
                f"The split {split} has no picture of {len(lacking)} classes: "
                f"{', '.join(lacking[:_MOST_SHOWN])}"
                f"{', ...' if len(lacking) > _MOST_SHOWN else ''}"
            )


def _check_classes(content: Content, written: Mapping[str, Sequence[Shard]]) -> None:
    """Raises UserError if none of the pictures of a class can be used."""
    number = len(content.class_names)
    wanted, kept = np.zeros((2, number), np.int64)
    for split, parts in written.items():
        labels = np.asarray(content.splits[split].labels, np.int64)
        wanted += np.bincount(labels, minlength=number)
        kept += np.sum([shard.per_class for shard in parts], axis=0, dtype=np.int64)
    lost = np.flatnonzero((wanted > 0) & (kept == 0)).tolist()
    if not lost:
        return
    names = [content.class_names[i] for i in lost]
    reasons = Counter(_kind_of_reason(reason) for _, reason in _skipped(written))
    raise UserError(
        f"none of the pictures of {listed(names, _MOST_SHOWN)} can be used, and a "
        "class without pictures cannot be learnt. Convert these pictures to JPEG or "
        "PNG, or remove the class. Of all classes, "
        f"{counted(sum(reasons.values()), 'picture')} cannot be used:"
        f"{_by_number(reasons)}"
    )


def _log_written(
    dataset: registry.Descriptor, directory: pathlib.Path, manifest: Manifest
) -> None:
    splits = manifest.splits
    counts = ", ".join(f"{split.count:,} {name}" for name, split in splits.items())
    logging.info(
        f"{directory} holds the data set {dataset.name}: {counts}; "
        f"{len(manifest.classes)} classes."
    )


def _log_changes(
    directory: pathlib.Path, written: Mapping[str, Sequence[Shard]]
) -> None:
    """Reports what was changed in pictures and what was left out, by kind."""
    changed: Counter[str] = Counter()
    for shard in itertools.chain.from_iterable(written.values()):
        changed.update(shard.changed)
    if changed:
        logging.info(
            f"Pictures that were encoded anew, as TensorFlow would misread them:"
            f"{_by_number(changed)}"
        )
    skipped = _skipped(written)
    if skipped:
        reasons = Counter(_kind_of_reason(reason) for _, reason in skipped)
        logging.warning(
            f"{len(skipped)} pictures were left out; "
            f"{directory / resume.BAD_FILES_FILENAME} has their names:"
            f"{_by_number(reasons)}"
        )


def _by_number(counts: Counter[str]) -> str:
    """Lines of counts, the largest first, to follow a colon."""
    return "".join(f"\n  {count:,}: {what}" for what, count in counts.most_common())


def _kind_of_reason(reason: str) -> str:
    """A reason without what differs from picture to picture."""
    return _OWN.sub("…", reason)
