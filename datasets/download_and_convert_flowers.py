"""Converts TensorFlow's flower photos to TFRecords of their JPEG files."""

import os
import pathlib
import random
from collections import Counter
from collections.abc import Hashable, Sequence

from datasets.converting import conversion, picture_folders, sources
from datasets.dataset_factory import datasets_map
from slimbase.errors import UserError

_DATA_URL = "http://download.tensorflow.org/example_images/flower_photos.tgz"
_MIRROR = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
_SIZE = 228_813_984  # Bytes.
_NUM_PHOTOS = 3670
_NUM_VALIDATION = 350
_RANDOM_SEED = 0
_NUM_SHARDS = 5

_FOLDER = "flower_photos"


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    strict: bool = False,
) -> None:
    """Writes five shards each of training and validation photos, and labels.txt.

    The classes are the names of the photos' folders, in alphabetical order.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `flower_photos.tgz` or the unpacked `flower_photos`, or is
        the latter; without it the archive is downloaded.
      mirror: where to download it instead.
      strict: makes a photo that can't be used an error.

    Raises:
      UserError: naming the source that is missing or damaged.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        folder = sources.find_folder(
            _FOLDER,
            sources.Published(_DATA_URL, (_MIRROR,), size=_SIZE),
            work,
            source_dir,
            mirror,
            contents="*/*.jpg",
        )
        photos = sorted(p for p in folder.glob("[!.]*/[!.]*") if p.is_file())
        photo_classes = [photo.parent.name for photo in photos]
        class_names = sorted(set(photo_classes))

        def read_split(indices: Sequence[int]) -> conversion.SplitPlan:
            names = [photos[i].relative_to(folder).as_posix() for i in indices]
            labels = [class_names.index(photo_classes[i]) for i in indices]
            return picture_folders.split(
                folder, names, labels, formats=("jpeg",), format_name=b"jpg"
            )

        splits = {
            split: read_split(indices)
            for split, indices in split_photos(photo_classes).items()
        }
        return conversion.Content(
            class_names, splits, stamp=picture_folders.stamp(photos)
        )

    flowers = datasets_map["flowers"]
    conversion.convert(flowers, dataset_dir, read, _NUM_SHARDS, strict=strict)


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
