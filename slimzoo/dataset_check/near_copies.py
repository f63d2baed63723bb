"""Near copies among the records of a data set."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from datasets.reading.bad_records import Fault
from slimbase.pictures import near
from slimbase.pictures.errors import PictureError


class Compared(NamedTuple):
    """A picture that is compared with the others.

    Attributes:
      split: name of the split.
      path: path of the record file.
      position: number of the record in the file.
      filename: name of the picture's file; empty if unknown.
      label: number of its class.
      digest: digest of its bytes.
      thumbnail: what it is compared by; None if it is not.
    """

    split: str
    path: str
    position: int
    filename: str
    label: int | None
    digest: bytes
    thumbnail: np.ndarray | None

    @property
    def place(self) -> str:
        """The record and its file."""
        return f"record {self.position} of {self.path}"


class Copy(NamedTuple):
    """A picture that is nearly the same as an earlier one."""

    first: Compared
    second: Compared

    @property
    def split(self) -> str:
        """The split of the second one."""
        return self.second.split

    @property
    def is_harmless(self) -> bool:
        """Whether both are of one split and of one class."""
        first, second = self
        return (first.split, first.label) == (second.split, second.label)

    @property
    def text(self) -> str:
        """A sentence about both places."""
        return f"{self.second.place} is nearly {self.first.place}"

    @property
    def fault(self) -> Fault:
        """What is wrong with the second one, if it is not harmless."""
        first, second = self
        reason = f"its picture is nearly that of {first.place}"
        if first.split != second.split:
            reason += f", in the split {first.split}"
        if first.label != second.label:
            reason += f", which has label {first.label}"
        return Fault(second.path, second.position, second.filename, reason)


class Comparison:
    """Collects pictures and finds near copies; those of the same bytes aside."""

    def __init__(self) -> None:
        self._pictures: list[Compared] = []

    def add(self, picture: Compared) -> None:
        """Adds a picture."""
        if picture.thumbnail is not None:
            self._pictures.append(picture)

    def copies(self) -> Iterator[Copy]:
        """The near copies in order, each with one picture that it is a copy of.

        If there is one in another split or of another class, it is that.
        """
        found: dict[int, Copy] = {}
        for one, other in near.pairs([each.thumbnail for each in self._pictures]):
            copy = Copy(self._pictures[one], self._pictures[other])
            if copy.first.digest == copy.second.digest:
                continue
            known = found.setdefault(other, copy)
            if known.is_harmless and not copy.is_harmless:
                found[other] = copy
        yield from (found[number] for number in sorted(found))


def thumbnail(encoded: bytes) -> np.ndarray | None:
    """What a picture is compared by; None if it cannot be decoded or is small."""
    try:
        return near.thumbnail(encoded)
    except PictureError:  # Raw pixels, or what the check has found already.
        return None
