"""The answers of a network to each image of a split."""

import contextlib
import csv
import dataclasses
import heapq
import pathlib
from collections.abc import Iterator, Sequence
from typing import TextIO

import numpy as np

from datasets.reading.pipeline import EvalBatch
from slimbase import files
from slimzoo.evaluation.metrics import TOP_K

FILE_NAME = "predictions.csv"
MOST_MISTAKES = 24


@dataclasses.dataclass(frozen=True, order=True)
class Mistake:
    """An image that was taken for another class.

    Attributes:
      confidence: probability of the wrong answer.
      record_file: record file that holds the image.
      position: number of the record in that file, from zero.
      label: class of the image.
      answer: class that the image was taken for.
      identity: file name of the image, or name of the record.
    """

    confidence: float
    record_file: str
    position: int
    label: int
    answer: int
    identity: str


class Predictions:
    """Writes a row per image, and keeps the most confident mistakes."""

    def __init__(self, names: Sequence[str], file: TextIO | None = None):
        """Starts without answers.

        Args:
          names: names of the classes.
          file: file for the rows; None to keep the mistakes alone.
        """
        self._names = names
        self._top = min(TOP_K, len(names))
        self._writer = csv.writer(file) if file else None
        self._mistakes: list[Mistake] = []
        if self._writer:
            ranks = range(1, self._top + 1)
            answers = [(f"class_{i}", f"name_{i}", f"probability_{i}") for i in ranks]
            self._writer.writerow(
                ["image", "label", "label_name", "label_probability"]
                + [column for columns in answers for column in columns]
            )

    def add(self, batch: EvalBatch, probabilities: np.ndarray) -> None:
        """Adds the answers to a batch.

        The row of an image whose probabilities are nan ends after its label.

        Args:
          batch: images and their labels, as arrays.
          probabilities: float `[batch, classes]`.
        """
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._top]
        places = zip(batch.record_files, batch.positions, batch.filenames, strict=True)
        for i, (record_file, position, filename) in enumerate(places):
            record_file, row = record_file.decode(), probabilities[i]
            identity = filename.decode("utf-8", "replace") or (
                f"{pathlib.PurePosixPath(record_file).name}:{position}"
            )
            label, sound = int(batch.labels[i]), bool(np.isfinite(row[0]))
            if self._writer:
                columns = [identity, label, self._names[label]]
                if sound:
                    columns.append(f"{row[label]:.6g}")
                    for answer in order[i]:
                        name = self._names[answer]
                        columns += [answer, name, f"{row[answer]:.6g}"]
                self._writer.writerow(columns)
            answer = int(order[i][0])
            if sound and answer != label:
                place = record_file, int(position)
                confidence = float(row[answer])
                mistake = Mistake(confidence, *place, label, answer, identity)
                heapq.heappush(self._mistakes, mistake)
                if len(self._mistakes) > MOST_MISTAKES:
                    heapq.heappop(self._mistakes)

    def mistakes(self) -> list[Mistake]:
        """The most confident mistakes, the most confident first."""
        return sorted(self._mistakes, reverse=True)


@contextlib.contextmanager
def writing(names: Sequence[str], directory: str) -> Iterator[Predictions]:
    """Gives predictions, whose file gets its name when the block has succeeded."""
    path = pathlib.Path(directory) / FILE_NAME
    with files.replacing(path) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            yield Predictions(names, file)
