import pytest
from absl import logging

from slimzoo.model.called import ClassFinder


@pytest.mark.parametrize(
    ("called", "numbers"),
    [
        ("daisy", (0,)),
        ("rose", (1,)),
        ("0", (0,)),
        ("2", (2,)),
        ("02", (2,)),
        ("crane", (2, 3)),  # As two classes of ImageNet are called.
        ("4", ()),
        ("-1", ()),
        ("²", ()),
        ("9" * 5000, ()),
        ("Daisy", ()),
        ("", ()),
    ],
)
def test_classes_have_names_and_numbers(called, numbers):
    assert ClassFinder(["daisy", "rose", "crane", "crane"], "file")(called) == numbers


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "info", lambda text, *args: lines.append(text % args))
    return lines


def test_names_come_before_numbers_and_this_is_logged_once(logged):
    find = ClassFinder(["1", "2", "3"], "weights.txt")
    assert [find(called) for called in "0123"] == [(0,), (0,), (1,), (2,)]
    [line] = logged
    assert line.startswith(
        "weights.txt: 1 is the class of that name, which has number 0, and not class "
        "number 1, which is called 2"
    )


def test_names_that_are_their_numbers_are_not_worth_a_line(logged):
    find = ClassFinder(["0", "1", "2"], "weights.txt")
    assert [find(called) for called in "012"] == [(0,), (1,), (2,)]
    assert not logged
