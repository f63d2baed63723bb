"""Converts the Oxford-IIIT pets to TFRecords of their JPEG files."""

import os
import pathlib

from datasets.converting import conversion, picture_folders, sources
from datasets.dataset_factory import datasets_map
from slimbase.errors import UserError

_DATA_URL = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
_MIRROR = "https://thor.robots.ox.ac.uk/pets/"
# The file by which each folder is known, and the checksum of its archive.
_FOLDERS = {
    "images": ("*.jpg", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    "annotations": ("trainval.txt", "95a8c909bbe2e81eed6a22bccdf3f68f"),
}
_LISTS = {"train": "trainval.txt", "test": "test.txt"}
_NUM_SHARDS = 4
_CLASS_NAMES = [
    "Abyssinian", "American Bulldog", "American Pit Bull Terrier", "Basset Hound",
    "Beagle", "Bengal", "Birman", "Bombay", "Boxer", "British Shorthair", "Chihuahua",
    "Egyptian Mau", "English Cocker Spaniel", "English Setter", "German Shorthaired",
    "Great Pyrenees", "Havanese", "Japanese Chin", "Keeshond", "Leonberger",
    "Maine Coon", "Miniature Pinscher", "Newfoundland", "Persian", "Pomeranian", "Pug",
    "Ragdoll", "Russian Blue", "Saint Bernard", "Samoyed", "Scottish Terrier",
    "Shiba Inu", "Siamese", "Sphynx", "Staffordshire Bull Terrier", "Wheaten Terrier",
    "Yorkshire Terrier",
]  # fmt: skip


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
    strict: bool = False,
) -> None:
    """Writes four shards each of training and test photos, and labels.txt.

    A few photos are PNG or GIF files in spite of their names: they become JPEGs.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `images.tar.gz` and `annotations.tar.gz` or the unpacked
        `images` and `annotations`; without it the archives are downloaded.
      mirror: where to download them instead.
      strict: makes a photo that can't be used an error.

    Raises:
      UserError: naming what is missing or damaged.
    """

    def read(work: pathlib.Path) -> conversion.Content:
        images, annotations = (
            sources.find_folder(
                name,
                sources.Published(
                    f"{_DATA_URL}{name}.tar.gz", (f"{_MIRROR}{name}.tar.gz",), md5
                ),
                work,
                source_dir,
                mirror,
                contents,
            )
            for name, (contents, md5) in _FOLDERS.items()
        )
        splits = {
            split: picture_folders.split(
                images, *_read_list(annotations / name), formats=("jpeg",)
            )
            for split, name in _LISTS.items()
        }
        paths = (images / name for split in splits.values() for name in split.names)
        return conversion.Content(
            _CLASS_NAMES, splits, stamp=picture_folders.stamp(paths)
        )

    pets = datasets_map["oxford_pets"]
    conversion.convert(pets, dataset_dir, read, _NUM_SHARDS, strict=strict)


def _read_list(path: pathlib.Path) -> tuple[list[str], list[int]]:
    """Files and labels from lines such as `Abyssinian_100 1 1 1`."""
    names, labels = [], []
    for number, line in enumerate(picture_folders.read_text(path).splitlines(), 1):
        name, *numbers = line.split() or ["#"]
        if name.startswith("#"):
            continue
        known = {str(i + 1): i for i in range(len(_CLASS_NAMES))}
        if not numbers or numbers[0] not in known:
            raise UserError(
                f"{path}, line {number}: {line[:80]!r} is not a photo and the number "
                f"of its breed, 1 to {len(known)}."
            )
        names.append(f"{name}.jpg")
        labels.append(known[numbers[0]])
    return names, labels
