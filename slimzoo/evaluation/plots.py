"""Plots of the results of an evaluation, in colours that the colour-blind distinguish.

Figures are made without pyplot and under settings of their own: they neither depend on
a program's settings of matplotlib nor change them.
"""

import contextlib
import io
import itertools
import os
import pathlib
import re
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from slimbase import files

MOST_CLASSES = 25  # Of more classes, a plot shows a selection.
MOST_POINTS = 300  # Of more points of a training curve, neighbours are averaged.

# Okabe and Ito, 2008.
BLUE, ORANGE, GREEN, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7"
INK, GRAY, LIGHT = "#1f2933", "#8a94a0", "#e3e7eb"
# Markers and colours of the curves of evaluated splits.
_SPLITS = (("o", ORANGE), ("s", BLUE), ("D", GREEN), ("^", PURPLE))

# Fonts for names that DejaVu, which matplotlib brings, has no glyphs for.
_EAST_ASIAN = {"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"}
_FONTS = sorted(_EAST_ASIAN.intersection(font_manager.get_font_names()))
_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans", *_FONTS],
    "font.size": 9,
    "text.color": INK,
    "text.usetex": False,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.major.pad": 5,
    "ytick.major.size": 0,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",  # Text stays text: small, selectable, in the page's font.
    "svg.hashsalt": "slimzoo",
}


@matplotlib.rc_context(_STYLE)
def confusion_matrix(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """Numbers of images by true and predicted class; colour is the share of the row.

    Of more than `MOST_CLASSES` classes, it shows those with most mistakes, and a column
    for all others together.

    Args:
      matrix: int `[classes, classes]`, rows true and columns predicted classes.
      names: names of the classes.
    """
    rows = columns = [_short(name) for name in names]
    totals = matrix.sum(axis=1)
    title = "Confusion matrix"
    if len(names) > MOST_CLASSES:
        shown = np.lexsort((-totals, matrix.diagonal() - totals))[:MOST_CLASSES]
        title += f": the {len(shown)} of {len(names):,} classes with most mistakes"
        matrix, totals = matrix[np.ix_(shown, shown)], totals[shown]
        matrix = np.column_stack([matrix, totals - matrix.sum(axis=1)])
        rows = [rows[index] for index in shown]
        columns = [*rows, "(all others)"]
    cell = np.clip(4.4 / len(rows), 0.34, 0.88)  # Inches.
    room = 0.08 * max(map(len, columns))  # Space for the longest name.
    turn = 90 if room > cell else 0
    height = cell * len(rows) + (room + 0.6 if turn else 0.8)
    figure, axes = _figure("confusion-matrix", cell * len(columns) + room + 0.6, height)
    shares = matrix / np.maximum(totals, 1)[:, None]
    tiles = {"edgecolors": "white", "linewidth": 1}
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, **tiles)
    text = {"ha": "center", "va": "center", "in_layout": False}
    text["fontsize"] = 9 if cell > 0.5 else 7
    for (row, column), count in np.ndenumerate(matrix):
        color = "white" if shares[row, column] > 0.5 else INK if count else GRAY
        axes.text(column + 0.5, row + 0.5, _count(count), color=color, **text)
    places = np.arange(len(columns)) + 0.5
    axes.set_xticks(places, columns, rotation=turn, parse_math=False)
    axes.set_yticks(places[: len(rows)], rows, parse_math=False)
    axes.set(xlabel="Predicted class", ylabel="True class", aspect="equal")
    axes.set_title(title)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    return figure


@matplotlib.rc_context(_STYLE)
def per_class(
    names: Sequence[str],
    precision: np.ndarray,
    recall: np.ndarray,
    f1: np.ndarray,
    support: np.ndarray,
) -> Figure:
    """F1 of each class as bars, with marks for precision and recall.

    Of more than `MOST_CLASSES` classes, it shows the worst that have images.

    Args:
      names: names of the classes.
      precision: float `[classes]` in [0, 1]; nan where it is undefined.
      recall: float `[classes]`, as `precision`.
      f1: float `[classes]`, as `precision`.
      support: int `[classes]`, number of images.
    """
    shown, title = np.arange(len(names)), "Per class"
    if len(names) > MOST_CLASSES:
        order = np.argsort(np.nan_to_num(f1), kind="stable")
        shown = order[support[order] > 0][:MOST_CLASSES]
        title = f"The {len(shown)} lowest F1 of {len(names):,} classes"
    figure, axes = _figure("per-class", 4.6, max(0.26 * len(shown), 1.2) + 1)
    places = np.arange(len(shown))
    axes.barh(places, np.nan_to_num(f1[shown]), 0.72, color=SKY, label="F1")
    marks: dict[str, Any] = {"markeredgecolor": "white", "clip_on": False}
    axes.plot(recall[shown], places, "o", color=ORANGE, ms=9, label="Recall", **marks)
    axes.plot(
        precision[shown], places, "D", color=BLUE, ms=5, label="Precision", **marks
    )
    labels = [f"{_short(names[int(i)], 20)}  ({_count(support[i])})" for i in shown]
    axes.set_yticks(places, labels, parse_math=False)
    axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@matplotlib.rc_context(_STYLE)
