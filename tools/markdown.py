"""What the project's Markdown pages consist of: code blocks, links, headings."""

import dataclasses
import pathlib
import re
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)

_FENCE = re.compile(r"^(\s*)```(\w*)\s*$")
_EXCUSE = re.compile(r"^<!-- not run: (.+) -->$")
_FIRST = re.compile(r"^<!-- run first: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)?)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FILE = re.compile(r"# ([\w/.-]+\.\w+)$")


@dataclasses.dataclass(frozen=True)
class Block:
    """Code between fences.

    Attributes:
      page: its file, relative to the checkout.
      line: of its first line, from 1.
      language: as the fence names it; "" if it does not.
      text: without the fences and without what they are indented by.
      excuse: why it is not run, None if it is.
    """

    page: str
    line: int
    language: str
    text: str
    excuse: str | None = None

    @property
    def file(self) -> str | None:
        """The file that a first line `# path/to/file.py` says this block is, if any."""
        found = _FILE.match(self.text.split("\n", 1)[0])
        return found[1] if found else None


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text("utf-8")


def blocks(text: str, page: str = "") -> list[Block]:
    """The code blocks of a page, in order.

    Raises:
      ValueError: if the last one does not end.
    """
    found, before, lines = [], "", text.split("\n")
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence:
            start = number + 1
            try:
                number = lines.index(f"{fence[1]}```", start)
            except ValueError:
                raise ValueError(f"{page}:{start}: this block has no end") from None
            inner = "\n".join(s.removeprefix(fence[1]) for s in lines[start:number])
            excuse = _EXCUSE.match(before.strip())
            why = excuse[1] if excuse else None
            found.append(Block(page, start + 1, fence[2], f"{inner}\n", why))
        before = lines[number]
        number += 1
    return found


def runs_first(text: str) -> str | None:
    """The page that a page's commands go on from, relative to the checkout, if any."""
    found = _FIRST.search(text)
    return found[1] if found else None


def prose(text: str) -> str:
    """A page without its code blocks."""
    kept, inside = [], False
    for line in text.split("\n"):
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links(text: str) -> list[str]:
    """The targets of a page's links."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text)))


def anchors(text: str) -> set[str]:
    """What links to headings of a page end in, behind `#`."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = "".join(
            c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LN"
        ).replace(" ", "-")
        same = sum(
            re.fullmatch(rf"{re.escape(slug)}(-\d+)?", f) is not None for f in found
        )
        found.add(f"{slug}-{same}" if same else slug)
    return found
