"""Converts Food-101 to TFRecords of its JPEG files."""

import json
import os
import pathlib
from collections.abc import Sequence

from datasets.converting import conversion, picture_folders, sources
from datasets.dataset_factory import datasets_map
from slimbase.errors import UserError

_PUBLISHED = sources.Published(
    "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    ("https://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
    md5="85eeb15f3717b99a5da872d97d918f87",
)
_FOLDER = "food-101"
_NUM_SHARDS = {"train": 32, "test": 16}


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    strict: bool = False,
) -> None:
    """Writes 32 shards of training photos, 16 of test photos, and labels.txt.

    Args:
      dataset_dir: where; does nothing if they are there already. Unpacking the
        archive takes 5 GB there for a while.
      source_dir: holds `food-101.tar.gz` or the unpacked `food-101`, or is the
        latter; without it the archive, of 5 GB, is downloaded.
      mirror: where to download it instead.
      strict: makes a photo that can't be used an error.

    Raises:
      UserError: naming what is missing or damaged.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        folder = sources.find_folder(
            _FOLDER, _PUBLISHED, work, source_dir, mirror, "meta/classes.txt"
        )
        classes = picture_folders.read_text(folder / "meta" / "classes.txt").split()
        images, splits = folder / "images", {}
        for split in _NUM_SHARDS:
            photos = _read_list(folder / "meta" / f"{split}.json", classes)
            splits[split] = picture_folders.split(images, *photos)
        class_names = [name.replace("_", " ") for name in classes]
        paths = (images / name for split in splits.values() for name in split.names)
        return conversion.Content(
            class_names, splits, stamp=picture_folders.stamp(paths)
        )

    food = datasets_map["food101"]
    conversion.convert(food, dataset_dir, read, _NUM_SHARDS, strict=strict)


def _read_list(
    path: pathlib.Path, classes: Sequence[str]
) -> tuple[list[str], list[int]]:
    """Files and labels from JSON such as `{"apple_pie": ["apple_pie/1005649"]}`."""
    names, labels = [], []
    try:
        photos = json.loads(picture_folders.read_text(path))
        if type(photos) is not dict:
            raise ValueError("it is not an object")
        for class_name, stems in photos.items():
            if class_name not in classes:
                raise ValueError(f"{class_name!r} is not in classes.txt")
            if type(stems) is not list or not all(type(s) is str for s in stems):
                raise ValueError(f"photos of {class_name!r} are not a list of names")
            names += [f"{stem}.jpg" for stem in stems]
            labels += [classes.index(class_name)] * len(stems)
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{path} is not a list of photos by class: {error}. Get the archive again."
        ) from error
    return names, labels
