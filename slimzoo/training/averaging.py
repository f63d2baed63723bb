"""Averages of checkpoints of one training.

Stochastic weight averaging: Izmailov et al., "Averaging Weights Leads to Wider Optima
and Better Generalization" (2018). The greedy choice: Wortsman et al., "Model soups"
(2022).
"""

import dataclasses
import itertools
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from datasets import dataset_factory
from datasets.reading import pipeline
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase import files, quiet
from slimbase.errors import UserError, unknown
from slimbase.graph import classic_graph, session_config
from slimbase.text import counted
from slimzoo.config.average import CHOICES, AverageConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.train import TrainConfig
from slimzoo.evaluation.evaluate import evaluate
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo
from slimzoo.training import batch_norm

_NAME = "model.ckpt"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A checkpoint, or an average of some.

    Attributes:
      path: prefix of its files.
      step: global step.
      top_1: share of the pictures of validation that it answers right; None if nobody
        asked.
    """

    path: str
    step: int
    top_1: float | None = None

    def __str__(self) -> str:
        name = pathlib.Path(self.path).name
        return name if self.top_1 is None else f"{name}, top-1 {self.top_1:.2%}"


def average(config: AverageConfig) -> str:
    """Writes a checkpoint whose weights are averages of those of several checkpoints.

    Batch norm's statistics do not average: they are computed anew, as means over
    batches of training pictures, which training's preprocessing distorts. The global
    step is that of the newest. `output_dir` is there whole or not at all.

    Returns:
      The path of the checkpoint.

    Raises:
      UserError: for what the user can fix.
    """
    _check(config)
    target = pathlib.Path(config.output_dir)
    if target.exists() and any(target.iterdir()):
        raise UserError(
            f"--output_dir={target} is not empty: {files.listing(str(target))}. Give "
            "another"
        )
    info, dataset = _model_and_data(config)
    found = [
        Candidate(path, checkpoints.step_of(path))
        for path in checkpoints.all_in(config.checkpoint_path)
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}.", dir=target.parent
    ) as work:
        averages = _Averages(config, info, dataset, pathlib.Path(work))
        chosen = _chosen(found, averages)
        result = averages.greedy(chosen) if config.greedy else averages.of(chosen)
        if (result.top_1 or 0) < (chosen[0].top_1 or 0) and config.greedy:
            logging.warning(
                f"{chosen[0]} is better by itself than the averages, {result.top_1:.2%}"
            )
        if target.exists():
            target.rmdir()
        pathlib.Path(result.path).parent.rename(target)
    logging.info(f"The averages are in {target}, at step {result.step:,}")
    return str(target / _NAME)


def _check(config: AverageConfig) -> None:
    for name in ("checkpoint_path", "output_dir", "dataset_dir"):
        if not getattr(config, name):
            raise UserError(f"--{name} is missing")
    if config.choose not in CHOICES:
        raise unknown(f"--choose={config.choose} is unknown", config.choose, CHOICES)
    if not pathlib.Path(config.checkpoint_path).is_dir():
        raise UserError(
            f"--checkpoint_path={config.checkpoint_path} should be the directory of a "
            "training, which keeps several checkpoints (--keep_checkpoints)"
        )


def _model_and_data(config: AverageConfig) -> tuple[ModelInfo, StoredSplit]:
    record = model_info.read(config.checkpoint_path)
    if not record:
        raise UserError(
            f"{config.checkpoint_path} has no {model_info.FILE_NAME}, which says which "
            "network it is: training writes it"
        )
    manifest = manifests.read_manifest(config.dataset_dir)
    options = TrainConfig(dataset_name=config.dataset_name)
    info = model_info.settle(options, record, None, manifest)
    if info.quantize:
        raise UserError(
            f"{config.checkpoint_path} was trained with --quantize_delay: averages of "
            "ranges are no ranges of the averages. Average before quantized training, "
            "and start that from the averages by --checkpoint_path"
        )
    descriptor = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    )
    dataset = descriptor.open_split(config.dataset_split_name, manifest)
    if info.num_classes is None:
        info = model_info.with_classes(info, dataset)
    return info, dataset


def _chosen(found: Sequence[Candidate], averages: "_Averages") -> list[Candidate]:
    """The candidates to average: the last, or the best first."""
    config = averages.config
    if len(found) < config.num_checkpoints:
        raise UserError(
            f"{config.checkpoint_path} has {counted(len(found), 'checkpoint')}, fewer "
            f"than --num_checkpoints={config.num_checkpoints}: give that number, or "
            "train with more --keep_checkpoints"
        )
    if config.choose == "last":
        found = found[-config.num_checkpoints :]
    if config.choose == "best" or config.greedy:
        found = sorted(
            map(averages.evaluated, found), key=lambda c: c.top_1 or 0, reverse=True
        )
    return list(found[: config.num_checkpoints])


class _Averages:
    """Makes averages in a directory, and evaluates them."""

    def __init__(
        self,
        config: AverageConfig,
        info: ModelInfo,
        dataset: StoredSplit,
        directory: pathlib.Path,
    ):
        self.config = config
        self._info, self._dataset, self._directory = info, dataset, directory
        self._numbers = itertools.count()

    def of(self, candidates: Sequence[Candidate]) -> Candidate:
        """The average of candidates."""
        target = self._directory / f"averages-{next(self._numbers)}"
        target.mkdir()
        step = max(candidate.step for candidate in candidates)
        names = ", ".join(pathlib.Path(c.path).name for c in candidates)
        logging.info(f"Averaging {counted(len(candidates), 'checkpoint')}: {names}")
        _write(self.config, self._info, self._dataset, candidates, step, target)
        return Candidate(str(target / _NAME), step)

    def greedy(self, candidates: Sequence[Candidate]) -> Candidate:
        """The average of those that do not make it worse, beginning with the first."""
        kept = [candidates[0]]
        best = self.evaluated(self.of(kept))
        for candidate in candidates[1:]:
            tried = self.evaluated(self.of([*kept, candidate]))
            if (tried.top_1 or 0) >= (best.top_1 or 0):
                kept.append(candidate)
                best = tried
                logging.info(f"Kept {candidate}")
            else:
                logging.info(f"Left out {candidate}: top-1 would be {tried.top_1:.2%}")
        return best

    def evaluated(self, candidate: Candidate) -> Candidate:
        """The candidate with its share of right answers."""
        is_average = self._directory in pathlib.Path(candidate.path).parents
        options = EvalConfig(
            checkpoint_path=candidate.path,
            dataset_dir=self.config.dataset_dir,
            dataset_name=self.config.dataset_name,
            dataset_split_name=self._split(),
            eval_dir=str(self._directory / "eval"),
            num_preprocessing_threads=self.config.num_preprocessing_threads,
            report=False,
        )
        with quiet.without_information():
            result = dataclasses.replace(candidate, top_1=evaluate(options)["top_1"])
        logging.info(f"{'The average' if is_average else 'Evaluated'}: {result}")
        return result

    def _split(self) -> str:
        manifest = self._dataset.manifest
        descriptor = dataset_factory.describe(
            self._info.dataset_name, self.config.dataset_dir, manifest
        )
        return self.config.eval_split_name or descriptor.validation_split


def _write(
    config: AverageConfig,
    info: ModelInfo,
    dataset: StoredSplit,
    candidates: Sequence[Candidate],
    step: int,
    directory: pathlib.Path,
) -> None:
    """Writes a checkpoint of averages, with model.json, into `directory`."""
    recipe = info.preprocessing(is_training=True)
    with classic_graph(config.seed), tf.Session(config=session_config()) as session:
        global_step = tf.train.create_global_step()
        batches = pipeline.train_batches(
            dataset,
            recipe,
            config.batch_size,
            labels_offset=info.labels_offset,
            takes_encoded=True,
            num_threads=config.num_preprocessing_threads,
            seed=config.seed,
        )
        [(images, _)] = pipeline.next_batches(batches, 1)
        count = tf.placeholder(tf.float32, [])
        network_fn = info.network_fn(
            is_training=True,
            adapt_arg_scope=lambda scope: batch_norm.average_all(scope, count),
        )
        network_fn(images)
        variables = slim.get_model_variables()
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        values = _means(variables, info, candidates)
        for variable, value in zip(variables, values, strict=True):
            variable.load(value, session)
        global_step.load(step, session)
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        if updates:
            logging.info(
                f"Computing batch norm's statistics on {config.statistics_batches} "
                f"batches of {config.batch_size}"
            )
            with pipeline.explained_errors(dataset, info.labels_offset):
                for i in range(config.statistics_batches):
                    session.run(updates, {count: i})
        with checkpoints.explained_save_errors(str(directory)):
            saver = tf.train.Saver([*variables, global_step], save_relative_paths=True)
            saver.save(session, str(directory / _NAME), write_meta_graph=False)
    dataclasses.replace(info, moving_average_decay=None).write(str(directory))


def _means(
    variables: Sequence[tf.Variable], info: ModelInfo, candidates: Sequence[Candidate]
) -> list[np.ndarray]:
    """The mean of each variable, or of its moving average, over all candidates."""
    names = [variable.op.name for variable in variables]
    if info.moving_average_decay:
        average = tf.train.ExponentialMovingAverage(info.moving_average_decay)
        names = [average.average_name(variable) for variable in variables]
    sums = [np.zeros(variable.shape.as_list(), np.float64) for variable in variables]
    for candidate in candidates:
        with checkpoints.explained_errors(candidate.path):
            reader = tf.train.load_checkpoint(candidate.path)
            shapes = reader.get_variable_to_shape_map()
            for name, total in zip(names, sums, strict=True):
                if shapes.get(name) != list(total.shape):
                    found = f"has shape {shapes[name]}" if name in shapes else "is not"
                    raise UserError(
                        f"{name} {found} in {candidate.path}, where the network has "
                        f"shape {list(total.shape)}: it is of another training"
                    )
                total += reader.get_tensor(name)
    return [total / len(candidates) for total in sums]
