"""What an evaluation writes: metrics.json, the report and summaries."""

import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging

from datasets.reading import pipeline
from datasets.reading.bad_records import Fault
from datasets.storage.split import StoredSplit
from slimbase import files
from slimbase.text import counted, number
from slimzoo.config.evaluate import METRICS, EvalConfig
from slimzoo.evaluation.metrics import Metrics
from slimzoo.evaluation.predictions import Mistake
from slimzoo.model import checkpoints
from slimzoo.model.history import History
from slimzoo.model.info import ModelInfo

REPORT = "report.html"
_THUMBNAIL = (160, 160)  # Pixels.


def write_metrics(
    config: EvalConfig,
    info: ModelInfo,
    results: Mapping[str, Any],
    metrics: Metrics,
    skipped: Mapping[str, Any],
) -> None:
    """Writes metrics.json into `eval_dir`.

    Args:
      config: options.
      info: what is known about the network.
      results: numbers of the whole split, and what was evaluated.
      metrics: what was counted.
      skipped: what `skipped_records` returns.
    """
    content = _as_json(results, info, metrics) | dict(skipped)
    files.write_json(pathlib.Path(config.eval_dir) / METRICS, content)


def _as_json(
    results: Mapping[str, Any], info: ModelInfo, metrics: Metrics
) -> dict[str, Any]:
    """The content of metrics.json, with None in place of what is not a number."""
    per_class = metrics.per_class()
    rows, columns = np.nonzero(metrics.confusion)
    return {
        **{k: number(v) if isinstance(v, float) else v for k, v in results.items()},
        **{
            kind: {name: number(value) for name, value in averages.items()}
            for kind, averages in per_class.averages().items()
        },
        "calibration": metrics.calibration().as_dict(),
        "classes": [
            {
                "name": name,
                "precision": number(per_class.precision[i]),
                "recall": number(per_class.recall[i]),
                "f1": number(per_class.f1[i]),
                "support": int(per_class.support[i]),
            }
            for i, name in enumerate(info.labels_or_numbers())
        ],
        # [label, answer, images], without those of no images.
        "confusion": [
            [int(i), int(j), int(metrics.confusion[i, j])]
            for i, j in zip(rows, columns, strict=True)
        ],
    }


def skipped_records(
    config: EvalConfig, dataset: StoredSplit, faults: Sequence[Fault]
) -> dict[str, Any]:
    """Logs the records that were left out, if that was wanted.

    Args:
      config: options.
      dataset: the data set without these records.
      faults: the records at fault.

    Returns:
      What metrics.json has of them.
    """
    if not config.skip_bad_records:
        return {}
    lost = dataset.num_lost
    count = len(faults) + lost
    total = count + dataset.num_samples
    not_found = f", {lost:,} of them not found" if lost else ""
    logging.info(f"Skipped {count:,} of {counted(total, 'record')}{not_found}")
    return {
        "skipped": {
            "count": count,
            "of": total,
            "not_found": lost,
            "records": [fault.as_dict() for fault in faults],
        }
    }


def write_report(
    config: EvalConfig,
    info: ModelInfo,
    evaluated: Mapping[str, str],
    metrics: Metrics,
    mistakes: Sequence[Mistake],
    dataset: StoredSplit,
) -> None:
    """Writes the report and its plots into `eval_dir`, as far as they are wanted.

    Args:
      config: options.
      info: what is known about the network.
      evaluated: what was evaluated, in words.
      metrics: what was counted.
      mistakes: the mistakes that are shown.
      dataset: the data set that the mistakes are in.
    """
    from slimzoo.evaluation import report  # Its plots take a while to import.

    per_class, calibration = metrics.per_class(), metrics.calibration()
    names = info.labels_or_numbers()
    headline = metrics.means() | per_class.averages()
    trained_in = pathlib.Path(evaluated.get("checkpoint") or evaluated["graph"]).parent
    content = report.Report(
        title=f"{info.model_name} on {info.dataset_name}",
        facts=dict(evaluated),
        headline=headline | {"expected_calibration_error": calibration.error},
        names=names,
        matrix=metrics.confusion,
        precision=per_class.precision,
        recall=per_class.recall,
        f1=per_class.f1,
        support=per_class.support,
        calibration=(
            calibration.edges,
            calibration.counts,
            calibration.confidence,
            calibration.accuracy,
        ),
        mistakes=_shown(mistakes, names, dataset, report.ShownMistake),
        history=_history(trained_in),
    )
    directory = pathlib.Path(config.eval_dir)
    if config.report:
        report.write(directory / REPORT, content)
        logging.info(f"The report is {directory / REPORT}")
    if config.save_plots:
        report.save_plots(directory, content)


def _history(directory: pathlib.Path) -> list[dict[str, str]]:
    """The history of the training; the best checkpoint is in a directory below it."""
    if directory.name == checkpoints.BEST:
        directory = directory.parent
    return History(directory).rows()


def _shown(
    mistakes: Sequence[Mistake],
    names: Sequence[str],
    dataset: StoredSplit,
    make: Callable[..., Any],
) -> tuple[Any, ...]:
    """The mistakes as the report shows them, each made by `make`."""
    places = [(mistake.record_file, mistake.position) for mistake in mistakes]
    pictures = pipeline.read_pictures(dataset, places)
    return tuple(
        make(
            thumbnail=_thumbnail(pictures[place]),
            true_name=names[mistake.label],
            predicted_name=names[mistake.answer],
            confidence=mistake.confidence,
            identity=mistake.identity,
        )
        for mistake, place in zip(mistakes, places, strict=True)
    )


def _thumbnail(pixels: np.ndarray) -> bytes:
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail(_THUMBNAIL)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return content.getvalue()


def write_summaries(eval_dir: str, results: Mapping[str, Any], step: int) -> None:
    """Writes the summaries `eval/Accuracy` and `eval/Recall_5`.

    Args:
      eval_dir: the directory that they are written into.
      results: shares, as `Metrics.means` gives them.
      step: the global step of what was evaluated.
    """
    values = {"eval/Accuracy": results["top_1"], "eval/Recall_5": results["top_5"]}
    summary = tf.Summary()
    for tag, value in values.items():
        summary.value.add(tag=tag, simple_value=value)
    with tf.Graph().as_default(), tf.summary.FileWriter(eval_dir) as writer:
        writer.add_summary(summary, step)
