"""People's own pictures with their classes, from folders or from a table."""

import hashlib
import os
import pathlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from absl import logging

from datasets.converting import folder_table
from datasets.converting.folder_table import SPLITS
from slimbase import files
from slimbase.errors import UserError
from slimbase.pictures import find as picture_files

_LAYOUTS = (
    "expected a folder for each class (daisy/1.jpg), such folders in train and val or "
    "test (train/daisy/1.jpg), or --csv_file with lines of path,label"
)
_MOST_SHOWN = 5


class Picture(NamedTuple):
    """A file and what it shows.

    Attributes:
      path: of the file.
      name: as it is known in records: the path below the source.
      label: the name of its class.
      split: the one it was put into; empty if none.
      bytes: of the file; -1 if it is not there.
      modified: time of the file, in ns.
    """

    path: pathlib.Path
    name: str
    label: str
    split: str = ""
    bytes: int = -1
    modified: int = 0


def find_pictures(
    source_dir: str | os.PathLike[str] | None,
    csv_file: str | os.PathLike[str] | None = None,
) -> list[Picture]:
    """All pictures of a folder or a table, each once.

    Args:
      source_dir: has a folder for each class, or such folders for each split; with a
        `csv_file`, what paths in there are relative to.
      csv_file: has a path, a label and maybe a split in each line; the first line
        may name these columns.

    Raises:
      UserError: if there are none, if some have several labels, or a line of the
        table is not what it should be.
    """
    if csv_file:
        table = pathlib.Path(csv_file)
        root = pathlib.Path(source_dir or table.parent)
        found = [
            Picture(root / row.path, row.path, _class_name(row.label), row.split)
            for row in folder_table.read_rows(table, root)
        ]
    elif not source_dir:
        raise UserError(f"--source_dir is missing: {_LAYOUTS}")
    else:
        found = list(_in_folders(pathlib.Path(source_dir)))
    if not found:
        where = csv_file or files.listing(str(source_dir))
        hint = ""
        if source_dir and not csv_file and _loose(pathlib.Path(source_dir)):
            hint = " If this is one of the classes, name the folder above it"
        raise UserError(
            f"there are no pictures: {where}. {_LAYOUTS.capitalize()}.{hint}"
        )
    kept = _without_copies(_each_once(found))
    _check_classes(kept)
    return kept


def class_names(labels: Iterable[str]) -> list[str]:
    """The distinct labels in the order of class numbers: numbers by value."""
    distinct = set(labels)
    if all(re.fullmatch(r"[0-9]+", label) for label in distinct):
        return sorted(distinct, key=_value)
    return sorted(distinct)


def _value(label: str) -> tuple:
    """Sorts digits by their value, which int() does not read of thousands of them."""
    digits = label.lstrip("0")
    return len(digits), digits, label


def _in_folders(root: pathlib.Path) -> Iterator[Picture]:
    if not root.is_dir():
        raise UserError(f"{files.listing(str(root))}; {_LAYOUTS}")
    others: list[str] = []
    for folder, split in _splits(root).items():
        known = {}
        for class_folder in _folders(folder):
            label = _class_name(class_folder.name)
            other = known.setdefault(label, class_folder)
            if other != class_folder:
                raise UserError(
                    f"the folders {other.name!r} and {class_folder.name!r} in {folder} "
                    f"both stand for the class {label!r}: rename one of them"
                )
            paths, more = picture_files.sort_out(str(class_folder))
            others += more
            for path in map(pathlib.Path, paths):
                yield Picture(path, path.relative_to(root).as_posix(), label, split)
    picture_files.warn_of_others(others, str(root))


