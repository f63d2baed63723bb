"""Lists of the pictures of each split, as published sets have them in text files."""

import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from datasets.converting import split_names
from datasets.converting.pictures import Index
from slimbase.errors import UserError
from slimbase.pictures import find as picture_files
from slimbase.text import counted

SUFFIX = ".txt"
_MOST_LEVELS = 3  # Below the folder that lists are looked for in.
_LEAST_FOUND = 0.95  # Share of a list's pictures; below, it is none or not of these.


class Entry(NamedTuple):
    """A line of a list.

    Attributes:
      path: of the picture.
      label: what follows the path; empty if nothing does.
    """

    path: pathlib.Path
    label: str


def find(top: pathlib.Path) -> dict[pathlib.Path, str]:
    """The lists below a folder that are called like splits, and the split of each.

    They are in the folder itself, or in folders that have no pictures. Several lists of
    a split, as of several foldings, are none.
    """
    found: dict[pathlib.Path, str] = {}
    for folder in _without_pictures(top, _MOST_LEVELS):
        paths = [p for p in sorted(folder.glob(f"*{SUFFIX}")) if p.is_file()]
        named = split_names.of_names([path.stem for path in paths])
        splits = [named[path.stem] for path in paths if path.stem in named]
        if len(set(splits)) == len(splits) > 1:
            found |= {p: named[p.stem] for p in paths if p.stem in named}
            break
    return found if "train" in found.values() else {}


def _without_pictures(folder: pathlib.Path, levels: int) -> Iterator[pathlib.Path]:
    yield folder
    if levels == 0:
        return
    for inner in sorted(folder.iterdir()):
        if not inner.is_dir() or picture_files.is_hidden(inner.name):
            continue
        if not any(picture_files.may_be_picture(p) for p in inner.iterdir()):
            yield from _without_pictures(inner, levels - 1)


def read(path: pathlib.Path, index: Index) -> list[Entry]:
    """The pictures of a list.

    Args:
      path: of the list: a path in each line, with or without suffix, and maybe a label
        behind a space, a tab or a comma.
      index: of the pictures that there are.

    Returns:
      Nothing, for a list that names none of these.

    Raises:
      UserError: if it is not text, or names some that are there and many that are not.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the list {path}: {error}") from error
    lines = [line.strip() for line in lines if line.strip()]
    entries = [entry for line in lines if (entry := _entry(line, index))]
    if not entries:
        return []
    if len(entries) < _LEAST_FOUND * len(lines):
        raise UserError(
            f"{path} lists {counted(len(lines), 'picture')}, and "
            f"{len(lines) - len(entries):,} of these are not there: is it the list of "
            "these pictures? Remove it, or get the others"
        )
    return entries


def _entry(line: str, index: Index) -> Entry | None:
    if path := index.find(line):
        return Entry(path, "")
    for separator in ("\t", ",", None):  # None: any white space.
        pieces = line.split(separator, 1)
        if len(pieces) == 2 and (path := index.find(pieces[0].strip())):
            return Entry(path, _label(pieces[1].strip()))
    return None


def _label(rest: str) -> str:
    """What follows a path, without numbers of a box behind it."""
    first, *more = re.split(r"[\t,]", rest, maxsplit=1)
    words = first.split()
    if not more and len(words) > 1 and all(map(_is_number, words[1:])):
        return words[0]
    return first.strip()


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()
