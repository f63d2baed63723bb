"""Near copies among the pictures of a folder, found before they are put into splits."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import logging
from tqdm import tqdm

from datasets.converting.pictures import Picture
from slimbase import files, parallel
from slimbase.pictures import decode, near
from slimbase.text import counted

FILENAME = "near_copies.json"

_AHEAD = 64  # Thumbnails that wait.


@dataclasses.dataclass(frozen=True)
class NearCopies:
    """What is nearly the same among some pictures.

    Attributes:
      stamp: another text when a file may have changed; empty if none were looked for.
      sets: names of pictures that are near copies of each other.
      undecoded: names of pictures that could not be decoded to be compared.
    """

    stamp: str
    sets: Sequence[Sequence[str]] = ()
    undecoded: Sequence[str] = ()

    def as_files(self) -> dict[str, bytes]:
        """The content of the file `FILENAME`, if near copies were looked for."""
        if not self.stamp:
            return {}
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        return {FILENAME: text.encode()}


def find(
    pictures: Sequence[Picture], stamp: str, places: Iterable[pathlib.Path]
) -> NearCopies:
    """Finds near copies; see `slimbase.pictures.near`.

    Args:
      pictures: to compare, on all cores.
      stamp: of their files.
      places: directories that may have the result for this stamp, from an earlier run.
        It is written to the first one, if that is there.
    """
    first, *_ = places = list(places)
    for place in places:
        if known := _read(place / FILENAME, stamp):
            return known
    found = _find(pictures, stamp)
    if first.is_dir():
        with files.replacing(first / FILENAME) as temporary:
            temporary.write_bytes(found.as_files()[FILENAME])
    return found


def _read(path: pathlib.Path, stamp: str) -> NearCopies | None:
    try:
        known = NearCopies(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # It is only there to save time.
        return None
    return known if known.stamp == stamp else None


def _find(pictures: Sequence[Picture], stamp: str) -> NearCopies:
    progress = tqdm(
        desc="Looking for near copies",
        total=len(pictures),
        unit="img",
        disable=None,
        leave=False,
    )
    thumbnails, undecoded = [], []
    with progress, ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = parallel.in_order(pool, _thumbnail, pictures, _AHEAD)
        for picture, thumbnail in zip(pictures, seen, strict=True):
            if isinstance(thumbnail, decode.PictureError):  # Conversion reports it.
                undecoded.append(picture.name)
                thumbnail = None
            thumbnails.append(thumbnail)
            progress.update()
    groups = near.groups(len(pictures), near.pairs(thumbnails))
    return NearCopies(
        stamp,
        [[pictures[i].name for i in group] for group in groups],
        undecoded,
    )


def _thumbnail(picture: Picture) -> np.ndarray | decode.PictureError | None:
    try:
        return near.thumbnail(decode.load(picture.path))
    except decode.PictureError as error:
        return error


def report(copies: NearCopies, pictures: Sequence[Picture]) -> None:
    """Logs how many near copies there are, and which have different labels."""
    if not copies.sets:
        return
    labels = {picture.name: picture.label for picture in pictures}
    number = sum(map(len, copies.sets))
    logging.info(
        "Near copies: %s in %s, as %s and %s; %s lists them",
        counted(number, "picture"),
        counted(len(copies.sets), "set"),
        *copies.sets[0][:2],
        FILENAME,
    )
    mixed = [some for some in copies.sets if len({labels[name] for name in some}) > 1]
    if mixed:
        logging.warning(
            f"{counted(len(mixed), 'set')} of near copies have different labels, as "
            f"{mixed[0][0]} and {mixed[0][1]}: check which of them are right"
        )
