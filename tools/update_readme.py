"""Writes what the networks' registry knows into README.md and docs/networks.md.

    python -m tools.update_readme

A table stands between a pair of comments that name it.
"""

import pathlib
import re
from collections.abc import Callable

from nets.published import PublishedCheckpoint
from slimzoo import models

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _models() -> str:
    return models.FORMATS["markdown"](map(models.row, models.find()))


def _networks() -> str:
    rows = [
        [
            f"`{network.name}`",
            "x".join(map(str, network.input_shape)),
            str(network.classes),
            f"`{','.join(network.classifier_scopes)}`",
            _link(network.paper),
        ]
        for network in models.find()
    ]
    titles = ["network", "input", "classes", "classifier scopes", "paper"]
    return models.markdown([titles, *rows], numeric=[2])


def _checkpoints() -> str:
    rows = [_cells(c) for network in models.find() for c in network.checkpoints]
    titles = [
        *("network", "width", "size", "date", "bits", "top-1", "top-5"),
        *("classes", "preprocessing", "archive"),
    ]
    return models.markdown([titles, *rows], numeric=[1, 2, 4, 5, 6, 7])


def _cells(checkpoint: PublishedCheckpoint) -> list[str]:
    return [
        f"`{checkpoint.network}`",
        str(checkpoint.depth_multiplier or ""),
        str(checkpoint.image_size),
        checkpoint.date or "",
        "8" if checkpoint.quantized else "32",
        str(checkpoint.top1 or ""),
        str(checkpoint.top5 or ""),
        str(checkpoint.classes),
        checkpoint.preprocessing,
        _link(checkpoint.url),
    ]


def _link(url: str) -> str:
    return f"[{url.rstrip('/').rpartition('/')[2]}]({url})"


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"models": _models},
    "docs/networks.md": {"networks": _networks, "checkpoints": _checkpoints},
}


def updated(text: str, name: str, table: str) -> str:
    """`text` with `table` between the comments `<!-- name` and `<!-- end of name`.

    Raises:
      ValueError: if they are not there.
    """
    pair = rf"(?s)(<!-- {name}\b.*?-->\n)(.*?)(<!-- end of {name} -->)"
    result, count = re.subn(pair, lambda m: f"{m[1]}\n{table}\n\n{m[3]}", text)
    if count != 1:
        raise ValueError(f"expected one pair of comments for {name}, found {count}")
    return result


def main() -> None:
    """Updates the files."""
    for file, tables in TABLES.items():
        path = ROOT / file
        text = path.read_text("utf-8")
        for name, table in tables.items():
            text = updated(text, name, table())
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
