"""The report of an evaluation: one HTML file that needs nothing else."""

import base64
import dataclasses
import html
import math
import operator
import os
import pathlib
import string
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from slimbase import files
from slimzoo.evaluation import plots

_UNKNOWN = "\N{EN DASH}"
_SCORES = operator.itemgetter("precision", "recall", "f1")
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
class Mistake:
    """An image that was taken for another class.

    Attributes:
      thumbnail: a JPEG or PNG file's content.
      true_name: its class.
      predicted_name: the class with the highest probability.
      confidence: that probability, in [0, 1].
      identity: file or record that it is from.
    """

    thumbnail: bytes
    true_name: str
    predicted_name: str
    confidence: float
    identity: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What a report shows. Numbers may be nan: a dash stands for them.

    Attributes:
      title: model and data set.
      facts: what was evaluated: name (checkpoint, step, split, ...) to value.
      headline: `count` of images; `top_1`, `top_5` and `expected_calibration_error`
        in [0, 1]; `loss` in nats; `macro` and `weighted`, each with `precision`,
        `recall` and `f1` in [0, 1].
      names: of the classes.
      matrix: int `[classes, classes]`, rows true and columns predicted classes.
      precision: float `[classes]` in [0, 1].
      recall: float `[classes]` in [0, 1].
      f1: float `[classes]` in [0, 1].
      support: int `[classes]`, number of images.
      calibration: edges `[bins + 1]`, counts `[bins]`, mean confidence `[bins]` and
        accuracy `[bins]` of the bins of confidence.
      mistakes: the most confident ones, in the order in which they are shown.
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
    mistakes: tuple[Mistake, ...] = ()
    history: Sequence[dict[str, str]] = ()


def write(path: str | os.PathLike, content: Report) -> None:
    """Writes the report as HTML, whole or not at all.

    Raises:
      UserError: when `path` cannot be written.
    """
    template = pathlib.Path(__file__).with_name("report.html").read_text("utf-8")
    parts = {
        "headline": _headline(content),
        "averages": _averages(content),
        "facts": _facts(content),
        "mistakes": _mistakes(content),
        "figures": map(_figure, _figures(content)),
        "classes": _classes(content),
    }
    page = string.Template(template).substitute(
        {name: "\n".join(lines) for name, lines in parts.items()},
        title=html.escape(content.title),
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


def _figure(figure):
    name = str(figure.get_label())
    wide = " wide" if figure.get_figwidth() > 6 else ""  # Inches.
    return (
        f'<figure class="plot{wide}" id="{name}">'
        f'<div class="scroll">{plots.to_svg(figure)}</div>'
        f"<figcaption>{_CAPTIONS[name]}</figcaption></figure>"
    )


def _headline(content):
    numbers, classes = content.headline, len(content.names)
    one, five = (_error(numbers[top], numbers["count"]) for top in ("top_1", "top_5"))
    if classes <= 5:
        five = f"there are only {classes} classes"
    calibration = numbers["expected_calibration_error"]
    yield _card("Top-1", _percent(numbers["top_1"]), one)
    yield _card("Top-5", _percent(numbers["top_5"]), five)
    yield _card("Loss", _number(numbers["loss"]), "cross entropy, nats")
    yield _card("Calibration error", _percent(calibration), "expected")
    yield _card("Images", f"{numbers['count']:,}", "each counted once")


def _card(name, value, note):
    return f"<div><dt>{name}</dt><dd>{value} <small>{note}</small></dd></div>"


def _error(share, count):
    """The standard error of a share of `count` images."""
    if not count or math.isnan(share):
        return ""
    error = math.sqrt(share * (1 - share) / count)
    return f"± {_percent(error)} standard error"


def _averages(content):
    for name in ("macro", "weighted"):
        values = content.headline[name]
        yield _row(name.capitalize(), *map(_percent, _SCORES(values)))


def _facts(content):
    for name, value in content.facts.items():
        yield f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'


def _mistakes(content):
    if content.headline["top_1"] == 1:
        yield f"<p>None: all {content.headline['count']:,} images were recognized.</p>"
    elif not content.mistakes:
        yield "<p>No pictures of mistakes were kept.</p>"
    else:
        yield '<p class="note">Class predicted, its probability, true class.</p>'
        yield '<ul class="grid">'
        yield from map(_mistake, content.mistakes)
        yield "</ul>"


def _mistake(mistake):
    png = mistake.thumbnail.startswith(b"\x89PNG")
    data = base64.b64encode(mistake.thumbnail).decode()
    true, predicted = _text(mistake.true_name), _text(mistake.predicted_name)
    return (
        f'<li><img src="data:image/{"png" if png else "jpeg"};base64,{data}" '
        f'alt="An image of {true}, taken for {predicted}">'
        f'<p><span class="no">{predicted}</span> {_percent(mistake.confidence)}<br>'
        f'in truth {true}</p><p class="id">{_text(mistake.identity)}</p></li>'
    )


def _classes(content):
    wrong = content.matrix.copy()
    np.fill_diagonal(wrong, 0)
    most = wrong.argmax(axis=1)
    scores = np.stack([content.precision, content.recall, content.f1], axis=1)
    for index, name in enumerate(content.names):
        times = wrong[index, most[index]]
        taken = f"{_text(content.names[most[index]])} ({times:,})" if times else ""
        cells = f"{content.support[index]:,}", *map(_percent, scores[index])
        yield _row(_text(name), *cells, last=f"<td>{taken}</td>")


def _row(name, *numbers, last=""):
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    return f'<tr><th scope="row">{name}</th>{cells}{last}</tr>'


def _text(value):
    return html.escape(str(value))


def _percent(share):
    return _UNKNOWN if math.isnan(share) else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _number(value):
    return _UNKNOWN if math.isnan(value) else f"{value:.4g}"
