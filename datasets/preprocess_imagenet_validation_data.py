r"""Moves ImageNet's 50,000 validation pictures into a folder per class.

python datasets/preprocess_imagenet_validation_data.py DIRECTORY LABELS_FILE

LABELS_FILE has the synset of each picture, a line each, in the order of their numbers:
datasets/imagenet_2012_validation_synset_labels.txt. Nothing is moved before all is
checked, and a run that was interrupted can be repeated. The converter does not need
this: it knows the classes by the numbers.
"""

import pathlib
import sys
from collections.abc import Sequence

if not __package__:  # Run as a script, from anywhere.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from datasets.ilsvrc import synsets
from slimbase.command_line import exit_status
from slimbase.errors import UserError

_PICTURE = "ILSVRC2012_val_%08d.JPEG"


def main(arguments: Sequence[str]) -> None:
    """Moves the pictures of a directory."""
    if len(arguments) != 2:
        raise UserError(f"expected a directory and a file of labels.{__doc__}")
    directory, labels_file = map(pathlib.Path, arguments)
    if not directory.is_dir():
        raise UserError(f"there is no directory {directory}")
    moves, done = _plan(directory, synsets.read_synsets(labels_file))
    for source, target in moves:
        try:
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
        except OSError as error:
            raise UserError(
                f"cannot move {source}: {error.strerror}. Run it again when that is "
                f"mended: it goes on where it ended."
            ) from error
    print(f"Moved {len(moves):,} pictures; {done:,} were in their folders already.")


def _plan(
    directory: pathlib.Path, labels: Sequence[str]
) -> tuple[list[tuple[pathlib.Path, pathlib.Path]], int]:
    """What is to be moved where, and how many pictures are in their place already."""
    moves, done, missing = [], 0, []
    for number, synset in enumerate(labels, 1):
        source = directory / (_PICTURE % number)
        target = directory / synset / source.name
        if target.parent.exists() and not target.parent.is_dir():
            raise UserError(f"{target.parent} should be a folder. Nothing was moved.")
        if target.is_file() and source.exists():
            raise UserError(f"both {source} and {target} are there. Nothing was moved.")
        if source.is_file():
            moves.append((source, target))
        elif target.is_file():
            done += 1
        else:
            missing.append(source)
    if missing:
        raise UserError(
            f"{len(missing):,} of {len(labels):,} pictures are missing, the first "
            f"being {missing[0]}. Nothing was moved."
        )
    return moves, done


if __name__ == "__main__":
    exit_status.run(main)
