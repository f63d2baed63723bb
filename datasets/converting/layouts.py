"""Layouts of people's folders: what is a class, what a split, and where labels are."""

import pathlib
from collections.abc import Collection, Iterator, Mapping

from absl import logging

from datasets.converting import (
    listed_layouts,
    split_lists,
    split_names,
    tabled_layouts,
)
from datasets.converting.layout import EXPECTED, Layout, count_loose, folders_in
from datasets.converting.pictures import Picture, class_name
from slimbase import files
from slimbase.errors import UserError
from slimbase.pictures import find as picture_files
from slimbase.text import counted, listed

_MOST_LEVELS = 4  # That a folder of one folder may have.


def recognise(root: pathlib.Path) -> Layout:
    """Finds the pictures of a folder and their classes, whatever its layout.

    Raises:
      UserError: for a folder that is not there, or where it is not clear what is a
        class; says what to do.
    """
    if not root.is_dir():
        raise UserError(f"{files.listing(str(root))}; {EXPECTED}")
    top = _descended(root)
    layout = _recognise(top)
    if top == root:
        return layout
    inner = top.relative_to(root).as_posix()
    named = [p._replace(name=f"{inner}/{p.name}") for p in layout.pictures]
    return Layout(f"in {inner}, {layout.description}", named)


def _recognise(top: pathlib.Path) -> Layout:
    splits = _splits(top)
    flat = {f: split for f, split in splits.items() if _is_flat(f)}
    is_one = len(splits) == 1 < len(folders_in(top)) and any(map(count_loose, splits))
    if is_one and not tabled_layouts.tables_of(top, splits):
        return _class_folders(top, {})  # There are trains.
    if flat and len(flat) == len(splits):
        return tabled_layouts.flat_splits(top, flat)
    if lists := split_lists.find(top):
        return listed_layouts.listed_splits(top, lists)
    tables = [] if splits else tabled_layouts.tables_in(top)
    if table := tabled_layouts.one_table(tables):
        return tabled_layouts.tabled(top, {top: ""}, {top: table})
    return _class_folders(top, splits)


def _descended(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the only one in it, and so on: archives have such."""
    for _ in range(_MOST_LEVELS):
        inside = folders_in(folder)
        if len(inside) != 1 or count_loose(folder) or tabled_layouts.tables_in(folder):
            break
        [only] = inside
        is_split = bool(split_names.of_names([only.name])) and only.name != folder.name
        holds_classes = bool(folders_in(only)) or bool(tabled_layouts.tables_in(only))
        if is_split or not holds_classes or _is_one_class(only):
            break
        folder = only
    return folder


def _is_one_class(folder: pathlib.Path) -> bool:
    """Whether pictures are right in a folder, without a table of their labels."""
    return bool(count_loose(folder)) and not tabled_layouts.tables_in(folder)


def _splits(top: pathlib.Path) -> dict[pathlib.Path, str]:
    """The folders that are splits by their names, with what is in them."""
    named = split_names.of_names([folder.name for folder in folders_in(top)])
    folders = {top / name: split for name, split in named.items()}
    return {_descended(f): split for f, split in folders.items() if _has_any(f)}


def _has_any(folder: pathlib.Path) -> bool:
    return bool(folders_in(folder)) or bool(count_loose(folder))


def _is_flat(folder: pathlib.Path) -> bool:
    """Whether a split's pictures are in no class folders."""
    inside = folders_in(folder)
    if len(inside) == 1 and split_names.is_empty(inside[0].name):
        return not folders_in(inside[0])  # As val/images.
    return not inside


def _class_folders(top: pathlib.Path, splits: Mapping[pathlib.Path, str]) -> Layout:
    with_classes = {f: split for f, split in splits.items() if not _is_flat(f)}
    others: list[str] = []
    pictures = []
    for folder, split in (with_classes or {top: ""}).items():
        for path, label in _in_classes(folder, others):
            name = path.relative_to(top).as_posix()
            pictures.append(Picture(path, name, label, split))
    lists = {}
    if with_classes:
        classes = {picture.label for picture in pictures}
        for folder, split in splits.items():
            if folder in with_classes:
                continue
            if path := listed_layouts.list_of(top, folder, split):
                lists[folder] = path.relative_to(top).as_posix()
                pictures += listed_layouts.of_list(top, folder, split, path, classes)
    _check_splits(top, splits, with_classes, lists)
    picture_files.warn_of_others(others, str(top))
    _warn_of_system_folders(top)
    if not with_classes:
        return Layout("a folder for each class", pictures)
    names = listed(folder.relative_to(top).as_posix() for folder in with_classes)
    more = "".join(f"; {f.name} by the list {path}" for f, path in lists.items())
    return Layout(f"splits {names} with a folder for each class{more}", pictures)


def _check_splits(
    top: pathlib.Path,
    splits: Mapping[pathlib.Path, str],
    with_classes: Mapping[pathlib.Path, str],
    lists: Collection[pathlib.Path],
) -> None:
    folders = folders_in(top)
    if with_classes:
        is_part = len(splits) == 1 < len(folders)
        if "train" not in with_classes.values() or is_part:
            raise UserError(
                f"{top} has {', '.join(f.name for f in folders)}: are these splits, or "
                "classes? Of splits, train is one, and the others are called val or "
                "test; class folders are not called so, or have pictures right in them"
            )
        used = {f.relative_to(top).parts[0] for f in (*with_classes, *lists)}
        if unused := [f.name for f in folders if f.name not in used]:
            logging.warning("Left out, as they are no splits with classes: %s", unused)
    for folder in with_classes or [top]:
        if loose := count_loose(folder):
            logging.warning(
                "Left out: %d pictures in %s that are in no class folder", loose, folder
            )


def _in_classes(
    folder: pathlib.Path, others: list[str]
) -> Iterator[tuple[pathlib.Path, str]]:
    """The pictures of class folders, with their classes; collects other files."""
    known: dict[str, pathlib.Path] = {}
    empty = []
    for class_folder in folders_in(folder):
        label = class_name(class_folder.name)
        other = known.setdefault(label, class_folder)
        if other != class_folder:
            raise UserError(
                f"the folders {other.name!r} and {class_folder.name!r} in {folder} "
                f"both stand for the class {label!r}: rename one of them"
            )
        paths, more = picture_files.sort_out(str(class_folder))
        others += more
        if not paths:
            empty.append(class_folder.name)
        yield from ((path, label) for path in map(pathlib.Path, paths))
    if empty:
        logging.warning(
            f"No class: {listed(empty)} in {folder}, as there is no picture in "
            f"{'it' if len(empty) == 1 else 'them'}"
        )


def _warn_of_system_folders(top: pathlib.Path) -> None:
    if system := picture_files.system_folders(str(top)):
        logging.warning(
            f"Left out: {counted(len(system), 'folder')} that systems make, as "
            f"{system[0]}"
        )
