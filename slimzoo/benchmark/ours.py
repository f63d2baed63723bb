"""Our turns: each mode runs the code of a script."""

import contextlib
import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_factory, download_and_convert_folder
from datasets.reading import pipeline
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from nets.nets_factory import NETWORKS
from slimbase.errors import UserError
from slimbase.graph import classic_graph, session_config
from slimzoo.benchmark.clock import Answer, Clock, EnoughError, Request
from slimzoo.benchmark.plan import OURS
from slimzoo.config import train as train_config
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.export import ExportConfig
from slimzoo.evaluation import evaluate
from slimzoo.exporting import export as exporting
from slimzoo.formats import runtimes, writers
from slimzoo.inference import precision, predictor
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo
from slimzoo.training import train as training

_ROUNDS = 1000  # Rounds through a split, as good as endless.


class TickHook(tf.train.SessionRunHook):
    """Ticks the clock after each step, and ends the session after enough steps."""

    def __init__(self, clock: Clock, images: int):
        """Each step takes `images` images."""
        self._clock, self._images = clock, images

    def after_run(
        self,
        run_context: tf.train.SessionRunContext,
        run_values: tf.train.SessionRunValues,
    ) -> None:
        """Ticks the clock."""
        if self._clock.tick(self._images):
            run_context.request_stop()


def model_and_data(
    request: Request, is_training: bool
) -> tuple[ModelInfo, StoredSplit]:
    """The network, with the classes of the data set, and the split that it reads.

    Raises:
      UserError: for an unknown data set or split.
    """
    config = EvalConfig(
        model_name=request["model_name"],
        use_grayscale=_is_gray(request),
        dataset_name=request["dataset_name"],
        dataset_dir=request["dataset_dir"],
    )
    directory = request["dataset_dir"]
    manifest = manifests.read_manifest(directory)
    info = model_info.settle(config, {}, tuple(request["image_size"]), manifest)
    descriptor = dataset_factory.describe(info.dataset_name, directory, manifest)
    if is_training:
        split = request["train_split_name"]
    else:
        split = request["eval_split_name"] or descriptor.evaluation_split
    dataset = descriptor.open_split(split, manifest)
    return model_info.with_classes(info, dataset), dataset


def _is_gray(request: Request) -> bool:
    return NETWORKS[request["model_name"]].channels == 1


def checkpoint(request: Request, info: ModelInfo, clock: Clock) -> str:
    """Writes a checkpoint of random weights unless an earlier turn did.

    Biases are not zero: TensorFlow removes additions of zero, and then fuses less.

    Returns:
      The prefix of the checkpoint's files.
    """
    name = f"{info.model_name}-{info.size_text}-{info.num_classes}"
    directory = pathlib.Path(request["scratch"]) / "checkpoints" / name
    prefix = directory / "model.ckpt-0"
    if not prefix.with_suffix(".ckpt-0.index").exists():
        start = time.time()
        directory.mkdir(parents=True, exist_ok=True)
        with classic_graph(request["seed"]), tf.Session() as session:
            shape = [1, *info.image_size, info.channels]
            info.network_fn()(tf.placeholder(tf.float32, shape))
            tf.train.create_global_step()
            session.run(tf.global_variables_initializer())
            biases = [v for v in slim.get_model_variables() if v.shape.rank == 1]
            noise = [tf.random.uniform(v.shape, 0.01, 0.1) for v in biases]
            session.run(list(map(tf.assign_add, biases, noise)))
            tf.train.Saver().save(session, str(directory / "model.ckpt"), 0)
        info.write(str(directory))
        clock.leave_out(time.time() - start)
    return str(prefix)


def measure_train(request: Request, clock: Clock) -> None:
    """Training as train_image_classifier.py does it; a step is a training step."""
    images = request["batch_size"] * request["num_clones"]
    with tempfile.TemporaryDirectory(dir=request["scratch"]) as train_dir:
        config = train_config.TrainConfig(
            model_name=request["model_name"],
            use_grayscale=_is_gray(request),
            train_dir=train_dir,
            dataset_name=request["dataset_name"],
            dataset_dir=request["dataset_dir"],
            dataset_split_name=request["train_split_name"],
            batch_size=request["batch_size"],
            num_clones=request["num_clones"],
            train_image_size=tuple(request["image_size"]),
            precision=request["precision"],
            seed=request["seed"],
            save_summaries_secs=request["save_summaries_secs"],
        )
        training.train(config, extra_hooks=[TickHook(clock, images)])