def reliability(
    edges: np.ndarray,
    counts: np.ndarray,
    confidence: np.ndarray,
    accuracy: np.ndarray,
    error: float,
) -> Figure:
    """Reliability diagram (Guo et al., 2017, https://arxiv.org/abs/1706.04599).

    Args:
      edges: float `[bins + 1]` in [0, 1], edges of the bins of confidence.
      counts: int `[bins]`, number of images.
      confidence: float `[bins]`, mean of the bin; any value for an empty bin.
      accuracy: float `[bins]`, top-1 of the bin; any value for an empty bin.
      error: expected calibration error in [0, 1], or nan.
    """
    figure, (top, below) = _figure("reliability", 4.6, 4.8, (3, 1))
    full = counts > 0
    right, gap = accuracy[full], (confidence - accuracy)[full]
    bars: dict[str, Any] = {"x": edges[:-1][full], "width": np.diff(edges)[full]}
    bars |= {"align": "edge", "edgecolor": "white"}
    top.bar(height=right, color=SKY, label="Top-1", **bars)
    below.bar(height=counts[full], color=GRAY, **bars)
    bars |= {"color": "none", "edgecolor": ORANGE, "hatch": "////"}
    top.bar(height=gap, bottom=right, label="Gap to the confidence", **bars)
    top.plot([0, 1], [0, 1], color=GRAY, linestyle="--", linewidth=1)
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="Top-1")
    below.set(xlim=(0, 1), xlabel="Confidence", ylabel="Images")
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.yaxis.set_major_formatter("{x:,.0f}")
    for axis in (top.xaxis, top.yaxis, below.xaxis):
        axis.set_major_formatter(PercentFormatter(1))
    known = "undefined" if np.isnan(error) else f"{error:.1%}"
    top.set_title(f"Reliability: expected calibration error {known}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@matplotlib.rc_context(_STYLE)
def training_curves(rows: Sequence[dict[str, str]]) -> Figure | None:
    """Loss and accuracy over the steps, of training and of each evaluated split.

    Args:
      rows: rows of `slimzoo.model.history.History`; incomplete ones are left out.

    Returns:
      None when there is nothing to draw.
    """
    splits = sorted({row.get("split") or "" for row in rows})
    curves = {"loss": [], "accuracy": []}
    for column, split in itertools.product(curves, splits):
        points = _points(rows, split, column)
        if len(points):
            curves[column].append((split, points))
    columns = [column for column in curves if curves[column]]
    if not columns:
        return None
    heights = [1] * len(columns)
    figure, all_axes = _figure("training", 4.6, 2.5 * len(columns), heights)
    for axes, column in zip(np.atleast_1d(all_axes), columns, strict=True):
        for split, points in curves[column]:
            _draw_curve(axes, split, points, splits)
        axes.set_title(f"Training: {column}")
        axes.set_xlabel("Step" if column == columns[-1] else "")
        axes.set_ylim(0, 1 if column == "accuracy" else None)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid()
        axes.legend()
        if column == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


@matplotlib.rc_context(_STYLE)
def to_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element; equal figures give equal text.

    Ids start with the figure's label, so that several share a page.
    """
    buffer = io.StringIO()
    left_out = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    _save(figure, buffer, format="svg", metadata=left_out)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    ids, own = re.compile(r'\bid="|href="#|url\(#'), rf"\g<0>{figure.get_label()}-"
    # Within tags only: text is people's class names.
    return re.sub(r"<[^>]+>", lambda tag: ids.sub(own, tag[0]), svg)


@matplotlib.rc_context(_STYLE)
def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """Writes the figure to `path`, whole or not at all.

    Raises:
      UserError: when `path` cannot be written.
    """
    with files.replacing(path) as temporary:
        _save(figure, temporary, format="png", dpi=160)


def _figure(
    label: str, width: float, height: float, height_ratios: Sequence[float] = (1,)
) -> tuple[Figure, Any]:
    """A figure labelled `label`, of a size in inches, and its axes."""
    figure = Figure((width, height), layout="constrained", label=label)
    return figure, figure.subplots(len(height_ratios), height_ratios=height_ratios)


def _save(figure: Figure, file: pathlib.Path | TextIO, **options: Any) -> None:
    with warnings.catch_warnings():
        # Browsers have other fonts; a PNG shows boxes.
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from")
        figure.savefig(file, bbox_inches="tight", **options)


def _short(name: str, most: int = 26) -> str:
    """`name` on a line; the ends stay, in which similar names often differ."""
    name = " ".join(name.encode("utf-8", "backslashreplace").decode().split())
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"


def _count(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"


def _points(rows: Sequence[dict[str, str]], split: str, column: str) -> np.ndarray:
    """Step and value, float `[points, 2]`, of the rows that have both."""
    points = []
    for row in rows:
        with contextlib.suppress(KeyError, TypeError, ValueError):  # Empty, cut short.
            if (row.get("split") or "") == split:
                points.append((float(row["step"]), float(row[column])))
    points = np.array(sorted(points)).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if split or len(points) <= MOST_POINTS:
        return points
    blocks = np.array_split(points, MOST_POINTS)
    return np.array([block.mean(axis=0) for block in blocks])


def _draw_curve(
    axes: Axes, split: str, points: np.ndarray, splits: Sequence[str]
) -> None:
    """Draws the curve of `split`, one of `splits`, or of training, the empty name."""
    if not split:
        marker = "." if len(points) == 1 else None
        axes.plot(*points.T, color=SKY, linewidth=0.9, marker=marker, label="training")
        return
    number = [name for name in splits if name].index(split) % len(_SPLITS)
    marker, color = _SPLITS[number]
    # No formula; and a label that begins with an underscore would be hidden.
    label = " " + _short(split).replace("$", r"\$")
    axes.plot(*points.T, marker=marker, color=color, ms=4, label=label)
