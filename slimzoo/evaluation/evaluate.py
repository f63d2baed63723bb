"""Evaluation: one exact pass over a split."""

import contextlib
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from absl import logging
from tqdm import tqdm

from datasets import dataset_factory
from datasets.reading import pipeline, preflight
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError
from slimbase.graph import explained_memory_errors, session_config
from slimzoo.config.evaluate import EvalConfig
from slimzoo.evaluation import predictions
from slimzoo.evaluation.metrics import Metrics
from slimzoo.evaluation.predictions import Predictions
from slimzoo.evaluation.written import (
    skipped_records,
    write_metrics,
    write_report,
    write_summaries,
)
from slimzoo.formats import runtimes
from slimzoo.formats.predictor import Predictor
from slimzoo.inference import chosen, views, weights
from slimzoo.inference.chosen import Chosen
from slimzoo.inference.views import Views
from slimzoo.model import checkpoints
from slimzoo.model.info import ModelInfo


def evaluate(config: EvalConfig) -> dict[str, Any]:
    """Evaluates a network on every image of a split, each counted once.

    Writes `metrics.json`, `predictions.csv`, `report.html` and the summaries
    `eval/Accuracy` and `eval/Recall_5` into `eval_dir`.

    Returns:
      What metrics.json has of the whole: `count`, `top_1`, `top_5` (shares of 1), mean
      `loss`, and what was evaluated.

    Raises:
      UserError: for what the user can fix.
    """
    check(config)
    manifest = manifests.read_manifest(config.dataset_dir)
    choice = chosen.choose(
        config, config.checkpoint_path, config.eval_image_size, manifest=manifest
    )
    name = choice.info.dataset_name
    descriptor = dataset_factory.describe(name, config.dataset_dir, manifest)
    split = config.dataset_split_name or descriptor.evaluation_split
    dataset = descriptor.open_split(split, manifest)
    with contextlib.ExitStack() as stack:
        choice, network = _open(config, choice, dataset, stack)
        info = choice.info
        dataset, faults = preflight.prepare(
            dataset, info.labels_offset, config.skip_bad_records
        )
        step = 0 if config.graph else checkpoints.step_of(choice.path)
        evaluated = _evaluated(config, choice, split, step)
        lines = (f"  {k:18}  {v}" for k, v in evaluated.items())
        logging.info("Evaluating\n%s", "\n".join(lines))
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
    results = metrics.means() | _settings(config, choice, split, step)
    skipped = skipped_records(config, dataset, faults)
    write_metrics(config, info, results, metrics, skipped)
    write_summaries(config.eval_dir, results, step)
    if config.report or config.save_plots:
        write_report(config, info, evaluated, metrics, answers.mistakes(), dataset)
    return results


def check(config: EvalConfig) -> None:
    """Raises UserError for options that are wrong, or do not go together."""
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


def _open(
    config: EvalConfig,
    choice: Chosen,
    dataset: StoredSplit,
    stack: contextlib.ExitStack,
) -> tuple[Chosen, Predictor]:
    """The network, with the classes of the data set; `stack` closes it."""
    if choice.is_graph:
        network = stack.enter_context(chosen.open_network(choice, config))
        choice = chosen.with_input_of(choice, network, config.eval_image_size)
        return chosen.with_classes_of(choice, dataset, network), network
    choice = chosen.with_classes_of(choice, dataset)
    network = chosen.open_network(choice, config, master=config.master)
    return choice, stack.enter_context(network)


def _settings(
    config: EvalConfig, choice: Chosen, split: str, step: int
) -> dict[str, Any]:
    """What was evaluated and how, for programs."""
    info = choice.info
    return {
        "dataset_name": info.dataset_name,
        "dataset_split_name": split,
        "model_name": info.model_name,
        "num_classes": info.num_classes,
        "checkpoint": choice.path,
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


def _runtime(config: EvalConfig) -> str:
    is_lite = config.graph and config.graph.endswith(".tflite")
    return "litert" if is_lite else config.runtime


def _evaluated(
    config: EvalConfig, choice: Chosen, split: str, step: int
) -> dict[str, str]:
    """What is evaluated and how, in words."""
    info = choice.info
    rows = {
        "network": info.model_name,
        "graph" if config.graph else "checkpoint": choice.path,
    }
    if not config.graph:
        rows["step"] = f"{step:,}"
        averages = "moving averages" if info.moving_average_decay else "as trained"
        rows["weights"] = averages
        rows["precision"] = "as if in 8 bits" if info.quantize else config.precision
    elif config.runtime != runtimes.TENSORFLOW:
        rows["precision"] = config.precision
    rows["runtime"] = _runtime(config)
    is_guess = not (choice.record or config.graph or config.eval_image_size)
    rows |= {
        "data set": f"{info.dataset_name}, split {split}",
        "image size": info.size_text
        + (", the network's own: no model.json tells" if is_guess else ""),
        "preprocessing": info.preprocessing_name
        + (", grayscale" if info.use_grayscale else ""),
        "labels offset": str(info.labels_offset),
        "classes": str(info.num_classes),
    }
    if config.max_num_batches:
        most = config.max_num_batches * config.batch_size
        rows["images"] = f"the first {most:,} at most"
    shown = views.of(config)
    if shown != Views():
        fraction = shown.central_fraction or "of the recipe"
        rows["views"] = (
            f"{shown.count} per image: central fraction {fraction}, crops "
            f"{shown.crops}, {'' if shown.flip else 'not '}flipped"
        )
    return rows


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
      info: what is known about the network.
      dataset: the split.
      network: the network to evaluate.
      batch_size: images per step; it does not affect results.
      max_num_batches: most steps; None for all.
      num_threads: pictures preprocessed in parallel.
      shown: the views of each picture.
      answers: the object that gets the answers to each batch.

    Raises:
      UserError: when there is nothing to read, or what is read is damaged.
    """
    metrics = Metrics(info.num_classes or 0)
    total = dataset.num_samples
    if max_num_batches is None:
        batch_size = max(1, batch_size // shown.count)  # Each view takes memory.
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


def _logits(network: Predictor, images: np.ndarray) -> np.ndarray:
    """The logits of images `[batch, views, height, width, channels]`."""
    by_view = [network.logits(images[:, i]) for i in range(images.shape[1])]
    return views.average(np.stack(by_view, axis=1))