class _Answers:
    """Stands in for predictions.csv: each batch of answers ends a step."""

    def __init__(self, clock: Clock):
        self._clock = clock

    def add(self, batch: pipeline.EvalBatch, probabilities: np.ndarray) -> None:
        """Ticks the clock."""
        if self._clock.tick(len(probabilities)):
            raise EnoughError


def measure_inference(request: Request, clock: Clock) -> None:
    """Evaluation as eval_image_classifier.py does it; a step is a batch.

    A contender other than ours is the name of a runtime that computes the network.
    """
    info, dataset = model_and_data(request, is_training=False)
    path = checkpoint(request, info, clock)
    endless = dataclasses.replace(dataset, stretches=list(dataset.stretches) * _ROUNDS)
    runtime = request["contender"]
    if runtime == OURS:
        runtime = runtimes.TENSORFLOW
    precision.check_inference(request["precision"], is_quantized=False, runtime=runtime)
    with predictor.from_checkpoint(
        info, path, compute=request["precision"], runtime=runtime
    ) as network:
        with contextlib.suppress(EnoughError):
            evaluate.measure(
                info,
                endless,
                network,
                batch_size=request["batch_size"],
                answers=_Answers(clock),  # pyright: ignore[reportArgumentType]
            )


def measure_input(request: Request, clock: Clock) -> None:
    """Reading and preprocessing for training, without a network; a step is a batch."""
    info, dataset = model_and_data(request, is_training=True)
    with tf.Graph().as_default():
        batches = pipeline.train_batches(
            dataset,
            info.preprocessing(is_training=True),
            request["batch_size"],
            seed=request["seed"],
            takes_encoded=True,
        )
        [(images, labels)] = pipeline.next_batches(batches, 1)
        step = tf.group(images, labels)  # So that no images leave the session.
        start = tf.tables_initializer()
        with tf.Session(config=session_config(on_cpu=True)) as session:
            session.run(start)
            take_steps(lambda: session.run(step), request["batch_size"], clock)


def take_steps(step: Callable[[], Any], images: int, clock: Clock) -> None:
    """Calls `step`, which takes `images` images, until enough steps were measured."""
    step()
    while not clock.tick(images):
        step()


def pictures(source: pathlib.Path) -> list[pathlib.Path]:
    """The JPEG files in the folders of `source`, sorted.

    Raises:
      UserError: if there is none, or another file, which only one contender would read.
    """
    found = sorted(path for path in source.glob("*/*") if path.is_file())
    others = [path for path in found if path.suffix != ".jpg"]
    if others or not found:
        what = f"{others[0]} is another" if others else "there is none"
        raise UserError(
            f"--source_dir={source} should have .jpg files in a folder per class, and "
            f"nothing else, but {what}"
        )
    return found


def measure_conversion(request: Request, clock: Clock) -> None:
    """Conversion of a folder of pictures; the conversion is one step."""
    source = pathlib.Path(request["source_dir"])
    images = len(pictures(source))
    with tempfile.TemporaryDirectory(dir=request["scratch"]) as target:
        clock.begin()
        download_and_convert_folder.run(target, source)
        clock.end(images)


def measure_export(request: Request, clock: Clock) -> Answer:
    """Export of a trained network, with the check that runs the exported file.

    Returns:
      The size of the exported file in MB.
    """
    info, _ = model_and_data(request, is_training=False)
    path = checkpoint(request, info, clock)
    form = request["format"]
    with tempfile.TemporaryDirectory(dir=request["scratch"]) as directory:
        config = ExportConfig(
            checkpoint_path=path,
            format=form,
            output_file=str(
                pathlib.Path(directory, f"model{writers.FORMATS[form].suffix}")
            ),
        )
        clock.begin()
        record = exporting.export_trained(config)
        clock.end(0)
    return {"file_mb": record["bytes"] / 1e6}
