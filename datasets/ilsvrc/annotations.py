"""Annotations of ImageNet: the boxes around objects, an XML file per picture."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.parsers import expat

from datasets.ilsvrc import synsets
from slimbase.errors import UserError

MAX_BYTES = 1 << 20  # Of an annotation; the largest published one has some 50 kB.
_MAX_SIDE = 1_000_000  # Pixels.


@dataclasses.dataclass
class BoundingBox:
    """A box around an object, in pixels as annotated.

    It may reach beyond the picture, and its sides may be interchanged: in `*_scaled`,
    fractions of the picture's sides, it is clipped to [0, 1] and they are in order.
    """

    filename: str = ""  # Of the picture, as n01440764_18.JPEG.
    label: str = ""
    width: int = 0
    height: int = 0
    xmin: int = 0
    ymin: int = 0
    xmax: int = 0
    ymax: int = 0
    xmin_scaled: float = 0.0
    ymin_scaled: float = 0.0
    xmax_scaled: float = 0.0
    ymax_scaled: float = 0.0

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Fractions `(xmin, ymin, xmax, ymax)` in [0, 1]."""
        return self.xmin_scaled, self.ymin_scaled, self.xmax_scaled, self.ymax_scaled


def is_box(sides: Sequence[float]) -> bool:
    """Whether `(xmin, ymin, xmax, ymax)` has an area, as some lack."""
    xmin, ymin, xmax, ymax = sides
    return xmin < xmax and ymin < ymax


def is_of(label: str, synset: str | None) -> bool:
    """Whether a box labelled `label` is of the class that its picture shows.

    Many dogs are labelled by the name of the breed: what is no synset is taken.
    """
    return synset is None or label == synset or not synsets.SYNSET.fullmatch(label)


def ProcessXMLAnnotation(xml_file: str | os.PathLike[str]) -> list[BoundingBox]:
    """Reads the boxes of one picture.

    Raises:
      UserError: if the file can't be read or is no annotation.
    """
    try:
        with pathlib.Path(xml_file).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {xml_file}: {error.strerror}") from error
    return parse(content, str(xml_file))


def parse(content: bytes, name: str) -> list[BoundingBox]:
    """Reads the boxes of one picture from XML.

    Document types, and with them entities, are refused: annotations have none, and
    they can be made to do harm.

    Args:
      content: the XML, at most `MAX_BYTES`.
      name: of the file, for error messages.

    Raises:
      UserError: if it is no annotation.
    """
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        root = _tree(content)
        if root.tag != "annotation":
            raise ValueError(f"the root is <{root.tag[:80]}>, not <annotation>")
        # Below others, they could be nested, each to be gone through again.
        boxes = [(found, box) for found in root.findall("object") for box in found]
        boxes = [(found, box) for found, box in boxes if box.tag == "bndbox"]
        if not boxes:
            return []
        width, height = (GetInt(side, root) for side in ("width", "height"))
        if width < 1 or height < 1:
            raise ValueError(f"the picture is {width} wide and {height} high")
        # The names in the files are at times "%s": that of the file is right.
        filename = f"{pathlib.PurePath(name).stem}.JPEG"
        return [_box(filename, width, height, found, box) for found, box in boxes]
    except (ValueError, OverflowError, LookupError, expat.ExpatError) as error:
        raise UserError(f"{name} is not an annotation of ImageNet: {error}.") from error


def GetItem(name: str, root: ElementTree.Element, index: int = 0) -> str:
    """The text of the element `name` at `index` of those below `root`.

    Raises:
      IndexError: if there are no so many.
    """
    for position, element in enumerate(root.iter(name)):
        if position == index:
            return (element.text or "").strip()
    raise IndexError(f"there is no <{name}>")


def GetInt(name: str, root: ElementTree.Element, index: int = 0) -> int:
    """As `GetItem`, as a number; what is behind the point, in some files, is dropped.

    Raises:
      IndexError: if there are no so many.
      ValueError: if it is no number of pixels.
    """
    text = GetItem(name, root, index)
    number = float(text)
    if not abs(number) <= _MAX_SIDE:  # Also what is not a number at all.
        raise ValueError(f"<{name}> is {text[:80]!r}, no number of pixels")
    return int(number)


def FindNumberBoundingBoxes(root: ElementTree.Element) -> int:
    """The number of boxes below `root`."""
    return sum(1 for _ in root.iter("xmin"))


def _tree(content: bytes) -> ElementTree.Element:
    def refuse(*_) -> None:
        raise ValueError("it has a document type, which annotations do not need")

    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(content, True)
    return builder.close()


def _box(
    filename: str,
    width: int,
    height: int,
    found: ElementTree.Element,
    element: ElementTree.Element,
) -> BoundingBox:
    label = (found.findtext("name") or "").strip()
    xmin, ymin, xmax, ymax = (
        GetInt(side, element) for side in ("xmin", "ymin", "xmax", "ymax")
    )
    left, right = sorted(_fraction(x, width) for x in (xmin, xmax))
    upper, lower = sorted(_fraction(y, height) for y in (ymin, ymax))
    return BoundingBox(
        *(filename, label, width, height),
        *(xmin, ymin, xmax, ymax),
        *(left, upper, right, lower),
    )


def _fraction(position: int, side: int) -> float:
    return min(max(position / side, 0.0), 1.0)
