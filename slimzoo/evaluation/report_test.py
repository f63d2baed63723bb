import dataclasses
import html.parser
import io
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from slimbase.errors import UserError
from slimzoo.evaluation import report

NAN = float("nan")
EVIL = "<script>alert('1')</script>\"$title &amp;"
MAGENTA, LIME = (255, 0, 255), (0, 255, 0)
DARKEST = (8, 48, 107)  # A cell of the matrix that has all images of its class.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _thumbnail(color, kind):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, kind)
    return buffer.getvalue()


MISTAKES = (
    report.ShownMistake(
        _thumbnail(MAGENTA, "PNG"), "bee", "cow", 0.987, f"dir/{EVIL}.jpg"
    ),
    report.ShownMistake(_thumbnail(LIME, "JPEG"), "cow", "bee", 0.6, "bad \udcff name"),
)


def _content(names=("ant", "bee", "cow"), **changes):
    classes = len(names)
    matrix = np.diag(np.full(classes, 10))
    if classes > 2:
        matrix[1, 2], matrix[2, 1] = 2, 1
    support = matrix.sum(axis=1)
    scores = matrix.diagonal() / support
    means = {"precision": 0.9, "recall": 0.8, "f1": NAN}
    headline = {
        "count": int(support.sum()),
        "top_1": matrix.trace() / support.sum(),
        "top_5": 1.0,
        "loss": 0.43219,
        "expected_calibration_error": 0.031,
        "macro": means,
        "weighted": means,
    }
    bins = (np.linspace(0, 1, 3), np.array([0, 9]), np.array([NAN, 0.9]))
    content = report.Report(
        title="inception_v3 on animals",
        facts={"Checkpoint": "/tmp/model.ckpt-7"},
        headline=headline,
        names=names,
        matrix=matrix,
        precision=scores,
        recall=scores,
        f1=scores,
        support=support,
        calibration=(*bins, np.array([NAN, 0.8])),
        mistakes=MISTAKES,
        history=[{"step": "5", "split": "", "loss": "1", "accuracy": "0.5"}],
    )
    return dataclasses.replace(content, **changes)


