"""What the check of a data set found."""

import collections
import dataclasses
from typing import NamedTuple


class Problem(NamedTuple):
    """Something that is wrong.

    Attributes:
      split: that it is in.
      text: what is wrong, for people.
      advice: what people can do.
      place: of the record, if it is about one: `Fault.as_dict`, without a reason.
    """

    split: str
    text: str
    advice: str
    place: dict[str, str | int] = {}  # noqa: RUF012 (Nobody changes it.)


@dataclasses.dataclass
class Split:
    """What was found in a split.

    Attributes:
      paths: record files.
      bytes: of these.
      count: records, corrupt ones included.
      per_class: pictures by class number.
      formats: pictures by format.
      sizes: height and width of each picture that tells it.
      repeated: where each picture is that is in the split more than once, and its
        first one; a sentence each.
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


@dataclasses.dataclass
class Found:
    """What was found in a data set.

    Attributes:
      dataset_name: of the data set.
      dataset_dir: where it is.
      names: of the classes, by number.
      splits: by name.
      problems: all that is wrong.
      seconds: that reading took.
    """

    dataset_name: str
    dataset_dir: str
    names: dict[int, str]
    splits: dict[str, Split] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
