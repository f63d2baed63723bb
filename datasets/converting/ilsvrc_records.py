"""The records of ImageNet, from pictures and boxes wherever they are."""

import hashlib
import pathlib
import random
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets.converting import ilsvrc_boxes, ilsvrc_source
from datasets.converting.boxes import upright
from datasets.converting.conversion import Content, SplitPlan
from datasets.converting.ilsvrc_boxes import Boxes
from datasets.converting.ilsvrc_source import PictureIndex
from datasets.dataset_utils import bytes_feature, float_list_feature, int64_feature
from datasets.ilsvrc.classes import Classes, validation_synsets
from datasets.ilsvrc.published import SIDES, SPLITS_TO_SIZES
from datasets.ilsvrc.synsets import SYNSET
from datasets.storage.encoding import encode_picture
from slimbase.errors import UserError
from slimbase.pictures import decode
from slimbase.text import listed

SEED = 12345

_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+")
_TRAIN_NAME = re.compile(rf"({SYNSET.pattern})_.*", re.DOTALL)
_MOST_SHOWN = 5


def read_content(
    classes: Classes,
    splits: Mapping[str, pathlib.Path],
    boxes: Sequence[pathlib.Path],
    strict: bool = False,
) -> Content:
    """Finds pictures and reads their bounding boxes.

    Args:
      classes: what there is; pictures of others are left out.
      splits: directory or tar archive of each split; see `imagenet_source.find`.
      boxes: CSV files, archives or folders of XML files; see `imagenet_boxes.read`.
      strict: makes an annotation that can't be read an error.

    Returns:
      What `conversion.convert` takes. Pictures are in random order, the same each time
      and wherever they are.

    Raises:
      UserError: if there are none, or something can't be read.
    """
    found = {split: ilsvrc_source.find_pictures(path) for split, path in splits.items()}
    labels = {s: _labels(splits[s], found[s], classes) for s in found}
    orders = {s: _shuffled(found[s].names, labels[s]) for s in found}
    names = {s: [found[s].names[i] for i in orders[s]] for s in found}
    labels = {s: labels[s][orders[s]] for s in found}
    # Pictures are numbered through all splits, as boxes may be of any of them.
    starts = dict(zip(found, np.cumsum([0, *map(len, names.values())]), strict=False))
    gathered = _gather(boxes, names, labels, classes, strict)
    for split in found:
        _compare(split, labels[split], classes)

    def encoder(
        found: PictureIndex, order: np.ndarray, labels: np.ndarray, start: int
    ) -> Callable[[int], tf.train.Example]:
        return lambda index: example(
            found.read(order[index]),
            int(labels[index]),
            classes,
            gathered.of(start + index),
        )

    return Content(
        classes.names,
        {
            split: SplitPlan(
                labels[split],
                names[split],
                encoder(found[split], orders[split], labels[split], start),
            )
            for split, start in starts.items()
        },
        stamp=_stamp(found, gathered),
    )


def example(
    content: bytes, label: int, classes: Classes, boxes: np.ndarray
) -> tf.train.Example:
    """The record of a picture, with the features of the original.

    Labels of boxes stand under the key that it wrote and under the one that it read.

    Args:
      content: of the file; what is not a plain RGB or gray JPEG is made one.
      label: number of the class.
      classes: all of them.
      boxes: float32 `[boxes, 4]`: xmin, ymin, xmax, ymax in [0, 1], of the picture as
        it is stored; it is turned as EXIF says, and they with it.

    Raises:
      PictureError: if the picture can't be used.
    """
    encoded = encode_picture(content, formats=("jpeg",))
    if len(boxes):
        boxes = upright(boxes, decode.look(content).orientation)
    box_labels = int64_feature([label] * len(boxes))
    features = {
        "image/height": int64_feature(encoded.height),
        "image/width": int64_feature(encoded.width),
        "image/colorspace": bytes_feature(b"RGB"),  # As decoded.
        "image/channels": int64_feature(3),
        "image/class/label": int64_feature(label),
        "image/class/synset": bytes_feature(classes.synsets[label - 1].encode()),
        "image/class/text": bytes_feature(classes.words[label - 1].encode()),
        "image/object/bbox/label": box_labels,
        "image/object/class/label": box_labels,
        "image/format": bytes_feature(b"JPEG"),
        "image/encoded": bytes_feature(encoded.content),
    }
    for side, values in zip(SIDES, boxes.T, strict=True):
        features[f"image/object/bbox/{side}"] = float_list_feature(values)
    return tf.train.Example(features=tf.train.Features(feature=features))


