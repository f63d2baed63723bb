"""Evaluation: one exact pass over a split."""

import contextlib
import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from tqdm import tqdm

from datasets import dataset_factory
from datasets.reading import pipeline, preflight
from datasets.reading.bad_records import Fault
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from nets.registry import NETWORKS
from slimbase import files
from slimbase.errors import UserError
from slimbase.graph import explained_memory_errors, session_config
from slimbase.text import counted, number
from slimzoo.config.evaluate import EvalConfig
from slimzoo.evaluation import predictions
from slimzoo.evaluation.metrics import Metrics
from slimzoo.evaluation.predictions import Predictions
from slimzoo.formats import runtimes
from slimzoo.inference import precision, predictor, views, weights
from slimzoo.inference.predictor import Predictor
from slimzoo.inference.views import Views
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.history import History
from slimzoo.model.info import ModelInfo

METRICS = "metrics.json"
REPORT = "report.html"
_THUMBNAIL = (160, 160)  # Pixels.


def evaluate(config: EvalConfig) -> dict[str, Any]:
    """Evaluates a network on every image of a split, each counted once.

    Writes `metrics.json`, `predictions.csv`, `report.html` and the summaries
    `eval/Accuracy` and `eval/Recall_5` into `eval_dir`.

    Returns:
      What metrics.json has of the whole: `count`, `top_1`, `top_5` (shares of 1), mean
      `loss`, and what was evaluated.

    Raises:
      UserError: for what the user can mend.
    """
    check(config)
    path = config.graph or checkpoints.find(config.checkpoint_path)
    record = model_info.beside(path)
    model_info.check_known(config, record, path)
    manifest = manifests.read_manifest(config.dataset_dir)
    info = model_info.settle(config, record, config.eval_image_size, manifest)
    descriptor = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    )
    split = config.dataset_split_name or descriptor.evaluation_split
    dataset = descriptor.open_split(split, manifest)
    with contextlib.ExitStack() as stack:
        info, network = _network(config, path, info, record, dataset, stack)
        dataset, skipped = preflight.prepare(
            dataset, info.labels_offset, config.skip_bad_records
        )
        step = 0 if config.graph else checkpoints.step_of(path)
        facts = _facts(config, info, path, split, step)
        if not (record or config.graph or config.eval_image_size):
            facts["image size"] += ", the network's own: no model.json tells"
        logging.info(
            "Evaluating\n%s", "\n".join(f"  {k:18}  {v}" for k, v in facts.items())
        )
        with predictions.writing(info.labels_or_numbers(), config.eval_dir) as answers:
            metrics = measure(
                info,
                dataset,
                network,
                batch_size=config.batch_size,
                max_num_batches=config.max_num_batches,
                num_threads=config.num_preprocessing_threads,
                shown=views.of(config),
                answers=answers,
            )
    results = metrics.means() | {
        "dataset_name": info.dataset_name,
        "dataset_split_name": split,
        "model_name": info.model_name,
        "num_classes": info.num_classes,
        "checkpoint": path,
        "global_step": step,
        "moving_averages": bool(info.moving_average_decay) and not config.graph,
        "image_size": info.size_text,
        "preprocessing_name": info.preprocessing_name,
        "labels_offset": info.labels_offset,
        "quantize": info.quantize,
        "precision": config.precision,
        "runtime": _runtime(config),
        "central_fraction": config.central_fraction,
        "crops": config.crops,
        "flip": config.flip,
        "max_num_batches": config.max_num_batches,
    }
    files.write_json(
        pathlib.Path(config.eval_dir) / METRICS,
        _as_json(results, info, metrics) | _skipped(skipped, dataset, config),
    )
    write_summaries(config.eval_dir, results, step)
    if config.report or config.save_plots:
        _write_report(config, info, facts, metrics, answers, dataset)
    return results


def check(config: EvalConfig) -> None:
    """Raises UserError for options that cannot be, or do not go together."""
    views.of(config)
    if not config.dataset_dir:
        raise UserError(
            "--dataset_dir is missing: give the directory of the data set's records"
        )
    if config.master and config.runtime != runtimes.TENSORFLOW:
        raise UserError(
            f"--runtime={config.runtime} runs in this process: leave out --master, or "
            "--runtime"
        )
    weights.check(config)


