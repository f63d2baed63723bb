"""Bounding boxes of ImageNet's pictures, from CSV, or XML in folders or archives."""

import dataclasses
import gzip
import math
import pathlib
import tarfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

import numpy as np
from absl import logging

from datasets.ilsvrc import annotations
from slimbase.errors import UserError
from slimbase.fetch import archives

_MAX_LINE = 4096  # Characters of a CSV.
_MOST_SHOWN = 5
_BLOCK_BYTES = 1 << 20


class Box(NamedTuple):
    """A box as it is written down: fractions of the picture's sides, from 0 to 1.

    `picture` is the name of its picture without suffix, `label` the class that the box
    was given, "" if that is not known.
    """

    picture: str
    label: str
    sides: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax


@dataclasses.dataclass(frozen=True)
class Boxes:
    """The boxes of all pictures.

    Attributes:
      pictures: int32 `[boxes]`, in ascending order: the number of each one's picture.
      sides: float32 `[boxes, 4]`: xmin, ymin, xmax, ymax in [0, 1].
    """

    pictures: np.ndarray
    sides: np.ndarray

    def of(self, picture: int) -> np.ndarray:
        """The boxes of a picture, float32 `[boxes, 4]`."""
        wanted = np.array([picture, picture + 1], self.pictures.dtype)
        start, end = np.searchsorted(self.pictures, wanted)
        return self.sides[start:end]


def gather(
    boxes: Iterable[Box],
    pictures: Mapping[str, int],
    synset_of: Callable[[int], str],
) -> Boxes:
    """Sorts boxes by picture.

    Boxes without area, of another class than their picture and of pictures that are not
    here are left out and counted in a log message.

    Args:
      boxes: in any order.
      pictures: numbers by name without suffix.
      synset_of: gives the class of a picture by its number.
    """
    owners, sides = array("i"), array("f")
    left_out = Counter()
    for box in boxes:
        picture = pictures.get(box.picture)
        if picture is None:
            left_out["of other pictures"] += 1
        elif box.label and not annotations.is_of(box.label, synset_of(picture)):
            left_out["of another class than the picture"] += 1
        elif not annotations.is_box(box.sides):
            left_out["without area"] += 1
        else:
            owners.append(picture)
            sides.extend(box.sides)
    numbers = np.array(owners, np.int32)
    order = np.argsort(numbers, kind="stable")
    logging.info(
        "%s bounding boxes; left out: %s.",
        f"{len(numbers):,}",
        ", ".join(f"{n:,} {why}" for why, n in left_out.items()) or "none",
    )
    return Boxes(numbers[order], np.array(sides, np.float32).reshape(-1, 4)[order])


def read_boxes(path: pathlib.Path, strict: bool = False) -> Iterator[Box]:
    """Reads boxes from a CSV file, an archive of XML files or a folder of them.

    Args:
      path: of any of these; an archive may have archives in it.
      strict: makes an XML file that can't be read an error; by default it is left out,
        and the log says so.

    Raises:
      UserError: if the CSV or the archive can't be read.
    """
    if path.suffix == ".csv":
        return _read_csv(path)
    return _read_annotations(_xml_files(path), strict)


def _read_csv(path: pathlib.Path) -> Iterator[Box]:
    """Reads what `process_bounding_boxes` writes; errors name the line."""
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            while line := file.readline(_MAX_LINE):
                number += 1
                if line.strip():
                    yield _parse_line(line)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # Also what is not UTF-8.
        raise UserError(
            f"{path}, line {number}: {error}; expected name,xmin,ymin,xmax,ymax, the "
            f"numbers from 0 to 1"
        ) from error


def _parse_line(line: str) -> Box:
    name, *fields = line.strip().split(",")
    if len(fields) != 4:
        raise ValueError(f"it has {len(fields) + 1} fields")
    sides = [float(field) for field in fields]
    if not all(map(math.isfinite, sides)):
        raise ValueError("it has a number that is not finite")
    xmin, ymin, xmax, ymax = (min(max(side, 0.0), 1.0) for side in sides)
    return Box(_stem(name), "", (xmin, ymin, xmax, ymax))


def _read_annotations(
    contents: Iterable[tuple[str, bytes]], strict: bool
) -> Iterator[Box]:
    damaged = 0
    for name, content in contents:
        try:
            found = annotations.parse(content, name)
        except UserError as error:
            if strict:
                raise
            damaged += 1
            if damaged <= _MOST_SHOWN:
                logging.warning("%s", error)
            continue
        for box in found:
            yield Box(_stem(name), box.label, box.sides)
    if damaged > _MOST_SHOWN:
        logging.warning("%d files of bounding boxes are damaged.", damaged)


def _xml_files(path: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each XML file in a folder or an archive."""
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                yield from _xml_members(file, path.name)
            return
        for entry in sorted(path.rglob("*")):
            if entry.suffix == ".xml" and entry.is_file():
                with entry.open("rb") as file:
                    yield str(entry), file.read(annotations.MAX_BYTES + 1)
    except (
        *(tarfile.TarError, gzip.BadGzipFile, zlib.error),
        *(EOFError, ValueError, OverflowError, RecursionError),
    ) as error:
        raise UserError(
            f"{path} can't be read as an archive of annotations: {error}. If it is "
            f"damaged, get it again."
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _xml_members(
    file: BinaryIO, name: str, is_inner: bool = False
) -> Iterator[tuple[str, bytes]]:
    """The XML files of an archive, and of those in it, in one go."""
    if name.endswith("gz"):  # Unlike tarfile, it compares the checksum at the end.
        file = gzip.GzipFile(fileobj=file)  # pyright: ignore
    with tarfile.open(fileobj=file, mode="r|", tarinfo=archives.TarHeader) as archive:
        while member := archive.next():
            archive.members.clear()  # It would keep all of them.
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            if member.name.endswith(".xml"):
                yield member.name, stream.read(annotations.MAX_BYTES + 1)
            elif member.name.endswith((".tar.gz", ".tar")) and not is_inner:
                yield from _xml_members(stream, member.name, True)  # pyright: ignore
    while file.read(_BLOCK_BYTES):
        pass


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]
