"""Which of a folder's pictures are for training, validation and testing."""

import random
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from absl import logging

from datasets.converting.pictures import Picture
from slimbase.errors import UserError
from slimbase.text import counted, listed

_HELD_BACK = ("validation", "test")
_SPLITS = ("train", *_HELD_BACK)
PARENT = "parent"

Group = str  # The name of one of its pictures, or what a pattern matches.


def groups_of(
    found: Sequence[Picture],
    group_by: str | None,
    near_copies: Sequence[Sequence[str]] = (),
) -> dict[str, Group]:
    """The group of each picture, by its name; pictures of a group stay in one split.

    Args:
      found: the pictures.
      group_by: `parent` for the folder that a picture is in, or a regular expression
        that is searched for in names: what its first group matches, or all of it.
      near_copies: names of pictures that belong to one group besides.

    Raises:
      UserError: for a pattern that is none, or that matches nothing.
    """
    groups = _given(found, group_by) if group_by else {p.name: p.name for p in found}
    # Sets of near copies join the groups of their pictures.
    joined: dict[Group, Group] = {}

    def root(group: Group) -> Group:
        while group in joined:
            group = joined[group]
        return group

    for some in near_copies:
        roots = sorted({root(groups[name]) for name in some})
        joined.update(dict.fromkeys(roots[1:], roots[0]))
    return {name: root(group) for name, group in groups.items()}


def _given(found: Sequence[Picture], group_by: str) -> dict[str, Group]:
    if group_by == PARENT:
        return {p.name: p.name.rpartition("/")[0] for p in found}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UserError(
            f"--group_by={group_by} is neither {PARENT} nor a regular expression: "
            f"{error}"
        ) from error
    groups, others = {}, []
    for picture in found:
        if match := pattern.search(picture.name):
            # So that it is no picture's name.
            groups[picture.name] = f"={match[min(1, pattern.groups)]}"
        else:
            groups[picture.name] = picture.name
            others.append(picture.name)
    if len(others) == len(found):
        raise UserError(
            f"--group_by={group_by} matches no picture's name, such as {others[0]}"
        )
    if others:
        logging.warning(
            f"--group_by does not match the names of {counted(len(others), 'picture')},"
            f" as {others[0]}: each is a group of its own"
        )
    return groups


def split(
    found: Sequence[Picture],
    settings: Mapping[str, Any],
    groups: Mapping[str, Group],
    is_apart: bool = True,
    bad: Collection[str] = (),
) -> dict[str, list[Picture]]:
    """The pictures of each split, shuffled; as they are given, or by `settings`.

    Args:
      found: the pictures; all of them have a split, or none.
      settings: `seed`, `validation_fraction` and `test_fraction`.
      groups: the group of each picture, by its name.
      is_apart: of splits that are given, whether to leave out of training what is of a
        group that is in validation or test, too.
      bad: names of pictures that are left out later, of which none is held back, so
        that each class keeps its share.

    Raises:
      UserError: if some pictures have a split and others none, or if there is one group
        alone.
    """
    ordered = sorted(found, key=lambda picture: picture.name)
    random.Random(settings["seed"]).shuffle(ordered)
    given = {picture.split for picture in found}
    if "" in given and len(given) > 1:
        [unsplit, *_] = [picture for picture in found if not picture.split]
        raise UserError(
            f"{unsplit.path} is in no split, and others are; expected one for all "
            "pictures or for none"
        )
    if len(given) > 1:
        splits: dict[str, list[Picture]] = {name: [] for name in _SPLITS}
        for picture in ordered:
            splits[picture.split].append(picture)
        if is_apart:
            splits = _apart(splits, groups)
    else:
        good = [picture for picture in ordered if picture.name not in bad]
        if len({groups[picture.name] for picture in good}) == len(good):
            splits = _by_picture(good, settings)
        else:
            splits = _by_group(good, settings, groups)
        held = {p.name for name in _HELD_BACK for p in splits[name]}
        splits["train"] = [p for p in ordered if p.name not in held]
    return {name: pictures for name, pictures in splits.items() if pictures}


