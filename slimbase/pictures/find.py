"""Finding people's picture files."""

import glob
import os
import pathlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from absl import logging

from slimbase.errors import UserError
from slimbase.pictures import kinds
from slimbase.text import counted, listed

# Of all kinds of pictures, so that those which are not read are reported.
SUFFIXES = tuple(suffix for kind in kinds.PICTURES for suffix in kind.suffixes)

_MOST_SHOWN = 5
# Of macOS' archives; of Synology and QNAP; of Windows and Linux.
_SYSTEM_NAMES = frozenset(
    (
        *("__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "lost+found"),
        *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("#snapshot", "@recently-snapshot", "@tmp"),
    )
)


def find(operands: Iterable[str], stream: IO | None = None) -> list[str]:
    """The picture files that operands stand for.

    Args:
      operands: files, which are taken whatever they hold; directories, of which all
        files that are called or begin like a picture are taken, hidden ones aside;
        globs (`**` for any directories); and `-` for file names on `stream`, one per
        line.
      stream: standard input if None.

    Returns:
      Paths in the order of the operands; those of a directory or a glob are sorted
      with numbers by value (`2.jpg` before `10.jpg`).

    Raises:
      UserError: when there are none for one of the operands.
    """
    found = []
    for operand in operands:
        if operand == "-":
            matches = _listed(sys.stdin if stream is None else stream)
        else:
            matches = _matches(operand)
        if not matches:
            raise UserError(
                "there are no file names on standard input; expected one per line"
                if operand == "-"
                else f"there is no picture {operand}"
            )
        found += matches
    if not found:
        raise UserError("give the pictures: files, directories or globs")
    return found


def _matches(operand: str) -> list[str]:
    path = pathlib.Path(operand)
    if path.is_dir():
        matches = inside(operand)
        if not matches:
            names = ", ".join(kind.name for kind in kinds.READ)
            raise UserError(
                f"there is no picture in the directory {operand}; expected {names}"
            )
        return matches
    if path.exists() or path.is_symlink():
        return [operand]
    # pathlib's globs must be relative and find hidden files.
    paths = sorted(glob.glob(operand, recursive=True), key=natural)  # noqa: PTH207
    matches = []
    for match in paths:
        matches += inside(match) if pathlib.Path(match).is_dir() else [match]
    # `**` gives directories as well as what is in them, and goes round with links.
    places = {}
    for match in matches:
        path = pathlib.Path(match)
        places.setdefault(path.parent.resolve() / path.name, match)
    return list(places.values())


def _listed(stream: IO) -> list[str]:
    lines = (os.fsdecode(line) for line in getattr(stream, "buffer", stream))
    names = (line.rstrip("\r\n") for line in lines)
    return [name for name in names if name.strip()]


def inside(directory: str) -> list[str]:
    """The pictures below a directory, as `find` sorts them; logs what else is there."""
    pictures, others = sort_out(directory)
    warn_of_others(others, directory)
    return pictures


def sort_out(directory: str) -> tuple[list[str], list[str]]:
    """The pictures below a directory, as `find` sorts them, and the other files."""
    pictures, others = [], []
    for path in walk(directory):
        (pictures if may_be_picture(path) else others).append(path)
    return sorted(pictures, key=natural), others


def warn_of_others(others: Sequence[str], directory: str) -> None:
    """Logs a warning of files that are no pictures, by suffix, if there are any."""
    if others:
        logging.warning(
            f"Left out: {counted(len(others), 'file')} in {directory}, neither called "
            f"like a picture nor beginning like one: {by_suffix(others)}"
        )


def may_be_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file is called or begins like a picture, of whatever kind."""
    path = pathlib.Path(path)
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            kind = kinds.of(file.read(kinds.START_BYTES))
    except OSError:
        return False
    return kind is not None and kind.is_picture


def by_suffix(paths: Iterable[str | os.PathLike[str]]) -> str:
    """The numbers of files by suffix, the most frequent first."""
    suffixes = Counter(
        pathlib.Path(path).suffix.lower() or "no suffix" for path in paths
    )
    texts = [f"{count:,} {suffix}" for suffix, count in suffixes.most_common()]
    return listed(texts, _MOST_SHOWN)


def walk(directory: str) -> Iterator[str]:
    """The files below a directory, hidden ones and what is no file aside.

    Links are followed, to a directory once and never to one around `directory`.

    Raises:
      UserError: when a directory can't be listed.
    """
    start = pathlib.Path(directory).resolve()

    def fail(error: OSError) -> None:
        raise UserError(f"cannot list {error.filename}: {error.strerror}") from error

    seen = {start, *start.parents}
    for root, directories, names in os.walk(directory, onerror=fail, followlinks=True):
        kept = []
        for name in sorted(directories, key=natural):
            place = pathlib.Path(root, name).resolve()
            if not is_hidden(name) and place not in seen:
                seen.add(place)
                kept.append(name)
        directories[:] = kept
        paths = (pathlib.Path(root, name) for name in names if not is_hidden(name))
        yield from (str(path) for path in paths if path.is_file())


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is kept from people's eyes."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def hidden_pictures(directory: str) -> Counter[str]:
    """Counts the files below a directory that `walk` passes over, by hidden folder.

    Those that are called like pictures are counted, as thumbnails in `@eaDir`; hidden
    files in folders that are not hidden stand under their first two characters.
    """
    found: Counter[str] = Counter()
    for root, _, names in os.walk(directory):
        hidden = filter(is_hidden, pathlib.Path(root).relative_to(directory).parts)
        place = next(hidden, "")
        for name in names:
            if not (place or is_hidden(name)):
                continue
            if pathlib.Path(name).suffix.lower() in SUFFIXES:
                found[place or f"{name[:2]}*"] += 1
    return found


def natural(path: str) -> tuple:
    """A key that sorts paths by directory, numbers by value; unique to a path."""
    # Every other piece is a number, so that like is compared with like.
    pieces = (re.split(r"([0-9]+)", part) for part in pathlib.PurePath(path).parts)
    parts = [[int(p) if i % 2 else p for i, p in enumerate(part)] for part in pieces]
    return parts, path
