"""What is known about the networks, as tables."""

import csv
import dataclasses
import fnmatch
import io
import json
import re
from collections.abc import Iterable, Sequence

from nets.nets_factory import NETWORKS
from nets.registry import Network
from slimbase import errors
from slimbase.registry import Registry
from slimzoo.config.zoo import ListConfig

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))
_NOTHING = "-"


@dataclasses.dataclass(frozen=True)
class Row:
    """A network in a list.

    Attributes:
      name: of the network.
      image_size: default height and width in pixels.
      parameters: number of trainable ones.
      multiply_adds: of one picture.
      top1: of the best published checkpoint that is not quantized, in percent.
      preprocessing: recipe.
    """

    name: str
    image_size: int
    parameters: int | None
    multiply_adds: int | None
    top1: float | None
    preprocessing: str


def listing(config: ListConfig, patterns: Sequence[str]) -> str:
    """The networks that match `patterns` in the format that `config` names.

    Raises:
      UserError: for an unknown format, or a pattern that no network matches.
    """
    return FORMATS[config.format](rows(patterns))


def find(patterns: Sequence[str] = ()) -> list[Network]:
    """The networks whose names match a glob of `patterns`, by default all of them.

    They are in natural order: numbers in names count as numbers.

    Raises:
      UserError: if no network matches one of the patterns.
    """
    for pattern in patterns:
        if not fnmatch.filter(NETWORKS, pattern):
            raise errors.unknown(
                f"no network matches {pattern!r}", pattern.strip("*"), NETWORKS
            )
    names = {name for p in patterns or ["*"] for name in fnmatch.filter(NETWORKS, p)}
    return [NETWORKS[name] for name in sorted(names, key=_natural)]


def rows(patterns: Sequence[str] = ()) -> list[Row]:
    """What a list says of the networks that match, as `find` finds them."""
    return [row(network) for network in find(patterns)]


def row(network: Network) -> Row:
    """What a list says of `network`."""
    accuracies = [
        checkpoint.top1
        for checkpoint in network.checkpoints
        if checkpoint.depth_multiplier is None and not checkpoint.quantized
    ]
    return Row(
        network.name,
        network.image_size,
        network.parameters,
        network.multiply_adds,
        max(filter(None, accuracies), default=None),
        network.preprocessing,
    )


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _short(count: int | None) -> str:
    """Three digits and a unit."""
    if count is None:
        return _NOTHING
    for unit, size in _UNITS:
        if count >= 0.9995 * size:
            return f"{count / size:#.3g}".rstrip(".") + f" {unit}"
    return str(count)


def _cells(row: Row) -> list[str]:
    """For people."""
    return [
        row.name,
        str(row.image_size),
        _short(row.parameters),
        _short(row.multiply_adds),
        _NOTHING if row.top1 is None else f"{row.top1:.1f}",
        row.preprocessing,
    ]


def _table(rows: Iterable[Row]) -> str:
    """Not wider than a terminal, hence the short titles."""
    titles = ["network", "size", "parameters", "mult-adds", "top-1", "preprocess"]
    cells = [titles, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *numbers, last in cells:
        padded = [n.rjust(w) for n, w in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded, last]))
    return "\n".join(lines)


def markdown(rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """A Markdown table of text, the first row of which is the header.

    Args:
      rows: of cells.
      numeric: columns that are aligned to the right.
    """
    header, *others = rows
    rule = ["---:" if i in set(numeric) else "---" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *others))


def _markdown(rows: Iterable[Row]) -> str:
    titles = [
        "network",
        "size",
        "parameters",
        "multiply-adds",
        "top-1",
        "preprocessing",
    ]
    cells = [[f"`{name}`", *others] for name, *others in map(_cells, rows)]
    return markdown([titles, *cells], numeric=range(1, 5))


def _csv(rows: Iterable[Row]) -> str:
    output = io.StringIO()
    fields = [field.name for field in dataclasses.fields(Row)]
    writer = csv.DictWriter(output, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    return output.getvalue().rstrip("\n")


def _json(rows: Iterable[Row]) -> str:
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=2)


FORMATS = Registry("--format=%s is unknown")
FORMATS.update(table=_table, markdown=_markdown, csv=_csv, json=_json)