def _network(config, path, info, record, dataset, stack) -> tuple[ModelInfo, Predictor]:
    """What is evaluated, with the classes of the data set; `stack` closes it."""
    offset_is_known = config.labels_offset is not None or "labels_offset" in record
    ready = None
    if config.graph:
        ready = predictor.from_file(
            path,
            input_layer=config.input_layer,
            output_layer=config.output_layer,
            compute=config.precision,
            runtime=config.runtime,
            gpu_memory_growth=config.gpu_memory_growth,
        )
        stack.enter_context(ready)
        given = config.eval_image_size
        info = model_info.of_input(info, ready.input_shape, path, given)
        classes = ready.num_classes
    else:
        precision.check_inference(config.precision, info.quantize, config.runtime)
        scope = NETWORKS[info.model_name].classifier_scopes[0]
        classes = checkpoints.classes_or_none(path, scope)
    if not offset_is_known:
        info = model_info.with_offset(info, dataset, classes)
    info = model_info.with_classes(info, dataset)
    if ready is None:
        ready = predictor.from_checkpoint(
            info,
            path,
            compute=config.precision,
            runtime=config.runtime,
            master=config.master,
            gpu_memory_growth=config.gpu_memory_growth,
        )
        weights.tell_weights(info, path)
        return info, stack.enter_context(ready)
    if classes not in (None, info.num_classes):
        raise UserError(
            f"{path} has {classes} classes, the data set {dataset.num_classes} with "
            f"--labels_offset={info.labels_offset}: check --dataset_name and "
            "--labels_offset"
        )
    return info, ready


def _runtime(config) -> str:
    is_lite = config.graph and config.graph.endswith(".tflite")
    return "litert" if is_lite else config.runtime


def _facts(config, info, path, split, step) -> dict[str, str]:
    """What the results are of."""
    facts = {
        "network": info.model_name,
        "graph" if config.graph else "checkpoint": path,
    }
    if not config.graph:
        facts["step"] = f"{step:,}"
        averages = "moving averages" if info.moving_average_decay else "as trained"
        facts["weights"] = averages
        facts["precision"] = "as if in 8 bits" if info.quantize else config.precision
    elif config.runtime != runtimes.TENSORFLOW:
        facts["precision"] = config.precision
    facts["runtime"] = _runtime(config)
    facts |= {
        "data set": f"{info.dataset_name}, split {split}",
        "image size": info.size_text,
        "preprocessing": info.preprocessing_name
        + (", grayscale" if info.use_grayscale else ""),
        "labels offset": str(info.labels_offset),
        "classes": str(info.num_classes),
    }
    if config.max_num_batches:
        most = config.max_num_batches * config.batch_size
        facts["images"] = f"the first {most:,} at most"
    shown = views.of(config)
    if shown != Views():
        fraction = shown.central_fraction or "of the recipe"
        facts["views"] = (
            f"{shown.count} per image: central fraction {fraction}, crops "
            f"{shown.crops}, {'' if shown.flip else 'not '}flipped"
        )
    return facts


