"""Downloads that survive a bad connection."""

import contextlib
import dataclasses
import email.message
import errno
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from absl import logging
from tqdm import tqdm

from slimbase.errors import UserError
from slimbase.fetch import checksums

# Seconds before another attempt, as long as attempts bring nothing new.
WAITS = (1, 2, 4, 8)
_STALLED_SECONDS = 60
# What brings less in _STALLED_SECONDS has stalled; an attempt that does got nowhere.
_BLOCK_BYTES = 1 << 16
_SCHEMES = ("http", "https", "file")
_BUSY = (408, 425, 429)


class UnavailableError(UserError):
    """A URL does not give the file; another one might."""


class NotFoundError(UnavailableError):
    """There is nothing at a URL, or not in a directory that stands for it."""


class ForbiddenError(UnavailableError):
    """A server does not give what is at a URL: some say so if nothing is there."""


class _Interrupted(Exception):
    """An attempt failed for a reason that may pass."""


_ERRORS = {403: ForbiddenError, 404: NotFoundError, 410: NotFoundError}  # By status.


@dataclasses.dataclass(frozen=True)
class _Source:
    """What is asked for, and what is known of it."""

    url: str
    size: int | None
    md5: str | None


@dataclasses.dataclass(frozen=True)
class _Version:
    """Distinguishes the files that a URL may give at different times.

    Attributes:
      url: the requested URL.
      validator: the server's name for this content, or its date; "" if unknown.
      total: size of the whole file in bytes, if known.
    """

    url: str
    validator: str
    total: int | None

    def differs(self, other: "_Version") -> bool:
        """Whether parts of the two do not fit together, as far as is known."""

        def contradict(a: str | int | None, b: str | int | None) -> bool:
            return bool(a and b) and a != b

        return contradict(self.total, other.total) or (
            self.url == other.url and contradict(self.validator, other.validator)
        )


def download(
    url: str,
    path: str | os.PathLike[str],
    advice: str = "",
    size: int | None = None,
    md5: str | None = None,
) -> None:
    """Downloads a file unless it is there already; `path` is whole or not there.

    A connection that drops is taken up again where it ended, and so is, if the server
    can, a download that failed or was killed: what arrived stays beside `path`, in a
    hidden file, with a note of what it is a part of. What arrived of a file that has
    changed since is dropped, and so is a file that isn't what was published. One
    process at a time may download to `path`.

    Args:
      url: http, https or file.
      path: of the file to write; its directory is made if missing.
      advice: what the user can do if the file can't be had.
      size: in bytes, if known.
      md5: in hexadecimal digits, if known.

    Raises:
      NotFoundError: if there is nothing at `url`.
      ForbiddenError: if it is refused.
      UnavailableError: if it can't be had, or is not what was published.
      UserError: if `path` can't be written.
    """
    path = pathlib.Path(path)
    partial = _Partial(path)
    if path.exists():
        with contextlib.suppress(OSError):
            partial.note.unlink()  # Of a process that was killed.
        logging.info("%s is there already and is not downloaded again.", path)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _persist(_Source(url, size, md5), partial)
            if wrong := checksums.difference(partial.path, size, md5):
                partial.drop()
                raise UnavailableError(
                    f"what came from {url} is not the published file: {wrong}."
                )
            partial.path.replace(path)
        finally:
            if partial.size() == 0:
                partial.drop()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    except (NotFoundError, ForbiddenError) as error:
        raise type(error)(f"{error} {advice}".strip()) from error
    except UnavailableError as error:
        raise UnavailableError(f"{error} Try again later. {advice}".strip()) from error
    logging.info("Downloaded %s, %d bytes.", path, path.stat().st_size)


