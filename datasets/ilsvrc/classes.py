"""The classes of ImageNet's ILSVRC 2012: their synsets, words and numbers."""

import dataclasses
import functools
import pathlib

from datasets.ilsvrc import synsets as synset_lists
from slimbase.errors import UserError

_FOLDER = pathlib.Path(__file__).parent.parent
SYNSETS_FILE = _FOLDER / "imagenet_lsvrc_2015_synsets.txt"
WORDS_FILE = _FOLDER / "imagenet_classes.tsv"
VALIDATION_FILE = _FOLDER / "imagenet_2012_validation_synset_labels.txt"


@dataclasses.dataclass(frozen=True)
class Classes:
    """Classes in the order of their numbers, which begin with 1: 0 is background.

    Attributes:
      synsets: as n01440764.
      words: as "tench, Tinca tinca".
    """

    synsets: list[str]
    words: list[str]

    @property
    def names(self) -> list[str]:
        """The words by class number."""
        return ["background", *self.words]

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """Class numbers by synset."""
        return {synset: number for number, synset in enumerate(self.synsets, 1)}


def read_classes(
    synsets_file: pathlib.Path = SYNSETS_FILE, words_file: pathlib.Path = WORDS_FILE
) -> Classes:
    """Reads the classes; by default all 1000.

    Args:
      synsets_file: has a synset per line, in the order of the class numbers.
      words_file: has lines of synset, tabulator and words; others may be among them.

    Raises:
      UserError: if one can't be read, or a synset is there twice or has no words.
    """
    synsets = synset_lists.read_synsets(synsets_file)
    rows = (line.split("\t", 1) for line in synset_lists.read_lines(words_file))
    words = {row[0]: row[-1].strip() for row in rows}
    seen = set()
    for synset in synsets:
        if synset in seen:
            raise UserError(f"{synsets_file} has {synset} twice")
        if not words.get(synset):
            raise UserError(
                f"{words_file} has no words for {synset} of {synsets_file}; expected a "
                f"line of the synset, a tabulator and words"
            )
        seen.add(synset)
    return Classes(synsets, [words[synset] for synset in synsets])


@functools.cache
def validation_synsets() -> list[str]:
    """The synset of each of the 50,000 validation pictures, in order of numbers."""
    return synset_lists.read_synsets(VALIDATION_FILE)
