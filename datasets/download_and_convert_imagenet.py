"""Converts ImageNet's ILSVRC 2012 to TFRecords, without unpacking its archives."""

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

from absl import logging

from datasets.converting import conversion, ilsvrc_records, sources
from datasets.dataset_factory import datasets_map
from datasets.ilsvrc.classes import Classes, read_classes
from slimbase import files
from slimbase.errors import UserError
from slimbase.fetch import mirrors
from slimbase.fetch.download import NotFoundError

NUM_SHARDS = {"train": 1024, "validation": 128}

_URL = "https://image-net.org/data/ILSVRC/2012"
_TRAIN = sources.Published(
    f"{_URL}/ILSVRC2012_img_train.tar", md5="1d675b47d978889d74fa0da5fadfb00e"
)
_VALIDATION = sources.Published(
    f"{_URL}/ILSVRC2012_img_val.tar", md5="29b22e2961454d5413ddabcf34fc5622"
)
_TRAIN_BOXES = sources.Published(f"{_URL}/ILSVRC2012_bbox_train_v2.tar.gz")
_VALIDATION_BOXES = sources.Published(f"{_URL}/ILSVRC2012_bbox_val_v3.tgz")

# Where people have what: as published, unpacked by themselves, as the original's script
# unpacked it, and as Kaggle's archive has it.
_KAGGLE = ("ILSVRC/", "")
_SPLIT_PLACES = {
    "train": (
        "train",
        "ILSVRC2012_img_train",
        "ILSVRC2012_img_train.tar",
        *(f"{root}Data/CLS-LOC/train" for root in _KAGGLE),
    ),
    "validation": (
        "validation",
        "val",
        "ILSVRC2012_img_val",
        "ILSVRC2012_img_val.tar",
        *(f"{root}Data/CLS-LOC/val" for root in _KAGGLE),
    ),
}
_BOX_PLACES = (
    (
        "imagenet_2012_bounding_boxes.csv",
        "bounding_boxes",
        "ILSVRC2012_bbox_train_v2",
        "ILSVRC2012_bbox_train_v2.tar.gz",
        *(f"{root}Annotations/CLS-LOC/train" for root in _KAGGLE),
    ),
    (
        "ILSVRC2012_bbox_val_v3",
        "ILSVRC2012_bbox_val_v3.tgz",
        *(f"{root}Annotations/CLS-LOC/val" for root in _KAGGLE),
    ),
)
_ADVICE = (
    "The archives are for those who have an account: get one at "
    "https://image-net.org/download.php, download them by "
    "datasets/download_imagenet.sh DIRECTORY, and name that directory by --source_dir; "
    "or a place that has them by --mirror."
)


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    strict: bool = False,
) -> None:
    """Writes 1,024 shards of training and 128 of validation pictures, and labels.txt.

    Labels are 1 to 1000 in the order of the synsets; 0 is background. A source that
    lacks one of the splits gives the other.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: has the published archives or what is in them: training pictures in
        folders of synsets, validation pictures in such or in one; bounding boxes, if
        there are any, as CSV or XML.
      mirror: directory or URL of the archives, which are downloaded from there; by
        default that of the environment variable SLIMZOO_MIRROR.
      strict: makes a picture or an annotation that can't be used an error.

    Raises:
      UserError: naming what is missing, damaged or not what it should be.
    """

    root = pathlib.Path(source_dir) if source_dir else None

    def read(work: pathlib.Path) -> conversion.Content:
        splits, boxes = _present(root) if root else _downloaded(work, mirror)
        return ilsvrc_records.read_content(read_classes(), splits, boxes, strict)

    present = _splits(root) if root else {}
    num_shards = {s: n for s, n in NUM_SHARDS.items() if not present or s in present}
    _write(dataset_dir, read, num_shards, strict)


def convert(
    dataset_dir: str | os.PathLike[str],
    classes: Classes,
    splits: Mapping[str, pathlib.Path],
    boxes: list[pathlib.Path],
    num_shards: Mapping[str, int],
) -> None:
    """As `run`, of other classes, from other places, into other numbers of shards.

    The arguments are those of `ilsvrc_records.read_content` and `conversion.convert`.
    """
    _write(
        dataset_dir,
        lambda _: ilsvrc_records.read_content(classes, splits, boxes),
        num_shards,
        strict=False,
    )


def count(
    source_dir: str | os.PathLike[str], synsets_file: str | os.PathLike[str] | None
) -> dict[str, int]:
    """The number of pictures of each split, as `run` finds them.

    Args:
      source_dir: as for `run`.
      synsets_file: the classes to count, a synset per line; None for all.
    """
    classes = (
        read_classes(pathlib.Path(synsets_file)) if synsets_file else read_classes()
    )
    splits, _ = _present(pathlib.Path(source_dir))
    content = ilsvrc_records.read_content(classes, splits, ())
    return {split: len(found.labels) for split, found in content.splits.items()}


def _write(
    dataset_dir: str | os.PathLike[str],
    read: Callable[[pathlib.Path], conversion.Content],
    num_shards: Mapping[str, int],
    strict: bool,
) -> None:
    conversion.convert(
        datasets_map["imagenet"],
        dataset_dir,
        read,
        num_shards,
        strict=strict,
        settings={"seed": ilsvrc_records.SEED, "splits": list(num_shards)},
    )


def _present(root: pathlib.Path) -> tuple[dict[str, pathlib.Path], list[pathlib.Path]]:
    """The splits and boxes that a directory has."""

    splits = _splits(root)
    if not splits:
        raise UserError(
            f"--source_dir has no pictures of ImageNet: {files.listing(str(root))}. "
            f"Expected ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or what is "
            f"in them in folders train and validation. {_ADVICE}"
        )
    for split in NUM_SHARDS.keys() - splits:
        logging.warning("%s has no %s pictures; taking only the others", root, split)
    boxes = (_first(root, places) for places in _BOX_PLACES)
    return splits, [path for path in boxes if path]


def _splits(root: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {split: _first(root, places) for split, places in _SPLIT_PLACES.items()}
    return {split: path for split, path in found.items() if path}


def _first(root: pathlib.Path, places: Sequence[str]) -> pathlib.Path | None:
    return next((root / place for place in places if (root / place).exists()), None)


def _downloaded(
    work: pathlib.Path, mirror: str | None
) -> tuple[dict[str, pathlib.Path], list[pathlib.Path]]:
    place = mirrors.chosen(mirror)
    if not place:
        raise UserError(f"ImageNet cannot be downloaded without an account. {_ADVICE}")
    boxes = []
    for published in (_TRAIN_BOXES, _VALIDATION_BOXES):
        try:
            boxes.append(sources.find_file(published, work, mirror=place))
        except NotFoundError as error:
            logging.warning("%s Its bounding boxes are left out.", error)
    pictures = {"validation": _VALIDATION, "train": _TRAIN}  # The small one first.
    found = {s: sources.find_file(p, work, mirror=place) for s, p in pictures.items()}
    return {split: found[split] for split in NUM_SHARDS}, boxes
