import collections
import pathlib

import pytest

from datasets.converting import splitting
from datasets.converting.pictures import Picture
from slimbase.errors import UserError

SETTINGS = {"seed": 0, "validation_fraction": 0.2, "test_fraction": 0.0}


def _pictures(*names, split=""):
    return [Picture(pathlib.Path(n), n, n.split("/")[0], split) for n in names]


def _patients(of_class, patients, each):
    return [
        f"{of_class}/patient{of_class}{patient}_{i}.jpg"
        for patient in range(patients)
        for i in range(each)
    ]


def _names(splits):
    return {
        split: [picture.name for picture in pictures]
        for split, pictures in splits.items()
    }


def test_a_pattern_keeps_groups_in_one_split():
    found = _pictures(*_patients("a", 10, 5), *_patients("b", 20, 3))
    groups = splitting.groups_of(found, "patient([ab][0-9]+)")
    splits = _names(splitting.split(found, SETTINGS, groups))
    patients = {
        split: {name.split("patient")[1].split("_")[0] for name in names}
        for split, names in splits.items()
    }
    assert not patients["train"] & patients["validation"]
    counts = collections.Counter(name[0] for name in splits["validation"])
    assert counts == {"a": 10, "b": 12}
    assert len(splits["train"]) == 40 + 48
    again = _names(splitting.split(found, SETTINGS, groups))
    assert again == splits
    other = _names(splitting.split(found, {**SETTINGS, "seed": 1}, groups))
    assert set(other["validation"]) != set(splits["validation"])


def test_folders_are_groups():
    found = _pictures(*(f"{c}/clip{k}/{i}.jpg" for c in "ab" for k in range(5)
                        for i in range(4)))  # fmt: skip
    groups = splitting.groups_of(found, "parent")
    assert set(groups.values()) == {f"{c}/clip{k}" for c in "ab" for k in range(5)}
    splits = splitting.split(found, SETTINGS, groups)
    assert {split: len(some) for split, some in splits.items()} == {
        "train": 32,
        "validation": 8,
    }


def test_near_copies_join_groups():
    found = _pictures(*(f"a/{i}.jpg" for i in range(10)), "b/0.jpg", "b/1.jpg")
    sets = [["a/0.jpg", "a/1.jpg", "a/2.jpg"], ["a/2.jpg", "b/0.jpg"]]
    groups = splitting.groups_of(found, None, sets)
    joined = {groups[name] for some in sets for name in some}
    assert len(joined) == 1
    assert len(set(groups.values())) == 9
    for seed in range(20):
        splits = splitting.split(found, {**SETTINGS, "seed": seed}, groups)
        places = {
            split
            for split, some in splits.items()
            for picture in some
            if groups[picture.name] in joined
        }
        assert len(places) == 1


def test_without_groups_nothing_changes():
    """Recorded before there were groups."""
    found = _pictures(*(f"{c}/{i}.jpg" for c in "ab" for i in range(10)))
    splits = _names(splitting.split(found, SETTINGS, splitting.groups_of(found, None)))
    assert splits["validation"] == ["a/8.jpg", "a/1.jpg", "b/3.jpg", "b/2.jpg"]


def test_given_splits_lose_what_is_in_two(caplog):
    train = _pictures("a/1.jpg", "a/2.jpg", "b/1.jpg", split="train")
    held = _pictures("a/3.jpg", "b/2.jpg", split="validation")
    test = _pictures("a/4.jpg", split="test")
    found = [*train, *held, *test]
    sets = [["a/1.jpg", "a/3.jpg"], ["b/2.jpg", "a/4.jpg"]]
    groups = splitting.groups_of(found, None, sets)
    splits = _names(splitting.split(found, SETTINGS, groups))
    assert set(splits["train"]) == {"a/2.jpg", "b/1.jpg"}
    assert splits["validation"] == ["a/3.jpg"]
    assert splits["test"] == ["a/4.jpg"]
    assert "Left out of train: 1 picture that" in caplog.text
    assert "a/1.jpg of a/3.jpg" in caplog.text
    kept = splitting.split(found, SETTINGS, groups, is_apart=False)
    assert sum(map(len, kept.values())) == len(found)


def test_a_class_of_one_group_is_reported(caplog):
    found = _pictures(*_patients("a", 1, 6), *_patients("b", 5, 2))
    groups = splitting.groups_of(found, "patient[ab][0-9]+")
    splits = _names(splitting.split(found, SETTINGS, groups))
    assert {name[0] for name in splits["validation"]} == {"b"}
    assert "Of a there is no picture in validation" in caplog.text


def test_what_matches_nothing_is_a_group_of_its_own(caplog):
    found = _pictures("a/x1.jpg", "a/x2.jpg", "a/y.jpg", "b/x1.jpg")
    groups = splitting.groups_of(found, "x[0-9]")
    assert groups["a/x1.jpg"] == groups["b/x1.jpg"] != groups["a/x2.jpg"]
    assert "does not match the names of 1 picture, as a/y.jpg" in caplog.text


@pytest.mark.parametrize(
    ("group_by", "message"),
    [
        ("(", "neither parent nor a regular expression"),
        ("dog", "matches no picture's name, such as a/1.jpg"),
        ("jpg", "all 2 pictures are of one group"),
    ],
)
def test_mistakes(group_by, message):
    found = _pictures("a/1.jpg", "b/2.jpg")
    with pytest.raises(UserError, match=message):
        splitting.split(found, SETTINGS, splitting.groups_of(found, group_by))