def _splits(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """The folders that have class folders, and what split each is; `root` if none."""
    folders = _folders(root)
    splits = {f: SPLITS[f.name.lower()] for f in folders if f.name.lower() in SPLITS}
    with_classes = {f: split for f, split in splits.items() if _folders(f)}
    is_class = len(splits) == 1 and any(map(_loose, splits))  # There are trains.
    if is_class or not with_classes:
        with_classes = {root: ""}
    elif "train" not in with_classes.values() or (len(splits) == 1 < len(folders)):
        raise UserError(
            f"{root} has {', '.join(f.name for f in folders)}: are these splits, or "
            "classes? Of splits, train is one, and the others are called val or test; "
            "class folders are not called so, or have pictures right in them"
        )
    elif unused := [f.name for f in folders if f not in with_classes]:
        logging.warning("Left out, as they are no splits with classes: %s", unused)
    for folder in with_classes:
        if loose := _loose(folder):
            logging.warning(
                "Left out: %d pictures in %s that are in no class folder", loose, folder
            )
    return with_classes


def _loose(folder: pathlib.Path) -> int:
    """The number of pictures right in a folder."""
    return sum(
        path.is_file() and picture_files.may_be_picture(path)
        for path in folder.iterdir()
    )


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Those that people see; not links to what is around the folder."""
    around = {folder.resolve(), *folder.resolve().parents}
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise UserError(f"cannot list {folder}: {error.strerror}") from error
    return [
        path
        for path in found
        if not picture_files.is_hidden(path.name) and path.resolve() not in around
    ]


def _class_name(name: str) -> str:
    """A folder's name as one line of text; accents in one form."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _each_once(found: Sequence[Picture]) -> list[Picture]:
    """Without second mentions of a file, under whatever path."""
    kept: dict[object, Picture] = {}
    for picture in found:
        try:
            status = picture.path.stat()
        except OSError:  # Listed in a table, but not there.
            first = kept.setdefault(picture.path, picture)
        else:
            there = picture._replace(bytes=status.st_size, modified=status.st_mtime_ns)
            first = kept.setdefault((status.st_dev, status.st_ino), there)
        if first.label != picture.label:
            raise UserError(
                f"{picture.path} has several labels, {first.label} (as {first.path}) "
                f"and {picture.label}; expected one label per picture"
            )
        if first.split != picture.split:
            raise UserError(
                f"{picture.path} is in two splits, {first.split} (as {first.path}) "
                f"and {picture.split}"
            )
    if len(kept) < len(found):
        again = len(found) - len(kept)
        logging.warning("%d mentions of files that were there already", again)
    return list(kept.values())


def _without_copies(found: Sequence[Picture]) -> list[Picture]:
    """Without pictures of the same bytes: some would be in two splits."""
    by_size: dict[int, list[Picture]] = {}
    for picture in found:
        by_size.setdefault(picture.bytes, []).append(picture)
    firsts: dict[object, Picture] = {}
    copies, contradictions = set(), []
    for size, alike in by_size.items():
        for picture in alike if size > 0 and len(alike) > 1 else ():
            first = firsts.setdefault(_digest(picture.path), picture)
            if first is picture:
                continue
            if (first.label, first.split) == (picture.label, picture.split):
                copies.add(picture)
            else:
                contradictions.append(f"{first.path} and {picture.path}")
    if copies:
        logging.warning("Left out: %d copies of other pictures", len(copies))
    if contradictions:
        logging.warning(
            f"{len(contradictions)} pictures are in two classes or in two splits, as "
            f"{contradictions[0]}"
        )
    return [picture for picture in found if picture not in copies]


def _digest(path: pathlib.Path) -> object:
    try:
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError:  # Conversion reports it.
        return path


def _check_classes(found: Sequence[Picture]) -> None:
    counts = Counter(picture.label for picture in found)
    if len(counts) < 2:
        [(only, count)] = counts.items()
        raise UserError(
            f"there is one class, {only}, of {count} pictures; {_LAYOUTS}. Is it one "
            "level further up or down?"
        )
    if all(picture.name.count("/") > 1 + bool(picture.split) for picture in found):
        logging.warning(
            "All pictures are in folders within the folders that were taken for "
            "classes, %s: is --source_dir one level too high?",
            ", ".join(list(counts)[:_MOST_SHOWN]),
        )
