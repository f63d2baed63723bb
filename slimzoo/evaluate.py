"""Evaluation: one exact pass over a split."""

import pathlib
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory, input_pipeline
from preprocessing import preprocessing_factory
from slimzoo import checkpoints, files, inference, model_info
from slimzoo.config import EvalConfig
from slimzoo.errors import UserError
from slimzoo.graph import classic_graph, explained_memory_errors, session_config
from slimzoo.metrics import Metrics


def evaluate(config: EvalConfig) -> dict[str, Any]:
    """Evaluates a checkpoint on every image of a split, each counted once.

    Writes `metrics.json` and the summaries `eval/Accuracy` and `eval/Recall_5` into
    `eval_dir`.

    Returns:
      What metrics.json holds: `count`, `top_1`, `top_5` (shares of 1), mean `loss`,
      and what was evaluated.

    Raises:
      UserError: for what the user can mend.
    """
    if not config.dataset_dir:
        raise UserError(
            "--dataset_dir is missing: give the directory of the data set's records"
        )
    if config.quantize:
        raise UserError("--quantize: quantization-aware networks are not available")
    checkpoint = checkpoints.find(config.checkpoint_path)
    record = model_info.read(str(pathlib.Path(checkpoint).parent))
    info = model_info.settle(config, record, config.eval_image_size)
    split = config.dataset_split_name or _evaluation_split(info.dataset_name)
    dataset = dataset_factory.get_dataset(info.dataset_name, split, config.dataset_dir)
    info = model_info.with_classes(info, dataset)
    logging.info(
        "Evaluating %s, %s, on %s %s: %dx%d, preprocessing %s, labels offset %d",
        *(info.model_name, checkpoint, info.dataset_name, split),
        *(info.image_size, info.image_size, info.preprocessing_name),
        info.labels_offset,
    )
    inference.tell_weights(info, checkpoint)
    metrics = measure(
        info,
        dataset,
        checkpoint,
        batch_size=config.batch_size,
        max_num_batches=config.max_num_batches,
        num_threads=config.num_preprocessing_threads,
        master=config.master,
        gpu_memory_growth=config.gpu_memory_growth,
    )
    step = checkpoints.step_of(checkpoint)
    results = metrics.means() | {
        "dataset_name": info.dataset_name,
        "dataset_split_name": split,
        "model_name": info.model_name,
        "checkpoint": checkpoint,
        "global_step": step,
        "moving_averages": bool(info.moving_average_decay),
    }
    files.write_json(pathlib.Path(config.eval_dir) / "metrics.json", results)
    write_summaries(config.eval_dir, results, step)
    return results


def _evaluation_split(dataset_name: str) -> str:
    return dataset_factory.DATASETS[dataset_name].evaluation_split


def measure(
    info: model_info.ModelInfo,
    dataset: Any,
    checkpoint: str,
    *,
    batch_size: int = 100,
    max_num_batches: int | None = None,
    num_threads: int = 4,
    master: str = "",
    gpu_memory_growth: bool = False,
) -> Metrics:
    """Evaluates `checkpoint` on a split, in a graph of its own.

    Args:
      info: of the network.
      dataset: a `slim.dataset.Dataset`.
      checkpoint: as `checkpoints.find` returns it.
      batch_size: pictures per step; it does not affect results.
      max_num_batches: None for all.
      num_threads: pictures preprocessed in parallel.
      master: address of the TensorFlow server.
      gpu_memory_growth: take GPU memory as it is needed.

    Raises:
      UserError: when the checkpoint does not fit, or there is nothing to read.
    """
    with (
        classic_graph(),
        input_pipeline.explained_errors(),
        explained_memory_errors(batch_size),
    ):
        [(images, labels)] = _batch(
            info, dataset, batch_size, max_num_batches, num_threads
        )
        logits = inference.logits(info, images)
        restore = inference.restorer(info, checkpoint)
        start_reading = tf.tables_initializer()
        metrics = Metrics()
        with tf.Session(master, config=session_config(gpu_memory_growth)) as session:
            restore(session)
            session.run(start_reading)
            while True:
                try:
                    metrics.add(*session.run([logits, labels]))
                except tf.errors.OutOfRangeError:
                    break
    if not metrics.count:
        raise UserError(f"the records in {dataset.data_sources} hold no images")
    return metrics


def _batch(info, dataset, batch_size, max_num_batches, num_threads):
    preprocess = preprocessing_factory.get_preprocessing(
        info.preprocessing_name,
        use_grayscale=info.use_grayscale,
        height=info.image_size,
        width=info.image_size,
    )
    batches = input_pipeline.eval_batches(
        dataset,
        preprocess,
        batch_size,
        labels_offset=info.labels_offset,
        num_threads=num_threads,
    )
    if max_num_batches is not None:
        batches = batches.take(max_num_batches)
    return input_pipeline.next_batches(batches, 1)


def write_summaries(eval_dir: str, results: dict[str, Any], step: int) -> None:
    """Writes the summaries of `results`, as `Metrics.means` gives them."""
    values = {"eval/Accuracy": results["top_1"], "eval/Recall_5": results["top_5"]}
    summary = tf.Summary()
    for tag, value in values.items():
        summary.value.add(tag=tag, simple_value=value)
    with tf.Graph().as_default(), tf.summary.FileWriter(eval_dir) as writer:
        writer.add_summary(summary, step)
