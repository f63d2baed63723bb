"""Tables of people's own pictures: CSV, TSV or JSON Lines of paths and labels."""

import csv
import enum
import itertools
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from slimbase.errors import UserError
from slimbase.text import listed

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
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")

_JSON_LINES = (".jsonl", ".ndjson")
_COLUMNS = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "picture"),
        *("image", "image_path", "image_name", "image_id", "imageid", "img", "id"),
    ),
    "label": ("label", "class", "class_name", "category"),
    "split": ("split", "set", "subset"),
}
_DELIMITERS = ",;\t"
_SEVERAL = re.compile(r"[|;]")
# Kaggle's examples of answers have labels that say nothing.
_NO_LABELS = re.compile("submission", re.IGNORECASE)
_ONE, _ZERO = ("1", "1.0"), ("0", "0.0", "")


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


class Table(NamedTuple):
    """A table.

    Attributes:
      rows: its lines.
      note: how labels were read, if not from a column that is called so.
    """

    rows: list[TableRow]
    note: str = ""


def read(table: pathlib.Path, root: pathlib.Path) -> Table:
    """Reads a table of pictures.

    Args:
      table: has a path, a label and maybe a split in each line; the first line may name
        these columns. Where there is no column of labels but one more column, that has
        the labels; several more are one for each class, with a 1 in one of them.
      root: what paths are relative to.

    Raises:
      UserError: naming the line that is not what it should be.
    """
    lines = _read(table)
    number, header = next(lines, (0, []))
    if not header:
        return Table([])
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
        lines = itertools.chain([(number, header)], lines)
    if "path" not in columns:
        raise UserError(
            f"{table} has no column path, but {listed(header)}: call the column of the "
            "pictures' files path"
        )
    if "label" in columns:
        rows = [
            _row({k: row[i] for k, i in columns.items()}, where)
            for where, row in _checked(lines, header, table)
        ]
        return Table(rows)
    others = _others(header, columns)
    if len(others) == 1:
        [label] = others
        named = {**columns, "label": label}
        rows = [
            _row({k: row[i] for k, i in named.items()}, where)
            for where, row in _checked(lines, header, table)
        ]
        return Table(rows, f"labels in its column {header[label].strip()}")
    rows = [
        _one_hot(row, header, columns, others, where)
        for where, row in _checked(lines, header, table)
    ]
    return Table(rows, "one column for each class")


class Labels(enum.Enum):
    """Where a table has its labels, by the names of its columns."""

    SURE = "a column that is called so, or one column for each class"
    MAYBE = "the only column beside the paths, whatever it is called"


def labels_of(table: pathlib.Path) -> Labels | None:
    """Where a file has labels of pictures, by its start; None if it has none."""
    if not is_called_so(table) or _NO_LABELS.search(table.stem):
        return None
    try:
        (_, header), (_, first) = itertools.islice(_read(table), 2)
        columns = _columns(header, table)
    except (UserError, ValueError):
        return None
    if not columns or "path" not in columns or len(first) != len(header):
        return None
    if "label" in columns:
        return Labels.SURE
    others = [first[i] for i in _others(header, columns)]
    if len(others) == 1:
        return Labels.MAYBE
    is_one_hot = all(cell.strip() in _ONE + _ZERO for cell in others)
    return Labels.SURE if others and is_one_hot else None


def is_called_so(path: pathlib.Path) -> bool:
    """Whether a file is called like a table."""
    return path.suffix.lower() in SUFFIXES


def _others(header: Sequence[str], columns: dict[str, int]) -> list[int]:
    """The places of columns that have neither paths nor splits.

    Ids count as paths, unless an id is all that there is behind a path.
    """
    others = [i for i in range(len(header)) if i not in columns.values()]
    if len(others) == 1 and others[0] > columns["path"]:
        return others
    known = _COLUMNS["path"]
    return [i for i in others if header[i].strip().lower() not in known]


def _read(table: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """The number of the line and the fields of each row; those of the header first."""
    is_json = table.suffix.lower() in _JSON_LINES
    return _json_lines(table) if is_json else _lines(table)


def _checked(
    lines: Iterator[tuple[int, list[str]]], header: Sequence[str], table: pathlib.Path
) -> Iterator[tuple[str, list[str]]]:
    """Where each line is, and its fields."""
    for number, row in lines:
        if len(row) != len(header):
            raise UserError(
                f"{table}, line {number} has {len(row)} fields; the first one has "
                f"{len(header)}. Put fields with a comma in them into quotes."
            )
        yield f"{table}, line {number}", [cell.strip() for cell in row]


def _one_hot(
    row: Sequence[str],
    header: Sequence[str],
    columns: dict[str, int],
    others: Sequence[int],
    where: str,
) -> TableRow:
    if odd := [row[i] for i in others if row[i] not in _ONE + _ZERO]:
        raise UserError(
            f"{where} has {odd[0]!r} where columns have 0 or 1 for each class. If one "
            f"of {listed(header)} has the labels, call it label"
        )
    labels = [header[i].strip() for i in others if row[i] in _ONE]
    if len(labels) != 1:
        raise UserError(
            f"{where} has {len(labels)} classes{': ' if labels else ''}"
            f"{listed(labels)}; expected a 1 in one of {len(others)} columns, as a "
            "picture has one label. Remove the line, or leave one 1"
        )
    cells = {name: row[i] for name, i in columns.items()}
    return _row({**cells, "label": labels[0]}, where)


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


def _lines(table: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
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


def _json_lines(table: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
    """As `_lines`, of JSON Lines: the keys of the first object come first."""
    header: list[str] = []
    number = 0
    try:
        with table.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                fields = json.loads(line)
                if not isinstance(fields, dict):
                    raise ValueError("no object")
                if not header:
                    header = list(fields)
                    yield number, header
                yield number, [_text(fields.get(key)) for key in header]
    except OSError as error:
        raise UserError(f"cannot read {table}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{table}, line {number} is not a JSON object in UTF-8: {error}"
        ) from error


def _text(value: Any) -> str:
    """A value of JSON as a field of a CSV file; raises ValueError if it is no text."""
    if value is None:
        return ""
    if isinstance(value, list):  # A list of one label is one; others are refused.
        return ";".join(map(_text, value))
    text = value if isinstance(value, str) else json.dumps(value)
    text.encode()  # JSON can have halves of characters.
    return text


def _columns(header: Sequence[str], table: pathlib.Path) -> dict[str, int] | None:
    """The places of the columns that a first line names, if it does."""
    columns: dict[str, int] = {}
    for column, known in _COLUMNS.items():
        places = [i for i, word in enumerate(header) if word.strip().lower() in known]
        if column == "path" and len(places) > 1:  # An id and a file: the latter.
            best = min(known.index(header[i].strip().lower()) for i in places)
            places = [i for i in places if header[i].strip().lower() == known[best]]
        if len(places) > 1:
            raise UserError(
                f"{table} has two columns for the {column}, {header[places[0]]} and "
                f"{header[places[1]]}; expected one"
            )
        if places:
            columns[column] = places[0]
    return columns or None
