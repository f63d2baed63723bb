"""Options of eval_image_classifier.py."""

import dataclasses
from typing import ClassVar

from slimbase.command_line.options import SIZE_HELP, Size, option, recorded
from slimzoo.config.shared import BadRecords, Data, Inference

METRICS = "metrics.json"  # In --eval_dir.


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig(Inference, Data, BadRecords):
    """Options of evaluation."""

    title: ClassVar = "Evaluation"

    model_name: str | None = recorded(
        "inception_v3",
        "Network; unknown names list all. With names or patterns, as in "
        "'resnet_v1_50,mobilenet_*', all such models in the directories below "
        "--checkpoint_path.",
    )
    checkpoint_path: str = option(
        "/tmp/tfmodel/", "Checkpoint, or directory whose latest one is evaluated."
    )
    all_checkpoints: bool = option(
        False, "Evaluate each checkpoint of the directory, the oldest first."
    )
    watch: bool = option(
        False,
        "Evaluate the latest checkpoint and, until training ends, each new latest one.",
    )
    watch_timeout_secs: int = option(
        3600, "With --watch: end after so many seconds without any.", at_least=1
    )
    eval_dir: str = option(
        "/tmp/tfmodel/",
        "Where metrics.json, predictions.csv, report.html and summaries are written.",
    )
    report: bool = option(True, "Write report.html.")
    save_plots: bool = option(False, "Write the plots of the report as PNG, too.")
    results_csv: str | None = option(
        None, "CSV file that each result is appended to, a row each."
    )
    dataset_split_name: str | None = recorded(
        None, "Split; by default 'test' if the set has one, else its validation split."
    )
    batch_size: int = option(
        100, "Pictures per step; what all of a split gives is the same.", at_least=1
    )
    max_num_batches: int | None = option(
        None, "Batches to evaluate; by default all of the split.", at_least=1
    )
    eval_image_size: Size | None = recorded(
        None, f"{SIZE_HELP}; by default as trained, or the network's own."
    )
    quantize: bool | None = recorded(
        False, "Evaluate a network that was trained with --quantize_delay."
    )
    master: str = option("", "Address of the TensorFlow server; '' runs in-process.")
    num_preprocessing_threads: int = option(
        4, "Pictures preprocessed in parallel.", at_least=1
    )
