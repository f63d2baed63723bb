"""How scripts without flags run."""

import os
import sys
from collections.abc import Callable, Sequence

from slimzoo.errors import UserError


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Calls `main` with the command's arguments; what it refuses is told in a line."""
    try:
        main(sys.argv[1:])
    except UserError as mistake:
        sys.exit(f"error: {mistake}")
    except BrokenPipeError:  # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