def _apart(
    splits: Mapping[str, list[Picture]], groups: Mapping[str, Group]
) -> dict[str, list[Picture]]:
    """Leaves out what would be in two splits: of training, or else of validation."""
    kept, taken = {}, {}
    for name in _SPLITS[::-1]:
        some = splits[name]
        out = [picture for picture in some if groups[picture.name] in taken]
        kept[name] = [picture for picture in some if groups[picture.name] not in taken]
        if out:
            other = taken[groups[out[0].name]]
            logging.warning(
                f"Left out of {name}: {counted(len(out), 'picture')} that are near "
                f"copies or of the group of pictures in another split, as {out[0].name}"
                f" of {other}. --allow_near_copies keeps near copies."
            )
        taken.update({groups[picture.name]: picture.name for picture in kept[name]})
    return {name: kept[name] for name in _SPLITS}


def _by_picture(
    shuffled: Sequence[Picture], settings: Mapping[str, Any]
) -> dict[str, list[Picture]]:
    """Holds back a share of each class: at least one picture, and never the last."""
    left: dict[str, list[Picture]] = {}
    for picture in shuffled:
        left.setdefault(picture.label, []).append(picture)
    split_of = {}
    for label, of_class in left.items():
        size = len(of_class)
        for name in _HELD_BACK:
            for _ in range(min(_wanted(size, name, settings), len(of_class) - 1)):
                split_of[of_class.pop()] = name
        if size == 1:
            logging.warning("Class %s has one picture, which is for training", label)
    splits: dict[str, list[Picture]] = {name: [] for name in _SPLITS}
    for picture in shuffled:
        splits[split_of.get(picture, "train")].append(picture)
    return splits


def _wanted(size: int, name: str, settings: Mapping[str, Any]) -> int:
    """How many pictures of a class of this size are to be in a split."""
    share = settings[f"{name}_fraction"]
    return max(1, round(share * size)) if share else 0


def _by_group(
    shuffled: Sequence[Picture],
    settings: Mapping[str, Any],
    groups: Mapping[str, Group],
) -> dict[str, list[Picture]]:
    """As `_by_picture`, with groups as a whole: shares are as near as these allow."""
    members: dict[Group, list[Picture]] = {}
    for picture in shuffled:
        members.setdefault(groups[picture.name], []).append(picture)
    if len(members) == 1:
        raise UserError(
            f"all {counted(len(shuffled), 'picture')} are of one group, so that there "
            "is nothing to validate on: check --group_by, or look into the near copies"
        )
    counts = {group: Counter(p.label for p in some) for group, some in members.items()}
    sizes = Counter(picture.label for picture in shuffled)
    left = Counter(label for group in counts.values() for label in group)  # Groups.
    split_of: dict[Group, str] = {}
    for name in _HELD_BACK:
        needed = {label: _wanted(size, name, settings) for label, size in sizes.items()}
        # Small groups last, as they fill up what others have left.
        for group in sorted(members, key=lambda group: -min(len(members[group]), 2)):
            of_group = counts[group]
            useful = sum(min(n, max(0, needed[k])) for k, n in of_group.items())
            is_last = any(left[label] < 2 for label in of_group)
            if group in split_of or is_last or 2 * useful < of_group.total():
                continue
            split_of[group] = name
            for label, number in of_group.items():
                needed[label] -= number
                left[label] -= 1
        lacking = [
            label
            for label, size in sizes.items()
            if needed[label] == _wanted(size, name, settings) > 0
        ]
        if lacking:
            logging.warning(
                f"Of {listed(lacking)} there is no picture in {name}: its groups are "
                "too few or too large"
            )
    splits: dict[str, list[Picture]] = {name: [] for name in _SPLITS}
    for picture in shuffled:
        splits[split_of.get(groups[picture.name], "train")].append(picture)
    return splits
