"""Options of average_checkpoints.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import option

CHOICES = ("last", "best")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AverageConfig:
    """Options of averages of checkpoints."""

    title: ClassVar = "Averages"

    checkpoint_path: str = option(
        "", "Directory of a training, whose checkpoints are averaged."
    )
    output_dir: str = option("", "Directory for the checkpoint with the averages.")
    num_checkpoints: int = option(5, "Checkpoints to average.", at_least=2)
    choose: str = option(
        "last",
        "Which ones: last, or best, those of the highest top-1 on --eval_split_name.",
    )
    greedy: bool = option(
        False,
        "Start from the best one, and add each of the others only if top-1 on "
        "--eval_split_name does not fall.",
    )
    dataset_dir: str = option("", "Directory of the data set's records.")
    dataset_name: str | None = option(
        None, "Data set; by default as trained, or as --dataset_dir says."
    )
    dataset_split_name: str = option(
        "train", "Split whose pictures give the statistics of batch norm."
    )
    eval_split_name: str | None = option(
        None, "Split that checkpoints are compared on; by default that of validation."
    )
    statistics_batches: int = option(
        100, "Batches that the statistics of batch norm are computed from.", at_least=1
    )
    batch_size: int = option(32, "Pictures per batch.", at_least=1)
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )
    seed: int | None = option(
        None, "Makes the order and the distortions of pictures repeatable."
    )
