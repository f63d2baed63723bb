"""Telling whether a file is the one that was published."""

import functools
import hashlib
import os
import pathlib

from tqdm import tqdm

_BLOCK_BYTES = 1 << 20


def difference(
    path: str | os.PathLike[str], size: int | None = None, md5: str | None = None
) -> str:
    """How a file differs from what is known of it; "" if it doesn't.

    A file is read once as long as its size and date stay the same.

    Args:
      path: of the file.
      size: in bytes, if known.
      md5: in hexadecimal digits, if known.
    """
    facts = pathlib.Path(path).stat()
    if size is not None and facts.st_size != size:
        return f"it has {facts.st_size} bytes, expected {size}"
    if md5 is not None:
        found = _digest("md5", os.fspath(path), facts.st_size, facts.st_mtime_ns)
        if found != md5.lower():
            return f"its MD5 is {found}, expected {md5.lower()}"
    return ""


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    facts = pathlib.Path(path).stat()
    return _digest("sha256", os.fspath(path), facts.st_size, facts.st_mtime_ns)


@functools.lru_cache
def _digest(algorithm: str, path: str, size: int, modified: int) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    bar = tqdm(
        desc=f"Checking the {algorithm.upper()}",
        total=size,
        unit="B",
        unit_scale=True,
        disable=None,
    )
    with bar, pathlib.Path(path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()
