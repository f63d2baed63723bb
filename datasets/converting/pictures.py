"""Pictures of a folder with their classes, and where a list means them."""

import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable
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

    A name that is met in several folders is found by its path alone.
    """

    def __init__(self, paths: Iterable[pathlib.Path], root: pathlib.Path):
        """Indexes files below `root`."""
        self._found: dict[str, pathlib.Path | None] = {}
        paths = list(paths)
        self._size = len(paths)
        for path in paths:
            relative = path.relative_to(root)
            keys = {
                relative.as_posix(),
                relative.with_suffix("").as_posix(),
                relative.name,
                relative.stem,
            }
            for key in keys:
                self._found[key] = None if key in self._found else path
        # Paths come first, whatever else is called so.
        for path in paths:
            self._found[path.relative_to(root).as_posix()] = path

    def __len__(self) -> int:
        return self._size

    def find(self, name: str) -> pathlib.Path | None:
        """The file that is meant by `name`; None if there is none, or several."""
        for text in (name, name.replace("\\", "/")):
            path = pathlib.PurePosixPath(text)
            candidates = [text.removeprefix("./"), *self._shorter(path)]
            for key in candidates:
                if found := self._found.get(key):
                    return found
        return None

    @staticmethod
    def _shorter(path: pathlib.PurePosixPath) -> Iterable[str]:
        """Paths without the first folders, as of a list of another place."""
        parts = [part for part in path.parts if part not in ("/", ".", "..")]
        return ("/".join(parts[i:]) for i in range(len(parts)))
