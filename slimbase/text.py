"""Names and numbers within sentences."""

import math
import os
from collections.abc import Iterable

_MOST_SHOWN = 6


def listed(names: Iterable[object], most: int = _MOST_SHOWN) -> str:
    """The first of `names` and how many more there are: `a, b and 7 more`.

    Args:
      names: in the order in which they are shown.
      most: names that are shown.
    """
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def counted(count: int, noun: str) -> str:
    """A number of things: `1 picture`, `2,000 pictures`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> float | None:
    """`value`, or None in place of what JSON has no number for."""
    return float(value) if math.isfinite(value) else None


def printable(name: str) -> str:
    """A file's name, which may have any bytes, on one line."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]
