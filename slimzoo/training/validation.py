"""Evaluation of the checkpoints of a running training, and a copy of the best."""

import pathlib
import shutil

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory
from datasets.reading import preflight
from datasets.storage.split import StoredSplit
from slimbase import files
from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.evaluation import evaluate, written
from slimzoo.evaluation.metrics import headline
from slimzoo.inference import predictor
from slimzoo.model import checkpoints
from slimzoo.model.history import History
from slimzoo.model.info import ModelInfo

EVAL = "eval"


def check(config: TrainConfig) -> None:
    """Raises UserError for options that do not go together."""
    if config.eval_every_steps and config.eval_every_epochs:
        raise UserError("give --eval_every_steps or --eval_every_epochs, not both")
    if config.eval_every_epochs is not None and config.eval_every_epochs <= 0:
        raise UserError("--eval_every_epochs must be above zero")
    if config.stop_after_evaluations and not _is_wanted(config):
        raise UserError(
            "--stop_after_evaluations needs --eval_every_steps or --eval_every_epochs"
        )


def _is_wanted(config: TrainConfig) -> bool:
    return bool(config.eval_every_steps or config.eval_every_epochs)


class CheckpointEvaluator:
    """Evaluates checkpoints as training writes them.

    Results go to metrics.csv and to TensorBoard; the checkpoint with the highest top-1
    is copied to the directory `best`, where rotation does not delete it.

    Attributes:
      every_steps: steps from one evaluation to the next.
    """

    def __init__(
        self,
        config: TrainConfig,
        info: ModelInfo,
        trained_on: StoredSplit,
        history: History,
    ):
        """Prepares to evaluate on the split that `config` asks for.

        Args:
          config: options.
          info: facts about the network.
          trained_on: split of training, in whose directory the other one is.
          history: rows to which each evaluation is added.

        Raises:
          UserError: when there is no such split.
        """
        manifest = trained_on.manifest
        descriptor = dataset_factory.describe(
            info.dataset_name, config.dataset_dir, manifest
        )
        self._split = config.eval_split_name or descriptor.validation_split
        self._dataset = descriptor.find_split(self._split, manifest)
        epoch = trained_on.num_samples / config.global_batch
        self.every_steps = config.eval_every_steps or max(
            1, round((config.eval_every_epochs or 0) * epoch)
        )
        self._config = config
        self._info = info
        self._history = history

    def prepare(self) -> None:
        """Checks the records of the split; see `preflight.prepare`."""
        self._dataset.check_files()
        self._dataset, _ = preflight.prepare(
            self._dataset, self._info.labels_offset, self._config.skip_bad_records
        )

    def __call__(self, step: int) -> bool:
        """Evaluates the latest checkpoint; returns whether training shall end."""
        config = self._config
        checkpoint = checkpoints.latest(config.train_dir) or ""
        with predictor.from_checkpoint(self._info, checkpoint) as network:
            metrics = evaluate.measure(
                self._info,
                self._dataset,
                network,
                num_threads=config.num_preprocessing_threads,
            ).means()
        self._history.add(
            step=step,
            split=self._split,
            loss=metrics["loss"],
            accuracy=metrics["top_1"],
            top_5=metrics["top_5"],
        )
        directory = pathlib.Path(config.train_dir)
        written.write_summaries(str(directory / EVAL), metrics, step)
        *before, last = self._scores()
        is_best = not before or last > max(before)
        kept = ", the best so far, kept in best/" if is_best else ""
        shown = headline(metrics, self._info.num_classes)
        logging.info(f"step {step}: {shown} on {self._split}{kept}")
        if is_best:
            keep(checkpoint, directory / checkpoints.BEST, self._info)
        return self._is_enough([*before, last])

    def _scores(self) -> list[tuple[float, float]]:
        """Top-1 of each evaluation, and the negated loss, which orders equal ones."""
        rows = [row for row in self._history.rows() if row["split"] == self._split]
        return [(float(row["accuracy"]), -float(row["loss"])) for row in rows]

    def _is_enough(self, scores: list[tuple[float, float]]) -> bool:
        patience = self._config.stop_after_evaluations
        if not patience:
            return False
        best = scores.index(max(scores))
        since = len(scores) - 1 - best
        if since >= patience:
            logging.info(f"No better top-1 in {since} evaluations: stopping")
        return since >= patience


def keep(checkpoint: str, directory: pathlib.Path, info: ModelInfo) -> None:
    """Copies `checkpoint` to `directory`, and then deletes other checkpoints there.

    `checkpoints.latest` finds the one before until the new one is whole.
    """
    directory.mkdir(parents=True, exist_ok=True)
    source = pathlib.Path(checkpoint)
    parts = [
        path
        for path in source.parent.glob(f"{source.name}.*")
        if path.suffix in (".index", ".meta") or ".data-" in path.name
    ]
    for path in parts:
        with files.replacing(directory / path.name) as temporary:
            shutil.copyfile(path, temporary)
    info.write(str(directory))
    tf.train.update_checkpoint_state(
        str(directory), source.name, all_model_checkpoint_paths=[source.name]
    )
    for path in directory.glob("model.ckpt-*"):
        if not path.name.startswith(f"{source.name}."):
            path.unlink()


def prepared(
    config: TrainConfig, info: ModelInfo, trained_on: StoredSplit, history: History
) -> CheckpointEvaluator | None:
    """An evaluator that is ready; None unless `config` asks for evaluations."""
    if not _is_wanted(config):
        return None
    evaluator = CheckpointEvaluator(config, info, trained_on, history)
    evaluator.prepare()
    return evaluator
