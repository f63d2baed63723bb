"""Converts people's own pictures, sorted into folders or listed in a table."""

import hashlib
import os
import pathlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_utils, registry
from datasets.converting import (
    conversion,
    folder_source,
    near_copies,
    pictures,
    splitting,
)
from datasets.converting.near_copies import NearCopies
from datasets.converting.pictures import Picture
from datasets.storage import encoding, shards
from slimbase.errors import UserError
from slimbase.pictures import decode

_LEAST_SHARDS = 4  # So that several readers have something to do.
_MOST_SHOWN = 30  # Classes.


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    name: str | None = None,
    csv_file: str | os.PathLike[str] | None = None,
    labels_file: str | os.PathLike[str] | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
    num_shards: int | None = None,
    strict: bool = False,
    group_by: str | None = None,
    allow_near_copies: bool = False,
    dry_run: bool = False,
) -> None:
    """Writes `<name>_<split>_*.tfrecord`, labels.txt and manifest.json.

    Near copies, which near_copies.json lists, are put into the same split.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: has a folder for each class, or such folders for each split.
      name: what the data set is called; by default "folder".
      csv_file: lines of path,label or path,label,split, instead of folders.
      labels_file: labels.txt of another data set; its class numbers are kept.
      validation_fraction: share of each class, from 0 to 1, that is held back for
        validation if the source has no splits.
      test_fraction: the same, for testing.
      seed: decides which, and the order of all.
      num_shards: files per split; by default some of at most 128 MB.
      strict: makes a picture that can't be used an error.
      group_by: `parent` or a regular expression: pictures of the same folder, or of
        whose names it matches the same, are put into the same split.
      allow_near_copies: leaves near copies where they are, in several splits too; they
        are not looked for then.
      dry_run: whether to log layout, classes and counts only, and to write nothing.

    Raises:
      UserError: if there are no pictures, classes or splits to be made of the source.
    """
    if min(validation_fraction, test_fraction) < 0 or (
        validation_fraction + test_fraction >= 1
    ):
        raise UserError(
            f"--validation_fraction={validation_fraction} and --test_fraction="
            f"{test_fraction} should be 0 or more, and below 1 together"
        )
    dataset = registry.custom(name or registry.FOLDER, {}, 0)
    settings: dict[str, Any] = {
        "seed": seed,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "num_shards": num_shards,
    }
    # As before these were there, so that older data sets are recognised.
    if group_by:
        settings["group_by"] = group_by
    if allow_near_copies:
        settings["allow_near_copies"] = True

    def read(work: pathlib.Path) -> conversion.Content:
        found = folder_source.find_pictures(source_dir, csv_file, work)
        class_names = _class_names(found, labels_file)
        stamp = _stamp(found)
        if allow_near_copies:
            copies = NearCopies("")
        else:
            copies = near_copies.find(found, stamp, [work, pathlib.Path(dataset_dir)])
            near_copies.report(copies, found)
        groups = splitting.groups_of(found, group_by, copies.sets)
        is_apart = bool(group_by) or not allow_near_copies
        undecoded = frozenset(copies.undecoded)
        by_split = splitting.split(found, settings, groups, is_apart, undecoded)
        logging.info("%s", _table(class_names, by_split))
        numbers = {name: number for number, name in enumerate(class_names)}
        return conversion.Content(
            class_names,
            {
                split: _content(some, numbers, undecoded)
                for split, some in by_split.items()
            },
            files=copies.as_files(),
            num_shards={
                split: min(num_shards or _enough_shards(some), len(some))
                for split, some in by_split.items()
            },
            stamp=stamp,
        )

    if dry_run:
        with tempfile.TemporaryDirectory() as work:
            read(pathlib.Path(work))
        logging.info("Nothing was written, as --dry_run asks for")
        return
    conversion.convert(
        dataset,
        dataset_dir,
        read,
        strict=strict,
        settings=settings,
        is_quick_to_read=True,
    )


def _class_names(
    found: Iterable[Picture], labels_file: str | os.PathLike[str] | None
) -> list[str]:
    labels = {picture.label for picture in found}
    if not labels_file:
        return pictures.class_names(labels)
    path = pathlib.Path(labels_file)
    if path.is_dir():
        path /= dataset_utils.LABELS_FILENAME
    if not path.is_file():
        raise UserError(f"there is no --labels_file={path}")
    names = dataset_utils.read_label_file(path.parent, path.name)
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{path} should number classes from 0 on, without gaps")
    unknown = sorted(labels - set(names.values()))
    if unknown:
        more = f"{len(names)}:{unknown[0]}"
        raise UserError(
            f"{path} has no class {', '.join(unknown)}, but "
            f"{', '.join(names.values())}. For new classes give a copy with lines "
            f"added, as {more}"
        )
    return [names[number] for number in range(len(names))]


def _content(
    some: Sequence[Picture], numbers: Mapping[str, int], undecoded: Collection[str]
) -> conversion.SplitPlan:
    labels = [numbers[picture.label] for picture in some]

    def example(index: int) -> tf.train.Example:
        picture = some[index]
        content = decode.load(picture.path)
        if picture.name in undecoded:
            decode.decode(content)  # Its markers may be in order, but not its code.
        return encoding.picture_example(content, labels[index])

    return conversion.SplitPlan(labels, [picture.name for picture in some], example)


def _enough_shards(some: Iterable[Picture]) -> int:
    total = sum(max(picture.bytes, 0) for picture in some)
    return max(_LEAST_SHARDS, shards.number_for(total))


def _stamp(found: Iterable[Picture]) -> str:
    """Changes with the size and the time of any file."""
    digest = hashlib.sha256()
    for picture in found:
        digest.update(f"{picture.bytes} {picture.modified} ".encode())
    return digest.hexdigest()


def _table(class_names: Sequence[str], splits: Mapping[str, Sequence[Picture]]) -> str:
    """How many pictures of each class each split has, as lines of text."""
    counts = {s: Counter(p.label for p in some) for s, some in splits.items()}
    width = max(map(len, class_names))
    head = " ".join(f"{split:>10}" for split in splits)
    rows = [f"  {'class':{width}} {head}"]
    for name in class_names[:_MOST_SHOWN]:
        row = " ".join(f"{counts[split][name]:10}" for split in splits)
        rows.append(f"  {name:{width}} {row}")
    if len(class_names) > _MOST_SHOWN:
        rows.append(f"  and {len(class_names) - _MOST_SHOWN} more")
    return "Pictures found\n" + "\n".join(rows)
