"""Layouts whose splits or labels are in published lists."""

import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from absl import logging

from datasets.converting import folder_table, split_lists, split_names
from datasets.converting.layout import Layout, pictures_in
from datasets.converting.pictures import Index, Picture, class_name
from datasets.converting.split_lists import Entry
from slimbase.errors import UserError
from slimbase.text import counted, listed


def listed_splits(
    top: pathlib.Path, lists: Mapping[pathlib.Path, str]
) -> Layout | None:
    """The pictures that lists of splits have.

    Classes are the folders of the pictures. Labels in the lists are the classes where
    folders are none, or do not correspond to the labels.

    Returns:
      None, if there are none, or they do not list pictures of training and another
      split.

    Raises:
      UserError: if a picture has no label.
    """
    if not lists:
        return None
    paths = pictures_in(top)
    index = Index(paths, top)
    by_list = {path: split_lists.read(path, index) for path in lists}
    named = {path: entries for path, entries in by_list.items() if entries}
    if len(named) < 2 or "train" not in {lists[path] for path in named}:
        logging.info(
            "No splits: %s do not list these pictures", listed(p.name for p in lists)
        )
        return None
    by_folder = _are_classes([e for entries in named.values() for e in entries])
    pictures, seen = [], set()
    for path, entries in named.items():
        for entry in entries:
            label = entry.path.parent.name if by_folder else entry.label
            if not label:
                raise UserError(
                    f"{path} has {entry.path.name} without a label, and the pictures "
                    "are in no class folders: expected lines of a path and a label"
                )
            seen.add(entry.path)
            name = entry.path.relative_to(top).as_posix()
            pictures.append(Picture(entry.path, name, class_name(label), lists[path]))
    _warn_of_unlisted(len(set(paths) - seen), top, named)
    names = listed(
        path.relative_to(top).as_posix() if path.is_relative_to(top) else path.name
        for path in named
    )
    how = "class folders with the splits" if by_folder else "pictures with the splits"
    labels = "" if by_folder else " and labels"
    return Layout(f"{how}{labels} of {names}", pictures, list(named))


def _are_classes(entries: Sequence[Entry]) -> bool:
    """Whether the folders of listed pictures are their classes."""
    folders = {entry.path.parent.name for entry in entries}
    others = {
        f for f in folders if split_names.is_empty(f) or split_names.of_names([f])
    }
    if len(folders) < 2 or others:
        return False
    if not all(entry.label for entry in entries):
        return True
    pairs = {(entry.path.parent.name, entry.label) for entry in entries}
    return len(pairs) == len(folders) == len({label for _, label in pairs})


def _warn_of_unlisted(
    number: int, folder: pathlib.Path, lists: Collection[pathlib.Path]
) -> None:
    if number:
        logging.warning(
            f"Left out: {counted(number, 'picture')} of {folder} that are in none of "
            f"{listed(path.name for path in lists)}"
        )


def flat_splits(
    top: pathlib.Path,
    splits: Mapping[pathlib.Path, str],
    lists: Mapping[pathlib.Path, pathlib.Path],
) -> Layout:
    """The pictures of splits without class folders, with the labels of their lists."""
    pictures = []
    for folder, path in lists.items():
        pictures += of_list(top, folder, splits[folder], path)
    for folder in splits.keys() - lists.keys():
        number = len(pictures_in(folder))
        logging.warning(
            f"Left out: {counted(number, 'picture')} in {folder.name}, for which there "
            "is no table of labels"
        )
    folders = listed(folder.name for folder in lists)
    names = listed(path.relative_to(top).as_posix() for path in lists.values())
    description = f"folders {folders} with their labels in {names}"
    return Layout(description, pictures, list(lists.values()))


def lists_of(
    top: pathlib.Path, splits: Mapping[pathlib.Path, str]
) -> dict[pathlib.Path, pathlib.Path]:
    """The list of each split without class folders that has one."""
    found = {folder: list_of(top, folder, split) for folder, split in splits.items()}
    return {folder: path for folder, path in found.items() if path}


def list_of(top: pathlib.Path, folder: pathlib.Path, split: str) -> pathlib.Path | None:
    """The list or table with the labels of a split without class folders, if any."""
    in_top = [path for path in sorted(top.iterdir()) if _may_be_list(path)]
    named = split_names.of_names([path.stem for path in in_top])
    candidates = [
        *(path for path in sorted(folder.iterdir()) if _may_be_list(path)),
        *(path for path in in_top if named.get(path.stem) == split),
    ]
    index = Index(pictures_in(folder), folder) if candidates else None
    labelled = [
        path
        for path in candidates
        if index and any(entry.label for entry in _entries(path, index))
    ]
    return labelled[0] if len(labelled) == 1 else None


def _may_be_list(path: pathlib.Path) -> bool:
    if folder_table.is_called_so(path):
        return folder_table.labels_of(path) is not None
    return path.suffix == split_lists.SUFFIX and path.is_file()


def _entries(path: pathlib.Path, index: Index) -> list[Entry]:
    if not folder_table.is_called_so(path):
        return split_lists.read(path, index)
    rows = folder_table.read(path, path.parent).rows
    places = ((index.find(row.path), row.label) for row in rows)
    return [Entry(place, label) for place, label in places if place]


def of_list(
    top: pathlib.Path,
    folder: pathlib.Path,
    split: str,
    path: pathlib.Path,
    classes: Collection[str] | None = None,
) -> Iterator[Picture]:
    """The pictures of a split with the labels of a list.

    Args:
      top: what names of pictures are relative to.
      folder: has the pictures of the split.
      split: what it is.
      path: of the list.
      classes: those of the other splits, if there are others.

    Raises:
      UserError: for a picture without a label, or of a class that others have not.
    """
    index = Index(pictures_in(folder), folder)
    entries = _entries(path, index)
    _warn_of_unlisted(len(index) - len({e.path for e in entries}), folder, [path])
    for entry in entries:
        label = class_name(entry.label)
        if not label:
            raise UserError(
                f"{path} has {entry.path.name} without a label, and the pictures are "
                "in no class folders: expected lines of a path and a label"
            )
        if classes is not None and label not in classes:
            raise UserError(
                f"{path} gives {entry.path.name} the label {label!r}, which is none of "
                f"the classes of the other splits, {listed(sorted(classes))}"
            )
        name = entry.path.relative_to(top).as_posix()
        yield Picture(entry.path, name, label, split)
