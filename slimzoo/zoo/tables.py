"""Rows of the list of networks, and tables of them in several formats."""

import csv
import dataclasses
import fnmatch
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence

from slimbase import errors
from slimbase.registry import Registry

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))
_NOTHING = "-"


@dataclasses.dataclass(frozen=True)
class NetworkRow:
    """A network in the list.

    Attributes:
      name: the network's name.
      image_size: default height and width in pixels.
      parameters: number of trainable parameters.
      multiply_adds: number of multiply-adds for one image.
      top1: accuracy of the best published checkpoint that is not quantized, in percent.
      preprocessing: name of the preprocessing recipe.
      weights: kinds of the places that have its published weights, as
        `nets.addresses.kinds` names them, separated by spaces.
    """

    name: str
    image_size: int
    parameters: int | None
    multiply_adds: int | None
    top1: float | None
    preprocessing: str
    weights: str


def matching(names: Iterable[str], patterns: Sequence[str] = ()) -> list[str]:
    """Those of `names` that match a glob of `patterns`, by default all of them.

    They are in natural order: numbers in names count as numbers.

    Raises:
      UserError: if no name matches one of the patterns.
    """
    known = list(names)
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise errors.unknown(
                f"no network matches {pattern!r}", pattern.strip("*"), known
            )
    found = {name for p in patterns or ["*"] for name in fnmatch.filter(known, p)}
    return sorted(found, key=_natural)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _short(count: int | None) -> str:
    """`count` in three digits and a unit."""
    if count is None:
        return _NOTHING
    for unit, size in _UNITS:
        if count >= 0.9995 * size:
            return f"{count / size:#.3g}".rstrip(".") + f" {unit}"
    return str(count)


def _cells(row: NetworkRow) -> list[str]:
    """The cells of a row, rounded."""
    return [
        row.name,
        str(row.image_size),
        _short(row.parameters),
        _short(row.multiply_adds),
        _NOTHING if row.top1 is None else f"{row.top1:.1f}",
        row.preprocessing,
        row.weights or _NOTHING,
    ]


def _table(rows: Iterable[NetworkRow]) -> str:
    """A table that is not wider than a terminal, hence the short titles."""
    titles = ["network", "size", "params", "mult-adds", "top-1", "recipe", "from"]
    cells = [titles, *map(_cells, rows)]
    for row in cells[1:]:  # Of the places, initials.
        row[-1] = "".join(place[0].upper() for place in row[-1].split())
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *numbers, recipe, last in cells:
        padded = [n.rjust(w) for n, w in zip(numbers, widths[1:-2], strict=True)]
        start = [name.ljust(widths[0]), *padded, recipe.ljust(widths[-2])]
        lines.append("  ".join([*start, last]))
    return "\n".join(lines)


def markdown(rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """A Markdown table of text, the first row of which is the header.

    Args:
      rows: rows of cells.
      numeric: numbers of the columns that are aligned to the right.
    """
    header, *others = rows
    rule = ["---:" if i in set(numeric) else "---" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *others))


def _markdown(rows: Iterable[NetworkRow]) -> str:
    titles = [
        "network",
        "size",
        "parameters",
        "multiply-adds",
        "top-1",
        "preprocessing",
        "weights",
    ]
    cells = [[f"`{name}`", *others] for name, *others in map(_cells, rows)]
    return markdown([titles, *cells], numeric=range(1, 5))


def _csv(rows: Iterable[NetworkRow]) -> str:
    output = io.StringIO()
    fields = [field.name for field in dataclasses.fields(NetworkRow)]
    writer = csv.DictWriter(output, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    return output.getvalue().rstrip("\n")


def _json(rows: Iterable[NetworkRow]) -> str:
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=2)


FORMATS: Registry[Callable[[Iterable[NetworkRow]], str]] = Registry(
    "--format=%s is unknown"
)
FORMATS.update(table=_table, markdown=_markdown, csv=_csv, json=_json)
