"""Layouts whose labels are in tables beside the pictures."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence

from absl import logging

from datasets.converting import folder_table, split_names
from datasets.converting.folder_table import Labels
from datasets.converting.layout import Layout, pictures_in
from datasets.converting.pictures import Index, Picture, class_name
from slimbase.errors import UserError
from slimbase.text import counted, listed


def flat_splits(
    top: pathlib.Path,
    splits: Mapping[pathlib.Path, str],
    tables: Mapping[pathlib.Path, pathlib.Path],
) -> Layout:
    """The pictures of splits without class folders; those without a table are left out.

    Raises:
      UserError: if no table has their labels.
    """
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
    sure = {f: t for f, t in found.items() if folder_table.labels_of(t) is Labels.SURE}
    return sure or found


def tables_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of a folder that are tables of labels; only the sure ones, if any."""
    kinds = {path: folder_table.labels_of(path) for path in called_tables(folder)}
    sure = [path for path, labels in kinds.items() if labels is Labels.SURE]
    return sure or [path for path, labels in kinds.items() if labels]


def called_tables(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of a folder that are called like tables, whatever is in them."""
    return [
        path for path in sorted(folder.iterdir()) if folder_table.is_called_so(path)
    ]


def check_folders(table: pathlib.Path, pictures: Iterable[Picture]) -> None:
    """Compares the labels of a table with the class folders that are beside it.

    Raises:
      UserError: if they do not stand for the same classes.
    """
    if folder_table.labels_of(table) is not Labels.SURE:
        return
    classes = {picture.path: picture.label for picture in pictures}
    index = Index(classes, table.parent)
    try:
        rows = folder_table.read(table, table.parent).rows
    except UserError as error:
        logging.info("%s is no table of labels: %s", table.name, error)
        return
    places = ((index.find(row.path), row.label) for row in rows)
    pairs = dict.fromkeys((classes[place], label) for place, label in places if place)
    if other := _differing(pairs):
        raise UserError(
            f"{table} has the label {other[1]!r} for a picture in the folder "
            f"{other[0]!r}, and others for others there or elsewhere: are classes "
            "those of the table, or the folders? Give the table by --csv_file, or move "
            "it elsewhere"
        )


def _differing(pairs: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """A pair of folder and label that contradicts an earlier one."""
    labels: dict[str, str] = {}
    folders: dict[str, str] = {}
    for folder, label in pairs:
        if labels.setdefault(folder, label) != label:
            return folder, label
        if folders.setdefault(label, folder) != folder:
            return folder, label
    return None


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
    notes: dict[str, pathlib.Path] = {}
    unlisted, absent = 0, []
    for path in dict.fromkeys(tables.values()):
        folders = [folder for folder in splits if tables[folder] == path]
        table = folder_table.read(path, folders[0])
        notes.setdefault(table.note, path)
        places = {p: folder for folder in folders for p in pictures_in(folder)}
        found = _places(path, table, places)
        for row, place in zip(table.rows, found, strict=True):
            if not place:
                absent.append(row.path)
                continue
            folder = places[place]
            if row.split and row.split != (splits[folder] or row.split):
                raise UserError(
                    f"{path} says that {row.path} is in the split {row.split}, and it "
                    f"is in the folder {folder.name}: move it, or give the table by "
                    "--csv_file, which does not ask for folders"
                )
            name, label = place.relative_to(top).as_posix(), class_name(row.label)
            pictures.append(Picture(place, name, label, splits[folder] or row.split))
        unlisted += len(places) - len(set(filter(None, found)))
    if len(notes) > 1:
        (one, first), (other, second), *_ = notes.items()
        raise UserError(
            f"{first.name} and {second.name} have their labels in other columns "
            f"({one or 'label'}; {other or 'label'}): give one by --csv_file, or move "
            "the one without labels elsewhere"
        )
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
            f"that are not there or of names that fit several, as {absent[0]}"
        )
    if unlisted:
        logging.warning(
            f"Left out: {counted(unlisted, 'picture')} without a line in "
            f"{listed(names)}"
        )
    is_split = any(splits.values())
    folders = [
        f.name for f in splits if any(p.path.is_relative_to(f) for p in pictures)
    ]
    begin = f"folders {listed(folders)}" if is_split else "pictures"
    note = f" ({', '.join(filter(None, notes))})" if any(notes) else ""
    description = f"{begin} with their labels in {listed(names)}{note}"
    return Layout(description, pictures, list(tables.values()))


def _places(
    path: pathlib.Path,
    table: folder_table.Table,
    places: Mapping[pathlib.Path, pathlib.Path],
) -> list[pathlib.Path | None]:
    """The picture of each line of a table.

    Args:
      path: of the table.
      table: its content.
      places: the pictures that there are, and the split's folder of each.

    Raises:
      UserError: if names of the table fit pictures of several folders.
    """
    index = Index(places, path.parent)
    found = [index.find(row.path) for row in table.rows]
    folders = dict.fromkeys(places.values())
    of_folder = [Index([p for p, f in places.items() if f == o], o) for o in folders]
    several = [
        row.path
        for row, place in zip(table.rows, found, strict=True)
        if not place and any(index.find(row.path) for index in of_folder)
    ]
    if several and len(folders) > 1:
        names = listed(folder.name for folder in folders)
        raise UserError(
            f"{path} has names that fit pictures in several of {names}, as "
            f"{several[0]}: write paths with their folders, move pictures without "
            "labels elsewhere, or call the table as its split is called, train.csv"
        )
    return found
