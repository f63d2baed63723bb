"""People's own pictures with their classes, from folders, archives or tables."""

import hashlib
import os
import pathlib
import tarfile
import zipfile
from collections import Counter
from collections.abc import Sequence

from absl import logging

from datasets.converting import folder_table, layouts
from datasets.converting.layout import EXPECTED, Layout
from datasets.converting.pictures import Index, Picture, class_name, short_names
from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import archives
from slimbase.pictures import find as picture_files
from slimbase.text import counted, listed

_NO_NAMES = ("nan", "none", "null", "n/a", "na")  # What programs write of empty cells.


def find_pictures(
    source_dir: str | os.PathLike[str] | None,
    csv_file: str | os.PathLike[str] | None = None,
    work: pathlib.Path | None = None,
) -> list[Picture]:
    """All pictures of a folder, an archive or a table, each once.

    Logs the layout that was recognised; see `layouts.recognise`.

    Args:
      source_dir: a folder, or a zip or tar archive of one; with a `csv_file`, what
        paths in there are relative to.
      csv_file: has a path, a label and maybe a split in each line; the first line
        may name these columns.
      work: where an archive is unpacked.

    Raises:
      UserError: if there are none, if some have several labels, if a line of the table
        is not what it should be, or if it is not clear what is a class.
    """
    if not (source_dir or csv_file):
        raise UserError(f"--source_dir is missing: {EXPECTED}")
    root = pathlib.Path(source_dir or pathlib.Path(str(csv_file)).parent)
    if root.is_file() and work:
        root = _unpacked(root, work)
    if csv_file:
        layout = _from_table(pathlib.Path(csv_file), root)
    else:
        layout = layouts.recognise(root)
    if not layout.pictures:
        where = csv_file or files.listing(str(source_dir))
        hint = ""
        inside = [] if csv_file else list(root.glob("*"))
        if any(map(picture_files.may_be_picture, inside)):
            hint = " If this is one of the classes, name the folder above it"
        elif packed := next(filter(is_archive, inside), None):
            hint = f" If they are in the archive, give --source_dir={packed}"
        raise UserError(
            f"there are no pictures: {where}. {EXPECTED.capitalize()}.{hint}"
        )
    kept = _without_copies(_each_once(layout.pictures))
    classes = Counter(picture.label for picture in kept)
    logging.info(
        "Layout: %s: %s, %d classes",
        layout.description,
        counted(len(kept), "picture"),
        len(classes),
    )
    _check_classes(classes)
    return kept


def is_archive(path: pathlib.Path) -> bool:
    """Whether a file is a zip or tar archive."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def _unpacked(archive: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    if not is_archive(archive):
        raise UserError(
            f"--source_dir={archive} is a file and no archive: expected a folder, or a "
            "zip or tar archive of one"
        )
    facts = archive.stat()
    identity = f"{archive.absolute()}:{facts.st_size}:{facts.st_mtime_ns}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:8]
    target = work / f"{archive.name}-{digest}"
    archives.unpack(archive, target)
    for path in target.rglob("*"):  # So that the next run knows them again.
        os.utime(path, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    return target


def _from_table(table: pathlib.Path, root: pathlib.Path) -> Layout:
    """The pictures that a table names, whether they are there or not."""
    read = folder_table.read(table, root)
    index: Index | None = None
    pictures, guessed, outside = [], [], {}
    base = root.absolute()
    for row in read.rows:
        path = root / row.path
        if not path.exists():
            index = index or Index(map(pathlib.Path, _all_pictures(root)), root)
            if found := index.find(row.path):
                path = found
                guessed.append(row.path)
        name = _name_below(path.absolute(), base)
        if not name:
            outside[path.absolute()] = row.path
        pictures.append(Picture(path, name, class_name(row.label), row.split))
    names = dict(zip(outside, short_names(list(outside)), strict=True))
    pictures = [p._replace(name=p.name or names[p.path.absolute()]) for p in pictures]
    if guessed:
        logging.info(
            "%s: %s found by name, as %s",
            table.name,
            counted(len(guessed), "picture"),
            guessed[0],
        )
    if outside:
        logging.warning(
            f"{counted(len(outside), 'picture')} of {table.name} are not below {root}, "
            f"as {next(iter(outside.values()))}: records have their files' names, with "
            "no more folders than make them differ"
        )
    note = f" ({read.note})" if read.note else ""
    return Layout(f"labels of {table.name}{note}", pictures)


def _name_below(path: pathlib.Path, base: pathlib.Path) -> str:
    """A path relative to a folder; empty if it is not in there."""
    for file, folder in ((path, base), (path.resolve(), base.resolve())):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return ""


def _all_pictures(root: pathlib.Path) -> list[str]:
    return picture_files.sort_out(str(root))[0] if root.is_dir() else []


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


def _check_classes(counts: Counter[str]) -> None:
    if len(counts) < 2:
        [(only, count)] = counts.items()
        raise UserError(
            f"there is one class, {only}, of {count} pictures; {EXPECTED}. Is it one "
            "level further up or down?"
        )
    alike: dict[str, list[str]] = {}
    for label in counts:
        alike.setdefault(label.casefold(), []).append(label)
    if same := [" and ".join(some) for some in alike.values() if len(some) > 1]:
        logging.warning(
            f"Classes that differ in capitals alone are kept apart: {listed(same)}. "
            "Rename one of them if they are the same"
        )
    if odd := [label for label in counts if label.casefold() in _NO_NAMES]:
        logging.warning(
            f"{listed(odd)} is a class: programs write this where a cell is empty. "
            "Remove these lines if that is so"
        )
