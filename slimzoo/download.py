"""Downloads that survive a bad connection."""

import contextlib
import http.client
import os
import pathlib
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from absl import logging
from tqdm import tqdm

from slimzoo.errors import UserError

# Seconds before another attempt, as long as attempts bring nothing new.
WAITS = (1, 2, 4, 8)
_STALLED_SECONDS = 60
_BLOCK_BYTES = 1 << 16
_NOT_FOUND = (404, 410)
_BUSY = (408, 425, 429)


class NotFoundError(UserError):
    """There is nothing at a URL."""


class _Interrupted(Exception):
    """An attempt failed for a reason that may pass."""


def download(url: str, path: str | os.PathLike[str], advice: str = "") -> None:
    """Downloads a file unless it is there already; `path` is whole or not there.

    A connection that drops is taken up again where it ended, and so is, if the server
    can, a download that failed or was killed: what arrived stays beside `path`, in a
    hidden file. One process at a time may download to `path`.

    Args:
      url: http, https or file.
      path: of the file to write; its directory is made if missing.
      advice: what the user can do if the file can't be had.

    Raises:
      NotFoundError: if there is nothing at `url`.
      UserError: if it can't be had, or `path` not be written.
    """
    path = pathlib.Path(path)
    if path.exists():
        logging.info("%s is there already and is not downloaded again.", path)
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _persist(url, partial)
            partial.replace(path)
        finally:
            if _size(partial) == 0:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    except NotFoundError as error:
        raise NotFoundError(f"{error} {advice}".strip()) from error
    except UserError as error:
        raise UserError(f"{error} Try again later. {advice}".strip()) from error
    logging.info("Downloaded %s, %d bytes.", path, path.stat().st_size)


def _persist(url: str, partial: pathlib.Path) -> None:
    """Makes attempts until `partial` is whole or they get nowhere."""
    furthest, waits = _size(partial), iter(WAITS)
    while True:
        try:
            return _attempt(url, partial)
        except _Interrupted as error:
            if _size(partial) > furthest:
                furthest, waits = _size(partial), iter(WAITS)
            wait = next(waits, None)
            if wait is None:
                raise UserError(f"could not download {url}: {error}.") from error
            logging.warning("%s: %s; trying again in %d s", url, error, wait)
            time.sleep(wait)


def _attempt(url: str, partial: pathlib.Path) -> None:
    """Asks for what `partial` lacks and appends it."""
    with _explained(url):
        response = _open(url, partial)
    if response is None:
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(response)
        start, total = _extent(response)
        if start > _size(partial):
            partial.unlink(missing_ok=True)
            raise _Interrupted(f"got what follows byte {start} only")
        file = stack.enter_context(partial.open("ab"))
        file.truncate(start)
        progress = stack.enter_context(
            tqdm(
                desc=f"Downloading {url}",
                initial=start,
                total=total,
                unit="B",
                unit_scale=True,
                disable=None,
            )
        )
        for block in _blocks(response, url):
            file.write(block)
            progress.update(len(block))
    if total is not None and _size(partial) != total:
        raise _Interrupted(f"got {_size(partial)} bytes of {total}")


def _open(url: str, partial: pathlib.Path):
    """An answer from the end of `partial` on; None if that is the end of the file."""
    position = _size(partial)
    request = urllib.request.Request(url)
    if position:
        request.add_header("Range", f"bytes={position}-")
    try:
        return urllib.request.urlopen(request, timeout=_STALLED_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{position}":
            return None
        partial.unlink()
        raise _Interrupted(f"nothing from byte {position} on") from error


def _extent(response) -> tuple[int, int | None]:
    """Where an answer begins, and how long the whole file is if the server says so."""
    match = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
    )
    if match:
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def _blocks(response, url: str) -> Iterator[bytes]:
    while True:
        with _explained(url):
            block = response.read(_BLOCK_BYTES)
        if not block:
            return
        yield block


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Tells errors of the connection, some of which may pass, from those of files."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _BUSY or error.code >= 500:
            raise _Interrupted(str(error)) from error
        kind = NotFoundError if error.code in _NOT_FOUND else UserError
        raise kind(f"could not download {url}: {error}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, FileNotFoundError):
            raise NotFoundError(f"could not download {url}: {reason}.") from error
        raise _Interrupted(str(reason) or type(reason).__name__) from error


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0
