"""Layouts whose splits or labels are in published lists."""

import pathlib
from collections.abc import Collection, Iterator, Mapping

from absl import logging

from datasets.converting import split_lists, split_names
from datasets.converting.layout import Layout, pictures_in
from datasets.converting.pictures import Index, Picture, class_name
from slimbase.errors import UserError
from slimbase.text import counted, listed


def listed_splits(top: pathlib.Path, lists: Mapping[pathlib.Path, str]) -> Layout:
    """The pictures that lists of splits have."""
    paths = pictures_in(top)
    index = Index(paths, top)
    pictures, seen = [], set()
    by_list = {path: split_lists.read(path, index) for path in lists}
    named = {path: entries for path, entries in by_list.items() if entries}
    folders = {e.path.parent for entries in named.values() for e in entries}
    has_folders = len(folders) > 1
    for path, entries in named.items():
        for entry in entries:
            label = entry.path.parent.name if has_folders else entry.label
            if not label:
                raise UserError(
                    f"{path} has {entry.path.name} without a label, and the pictures "
                    "are in no class folders: expected lines of a path and a label"
                )
            seen.add(entry.path)
            name = entry.path.relative_to(top).as_posix()
            pictures.append(Picture(entry.path, name, class_name(label), lists[path]))
    if unlisted := len(set(paths) - seen):
        logging.warning(
            f"Left out: {counted(unlisted, 'picture')} of {top} that are in none of "
            f"{listed(path.name for path in named)}"
        )
    how = "class folders" if has_folders else "pictures"
    names = listed(path.relative_to(top).as_posix() for path in named)
    return Layout(f"{how} with the splits of {names}", pictures)


def list_of(top: pathlib.Path, folder: pathlib.Path, split: str) -> pathlib.Path | None:
    """The text file with the labels of a split without class folders, if any."""
    in_top = sorted(top.glob("*.txt"))
    named = split_names.of_names([path.stem for path in in_top])
    candidates = [
        *sorted(folder.glob("*.txt")),
        *(path for path in in_top if named.get(path.stem) == split),
    ]
    index = Index(pictures_in(folder), folder)
    labelled = [
        path
        for path in candidates
        if any(entry.label for entry in split_lists.read(path, index))
    ]
    return labelled[0] if len(labelled) == 1 else None


def of_list(
    top: pathlib.Path,
    folder: pathlib.Path,
    split: str,
    path: pathlib.Path,
    classes: Collection[str],
) -> Iterator[Picture]:
    """The pictures of a split with the labels of a list."""
    for entry in split_lists.read(path, Index(pictures_in(folder), folder)):
        label = class_name(entry.label)
        if label not in classes:
            raise UserError(
                f"{path} gives {entry.path.name} the label {label!r}, which is none of "
                f"the classes of the other splits, {listed(sorted(classes))}"
            )
        name = entry.path.relative_to(top).as_posix()
        yield Picture(entry.path, name, label, split)
