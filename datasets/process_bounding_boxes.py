r"""Writes ImageNet's bounding boxes, one XML file per picture, as one CSV.

python datasets/process_bounding_boxes.py DIRECTORY [SYNSETS_FILE] > boxes.csv

Each line is name,xmin,ymin,xmax,ymax: the file name of the picture, and fractions of
its width and height. With SYNSETS_FILE, one synset per line, only boxes of these
classes are written. Progress goes to standard error.

Unlike in the original, the names of files, not of their folders, tell the classes
of pictures; each box has the name of its own object; and a file that can't be read is
left out, where the original ended.
"""

import pathlib
import sys
from collections import Counter
from collections.abc import Sequence

if not __package__:  # Run as a script, from anywhere.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from datasets.ilsvrc import synsets
from datasets.ilsvrc.annotations import (
    BoundingBox,
    FindNumberBoundingBoxes,
    GetInt,
    GetItem,
    ProcessXMLAnnotation,
    is_box,
    is_of,
)
from slimbase.command_line import exit_status
from slimbase.errors import UserError

# Programs of 2017 take all but `main` from here, too.
__all__ = [
    "BoundingBox",
    "FindNumberBoundingBoxes",
    "GetInt",
    "GetItem",
    "ProcessXMLAnnotation",
    "main",
]

_PROGRESS = 10_000  # Files between two messages.


def main(arguments: Sequence[str]) -> None:
    """Writes the boxes below a directory to standard output."""
    if len(arguments) not in (1, 2):
        raise UserError(f"expected a directory and perhaps a file of synsets.{__doc__}")
    directory = pathlib.Path(arguments[0])
    if not directory.is_dir():
        raise UserError(f"there is no directory {directory}")
    wanted = None
    if len(arguments) == 2:
        wanted = set(synsets.read_synsets(pathlib.Path(arguments[1])))
    paths = sorted(directory.rglob("*.xml"))
    if not paths:
        raise UserError(f"there is no *.xml in {directory} or its folders")
    print(f"{len(paths):,} XML files in {directory}", file=sys.stderr)
    counts = Counter()
    for number, path in enumerate(paths, 1):
        counts += _write(path, wanted)
        if number % _PROGRESS == 0:
            print(f"{number:,} files, {counts['written']:,} boxes", file=sys.stderr)
    print(
        f"Wrote {counts['written']:,} boxes of {counts['pictures']:,} pictures. Left "
        f"out: {counts['other files']:,} files and {counts['other']:,} boxes of other "
        f"classes, {counts['corrupt']:,} boxes without area, {counts['damaged']:,} "
        f"damaged files.",
        file=sys.stderr,
    )


def _write(path: pathlib.Path, wanted: set[str] | None) -> Counter:
    """Prints the boxes of one file; returns what became of them."""
    match = synsets.SYNSET.match(path.stem)
    synset = match and match[0]
    if synset and wanted is not None and synset not in wanted:
        return Counter({"other files": 1})
    try:
        boxes = ProcessXMLAnnotation(path)
    except UserError as error:
        print(error, file=sys.stderr)
        return Counter(damaged=1)
    counts = Counter()
    for box in boxes:
        if not is_of(box.label, synset) or not (
            synset or wanted is None or box.label in wanted
        ):
            counts["other"] += 1
        elif not is_box(box.sides):
            counts["corrupt"] += 1
        else:
            counts["written"] += 1
            print(box.filename, *(f"{s:.4f}" for s in box.sides), sep=",")
    counts["pictures"] = int(counts["written"] > 0)
    return counts


if __name__ == "__main__":
    exit_status.run(main)
