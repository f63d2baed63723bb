import csv
import io
import json

import pytest

from slimbase.errors import UserError
from slimzoo.classification import answers
from slimzoo.classification.classify import Answer, Class

GOOD = Answer("a b.jpg", (Class(2, "cat, black", 0.75), Class(0, "ant", 0.125)))
BAD = Answer("bad.jpg", error="is empty")
ODD = Answer('x\n"y",z.jpg', (Class(1, "Löwe", 0.5), Class(0, "a\nb", 1e-9)))
ALL = (GOOD, BAD, ODD)


def lines(style, given=ALL, top_k=2, logits=False):
    return list(answers.lines(given, style, top_k, logits))


def table(given=ALL, **options):
    text = "\n".join(lines("csv", given, **options)) + "\n"
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_table_is_for_people():
    assert lines("table", [GOOD, BAD]) == [
        "a b.jpg",
        "   75.00%  cat, black",
        "   12.50%  ant",
    ]


def test_table_of_logits_has_no_percents():
    answer = Answer("a.jpg", (Class(0, "ant", 12.5), Class(1, "bee", -3.25)))
    assert lines("table", [answer], logits=True) == [
        "a.jpg",
        "    12.5000  ant",
        "    -3.2500  bee",
    ]


def test_csv_has_a_row_per_picture_that_could_be_read():
    first, second = table()
    assert first == {
        **{"file": "a b.jpg", "class_1": "2", "name_1": "cat, black"},
        **{"probability_1": "0.75", "class_2": "0", "name_2": "ant"},
        "probability_2": "0.125",
    }
    assert second["file"] == ODD.path
    assert second["name_2"] == "a\nb"
    assert float(second["probability_2"]) == 1e-9


def test_csv_has_a_header_even_without_pictures():
    assert lines("csv", [], top_k=1) == ["file,class_1,name_1,probability_1"]
    assert lines("csv", [BAD], top_k=1, logits=True) == ["file,class_1,name_1,logit_1"]


def test_csv_of_fewer_classes_than_asked_for_has_columns_for_these():
    [row] = table([BAD, GOOD], top_k=4)
    assert "probability_2" in row and "class_3" not in row and None not in row


@pytest.mark.parametrize(("logits", "name"), [(False, "probability"), (True, "logit")])
def test_jsonl_is_an_object_per_picture(logits, name):
    first, second, third = map(json.loads, lines("jsonl", logits=logits))
    assert first == {
        "file": "a b.jpg",
        "classes": [
            {"class": 2, "name": "cat, black", name: 0.75},
            {"class": 0, "name": "ant", name: 0.125},
        ],
    }
    assert second == {"file": "bad.jpg", "error": "is empty"}
    assert third["file"] == ODD.path
    assert third["classes"][1]["name"] == "a\nb"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_jsonl_has_null_in_place_of_what_json_has_no_number_for(value):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    [line] = lines("jsonl", [Answer("a", (Class(0, "b", value),))])
    [answer] = json.loads(line, parse_constant=refuse)["classes"]
    assert answer["probability"] is None


@pytest.mark.parametrize("style", ["table", "csv", "jsonl"])
def test_lines_come_as_the_answers_do(style):
    asked = []

    def coming():
        for answer in ALL:
            asked.append(answer)
            yield answer

    found = answers.lines(coming(), style, 2, False)
    assert asked == []
    first = next(found)
    assert len(asked) == 1
    assert first
    assert len(list(found)) >= 2


def test_unknown_style_is_refused_before_anything_is_classified():
    def coming():
        raise AssertionError
        yield

    with pytest.raises(UserError, match=r"--format=jsn is unknown\..*jsonl"):
        answers.lines(coming(), "jsn", 5, False)
