"""Checkpoints that were published, trained on ImageNet: published_checkpoints.csv."""

import csv
import dataclasses
import functools
import pathlib
import re
from typing import Any

_CSV = pathlib.Path(__file__).with_name("published_checkpoints.csv")
_CLASSES = 1001  # Of ImageNet, the background included.


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedCheckpoint:
    """A checkpoint that anybody can download, and what it needs to be used."""

    network: str  # Its name in the networks' registry.
    depth_multiplier: float | None  # Where it is not the one `network` stands for.
    image_size: int  # Height and width in pixels that it was trained and measured at.
    date: str | None  # Of the publication, as 2018-08-02; None where nothing says it.
    quantized: bool  # Whether it was trained to be used with 8-bit integers.
    classes: int  # 1001, or 1000 without the background class.
    preprocessing: str  # Recipe of the pictures.
    # Share of ImageNet's validation photos that it names, in percent, as published,
    # and that of those with the name among its five likeliest; None where none was.
    top1: float | None
    top5: float | None
    url: str  # Of the archive.

    @property
    def name(self) -> str:
        """Its archive's name, with the date: no two are called the same."""
        stem = re.sub(r"\.(tar\.gz|tgz)$", "", self.url.rpartition("/")[2])
        if self.date is None or self.date[:4] in stem:
            return stem
        return f"{stem}_{self.date.replace('-', '_')}"

    @property
    def labels_offset(self) -> int:
        """What to subtract from ImageNet's labels to get those of the checkpoint."""
        return _CLASSES - self.classes

    @property
    def network_arguments(self) -> dict[str, Any]:
        """What the network's function takes for a width that has no name.

        The thin ones were trained with a last layer that is as wide as that of 1.0.
        """
        if self.depth_multiplier is None:
            return {}
        arguments = {"depth_multiplier": self.depth_multiplier}
        if self.depth_multiplier < 1:
            arguments["finegrain_classification_mode"] = True
        return arguments


@functools.cache
def checkpoints() -> tuple[PublishedCheckpoint, ...]:
    """All of them: by network, the widest, largest and oldest first."""
    with _CSV.open(newline="", encoding="utf-8") as file:
        return tuple(_parsed(row) for row in csv.DictReader(file))


def _parsed(row: dict[str, str]) -> PublishedCheckpoint:
    def number(name):
        return float(row[name]) if row[name] else None

    return PublishedCheckpoint(
        network=row["network"],
        depth_multiplier=number("depth_multiplier"),
        image_size=int(row["image_size"]),
        date=row["date"] or None,
        quantized={"true": True, "false": False}[row["quantized"]],
        classes=int(row["classes"]),
        preprocessing=row["preprocessing"],
        top1=number("top1"),
        top5=number("top5"),
        url=row["url"],
    )