def measure(
    info: ModelInfo,
    dataset: StoredSplit,
    network: Predictor,
    *,
    batch_size: int = 100,
    max_num_batches: int | None = None,
    num_threads: int = 4,
    shown: Views = Views(),  # noqa: B008 (It is frozen.)
    answers: Predictions | None = None,
) -> Metrics:
    """Evaluates a network on a split.

    Args:
      info: of the network.
      dataset: the split.
      network: to evaluate.
      batch_size: pictures per step; it does not affect results.
      max_num_batches: None for all.
      num_threads: pictures preprocessed in parallel.
      shown: what the network is shown of each picture.
      answers: takes the answers to the images, one by one.

    Raises:
      UserError: when there is nothing to read, or what is read is damaged.
    """
    metrics = Metrics(info.num_classes or 0)
    total = dataset.num_samples
    if max_num_batches is None:
        batch_size = max(1, batch_size // shown.count)  # Views take memory as well.
    else:
        total = min(total, batch_size * max_num_batches)
    with (
        tf.Graph().as_default(),
        pipeline.explained_errors(dataset, info.labels_offset),
        explained_memory_errors(batch_size),
    ):
        batches = pipeline.eval_batches(
            dataset,
            views.preprocessing(info, shown),
            batch_size,
            labels_offset=info.labels_offset,
            num_threads=num_threads,
        )
        if max_num_batches is not None:
            batches = batches.take(max_num_batches)
        [next_batch] = pipeline.next_batches(batches, 1)
        _check_channels(next_batch.images.shape[-1], network.input_shape[-1])
        start_reading = tf.tables_initializer()
        with (
            tf.Session(config=session_config(on_cpu=True)) as session,
            tqdm(total=total, unit="picture", disable=None, leave=False) as progress,
        ):
            session.run(start_reading)
            while True:
                try:
                    batch = session.run(next_batch)
                except tf.errors.OutOfRangeError:
                    break
                logits = _logits(network, batch.images)
                if logits.shape[1] != info.num_classes:
                    raise UserError(
                        f"the network gives {logits.shape[1]} values per picture, and "
                        f"{info.num_classes} classes are expected: check "
                        "--dataset_name, --labels_offset and --output_layer"
                    )
                probabilities = metrics.add(logits, batch.labels)
                if answers:
                    answers.add(batch, probabilities)
                progress.update(len(logits))
    if not metrics.count:
        raise UserError(f"the records in {dataset.data_sources} hold no images")
    return metrics


def _check_channels(made: int | None, taken: int | None) -> None:
    if None not in (made, taken) and made != taken:
        raise UserError(
            f"the data set's pictures have {made} channels after preprocessing, but "
            f"the network takes {taken}: check --dataset_name, --preprocessing_name "
            "and --use_grayscale"
        )


def _logits(network, images) -> np.ndarray:
    """Of `[batch, views, height, width, channels]`."""
    by_view = [network.logits(images[:, i]) for i in range(images.shape[1])]
    return views.average(np.stack(by_view, axis=1))


def _as_json(results, info, metrics):
    """All that is known, for programs; None where there is no number."""
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
        # [label, answer, images], where there are any.
        "confusion": [
            [int(i), int(j), int(metrics.confusion[i, j])]
            for i, j in zip(rows, columns, strict=True)
        ],
    }


def _skipped(
    skipped: Sequence[Fault], dataset: StoredSplit, config: EvalConfig
) -> dict[str, Any]:
    """The records that were left out, if leaving out was wanted."""
    if not config.skip_bad_records:
        return {}
    lost = dataset.num_lost
    count = len(skipped) + lost
    total = count + dataset.num_samples
    not_found = f", {lost:,} of them not found" if lost else ""
    logging.info(
        "Skipped %s of %s%s", f"{count:,}", counted(total, "record"), not_found
    )
    return {
        "skipped": {
            "count": count,
            "of": total,
            "not_found": lost,
            "records": [fault.as_dict() for fault in skipped],
        }
    }


def _write_report(config, info, facts, metrics, answers, dataset):
    from slimzoo.evaluation import report  # Its plots take a while to import.

    per_class, calibration = metrics.per_class(), metrics.calibration()
    names = info.labels_or_numbers()
    headline = metrics.means() | per_class.averages()
    trained_in = pathlib.Path(facts.get("checkpoint") or facts["graph"]).parent
    content = report.Report(
        title=f"{info.model_name} on {info.dataset_name}",
        facts=facts,
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
        mistakes=_shown(answers.mistakes(), names, dataset, report.ShownMistake),
        history=_history(trained_in),
    )
    directory = pathlib.Path(config.eval_dir)
    if config.report:
        report.write(directory / REPORT, content)
        logging.info("The report is %s", directory / REPORT)
    if config.save_plots:
        report.save_plots(directory, content)


def _history(directory):
    """That of the training; the best checkpoint has a directory of its own."""
    if directory.name == checkpoints.BEST:
        directory = directory.parent
    return History(directory).rows()


def _shown(mistakes, names, dataset, make):
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


def write_summaries(eval_dir: str, results: dict[str, Any], step: int) -> None:
    """Writes the summaries of `results`, as `Metrics.means` gives them."""
    values = {"eval/Accuracy": results["top_1"], "eval/Recall_5": results["top_5"]}
    summary = tf.Summary()
    for tag, value in values.items():
        summary.value.add(tag=tag, simple_value=value)
    with tf.Graph().as_default(), tf.summary.FileWriter(eval_dir) as writer:
        writer.add_summary(summary, step)
