"""Layouts of people's folders: what is a class, what a split, and where labels are."""

import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from string import digits

from absl import logging

from datasets.converting import (
    listed_layouts,
    split_lists,
    split_names,
    tabled_layouts,
)
from datasets.converting.layout import (
    EXPECTED,
    Layout,
    count_loose,
    folders_in,
    has_pictures,
)
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
    layout = _recognise(top, root)
    _check_other_tables(root, top, layout)
    _warn_of_hidden(root)
    if top == root:
        return layout
    inner = top.relative_to(root).as_posix()
    named = [p._replace(name=f"{inner}/{p.name}") for p in layout.pictures]
    return layout._replace(
        description=f"in {inner}, {layout.description}", pictures=named
    )


def _recognise(top: pathlib.Path, root: pathlib.Path) -> Layout:
    """The layout of `top`, of which lists may be in a folder around it up to `root`."""
    splits = _splits(top)
    flat = {f: split for f, split in splits.items() if _is_flat(f)}
    others = _others(top, splits)
    is_class = (
        len(splits) == 1
        and any(map(count_loose, splits))
        and others
        # As train and test1.
        and not any(_names_split(folder.name.rstrip(digits)) for folder in others)
    )
    if is_class and not tabled_layouts.tables_of(top, splits):
        return _class_folders(top, {})  # There are trains.
    if flat and len(flat) == len(splits):
        if unused := [folder.name for folder in others if has_pictures(folder)]:
            logging.warning("Left out, as they are no splits: %s", unused)
        tables = tabled_layouts.tables_of(top, flat)
        if not tables and (lists := listed_layouts.lists_of(top, flat)):
            return listed_layouts.flat_splits(top, flat, lists)
        return tabled_layouts.flat_splits(top, flat, tables)
    if layout := listed_layouts.listed_splits(top, split_lists.find(root)):
        return layout
    tables = [] if splits or _has_classes(top) else tabled_layouts.tables_in(top)
    if table := tabled_layouts.one_table(tables):
        return tabled_layouts.tabled(top, {top: ""}, {top: table})
    return _class_folders(top, splits)


def _descended(folder: pathlib.Path, is_split: bool = False) -> pathlib.Path:
    """The folder itself, or the only one in it, and so on: archives have such.

    Args:
      folder: where to begin.
      is_split: whether it is a split. The only folder in it may be its only class then,
        unless it is called like the split, or `images`.
    """
    for _ in range(_MOST_LEVELS):
        inside = folders_in(folder)
        if len(inside) != 1 or count_loose(folder):
            break
        [only] = inside
        if tabled_layouts.tables_in(folder) and not _has_classes(only):
            break
        if is_split:
            is_wrapper = _is_wrapper(only)
        else:
            is_wrapper = only.name == folder.name or not _names_split(only.name)
        if not is_wrapper:
            break
        holds_classes = bool(folders_in(only)) or bool(tabled_layouts.tables_in(only))
        if not holds_classes or _is_one_class(only):
            break
        folder = only
    return folder


def _is_wrapper(folder: pathlib.Path) -> bool:
    """Whether the only folder of a split is no class: as val/images and val/val."""
    name = folder.name
    is_same = name == folder.parent.name
    return is_same or split_names.is_empty(name) or _names_split(name)


def _names_split(name: str) -> bool:
    return bool(split_names.of_names([name]))


def _has_classes(folder: pathlib.Path) -> bool:
    """Whether pictures are in several folders, and none right in this one."""
    return not count_loose(folder) and sum(map(has_pictures, folders_in(folder))) > 1


def _is_one_class(folder: pathlib.Path) -> bool:
    """Whether pictures are right in a folder, without a table of their labels."""
    return bool(count_loose(folder)) and not tabled_layouts.tables_in(folder)


def _splits(top: pathlib.Path) -> dict[pathlib.Path, str]:
    """The folders that are splits by their names, with what is in them."""
    named = split_names.of_names([folder.name for folder in folders_in(top)])
    folders = {top / name: split for name, split in named.items()}
    return {
        _descended(folder, is_split=True): split
        for folder, split in folders.items()
        if _has_any(folder)
    }


