"""Synsets, by which ImageNet calls classes, and lists of them."""

import pathlib
import re

from slimbase.errors import UserError

SYNSET = re.compile(r"n\d{8}")


def read_synsets(path: pathlib.Path) -> list[str]:
    """Reads a file of one synset per line.

    Raises:
      UserError: if it can't be read, is empty or has a line that is no synset.
    """
    synsets = [line.strip() for line in read_lines(path) if line.strip()]
    for synset in synsets:
        if not SYNSET.fullmatch(synset):
            raise UserError(
                f"{path} has the line {synset[:80]!r}; expected synsets, as n01440764"
            )
    if not synsets:
        raise UserError(f"{path} has no synsets")
    return synsets


def read_lines(path: pathlib.Path) -> list[str]:
    """Reads a text.

    Raises:
      UserError: if it can't be read.
    """
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
