"""COCO as people have it: archives or what is in them, read without trust.

Lin et al., Microsoft COCO: Common Objects in Context, 2014,
https://arxiv.org/abs/1405.0312.
"""

import contextlib
import dataclasses
import json
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from absl import logging

from slimbase.errors import UserError
from slimbase.pictures import decode

# What a damaged or odd archive raises.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError
)  # fmt: skip


PUBLISHED_YEAR = "2014"  # Of the photos that Visual Wake Words was published with.

_OTHER_YEAR = "2017"
_ENDS = ("", ".zip")

# Gives the content of a photo's file; raises `PictureError`. For several threads.
Loader = Callable[[str], bytes]


class Field(NamedTuple):
    """What a value has to be: a test and its words."""

    fits: Callable[[Any], bool]
    words: str


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e15  # NaN is not.


WHOLE = Field(lambda x: type(x) is int and abs(x) < 1 << 63, "a whole number")
LENGTH = Field(lambda x: type(x) is int and 0 < x < 1 << 31, "a number of pixels")
AREA = Field(lambda x: _is_number(x) and x >= 0, "an area in pixels")
TEXT = Field(lambda x: type(x) is str and bool(x), "a text")
BOX = Field(
    lambda x: type(x) is list and len(x) == 4 and all(map(_is_number, x)),
    "[x, y, width, height]",
)
IMAGE = {"id": WHOLE, "file_name": TEXT, "height": LENGTH, "width": LENGTH}
ANNOTATION = {"image_id": WHOLE, "category_id": WHOLE, "area": AREA, "bbox": BOX}
CATEGORY = {"id": WHOLE, "name": TEXT}


@dataclasses.dataclass(frozen=True)
class Source:
    """Where photos and annotations are read from.

    Attributes:
      folder: has what is unpacked, as `train2014` and `annotations`.
      find: gives the path of an archive by its URL; asked for what is not unpacked.
    """

    folder: pathlib.Path
    find: Callable[[str], pathlib.Path]

    def place(self, name: str, url: str) -> pathlib.Path:
        """The file or folder `name` if it is unpacked, or else the archive of it.

        Raises:
          UserError: if there is neither.
        """
        path = self.folder / name
        return path if path.exists() else self.find(url)

    def photos(self, name: str, url: str) -> Loader:
        """What loads the photos of the folder `name`.

        Raises:
          UserError: if there is neither the folder nor the archive.
        """
        place = self.place(name, url)
        if place.is_dir():
            return lambda file_name: decode.load(place / file_name)
        archive = _open(place)
        return lambda file_name: _load_member(archive, f"{name}/{file_name}")

    @contextlib.contextmanager
    def annotations(self, name: str, url: str) -> Iterator[IO]:
        """Opens the file `name` of the annotations for the time of the block.

        Raises:
          UserError: if it is not there or damaged.
        """
        path = f"annotations/{name}"
        place = self.place(path, url)
        if place == self.folder / path:
            with place.open("rb") as file:
                yield file
            return
        with _open(place) as archive:
            try:
                with archive.open(path) as file:
                    yield file
            except (KeyError, *_ZIP_ERRORS) as error:
                raise UserError(
                    f"{archive.filename}: cannot read {path}: {error}. Get the archive "
                    "again."
                ) from error


def year_of(folder: pathlib.Path) -> str:
    """The year of COCO's photos in a folder: 2014, or 2017 if only these are there.

    Both years have the same photos, and split them otherwise.
    """

    def has(year: str) -> bool:
        names = [f"{split}{year}{end}" for split in ("train", "val") for end in _ENDS]
        return any((folder / name).exists() for name in names)

    if has(PUBLISHED_YEAR) or not has(_OTHER_YEAR):
        return PUBLISHED_YEAR
    logging.warning(
        f"{folder} has COCO of {_OTHER_YEAR}: its splits are others than those of "
        f"{PUBLISHED_YEAR}, which Visual Wake Words was published with, so that "
        "results do not compare"
    )
    return _OTHER_YEAR


def load_annotations(file: IO, place: str) -> dict[str, Any]:
    """Loads annotations, without the outlines of objects.

    Args:
      file: JSON, open for reading.
      place: what to call it in messages.

    Raises:
      UserError: if it is not JSON or no object.
    """

    def without_outline(row: dict) -> dict:
        row.pop("segmentation", None)  # Most of COCO's bytes.
        return row

    try:
        content = json.load(file, object_hook=without_outline)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is not JSON, or damaged: {error}") from error
    if type(content) is not dict:
        raise UserError(f"{place} has no annotations of COCO: it is not an object")
    return content


def rows(
    content: Mapping[str, Any], key: str, fields: Mapping[str, Field], place: str
) -> list[dict[str, Any]]:
    """The list `key` of objects, which have these fields and maybe others.

    Raises:
      UserError: naming what is not so.
    """
    found = content.get(key)
    if type(found) is not list:
        raise UserError(f"{place} has no list of {key}")
    for number, row in enumerate(found):
        checked(row, fields, f"{place}, {key}[{number}]")
    return found


def checked(row: Any, fields: Mapping[str, Field], place: str) -> dict[str, Any]:
    """Gives `row`, an object with these fields and maybe others.

    Raises:
      UserError: naming what is not so.
    """
    if type(row) is not dict:
        raise UserError(f"{place} is not an object")
    for name, field in fields.items():
        if not field.fits(row.get(name)):
            shown = json.dumps(row.get(name))[:60]
            raise UserError(f"{place} has the {name} {shown}; expected {field.words}")
    return row


def _open(path: pathlib.Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _ZIP_ERRORS as error:
        raise UserError(
            f"{path} is not a zip archive, or damaged: {error}. Get it again."
        ) from error


def _load_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        member = archive.getinfo(name)
        if member.file_size > decode.MAX_BYTES:
            raise decode.PictureError(f"has {member.file_size:,} bytes")
        return archive.read(member)
    except KeyError:
        raise decode.PictureError(f"is not in {archive.filename}") from None
    except _ZIP_ERRORS as error:
        raise decode.PictureError(f"cannot be unpacked: {error}") from None
