"""Findings of the check of a data set, as text for a terminal."""

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from slimbase.text import counted, listed, printable
from slimzoo.dataset_check.found import Found, FoundSplit

_MOST_CLASSES = 40  # Of more, the smallest and the largest are shown.
_MOST_PROBLEMS = 20
_MOST_REPEATED = 3
_MOST_EMPTY = 5
_BINS = 10
_BAR = 30  # Characters of the longest bar.


def text(found: Found) -> str:
    """The report of many lines."""
    return "\n".join(_lines(found))


def as_json(found: Found) -> dict[str, Any]:
    """All findings, for programs."""
    return {
        "dataset_name": found.dataset_name,
        "dataset_dir": found.dataset_dir,
        "seconds": found.seconds,
        "classes": found.names,
        "splits": {
            name: {
                "files": split.paths,
                "bytes": split.bytes,
                "records": split.count,
                "formats": split.formats,
                "per_class": {k: split.per_class[k] for k in sorted(split.per_class)},
                "sizes": [
                    {"height": height, "width": width, "pictures": count}
                    for (height, width), count in sorted(
                        collections.Counter(split.sizes).items()
                    )
                ],
                "repeated": len(split.repeated),
                "near_copies": len(split.near),
                "turned": len(split.turned),
            }
            for name, split in found.splits.items()
        },
        "problems": [
            {"split": p.split, "problem": p.text, **p.place} for p in found.problems
        ],
    }


def _lines(found: Found) -> Iterator[str]:
    count = sum(split.count for split in found.splits.values())
    yield (
        f"{found.dataset_name} in {found.dataset_dir}: "
        f"{counted(count, 'record')}, {len(found.names):,} "
        f"class{'es' * (len(found.names) != 1)}; read in {found.seconds:.1f} s "
        f"({count / max(found.seconds, 1e-9):,.0f} a second)"
    )
    yield ""
    yield from _splits(found.splits)
    yield ""
    yield from _classes(found)
    for name, split in found.splits.items():
        yield ""
        yield from _sizes(name, split)
    yield ""
    yield from _problems(found)


def _splits(splits: dict[str, FoundSplit]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("split", "files", "records", "MB", "formats")]
    for name, split in splits.items():
        formats = ", ".join(f"{n:,} {kind}" for kind, n in split.formats.most_common())
        sizes = len(split.paths), split.count, split.bytes / 1e6
        rows.append((name, *(f"{n:,.0f}" for n in sizes), formats or "none"))
    yield from _table(rows, left=(0, 4))
    for name, split in splits.items():
        yield from _repeated(split.repeated, f"more than once in {name}")
        yield from _repeated(split.near, f"in {name}, near copies of others")


def _repeated(places: Sequence[str], where: str) -> Iterator[str]:
    if count := len(places):
        are = "are" if count > 1 else "is"
        yield f"{counted(count, 'picture')} {are} {where}:"
        shown = places[:_MOST_REPEATED]
        yield from (f"  {printable(place)}" for place in shown)
        if rest := count - len(shown):
            yield f"  and {rest:,} more"


def _classes(found: Found) -> Iterator[str]:
    counts = {
        label: [split.per_class[label] for split in found.splits.values()]
        for label in found.names
    }
    order = list(counts)
    if len(order) > _MOST_CLASSES:
        by_size = sorted(order, key=lambda label: sum(counts[label]))
        half = _MOST_CLASSES // 2
        order = [*by_size[:half], *by_size[-half:]]
        yield f"The {half} smallest and the {half} largest of {len(counts):,} classes:"
    largest = max(map(sum, counts.values()), default=0)
    has_names = any(name != str(label) for label, name in found.names.items())
    rows = [("class", "", *found.splits, "")]
    for label in order:
        bar = "#" * round(_BAR * sum(counts[label]) / max(1, largest))
        name = printable(found.names[label]) if has_names else ""
        rows.append((str(label), name, *(f"{n:,}" for n in counts[label]), bar))
    yield from _table(rows, left=(1, len(rows[0]) - 1))
    for number, name in enumerate(found.splits):
        empty = [label for label in counts if not counts[label][number]]
        if empty and any(map(sum, counts.values())):
            names = [printable(found.names[label]) for label in empty]
            yield f"No pictures in {name} of {listed(names, _MOST_EMPTY)}"


def _sizes(name: str, split: FoundSplit) -> Iterator[str]:
    sizes = np.array(split.sizes).reshape(-1, 2)
    distinct = np.unique(sizes, axis=0)
    if len(distinct) < 2:
        one = "x".join(map(str, distinct[0])) if len(distinct) else "of unknown size"
        yield f"{name}: all pictures are {one}"
        return
    for side, pixels in zip(("height", "width"), sizes.T, strict=True):
        yield (
            f"{name}: {side} {pixels.min():,} to {pixels.max():,} pixels, median "
            f"{np.median(pixels):,.0f}"
        )
        yield from _histogram(pixels)


def _histogram(pixels: np.ndarray) -> Iterator[str]:
    low, high = int(pixels.min()), int(pixels.max()) + 1
    bins = min(_BINS, high - low)
    edges = np.unique(np.linspace(low, high, bins + 1).round().astype(int))
    counts, _ = np.histogram(pixels, edges)
    rows = []
    for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True):
        bar = "#" * round(_BAR * count / counts.max())
        rows.append((f"{start:,}", f"to {end - 1:,}", f"{count:,}", bar))
    yield from _table(rows, left=(3,))


def _problems(found: Found) -> Iterator[str]:
    count = len(found.problems)
    if not count:
        yield "Nothing is wrong."
        return
    yield f"{counted(count, 'problem')}:"
    for problem in found.problems[:_MOST_PROBLEMS]:
        yield f"  {problem.split}: {printable(problem.text)}"
    if count > _MOST_PROBLEMS:
        rest = count - _MOST_PROBLEMS
        yield f"  and {rest:,} more, which --output_file=FILE.json lists"
    yield ""
    yield from dict.fromkeys(problem.advice for problem in found.problems)


def _table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    """Lines of columns; columns whose numbers are in `left` are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()
