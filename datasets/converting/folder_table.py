"""Tables of people's own pictures: CSV files of paths and labels."""

import csv
import itertools
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from slimbase.errors import UserError

# What people call splits, and what we do.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image", "picture"),
    "label": ("label", "class", "class_name", "category"),
    "split": ("split", "set", "subset"),
}
_DELIMITERS = ",;\t"
_SEVERAL = re.compile(r"[|;]")


class TableRow(NamedTuple):
    """A line of a table.

    Attributes:
      path: as it is written.
      label: of the picture.
      split: one of ours; empty if there is none.
    """

    path: str
    label: str
    split: str


def read_rows(table: pathlib.Path, root: pathlib.Path) -> Iterator[TableRow]:
    """Reads a table of pictures.

    Args:
      table: has a path, a label and maybe a split in each line; the first line may
        name these columns.
      root: what paths are relative to.

    Raises:
      UserError: naming the line that is not what it should be.
    """
    rows = _rows(table)
    number, header = next(rows, (0, []))
    if not header:
        return
    columns = _columns(header, table)
    if columns is None:
        if len(header) not in (2, 3):
            raise UserError(
                f"{table}, line {number} has {len(header)} fields; expected path,label "
                "or path,label,split: one label per picture"
            )
        if not (root / header[0].strip().replace("\0", "")).exists():
            raise UserError(
                f"{table}, line {number}: there is no file {header[0]!r}. If the line "
                "names columns, call them path and label"
            )
        columns = {name: i for i, name in enumerate(list(_COLUMNS)[: len(header)])}
        rows = itertools.chain([(number, header)], rows)
    elif missing := {"path", "label"} - columns.keys():
        raise UserError(
            f"{table} has no column {' and '.join(sorted(missing))}, but "
            f"{', '.join(header)}"
        )
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{table}, line {number} has {len(row)} fields; the first one has "
                f"{len(header)}. Put fields with a comma in them into quotes."
            )
        cells = {column: row[index].strip() for column, index in columns.items()}
        yield _row(cells, f"{table}, line {number}")


def _row(cells: dict[str, str], where: str) -> TableRow:
    name, label = cells["path"], cells["label"]
    if not name or not label:
        raise UserError(f"{where} has no {'label' if name else 'path'}")
    if "\0" in name:
        raise UserError(f"{where} has a path that cannot be: {name!r}")
    if _SEVERAL.search(label):
        raise UserError(f"{where} has several labels, {label!r}; expected one")
    split = cells.get("split", "")
    if split and split.lower() not in SPLITS:
        raise UserError(
            f"{where} has the split {split!r}; expected one of {', '.join(SPLITS)}"
        )
    return TableRow(name, label, SPLITS.get(split.lower(), ""))


def _rows(table: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """The number of the line and the fields of each row that is not empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except OSError as error:
        raise UserError(f"cannot read {table}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{table} is not a CSV file in UTF-8: {error}") from error


def _columns(header: Sequence[str], table: pathlib.Path) -> dict[str, int] | None:
    """The places of the columns that a first line names, if it does."""
    columns = {}
    for index, word in enumerate(header):
        for column, known in _COLUMNS.items():
            if word.strip().lower() in known:
                if column in columns:
                    raise UserError(
                        f"{table} has two columns for the {column}, "
                        f"{header[columns[column]]} and {word}; expected one"
                    )
                columns[column] = index
    return columns or None
