"""Findings of the check of a data set."""

import collections
import dataclasses
from typing import NamedTuple


class Problem(NamedTuple):
    """Something that is wrong.

    Attributes:
      split: the split's name.
      text: description of the problem, for people.
      advice: advice on what to do, for people.
      place: the record's place, if the problem is of a record: `Fault.as_dict` without
        a reason.
    """

    split: str
    text: str
    advice: str
    place: dict[str, str | int] = {}  # noqa: RUF012 (Nothing changes it.)


class Turned(NamedTuple):
    """A picture that is not stored upright.

    Attributes:
      orientation: that of EXIF, 2 to 8.
      record_file: the file that its record is in.
      position: the record's number in the file, from zero.
      filename: the picture's source; empty if the record does not name it.
    """

    orientation: int
    record_file: str
    position: int
    filename: str


@dataclasses.dataclass
class FoundSplit:
    """Findings in a split.

    Attributes:
      paths: record files.
      bytes: size of the record files together.
      count: number of records, corrupt ones included.
      per_class: numbers of pictures by class number.
      formats: numbers of pictures by format.
      sizes: height and width of each picture whose size is known.
      repeated: a sentence for each picture that is in the split more than once: its
        place and that of the first copy.
      near: the same for each picture that is nearly the same as another one, of this
        split or of another.
      turned: the pictures that EXIF says to turn, which nothing does.
    """

    paths: list[str]
    bytes: int
    count: int = 0
    per_class: collections.Counter[int] = dataclasses.field(
        default_factory=collections.Counter
    )
    formats: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    sizes: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    repeated: list[str] = dataclasses.field(default_factory=list)
    near: list[str] = dataclasses.field(default_factory=list)
    turned: list[Turned] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Found:
    """Findings in a data set.

    Attributes:
      dataset_name: name of the data set.
      dataset_dir: directory of the data set.
      names: names of the classes, by number.
      splits: findings in the splits, by name.
      problems: all problems.
      seconds: time that reading took.
    """

    dataset_name: str
    dataset_dir: str
    names: dict[int, str]
    splits: dict[str, FoundSplit] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