def _others(top: pathlib.Path, used: Collection[pathlib.Path]) -> list[pathlib.Path]:
    """The folders of `top` that none of those `used` is, or is in."""
    names = {folder.relative_to(top).parts[0] for folder in used}
    return [folder for folder in folders_in(top) if folder.name not in names]


def _has_any(folder: pathlib.Path) -> bool:
    return bool(folders_in(folder)) or bool(count_loose(folder))


def _is_flat(folder: pathlib.Path) -> bool:
    """Whether a split's pictures are in no class folders."""
    inside = folders_in(folder)
    if len(inside) != 1:
        return not inside
    [only] = inside
    return _is_wrapper(only) and not folders_in(only)


def _class_folders(top: pathlib.Path, splits: Mapping[pathlib.Path, str]) -> Layout:
    with_classes = {f: split for f, split in splits.items() if not _is_flat(f)}
    others: list[str] = []
    pictures = []
    for folder, split in (with_classes or {top: ""}).items():
        for path, label in _in_classes(folder, others):
            name = path.relative_to(top).as_posix()
            pictures.append(Picture(path, name, label, split))
    _warn_of_levels(pictures, top, with_classes)
    lists: dict[pathlib.Path, pathlib.Path] = {}
    if with_classes:
        classes = {picture.label for picture in pictures}
        for folder, split in splits.items():
            if folder in with_classes:
                continue
            if path := listed_layouts.list_of(top, folder, split):
                lists[folder] = path
                pictures += listed_layouts.of_list(top, folder, split, path, classes)
    _check_splits(top, splits, with_classes, lists)
    picture_files.warn_of_others(others, str(top))
    if not with_classes:
        return Layout("a folder for each class", pictures, has_own_classes=True)
    names = listed(folder.relative_to(top).as_posix() for folder in with_classes)
    more = "".join(
        f"; {folder.name} by the list {path.relative_to(top).as_posix()}"
        for folder, path in lists.items()
    )
    description = f"splits {names} with a folder for each class{more}"
    return Layout(description, pictures, list(lists.values()))


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
        if unused := [f.name for f in _others(top, [*with_classes, *lists])]:
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


def _warn_of_levels(
    pictures: Sequence[Picture],
    top: pathlib.Path,
    with_classes: Collection[pathlib.Path],
) -> None:
    """Warns if all pictures are in folders within those that are taken for classes."""
    inner = set()
    for picture in pictures:
        folder = next((f for f in with_classes if picture.path.is_relative_to(f)), top)
        _, *between, _ = picture.path.relative_to(folder).parts
        inner.add(between[0] if between else "")
    if inner and not any(not name or split_names.is_empty(name) for name in inner):
        classes = dict.fromkeys(picture.label for picture in pictures)
        logging.warning(
            "All pictures are in folders within the folders that were taken for "
            f"classes, {listed(classes)}: is --source_dir one level too high?"
        )


def _check_other_tables(root: pathlib.Path, top: pathlib.Path, layout: Layout) -> None:
    """Reports the tables that were not used; refuses those that say otherwise."""
    passed = (folder for folder in (top, *top.parents) if folder.is_relative_to(root))
    tables = [t for folder in passed for t in tabled_layouts.called_tables(folder)]
    unused = [table for table in tables if table not in layout.sources]
    for table in unused if layout.has_own_classes else ():
        tabled_layouts.check_folders(table, layout.pictures)
    if unused:
        names = listed(table.relative_to(root).as_posix() for table in unused)
        logging.info("Not used: %s; to take labels of a table, give --csv_file", names)


def _warn_of_hidden(root: pathlib.Path) -> None:
    hidden = picture_files.hidden_pictures(str(root))
    if hidden:
        places = [f"{count:,} in {name}" for name, count in hidden.most_common()]
        logging.warning(
            f"Left out: {counted(hidden.total(), 'picture')}, hidden or made by "
            f"systems: {listed(places)}"
        )
