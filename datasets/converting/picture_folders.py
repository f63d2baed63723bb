"""Pictures that are files of a folder, which a list names."""

import hashlib
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow.compat.v1 as tf

from datasets.converting import conversion
from datasets.storage import encoding
from slimbase.errors import UserError
from slimbase.pictures import decode


def split(
    folder: pathlib.Path, names: Sequence[str], labels: Sequence[int], **options: Any
) -> conversion.SplitPlan:
    """The pictures of one split.

    Args:
      folder: what holds them.
      names: of the files, relative to `folder`.
      labels: the class of each.
      **options: of `encoding.picture_example`.

    Raises:
      UserError: for a name that leads out of `folder`.
    """
    for name in names:
        check_name(name, folder)

    def encode(index: int) -> tf.train.Example:
        content = decode.load(folder / names[index])
        return encoding.picture_example(content, labels[index], **options)

    return conversion.SplitPlan(labels, names, encode)


def check_name(name: str, place: object) -> None:
    """Refuses a file name from a list that leads elsewhere.

    Raises:
      UserError: for a name that is not relative or goes up, or can't be one.
    """
    path = pathlib.PurePosixPath(name)
    try:
        can_be = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # JSON can have halves of characters.
        can_be = False
    if path.is_absolute() or ".." in path.parts or not can_be:
        raise UserError(f"{name!r} would not be in {place}; is the list what it says?")


def read_text(path: pathlib.Path) -> str:
    """The content of a list.

    Raises:
      UserError: if the file is not there or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} can't be read: {error}. Get the archive again."
        ) from error


def stamp(paths: Iterable[pathlib.Path]) -> str:
    """A text that changes with the size or the time of any of these files.

    Of folders too, which change when what is in them is added, renamed or removed.
    """
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            status = path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode())
    return digest.hexdigest()
