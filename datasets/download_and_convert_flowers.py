"""Converts TensorFlow's flower photos to TFRecords of their JPEG files."""

import io
import os
import pathlib
import random
from collections import Counter
from collections.abc import Hashable, Sequence

import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import conversion, dataset_utils
from datasets.dataset_factory import datasets_map
from slimzoo.errors import UserError

_DATA_URL = "http://download.tensorflow.org/example_images/flower_photos.tgz"
_NUM_PHOTOS = 3670
_NUM_VALIDATION = 350
_RANDOM_SEED = 0
_NUM_SHARDS = 5

_FOLDER = "flower_photos"


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Writes five shards each of training and validation photos, and labels.txt.

    The classes are the names of the photos' folders, in alphabetical order.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `flower_photos.tgz` or the unpacked `flower_photos`, or is
        the latter; without it the archive is downloaded.

    Raises:
      UserError: naming the source or the photo that is missing or can't be used.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        folder = conversion.find_folder(
            _FOLDER, _DATA_URL, source_dir, work, contents="*/*.jpg"
        )
        photos = sorted(p for p in folder.glob("[!.]*/[!.]*") if p.is_file())
        photo_classes = [photo.parent.name for photo in photos]
        class_names = sorted(set(photo_classes))
        splits = {
            split: _read_split(folder, [photos[i] for i in indices], class_names)
            for split, indices in split_photos(photo_classes).items()
        }
        return conversion.Content(class_names, splits)

    conversion.convert(datasets_map["flowers"], dataset_dir, read, _NUM_SHARDS)


def split_photos(labels: Sequence[Hashable]) -> dict[str, list[int]]:
    """Splits photos at random, the same way each time.

    Of the 3,670 published photos 350 are for validation, of other numbers the same
    fraction, and at least one of each class.

    Args:
      labels: the class of each photo.

    Returns:
      Indices into `labels` by split, in random order.

    Raises:
      UserError: if a class has one photo only, which can't be in both splits.
    """
    single = [label for label, count in Counter(labels).items() if count == 1]
    if single:
        raise UserError(
            f"class {single[0]} has one photo; expected at least two, one for training "
            f"and one for validation."
        )
    shuffled = list(range(len(labels)))
    random.Random(_RANDOM_SEED).shuffle(shuffled)
    firsts = {labels[i]: i for i in reversed(shuffled)}
    size = max(round(len(labels) * _NUM_VALIDATION / _NUM_PHOTOS), len(firsts))
    # A stable sort: the first photo of each class, then the others as they come.
    ranked = sorted(shuffled, key=lambda i: firsts[labels[i]] != i)
    validation = set(ranked[:size])
    return {
        "train": [i for i in shuffled if i not in validation],
        "validation": [i for i in shuffled if i in validation],
    }


def _read_split(
    root: pathlib.Path, photos: Sequence[pathlib.Path], class_names: Sequence[str]
) -> conversion.Split:
    labels = [class_names.index(photo.parent.name) for photo in photos]
    return conversion.Split(
        labels, lambda index: _example(photos[index], root, labels[index])
    )


def _example(path: pathlib.Path, root: pathlib.Path, label: int) -> tf.train.Example:
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            width, height = image.size
            # All of the file is read, but at an eighth of the size, which is fast.
            image.draft("L", (1, 1))
            image.load()
    except Exception as error:  # Pillow raises all sorts for a damaged file.
        raise UserError(
            f"{path} can't be decoded as JPEG: {error}. Repair it or take it out."
        ) from error
    return dataset_utils.image_to_tfexample(
        content, b"jpg", height, width, label, path.relative_to(root).as_posix()
    )
