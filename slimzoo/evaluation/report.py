"""The report of an evaluation: one HTML file that needs nothing else."""

import base64
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from slimbase import files, templates
from slimzoo.evaluation import plots
from slimzoo.evaluation.metrics import TOP_K

_UNKNOWN = "\N{EN DASH}"
_WIDE_INCHES = 6
_CAPTIONS = {
    "confusion-matrix": "Number of images of each true class (row) by the class that "
    "was predicted (column). Colour is the share of the true class.",
    "per-class": "Of the images predicted as a class, precision is the share that are; "
    "of its own images (their number in brackets), recall is the share that was found. "
    "F1 is the harmonic mean of the two.",
    "reliability": "How often the model is right, by how sure it is. Below the dashed "
    "line it is too sure of itself.",
    "training": "Loss and top-1, as measured while training.",
}


@dataclasses.dataclass(frozen=True)
class ShownMistake:
    """An image that was taken for another class, as a reader sees it.

    Attributes:
      thumbnail: the content of a JPEG or PNG file.
      true_name: name of the image's class.
      predicted_name: name of the class with the highest probability.
      confidence: probability of the predicted class, in [0, 1].
      identity: file or record that the image is from.
    """

    thumbnail: bytes
    true_name: str
    predicted_name: str
    confidence: float
    identity: str


@dataclasses.dataclass(frozen=True)
class Report:
    """The content of a report. Numbers may be nan, which is shown as a dash.

    Attributes:
      title: model and data set.
      facts: facts about the evaluation: name (checkpoint, step, ...) to value.
      headline: `count` of images; `top_1`, `top_5` and `expected_calibration_error`
        in [0, 1]; `loss` in nats; `macro` and `weighted`, each with `precision`,
        `recall` and `f1` in [0, 1].
      names: names of the classes.
      matrix: int `[classes, classes]`, rows true and columns predicted classes.
      precision: float `[classes]` in [0, 1].
      recall: float `[classes]` in [0, 1].
      f1: float `[classes]` in [0, 1].
      support: int `[classes]`, number of images.
      calibration: edges `[bins + 1]`, counts `[bins]`, mean confidence `[bins]` and
        accuracy `[bins]` of the bins of confidence.
      mistakes: the most confident mistakes, in the order in which they are shown.
      history: rows of `slimzoo.model.history.History`; without any, no training curves.
    """

    title: str
    facts: dict[str, str]
    headline: dict[str, Any]
    names: Sequence[str]
    matrix: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    calibration: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    mistakes: tuple[ShownMistake, ...] = ()
    history: Sequence[dict[str, str]] = ()


def write(path: str | os.PathLike, content: Report) -> None:
    """Writes the report as HTML, whole or not at all.

    Raises:
      UserError: when `path` cannot be written.
    """
    page = templates.render(
        pathlib.Path(__file__).with_name("report.html"),
        title=content.title,
        cards=_cards(content),
        headline=content.headline,
        facts=content.facts,
        figures=map(_plot, _figures(content)),
        captions=_CAPTIONS,
        mistakes=content.mistakes,
        classes=_classes(content),
        percent=_percent,
        data_uri=_data_uri,
    )
    with files.replacing(path) as temporary:
        # Names of files may hold bytes that are no UTF-8.
        temporary.write_text(page, "utf-8", errors="backslashreplace")


def save_plots(directory: str | os.PathLike, content: Report) -> list[pathlib.Path]:
    """Writes the report's plots as PNG files, each by its id.

    Raises:
      UserError: when `directory` cannot be written to.
    """
    paths = []
    for figure in _figures(content):
        paths.append(pathlib.Path(directory, f"{figure.get_label()}.png"))
        plots.save_png(figure, paths[-1])
    return paths


def _figures(content: Report) -> Iterator[Figure]:
    """The plots, each labelled by its id."""
    error = content.headline["expected_calibration_error"]
    yield plots.confusion_matrix(content.matrix, content.names)
    yield plots.reliability(*content.calibration, error)
    scores = content.precision, content.recall, content.f1
    yield plots.per_class(content.names, *scores, content.support)
    if curves := plots.training_curves(content.history):
        yield curves


class _Plot(NamedTuple):
    """A figure on the page."""

    name: str
    svg: str
    is_wide: bool


def _plot(figure: Figure) -> _Plot:
    wide = figure.get_figwidth() > _WIDE_INCHES
    return _Plot(str(figure.get_label()), plots.to_svg(figure), wide)


class _Card(NamedTuple):
    """A number of the headline, formatted."""

    name: str
    value: str
    note: str


def _cards(content: Report) -> Iterator[_Card]:
    numbers, classes = content.headline, len(content.names)
    one, five = (_error(numbers[top], numbers["count"]) for top in ("top_1", "top_5"))
    if classes <= TOP_K:
        five = f"there are only {classes} classes"
    calibration = numbers["expected_calibration_error"]
    yield _Card("Top-1", _percent(numbers["top_1"]), one)
    yield _Card("Top-5", _percent(numbers["top_5"]), five)
    yield _Card("Loss", _number(numbers["loss"]), "cross entropy, nats")
    yield _Card("Calibration error", _percent(calibration), "expected")
    yield _Card("Images", f"{numbers['count']:,}", "each counted once")


def _error(share: float, count: int) -> str:
    """The standard error of a share of `count` images."""
    if not count or math.isnan(share):
        return ""
    error = math.sqrt(share * (1 - share) / count)
    return f"± {_percent(error)} standard error"


class _ClassRow(NamedTuple):
    """A class in the table of classes.

    Attributes:
      name: the class.
      support: number of its images.
      scores: precision, recall and F1 in [0, 1], or nan.
      taken_for: the class that most of its mistakes were taken for, with their number.
    """

    name: str
    support: int
    scores: tuple[float, float, float]
    taken_for: str


def _classes(content: Report) -> Iterator[_ClassRow]:
    wrong = content.matrix.copy()
    np.fill_diagonal(wrong, 0)
    most = wrong.argmax(axis=1)
    scores = zip(content.precision, content.recall, content.f1, strict=True)
    for index, (name, own) in enumerate(zip(content.names, scores, strict=True)):
        times = wrong[index, most[index]]
        taken_for = f"{content.names[most[index]]} ({times:,})" if times else ""
        yield _ClassRow(name, content.support[index], own, taken_for)


def _data_uri(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _percent(share: float) -> str:
    return _UNKNOWN if math.isnan(share) else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _number(value: float) -> str:
    return _UNKNOWN if math.isnan(value) else f"{value:.4g}"
