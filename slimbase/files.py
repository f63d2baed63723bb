"""Files that are there whole or not at all."""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.text import listed


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a temporary path that becomes `path` when the block succeeds.

    Makes the directory when it is missing. When the block fails, what was at `path`
    stays as it was.

    Raises:
      UserError: when `path` cannot be written.
    """
    path = pathlib.Path(path)
    if path.is_symlink():  # What it leads to is replaced, not the link.
        path = path.resolve()
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path  # Such as /dev/stdout, which cannot be replaced.
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def new_directory(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary directory that becomes `path` when the block succeeds.

    One process at a time may make `path`, which must not be there yet. What a process
    that was killed left of it is removed.

    Raises:
      UserError: when `path` cannot be written.
    """
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def parent(path: str) -> str:
    """The directory of `path`, which may be remote; pathlib would shorten its `//`."""
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


def listing(directory: str, most: int = 8) -> str:
    """What is in `directory`, or that it is not there, for an error message."""
    if not tf.io.gfile.exists(directory):
        return f"there is no directory {directory}"
    if not tf.io.gfile.isdir(directory):
        return f"{directory} is a file"
    names = sorted(tf.io.gfile.listdir(directory))
    return f"{directory} holds {listed(names, most) or 'nothing'}"


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes `content` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
