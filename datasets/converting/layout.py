"""What the layouts of folders have in common: their folders and pictures."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from datasets.converting.pictures import Picture
from slimbase.errors import UserError
from slimbase.pictures import find as picture_files

EXPECTED = (
    "expected a folder for each class (daisy/1.jpg), such folders in train and val or "
    "test (train/daisy/1.jpg), or --csv_file with lines of path,label"
)


class Layout(NamedTuple):
    """How a folder was read.

    Attributes:
      description: what was recognised, as a part of a sentence.
      pictures: what there is.
      sources: the tables and lists that were used.
      has_own_classes: whether labels are from class folders that are in no splits, so
        that a table beside them may say otherwise.
    """

    description: str
    pictures: list[Picture]
    sources: Sequence[pathlib.Path] = ()
    has_own_classes: bool = False


def pictures_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The pictures below a folder."""
    return [pathlib.Path(path) for path in picture_files.sort_out(str(folder))[0]]


def has_pictures(folder: pathlib.Path) -> bool:
    """Whether there is a picture below a folder."""
    return any(map(picture_files.may_be_picture, picture_files.walk(str(folder))))


def count_loose(folder: pathlib.Path) -> int:
    """The number of pictures right in a folder."""
    paths = (path for path in folder.iterdir() if path.is_file())
    return sum(map(picture_files.may_be_picture, paths))


def folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders that people see; not links to what is around the folder."""
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
