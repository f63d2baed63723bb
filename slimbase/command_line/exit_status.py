"""The exit status of programs: user errors, interrupts and closed pipes."""

import os
import sys
from collections.abc import Callable, Sequence

from slimbase.errors import UserError


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Calls `main` with the command's arguments, and exits."""
    sys.exit(status_of(lambda: main(sys.argv[1:])))


def status_of(action: Callable[[], int | None]) -> int | None:
    """Calls `action`; a UserError is printed as one line.

    Returns:
      The exit status: what `action` returns, 1 after a `UserError`, 130 after Ctrl-C,
      141 where nobody reads the output to its end.
    """
    try:
        status = action()
        sys.stdout.flush()  # Else a pipe may break when nobody is there to notice.
    except UserError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # As shells have it for Ctrl-C.
    except BrokenPipeError:  # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status
