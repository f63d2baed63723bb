"""Layouts whose labels are in tables beside the pictures."""

import pathlib
from collections.abc import Mapping, Sequence

from absl import logging

from datasets.converting import folder_table, split_names
from datasets.converting.layout import Layout, pictures_in
from datasets.converting.pictures import Index, Picture, class_name
from slimbase.errors import UserError
from slimbase.text import counted, listed


def flat_splits(top: pathlib.Path, splits: Mapping[pathlib.Path, str]) -> Layout:
    """The pictures of splits without class folders.

    Raises:
      UserError: if no table has their labels.
    """
    tables = tables_of(top, splits)
    if not tables:
        names = listed(folder.name for folder in splits)
        raise UserError(
            f"{top} has {names} with pictures right in them, and nothing says what "
            "these show: expected class folders (train/daisy/1.jpg), or a table of "
            "paths and labels beside the pictures (labels.csv, metadata.csv, "
            "_classes.csv). Give a table by --csv_file; or if these are classes, "
            "rename them"
        )
    if without := [folder for folder in splits if folder not in tables]:
        number = sum(len(pictures_in(folder)) for folder in without)
        logging.warning(
            f"Left out: {counted(number, 'picture')} in "
            f"{listed(folder.name for folder in without)}, for which there is no table "
            "of labels"
        )
    return tabled(top, {f: s for f, s in splits.items() if f in tables}, tables)


def tables_of(
    top: pathlib.Path, splits: Mapping[pathlib.Path, str]
) -> dict[pathlib.Path, pathlib.Path]:
    """The table of each split: beside its pictures, or in `top` by its name."""
    in_top = tables_in(top)
    named = split_names.of_names([table.stem for table in in_top])
    common = [table for table in in_top if table.stem not in named]
    found = {}
    for folder, split in splits.items():
        of_split = [table for table in in_top if named.get(table.stem) == split]
        places = [tables_in(folder), of_split, common]
        if len(splits) == 1 or split == "train":
            places.append(in_top if len(in_top) == 1 else [])
        else:
            places = places[:2] if of_split or tables_in(folder) else [common]
        if table := next(filter(None, map(one_table, places)), None):
            found[folder] = table
    return found


def tables_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of a folder that are tables of labels."""
    return [path for path in sorted(folder.iterdir()) if folder_table.is_one(path)]


def one_table(tables: Sequence[pathlib.Path]) -> pathlib.Path | None:
    """The only table, if there is any.

    Raises:
      UserError: if there are several.
    """
    if len(tables) > 1:
        raise UserError(
            f"{tables[0].parent} has several tables of labels, "
            f"{listed(table.name for table in tables)}: give one by --csv_file"
        )
    return tables[0] if tables else None


def tabled(
    top: pathlib.Path,
    splits: Mapping[pathlib.Path, str],
    tables: Mapping[pathlib.Path, pathlib.Path],
) -> Layout:
    """The pictures of splits, or of `top`, with the labels of their tables.

    Args:
      top: the folder.
      splits: folders of pictures, and the split of each; empty for those of the table.
      tables: the table of each folder; several may have the same.
    """
    pictures: list[Picture] = []
    notes, used, unlisted, absent = {}, {}, 0, []
    for path in dict.fromkeys(tables.values()):
        folders = [folder for folder in splits if tables[folder] == path]
        indices = {folder: Index(pictures_in(folder), folder) for folder in folders}
        table = folder_table.read(path, folders[0])
        notes[table.note] = None
        seen = set()
        for row in table.rows:
            found = ((f, index.find(row.path)) for f, index in indices.items())
            folder, place = next((each for each in found if each[1]), (None, None))
            if folder is None or place is None:
                absent.append(row.path)
                continue
            seen.add(place)
            used[folder] = None
            name, label = place.relative_to(top).as_posix(), class_name(row.label)
            pictures.append(Picture(place, name, label, splits[folder] or row.split))
        unlisted += sum(len(index) for index in indices.values()) - len(seen)
    names = dict.fromkeys(table.name for table in tables.values())
    if absent and not pictures:
        raise UserError(
            f"none of the {len(absent)} pictures of {listed(names)} is in "
            f"{listed(map(str, splits))}, as {absent[0]}: give the folder of these "
            "pictures by --source_dir"
        )
    if absent:
        logging.warning(
            f"Left out: {counted(len(absent), 'line')} of {listed(names)} of pictures "
            f"that are not there, as {absent[0]}"
        )
    if unlisted:
        logging.warning(
            f"Left out: {counted(unlisted, 'picture')} without a line in "
            f"{listed(names)}"
        )
    is_split = any(splits.values())
    begin = f"folders {listed(f.name for f in used)}" if is_split else "pictures"
    note = f" ({', '.join(filter(None, notes))})" if any(notes) else ""
    return Layout(f"{begin} with their labels in {listed(names)}{note}", pictures)
