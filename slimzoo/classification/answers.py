"""Answers of classification as text: for people, for spreadsheets, for programs."""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator

from slimbase.errors import unknown
from slimbase.text import number
from slimzoo.classification.classify import Answer


def lines(
    answers: Iterable[Answer], style: str, top_k: int, logits: bool
) -> Iterator[str]:
    """Text without line ends, as the answers come.

    Args:
      answers: answers to pictures, of which only `jsonl` shows those that could not
        be read.
      style: `table`, `csv` or `jsonl`.
      top_k: most classes per answer.
      logits: whether the classes' values are logits instead of probabilities.

    Raises:
      UserError: for an unknown style.
    """
    if style not in _STYLES:
        raise unknown(f"--format={style} is unknown", style, _STYLES)
    return _STYLES[style](answers, top_k, logits)


def _table(answers: Iterable[Answer], top_k: int, logits: bool) -> Iterator[str]:
    for answer in answers:
        if not answer.error:
            yield answer.path
        for each in answer.classes:
            value = f"{each.value:9.4f}" if logits else f"{each.value:7.2%}"
            yield f"  {value}  {each.name}"


def _csv(answers: Iterable[Answer], top_k: int, logits: bool) -> Iterator[str]:
    value = "logit" if logits else "probability"
    readable = (answer for answer in answers if not answer.error)
    first = next(readable, None)
    # A network may have fewer classes.
    ranks = range(1, (len(first.classes) if first else top_k) + 1)
    columns = [(f"class_{i}", f"name_{i}", f"{value}_{i}") for i in ranks]
    yield _row(["file", *(name for three in columns for name in three)])
    for answer in itertools.chain([first] if first else [], readable):
        cells = [(c.number, c.name, f"{c.value:.6g}") for c in answer.classes]
        yield _row([answer.path, *(cell for three in cells for cell in three)])


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    # The writer needs its own line end, by which it knows which line ends to quote.
    csv.writer(text).writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _jsonl(answers: Iterable[Answer], top_k: int, logits: bool) -> Iterator[str]:
    value = "logit" if logits else "probability"
    for answer in answers:
        if answer.error:
            yield json.dumps({"file": answer.path, "error": answer.error})
        else:
            classes = [
                {"class": c.number, "name": c.name, value: number(c.value)}
                for c in answer.classes
            ]
            yield json.dumps({"file": answer.path, "classes": classes})


_STYLES: dict[str, Callable[..., Iterator[str]]] = {
    "table": _table,
    "csv": _csv,
    "jsonl": _jsonl,
}
