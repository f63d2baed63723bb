import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from slimbase import testing
from slimbase.errors import UserError
from slimzoo.evaluation import plots

ODD_NAMES = [
    "$x_1$ & <b>",
    "雏菊",
    "a\nb",
    "",
    "id=\"x\" href='#y'",
    "\udcff",
    "n" * 99,
]
EDGES = np.linspace(0, 1, 5)
RELIABILITY = (
    *(EDGES, np.array([0, 4, 0, 6])),
    *(np.array([np.nan, 0.4, np.nan, 0.9]), np.array([np.nan, 0.25, np.nan, 1.0])),
)


def _row(step, split="", loss="", accuracy=""):
    return {"step": step, "split": split, "loss": loss, "accuracy": accuracy}


HISTORY = [_row("10", "", "2.5", "0.1"), _row("10", "test", "2.0", "0.3")]


def _all_figures(classes=3):
    names, scores = ODD_NAMES[:classes], np.full(classes, 0.5)
    yield plots.confusion_matrix(np.eye(classes, dtype=int), names)
    yield plots.per_class(names, scores, scores, scores, np.ones(classes, int))
    yield plots.reliability(*RELIABILITY, 0.1)
    yield _curves(HISTORY)


def _curves(rows):
    figure = plots.training_curves(rows)
    assert figure
    return figure


def _labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_cells_of_the_matrix():
    matrix = np.array([[7, 2, 0], [0, 12_345, 1], [0, 0, 0]])
    [axes] = plots.confusion_matrix(matrix, ["ant", "bee", "cow"]).axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells[(1.5, 0.5)] == "2", "row 0, column 1"
    assert cells[(1.5, 1.5)] == "12k"
    assert len(cells) == 9
    assert _labels(axes.xaxis) == _labels(axes.yaxis) == ["ant", "bee", "cow"]
    assert axes.yaxis_inverted()
    assert axes.get_ylabel() == "True class"
    shares = np.asarray(axes.collections[0].get_array())
    np.testing.assert_allclose(shares[0], [7 / 9, 2 / 9, 0])
    np.testing.assert_array_equal(shares[2], 0)


def test_of_many_classes_those_with_most_mistakes():
    matrix = np.diag(np.full(1001, 50))
    matrix[700, 900] = 9  # To a class that is not shown.
    matrix[800, 700] = 8
    [axes] = plots.confusion_matrix(matrix, [f"c{i}" for i in range(1001)]).axes
    assert axes.get_title(loc="left").endswith("25 of 1,001 classes with most mistakes")
    assert _labels(axes.yaxis)[:2] == ["c700", "c800"]
    assert _labels(axes.xaxis)[-1] == "(all others)"
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(cells) == 25 * 26
    assert cells[(25.5, 0.5)] == "9"
    assert cells[(0.5, 1.5)] == "8"


def test_bars_of_classes():
    f1 = np.array([0.5, np.nan, 0.75])
    names, support = ["ant", "bee", "cow"], np.array([2, 0, 1234])
    [axes] = plots.per_class(names, f1 + 0.1, f1 - 0.1, f1, support).axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0, 0.75]
    assert _labels(axes.yaxis) == ["ant  (2)", "bee  (0)", "cow  (1,234)"]
    marks = {line.get_label(): np.asarray(line.get_xdata()) for line in axes.lines}
    np.testing.assert_allclose(marks["Precision"], f1 + 0.1)
    np.testing.assert_allclose(marks["Recall"], f1 - 0.1)


def test_of_many_classes_the_worst_that_have_images():
    f1 = np.linspace(0.2, 1, 1001)
    f1[500] = np.nan  # Never predicted.
    support = np.ones(1001, int)
    support[:10] = 0
    names = [f"c{i}" for i in range(1001)]
    [axes] = plots.per_class(names, f1, f1, f1, support).axes
    expected = [f"c{i}  (1)" for i in (500, *range(10, 34))]
    assert _labels(axes.yaxis) == expected
    assert axes.get_title(loc="left") == "The 25 lowest F1 of 1,001 classes"


