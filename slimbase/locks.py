"""Directories that one process at a time works in."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from absl import logging

from slimbase.errors import UserError

try:
    import fcntl
except ImportError:  # Windows.
    fcntl = None


@contextlib.contextmanager
def locked(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Makes `directory`; other processes that lock it wait until the block ends.

    A process that is killed holds no lock. Where the system or the file system has no
    locks, nobody waits.

    Raises:
      UserError: if the directory can't be made or opened.
    """
    directory = pathlib.Path(directory)
    with contextlib.ExitStack() as stack:
        while not _lock(directory, stack):
            pass  # The one that we waited for has deleted it.
        yield


def _lock(directory: pathlib.Path, stack: contextlib.ExitStack) -> bool:
    """Locks `directory` until `stack` is closed, if it is still there then."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"cannot write to {directory}: it is a file, not a directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}") from error
    if not fcntl:
        return True
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}") from error
    stack.callback(os.close, descriptor)
    with contextlib.suppress(OSError):  # File systems without locks.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info("Waiting for another process to leave %s", directory)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    return False