class _Page(html.parser.HTMLParser):
    """The elements of a page: tag and attributes, and the texts."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements, self.texts = [], []
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page(tmp_path):
    def write(content):
        path = tmp_path / "reports" / "report.html"
        report.write(path, content)
        return _Page(path)

    return write


def test_numbers(page):
    text = " ".join(page(_content()).texts).replace("\xa0", " ")
    assert "90.9 % ± 5.0 % standard error" in re.sub(r"\s+", " ", text)  # 30 of 33.
    for shown in ("0.4322", "3.1 %", "33", "/tmp/model.ckpt-7", "98.7 %", "cow (2)"):
        assert shown in text
    assert "Macro 90.0 % 80.0 % \N{EN DASH}" in re.sub(r"\s+", " ", text)


def test_sections(page):
    figures = [attributes["id"] for attributes in page(_content()).named("figure")]
    assert figures == ["confusion-matrix", "reliability", "per-class", "training"]
    without = page(_content(history=()))
    assert [figure["id"] for figure in without.named("figure")] == figures[:3]


def test_nothing_from_elsewhere(page):
    written = page(_content())
    links = {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}
    targets = [
        value
        for _, attributes in written.elements
        for name, value in attributes.items()
        if name in links
    ]
    targets += re.findall(r"url\(([^)]*)\)", written.source)
    assert len(targets) > 10
    assert {
        target for target in targets if not target.startswith(("data:", "#"))
    } == set()
    assert "@import" not in written.source
    [policy] = [meta for meta in written.named("meta") if "http-equiv" in meta]
    assert "default-src 'none'; img-src data:;" in policy["content"]


def test_names_are_escaped(page):
    evil = tuple(dataclasses.replace(mistake, true_name=EVIL) for mistake in MISTAKES)
    written = page(
        _content((EVIL, "b", "c"), title=EVIL, facts={EVIL: EVIL}, mistakes=evil)
    )
    assert len(written.named("script")) == 1
    assert written.texts.count(EVIL) >= 5
    alts = [image["alt"] for image in written.named("img")]
    assert alts == [f"An image of {EVIL}, taken for {name}" for name in ("cow", "bee")]
    assert r"bad \udcff name" in written.texts


def test_thumbnails_are_inlined(page):
    sources = [image["src"][:23] for image in page(_content()).named("img")]
    assert sources[0].startswith("data:image/png;base64,")
    assert sources[1] == "data:image/jpeg;base64,"


def test_without_mistakes(page):
    headline = {**_content().headline, "top_1": 1.0}
    written = page(_content(headline=headline, mistakes=()))
    assert "None: all 33 images were recognized." in written.texts
    assert "No pictures of mistakes were kept." in page(_content(mistakes=())).texts


def test_nothing_is_known(page):
    nothing = np.full(2, NAN)
    headline = {**_content().headline, "count": 0, "top_1": NAN, "loss": NAN}
    written = page(
        _content(
            ("ant", "bee"),
            headline=headline,
            matrix=np.zeros((2, 2), int),
            **dict.fromkeys(("precision", "recall", "f1"), nothing),
            support=np.zeros(2, int),
        )
    )
    assert "nan" not in " ".join(written.texts)


def test_thousand_classes(page):
    written = page(_content([f"class {i}, also called {i + 1}" for i in range(1001)]))
    assert len(written.source) < 3 << 20
    assert len(written.named("tr")) > 1001


def test_plots(tmp_path):
    paths = report.save_plots(tmp_path / "plots", _content())
    ids = ["confusion-matrix", "reliability", "per-class", "training"]
    assert paths == [tmp_path / "plots" / f"{name}.png" for name in ids]
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())


def test_report_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        report.write(tmp_path / "file" / "report.html", _content())


@pytest.fixture
def browse(tmp_path):
    """Opens a page in Chromium without a network; gives its DOM and console errors."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip(f"needs a browser: {', '.join(BROWSERS)}")

    def open_page(path, *options):
        result = subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--hide-scrollbars", "--enable-logging=stderr", "--v=0"),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run"),
                *(f"--user-data-dir={tmp_path / 'browser'}", "--lang=en"),
                *("--virtual-time-budget=5000", *options, path.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout, re.findall(r".*CONSOLE.*", result.stderr)

    return open_page


@pytest.mark.parametrize(
    "body",
    [
        "<script>nothing.known()</script>",
        # What a page is forbidden to load is an error, too.
        "<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\">"
        "<img src='picture.png'>",
    ],
)
def test_broken_pages_are_noticed(browse, tmp_path, body):
    path = tmp_path / "broken.html"
    path.write_text(f"<!DOCTYPE html><title>Broken</title>{body}")
    _, errors = browse(path, "--dump-dom")
    assert errors


def test_painted_in_a_browser(browse, tmp_path):
    path, picture = tmp_path / "report.html", tmp_path / "report.png"
    report.write(path, _content((EVIL, "bee", "cow")))
    _, errors = browse(path, f"--screenshot={picture}", "--window-size=1200,3000")
    assert not errors
    with Image.open(picture) as screenshot:
        pixels = np.asarray(screenshot.convert("RGB")).astype(int)
    for color in (MAGENTA, LIME):
        assert _area(pixels, color) > 10_000, "a thumbnail"
    assert _area(pixels, DARKEST) > 3000, "the cell of the first class"


def _area(pixels, color):
    """The number of pixels that have about that color."""
    return np.sum(np.abs(pixels - color).max(axis=-1) < 4)


def test_sorted_in_a_browser(browse, tmp_path):
    path = tmp_path / "report.html"
    f1 = np.array([0.5, NAN, 1, 0.06])
    report.write(path, _content(("c", "d", "b 10", "b 9"), f1=f1))
    script = """<script>
      for (const column of [0, 0, 4, 4]) {
        document.querySelectorAll("th button")[column].click();
        const names = Array.from(body.rows, row => row.cells[0].textContent);
        document.body.append(`(${names}: ${head[column].ariaSort})`);
      }</script></body>"""
    path.write_text(path.read_text("utf-8").replace("</body>", script), "utf-8")
    dom, errors = browse(path, "--dump-dom")
    assert not errors
    assert dom.count("<svg") == 4
    assert re.findall(r"\(([^()]*: \w+)\)", dom.partition("</main>")[2])[-4:] == [
        "b 9,b 10,c,d: ascending",
        "d,c,b 10,b 9: descending",
        "b 9,c,b 10,d: ascending",
        "b 10,c,b 9,d: descending",
    ]