def test_reliability():
    top, below = plots.reliability(*RELIABILITY, 0.12345).axes
    bars = [(bar.get_x(), bar.get_y(), bar.get_height()) for bar in top.patches]
    np.testing.assert_allclose(
        bars, [(0.25, 0, 0.25), (0.75, 0, 1), (0.25, 0.25, 0.15), (0.75, 1, -0.1)]
    )
    assert [bar.get_height() for bar in below.patches] == [4, 6]
    assert "12.3%" in top.get_title(loc="left")
    empty = (EDGES, np.zeros(4, int), np.full(4, np.nan), np.full(4, np.nan))
    assert "undefined" in plots.to_svg(plots.reliability(*empty, float("nan")))


@pytest.mark.parametrize(
    "rows",
    [[], [_row("1")], [_row("", "", "1")], [_row("1", "", "nan")], [{"step": "1"}]],
)
def test_no_curves(rows):
    assert plots.training_curves(rows) is None


def test_curves():
    cut_short = {"step": "3", "split": None, "loss": None, "accuracy": None}
    rows = [
        *HISTORY,
        _row("20", "", "1.5"),
        _row("20", r"_$\odd$", "x", "0.5"),
        cut_short,
    ]
    loss, accuracy = _curves(rows).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in loss.lines}
    assert drawn == {"training": [[10, 2.5], [20, 1.5]], " test": [[10, 2.0]]}
    drawn = {line.get_label(): line.get_xydata().tolist() for line in accuracy.lines}
    assert drawn[r" _\$\odd\$"] == [[20, 0.5]]
    assert r">_$\odd$<" in plots.to_svg(_curves(rows)).replace("> ", ">")
    [only] = _curves([_row("1", "", "2")]).axes
    assert only.get_title(loc="left") == "Training: loss"


def test_long_curves_are_averaged_without_bias():
    rows = [_row(str(step), "", str(step % 7)) for step in range(100_000)]
    figure = _curves(rows)
    points = np.asarray(figure.axes[0].lines[0].get_xydata())
    assert len(points) == plots.MOST_POINTS
    np.testing.assert_allclose(points.mean(axis=0), [49_999.5, 3], rtol=1e-3)
    assert len(plots.to_svg(figure)) < 50_000


def test_svgs_share_a_page():
    svgs = [plots.to_svg(figure) for figure in _all_figures()]
    again = [plots.to_svg(figure) for figure in _all_figures()]
    assert svgs == again
    ids = [name for svg in svgs for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in svgs:
        assert svg.startswith("<svg")
        assert "<metadata" not in svg
        used = re.findall(r'(?:href="|url\()#([^")]+)', svg)
        assert used
        assert set(used) <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_odd_names():
    matrix, _bars, *_ = _all_figures(len(ODD_NAMES))
    texts = [
        element.text
        for element in ET.fromstring(plots.to_svg(matrix)).iter()
        if element.tag.endswith("text")
    ]
    for shown in ("$x_1$ & <b>", "雏菊", "a b", "id=\"x\" href='#y'", r"\udcff"):
        assert texts.count(shown) == 2, "once per axis"
    assert "n" * 17 + "…" + "n" * 8 in texts


def test_png(tmp_path):
    directory = tmp_path / "new"
    for index, figure in enumerate(_all_figures(len(ODD_NAMES))):
        plots.save_png(figure, directory / f"{index}.png")
        with Image.open(directory / f"{index}.png") as picture:
            assert picture.format == "PNG"
            assert len(np.unique(np.asarray(picture))) > 50, "not blank"
    assert len(list(directory.iterdir())) == 4
    with pytest.raises(UserError, match="cannot write"):
        plots.save_png(_curves(HISTORY), directory / "0.png" / "below_a_file.png")


@pytest.mark.slow  # A process, for what imports do.
def test_matplotlib_stays_as_it_was():
    testing.run(
        "-c",
        "import matplotlib\n"
        "from matplotlib import pyplot\n"
        "before = dict(matplotlib.rcParams)\n"
        "from slimzoo.evaluation import plots\n"
        "figure = plots.training_curves([dict(step='1', loss='2')])\n"
        "plots.to_svg(figure)\n"
        "assert dict(matplotlib.rcParams) == before\n"
        "assert not pyplot.get_fignums()",
    )
