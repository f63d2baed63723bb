import json
import math

import pytest

from slimbase import text


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, ""), (2, "0, 1"), (3, "0, 1, 2"), (5, "0, 1, 2 and 2 more")],
)
def test_of_many_names_the_first_are_listed(count, expected):
    assert text.listed(range(count), 3) == expected


def test_large_counts_are_grouped():
    assert text.listed(["a"] * 1235, 1) == "a and 1,234 more"
    assert text.counted(1, "picture") == "1 picture"
    assert text.counted(2000, "picture") == "2,000 pictures"


def test_numbers_for_json():
    values = [text.number(value) for value in (0.5, math.nan, math.inf)]
    assert json.dumps(values, allow_nan=False) == "[0.5, null, null]"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a b.jpg", "a b.jpg"), ("a\nb", r"a\nb"), ("a\udcff.jpg", r"a\xff.jpg")],
)
def test_names_are_printed_on_one_line(name, expected):
    assert text.printable(name) == expected
