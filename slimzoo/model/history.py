"""metrics.csv: the measurements of a training and its evaluations, step by step."""

import csv
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from slimbase import files

FILE_NAME = "metrics.csv"
COLUMNS: tuple[str, ...] = (
    "step",
    "split",  # Empty for the batches of training.
    "loss",
    "accuracy",  # In training that of the batch, in evaluation top-1.
    "top_5",
    "learning_rate",
    "images_per_second",
    "data_wait",  # Share of the time, waiting for images.
)


class History:
    """Rows of `COLUMNS` in the order in which they were measured."""

    def __init__(self, directory: str | os.PathLike):
        """Goes on with the rows in `directory`, if there are any."""
        self._path = pathlib.Path(directory) / FILE_NAME

    def rows(self) -> list[dict[str, str]]:
        """The rows written so far."""
        try:
            with self._path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (UnicodeDecodeError, csv.Error):  # The file is not one of ours.
            return []

    def forget_after(self, step: int) -> None:
        """Drops the rows after `step`, from which training goes on."""
        rows = self.rows()
        kept = [row for row in rows if _step(row) <= step]
        if len(kept) < len(rows):
            with files.replacing(self._path) as path:
                self._write(path, kept)

    def add(self, **values: Any) -> None:
        """Adds a row; columns that are not given are empty."""
        known = {key: _short(value) for key, value in values.items()}
        self._write(self._path, [known])

    def _write(self, path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if file.tell() == 0:
                writer.writeheader()
            writer.writerows(rows)


def _step(row: Mapping[str, str]) -> float:
    try:
        return int(row["step"])
    except (KeyError, TypeError, ValueError):  # A row that a kill has cut short.
        return float("inf")


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
