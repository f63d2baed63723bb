"""Options of list_models.py and download_checkpoint.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListConfig:
    """Options of the list of networks."""

    title: ClassVar = "List"

    format: str = option("table", "How to print it: table, markdown, csv or json.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DownloadConfig:
    """Options of getting a published checkpoint."""

    title: ClassVar = "Checkpoint"

    model_name: str | None = option(None, "Network; unknown names list all.")
    image_size: int | None = option(
        None,
        "Height and width in pixels that it was trained at; by default the network's "
        "own.",
    )
    date: str | None = option(
        None, "Of the publication, as 2018-08-02; by default the newest."
    )
    quantized: bool | None = option(
        None,
        "Whether it was trained for 8-bit integers; by default not, if there is one.",
    )
    depth_multiplier: float | None = option(
        None, "Width; by default the one that model_name stands for."
    )
    source: str | None = option(
        None,
        "File, archive or directory to read the weights from, instead of a download: a "
        "TensorFlow Hub module, SavedModel, frozen graph, model of Keras or "
        ".safetensors of timm.",
        flag="from",
    )
    checkpoint_dir: str | None = option(
        None, "Where checkpoints are put, each in a directory of its own."
    )
    mirror: str | None = option(
        None,
        "Directory or URL that has the archives; by default what the environment "
        "variable SLIMZOO_MIRROR says, or where they were published.",
    )
