"""Which folders and files are splits, by their names."""

import re
from collections.abc import Iterable

from datasets.converting.folder_table import SPLITS

# Words beside the split's that mean nothing, as in training_set or val_images.
_EMPTY_WORDS = frozenset(
    (
        *("set", "data", "dataset", "folder", "split", "sample", "samples"),
        *("image", "images", "img", "imgs", "picture", "pictures", "photo", "photos"),
        *("file", "files", "label", "labels", "list", "annotation", "annotations"),
    )
)


def of_names(names: Iterable[str]) -> dict[str, str]:
    """The split that each name stands for; names that stand for none are left out.

    A name is one if it has one word for a split and, besides, words that mean nothing,
    as `training_set`; or words that the name of another split has too, as `seg_train`
    beside `seg_test`. So `train_station` is none.
    """
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for name in names:
        words = re.findall(r"[a-z]+|[0-9]+", name.lower())
        of_split = {SPLITS[word] for word in words if word in SPLITS}
        if len(of_split) == 1:
            rest = frozenset(words) - SPLITS.keys() - _EMPTY_WORDS
            found[name] = of_split.pop(), rest
    return {
        name: split
        for name, (split, rest) in found.items()
        if not rest
        or any(split != other and rest == more for other, more in found.values())
    }


def is_empty(name: str) -> bool:
    """Whether a name says no more than that there are pictures, as `images`."""
    words = re.findall(r"[a-z]+|[0-9]+", name.lower())
    return bool(words) and _EMPTY_WORDS.issuperset(words)
