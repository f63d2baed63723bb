"""docs/errors.md has a row for each message that the code can give, and no other."""

import collections
import re

import pytest

from tools import error_messages

PAGE = error_messages.ROOT / "docs" / "errors.md"
FROM_OTHERS = "\n## From TensorFlow"  # What follows is in no source of ours.
SHORTEST = 20  # Characters of a row that is not the whole message.
# Messages without words of their own, by function, and their texts.
PASSED_ON = {
    (
        "slimbase/command_line/flags.py read_options",
        "…: …",
    ): "what absl says of a value",
    ("slimbase/errors.py unknown", "…. …Known: …."): "what its callers say",
    ("slimbase/registry.py __missing__", "…"): "what the registry was made with",
    (
        "datasets/converting/layouts.py recognise",
        "…; …",
    ): "what is there, and should be",
    (
        "datasets/converting/ilsvrc_boxes.py _read_annotations",
        "…",
    ): "an error about a file",
    ("slimbase/pictures/isolated.py call", "…"): "what its operations say",
    ("datasets/storage/split.py check_files", "…"): "that shards are missing",
    ("datasets/registry.py describe", "…"): "what DATASETS was made with",
    ("slimzoo/evaluation/many.py evaluate_all", "…: …"): "an error of one of several",
    ("preprocessing/preprocessing_factory.py _recipes_by_any_name", "…"): "as RECIPES",
}


@pytest.fixture(scope="module")
def messages():
    return error_messages.find()


@pytest.fixture(scope="module")
def rows():
    ours, _, others = PAGE.read_text("utf-8").partition(FROM_OTHERS)
    assert others
    cells = [line.split(" | ")[0] for line in ours.splitlines() if line[:3] == "| `"]
    return [text for cell in cells for text in re.findall("`([^`]+)`", cell)]


def _words(text):
    """Without what varies at the end."""
    return text.rstrip("…:;,.' ")


def _has(row, text):
    """Whether `row` is the beginning of `text`, and enough of it."""
    begins = text.startswith(_words(row)) and len(_words(row)) >= SHORTEST
    return begins or _words(row) == _words(text)


def test_each_message_has_a_row(messages, rows):
    lacking = [
        f"{message.place}: {message.text}"
        for message in messages
        if (message.function, message.text) not in PASSED_ON
        and not any(_has(row, message.text) for row in rows)
    ]
    assert not lacking, f"not in {PAGE}:\n" + "\n".join(lacking)


def test_each_row_has_a_message(messages, rows):
    stale = [row for row in rows if not any(_has(row, m.text) for m in messages)]
    assert not stale, "not in the source any more:\n" + "\n".join(stale)
    assert not [row for row, count in collections.Counter(rows).items() if count > 1]


def test_what_passes_messages_on_is_there(messages):
    assert PASSED_ON.keys() <= {(m.function, m.text) for m in messages}


SOURCE = """
_WHY = "no reason"
def check(name, error):
    if not name:
        raise UserError("no name" if error else "a name that is empty")
    if error:
        raise errors.UserError(f"cannot use {name}: {error!r}. " "Mend `it`.")
    message = f"{name} is unknown"
    raise unknown(message, name, [])
def tell(error):
    logging.warning("%s: at step %d", error, 1)
    raise DamagedError(_of(error) + _WHY)
def _of(error):
    return f"damaged, {error}: "
def each(message):
    raise PictureError(message)
each("is gray")
raise ValueError("told by another")
"""


def test_finds_messages():
    found = [m.text for m in error_messages.Finder("slimzoo/x.py", SOURCE).found]
    assert sorted(found) == [
        "a name that is empty",
        "cannot use …: …. Mend ….",
        "damaged, …: no reason",
        "is gray",
        "no name",
        "… is unknown",
        "…: at step …",
    ]
    assert len(error_messages.Finder("nets/x.py", SOURCE).found) == len(found) + 1
