"""Errors of the user, which are shown on one screen."""

import difflib
from collections.abc import Iterable

from slimbase.text import listed

_MOST_SHOWN = 60  # Names on one screen.


class UserError(ValueError):
    """A mistake that the user can correct; scripts print it without a stack trace."""


def unknown(message: str, name: object, known: Iterable[str]) -> UserError:
    """An error for `name`, which is none of `known`; suggests the close ones."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=3)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UserError(f"{message}. {hint}Known: {listed(known, _MOST_SHOWN)}.")


def reason(message: str) -> str:
    """Why TensorFlow failed: the line of its message before the node is named."""
    lines = message.partition("[[{{")[0].strip().splitlines()
    return lines[-1].strip().rstrip(".?") if lines else "no reason given"
