"""Asks the addresses of all published checkpoints whether they still have the files.

    python -m tools.address_check > report.md

It prints a Markdown list of those that do not and exits with 1 if there are any. Each
is asked for its head; nothing is downloaded.
"""

import dataclasses
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable

from nets import addresses, published

_SECONDS = 30
_ATTEMPTS = 2  # A server may be busy.


@dataclasses.dataclass(frozen=True)
class Dead:
    """An address that does not answer with a file."""

    url: str
    reason: str  # "403", or what the network said.
    checkpoints: tuple[str, ...]  # Names of those that it was for.


def urls() -> dict[str, list[str]]:
    """All addresses, with the names of the checkpoints that they are for."""
    found: dict[str, list[str]] = {}
    for checkpoint in published.checkpoints():
        for address in addresses.of(checkpoint):
            found.setdefault(address.url, []).append(checkpoint.name)
    return found


def dead(places: dict[str, list[str]]) -> list[Dead]:
    """Those of `places` that do not answer with a file."""
    reasons = {url: _reason(url) for url in places}
    return [Dead(u, r, tuple(places[u])) for u, r in reasons.items() if r]


def report(found: Iterable[Dead], asked: int) -> str:
    """A Markdown list of dead addresses out of `asked`."""
    lines = [f"- {d.url}: {d.reason} ({', '.join(d.checkpoints)})" for d in found]
    return "\n".join([f"{len(lines)} of {asked} addresses do not answer.", "", *lines])


def _reason(url: str) -> str:
    """Why there is no file at a URL; "" if there is one."""
    reason = ""
    for _ in range(_ATTEMPTS):
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            reason = str(error.code)
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error))
    return reason


def main() -> int:
    """Prints the report; 1 if an address is dead."""
    places = urls()
    found = dead(places)
    print(report(found, len(places)))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