def _labels(path: pathlib.Path, found: PictureIndex, classes: Classes) -> np.ndarray:
    """The class number of each picture: int64, 0 for what is of no class of ours.

    It is that of the folder, or without folders that of the name.
    """
    unknown = {
        folder
        for folder in found.folders
        if SYNSET.fullmatch(folder) and folder not in classes.numbers
    }
    if unknown:
        logging.warning(
            f"{path}: {len(unknown)} folders are of other classes and left out: "
            f"{listed(sorted(unknown), _MOST_SHOWN)}"
        )
    by_folder = [
        classes.numbers.get(folder, 0 if folder in unknown else -1)
        for folder in found.folders
    ]
    labels = np.array(by_folder, np.int64)[found.folder_of]
    for index in np.flatnonzero(labels < 0).tolist():
        name = found.names[index]
        synset = _synset_of(name)
        if synset is None:
            folder = found.folders[found.folder_of[index]]
            raise UserError(
                f"{path} has {folder + '/' if folder else ''}{name}: expected folders "
                f"of synsets, as {classes.synsets[0]}, or names as "
                f"ILSVRC2012_val_00000001.JPEG. For classes of your own use "
                f"--dataset_name=folder."
            )
        labels[index] = classes.numbers.get(synset, 0)
    if not labels.any():
        raise UserError(
            f"{path} has no picture of the {len(classes.synsets)} classes, "
            f"{listed(classes.synsets, _MOST_SHOWN)}"
        )
    return labels


def _synset_of(name: str) -> str | None:
    """The class by a file's name: by its number, or as in training pictures' names."""
    if match := _VALIDATION_NAME.fullmatch(name):
        number = int(match[1])
        synsets = validation_synsets()
        return synsets[number - 1] if 1 <= number <= len(synsets) else None
    match = _TRAIN_NAME.fullmatch(name)
    return match and match[1]


def _shuffled(names: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Indices of what has a class; by class and name first, so that places don't count.

    The original shuffles the files of all classes with this seed, too.
    """
    by_name = np.array(sorted(range(len(names)), key=names.__getitem__))
    by_class = by_name[np.argsort(labels[by_name], kind="stable")]
    order = by_class[labels[by_class] > 0].tolist()
    random.Random(SEED).shuffle(order)
    return np.array(order)


def _gather(
    paths: Sequence[pathlib.Path],
    names: Mapping[str, Sequence[str]],
    labels: Mapping[str, np.ndarray],
    classes: Classes,
    strict: bool,
) -> Boxes:
    boxes = (box for path in paths for box in ilsvrc_boxes.read_boxes(path, strict))
    numbers = {}
    if paths:
        all_names = (name for split_names in names.values() for name in split_names)
        stems = (name.rpartition(".")[0] for name in all_names)
        numbers = {stem: number for number, stem in enumerate(stems)}
    of_pictures = np.concatenate(list(labels.values()))
    return ilsvrc_boxes.gather(
        boxes, numbers, lambda number: classes.synsets[of_pictures[number] - 1]
    )


def _compare(split: str, labels: np.ndarray, classes: Classes) -> None:
    """Warns where the pictures are not those that were published."""
    published = SPLITS_TO_SIZES[split]
    if len(labels) != published:
        logging.warning(
            f"The split {split} has {len(labels):,} pictures of the published "
            f"{published:,}."
        )
    missing = np.setdiff1d(np.arange(1, len(classes.synsets) + 1), labels)
    if len(missing):
        logging.warning(
            f"The split {split} has no picture of {len(missing)} of the "
            f"{len(classes.synsets)} classes: "
            f"{listed([classes.synsets[i - 1] for i in missing], _MOST_SHOWN)}."
        )


def _stamp(found: Mapping[str, PictureIndex], boxes: Boxes) -> str:
    """Another text when pictures or boxes have changed since an interrupted run."""
    digest = hashlib.sha256()
    for split in found.values():
        digest.update(split.offsets.tobytes() + split.sizes.tobytes())
        digest.update(split.stamp().encode())
    digest.update(boxes.pictures.tobytes() + boxes.sides.tobytes())
    return digest.hexdigest()
