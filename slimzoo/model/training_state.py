"""training.json: whether a training still writes checkpoints, for `--watch`."""

import contextlib
import json
import os
import pathlib
import socket
from collections.abc import Iterator

from slimbase import files

FILE_NAME = "training.json"


@contextlib.contextmanager
def running(directory: str) -> Iterator[None]:
    """Marks `directory` as in training, so that `--watch` knows when to end."""
    path = pathlib.Path(directory) / FILE_NAME
    process = {"host": socket.gethostname(), "process": os.getpid()}
    files.write_json(path, process | {"running": True})
    try:
        yield
    finally:
        files.write_json(path, process | {"running": False})


def has_ended(directory: str) -> bool:
    """Whether the last training in `directory` has ended; false if that is unknown."""
    path = pathlib.Path(directory) / FILE_NAME
    try:
        state = json.loads(path.read_text("utf-8"))
        if not state["running"]:
            return True
        return state["host"] == socket.gethostname() and _is_gone(state["process"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return False


def _is_gone(process: int) -> bool:
    """Whether a process is gone: if it was killed, it has not changed the file."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # It belongs to another user.
        return False
    return False
