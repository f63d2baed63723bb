"""Files that get their names only when they are whole and have been checked."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

from slimbase.errors import UserError


def record_path(path: pathlib.Path) -> pathlib.Path:
    """The path of the record of what is exported to `path`."""
    return path.with_name(f"{path.name}.json")


@contextlib.contextmanager
def staged(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path whose file or directory becomes `path` when the block succeeds.

    What was written beside it, as the record, comes with it.

    Raises:
      UserError: when `path` cannot be written, or is a directory of something else.
    """
    is_model = (path / "saved_model.pb").exists()
    if path.is_dir() and any(path.iterdir()) and not is_model:
        raise UserError(
            f"--output_file={path} is a directory with files of yours: give another"
        )
    stage = path.with_name(f".{path.name}.{os.getpid()}.partial")
    new, old = stage / path.name, stage / "old"
    absent = [parent for parent in path.parents if not parent.exists()]
    try:
        stage.mkdir(parents=True)
        yield new
        if path.is_dir():
            path.replace(old)
        new.replace(path)
        for beside in stage.iterdir():
            if beside != old:
                beside.replace(path.with_name(beside.name))
    except OSError as error:
        if old.exists() and not path.exists():
            old.replace(path)
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in absent:  # Those that stayed empty.
            with contextlib.suppress(OSError):
                parent.rmdir()


def size_of(path: pathlib.Path) -> int:
    """Bytes of a file, or of all files in a directory."""
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())
