"""Pictures of a folder with their classes, and where a list means them."""

import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple


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


def class_name(name: str) -> str:
    """A folder's or a table's name of a class as one line; accents in one form."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


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


class Index:
    """Finds the files that a list means: by path, or by name, with or without suffix.

    What fits several files is found by its whole path alone. For `bee/7.jpg` of a list,
    a file `7.jpg` in another folder is not taken, as that may be another class, unless
    all files are in one folder.
    """

    def __init__(self, paths: Iterable[pathlib.Path], root: pathlib.Path):
        """Indexes files below `root`."""
        self._by_path: dict[str, pathlib.Path | None] = {}
        self._by_name: dict[str, list[pathlib.Path]] = {}
        relatives = {path: path.relative_to(root) for path in paths}
        self._size = len(relatives)
        self._is_flat = len({relative.parent for relative in relatives.values()}) == 1
        for path, relative in relatives.items():
            key = relative.with_suffix("").as_posix()
            self._by_path[key] = None if key in self._by_path else path
            for name in {relative.name, relative.stem}:
                self._by_name.setdefault(name, []).append(path)
        # Paths as they are come first, whatever else is called so.
        for path, relative in relatives.items():
            self._by_path[relative.as_posix()] = path

    def __len__(self) -> int:
        return self._size

    def find(self, name: str) -> pathlib.Path | None:
        """The file that is meant by `name`; None if there is none, or several."""
        for text in (name, name.replace("\\", "/")):
            path = pathlib.PurePosixPath(text)
            parts = [part for part in path.parts if part not in ("/", ".", "..")]
            for i in range(len(parts)):  # As of a list of another place.
                if found := self._by_path.get("/".join(parts[i:])):
                    return found
                is_name = i == len(parts) - 1
                is_sure = not is_name or i == 0 or self._is_flat
                if is_sure and (found := self._by_end(parts[i:])):
                    return found
        return None

    def _by_end(self, parts: Sequence[str]) -> pathlib.Path | None:
        """The only file whose path ends in these folders and this name."""
        *folders, name = parts
        named = self._by_name.get(name, [])
        if folders:
            start = -1 - len(folders)
            named = [path for path in named if list(path.parts[start:-1]) == folders]
        exact = [path for path in named if path.name == name]
        fits = exact or named
        return fits[0] if len(fits) == 1 else None


def short_names(paths: Sequence[pathlib.Path]) -> list[str]:
    """The ends of absolute paths: the files' names, with folders as far as they differ.

    Args:
      paths: of files, each of them once.
    """
    most = max((len(path.parts) for path in paths), default=0)
    for number in range(1, most):
        names = ["/".join(path.parts[1:][-number:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [path.as_posix().removeprefix(path.anchor) for path in paths]