class _Partial:
    """What arrived of a file so far, and a note of what it is a part of."""

    def __init__(self, target: pathlib.Path):
        self.name = target.name
        self.path = target.with_name(f".{target.name}.partial")
        self.note = target.with_name(f".{target.name}.partial.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def version(self) -> _Version | None:
        try:
            return _Version(**json.loads(self.note.read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def begin(self, version: _Version) -> None:
        """Empties it, so that what is noted is never about what came before."""
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps(dataclasses.asdict(version)), "utf-8")


def _persist(source: _Source, partial: _Partial) -> None:
    """Makes attempts until `partial` is whole or they get nowhere."""
    furthest, waits = partial.size(), iter(WAITS)
    while True:
        try:
            return _attempt(source, partial)
        except _Interrupted as error:
            if partial.size() >= furthest + _BLOCK_BYTES:
                furthest, waits = partial.size(), iter(WAITS)
            wait = next(waits, None)
            if wait is None:
                message = f"could not download {source.url}: {error}."
                raise UnavailableError(message) from error
            logging.warning("%s: %s; trying again in %d s", source.url, error, wait)
            time.sleep(wait)


def _attempt(source: _Source, partial: _Partial) -> None:
    """Asks for what `partial` lacks and appends it."""
    begun = partial.version()
    # Parts that came from several places are checked as a whole, or not used.
    if begun is None or (begun.url != source.url and not source.md5):
        partial.drop()
    position = partial.size()
    with _explained(source.url):
        response = _open(source.url, partial, begun)
    if response is None:
        return
    with contextlib.closing(response):
        start, total = _extent(response)
        offered = _Version(source.url, _validator(response.headers), total)
        if start > position or (start and begun and begun.differs(offered)):
            partial.drop()
            raise _Interrupted("the file there has changed, or its end came only")
        if source.size is not None and total not in (None, source.size):
            raise _Interrupted(f"it has {total} bytes, expected {source.size}")
        expected = source.size if total is None else total
        _check_space(partial.path.parent, (expected or 0) - start)
        if not start:
            partial.begin(offered)
        with (
            partial.path.open("ab") as file,
            tqdm(
                desc=f"Downloading {partial.name}",
                initial=start,
                total=expected,
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar,
        ):
            file.truncate(start)
            for block in _blocks(response, source.url):
                file.write(block)
                bar.update(len(block))
                if expected is not None and file.tell() > expected:
                    break
    if expected is not None and partial.size() != expected:
        raise _Interrupted(f"got {partial.size()} bytes of {expected}")


def _open(url: str, partial: _Partial, begun: _Version | None):
    """An answer from the end of `partial` on; None if that is the end of the file."""
    if urllib.parse.urlsplit(url).scheme not in _SCHEMES:
        raise ValueError(f"the URL must begin with one of {', '.join(_SCHEMES)}")
    request = urllib.request.Request(url)
    if position := partial.size():
        request.add_header("Range", f"bytes={position}-")
        if begun and begun.url == url and begun.validator:
            request.add_header("If-Range", begun.validator)
    try:
        return urllib.request.urlopen(request, timeout=_STALLED_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()
        ends_here = error.headers.get("Content-Range") == f"bytes */{position}"
        offered = _Version(url, _validator(error.headers), position)
        if ends_here and not (begun and begun.differs(offered)):
            return None
        partial.drop()
        raise _Interrupted(f"nothing from byte {position} on") from error


def _extent(response: Any) -> tuple[int, int | None]:
    """Where an answer begins, and how long the whole file is if the server says so."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        part = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", part)
        if not match:
            raise _Interrupted(f"unclear which part of it came: {part!r}")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    if response.status not in (http.HTTPStatus.OK, None):  # None is for files.
        raise _Interrupted(f"HTTP status {response.status}")
    length = response.headers.get("Content-Length") or ""
    return 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _validator(headers: email.message.Message) -> str:
    """The value for If-Range; a weak tag is not used."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _check_space(directory: pathlib.Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f"{needed:,} bytes more are needed and {free:,} are free"
        )


def _blocks(response: Any, url: str) -> Iterator[bytes]:
    """Yields the blocks that arrive; raises `_Interrupted` if they come too slowly."""
    since, arrived = time.monotonic(), 0
    while True:
        with _explained(url):
            block = response.read1(_BLOCK_BYTES)
        if not block:
            return
        yield block
        arrived += len(block)
        seconds = time.monotonic() - since
        if seconds > _STALLED_SECONDS:
            if arrived < _BLOCK_BYTES:
                raise _Interrupted(f"{arrived} bytes came in {seconds:.0f} s")
            since, arrived = time.monotonic(), 0


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Tells errors of the connection, some of which may pass, from those of files."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _BUSY or error.code >= 500:
            raise _Interrupted(str(error)) from error
        kind = _ERRORS.get(error.code, UnavailableError)
        raise kind(f"could not download {url}: {error}.") from error
    except ValueError as error:  # Of the URL.
        raise UnavailableError(f"could not download {url}: {error}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, FileNotFoundError):
            raise NotFoundError(f"could not download {url}: {reason}.") from error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise UnavailableError(f"could not download {url}: {reason}.") from error
        raise _Interrupted(str(reason) or type(reason).__name__) from error
