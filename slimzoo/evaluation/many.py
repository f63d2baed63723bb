"""Several evaluations: of the checkpoints of a training, or of several models."""

import csv
import dataclasses
import fnmatch
import os
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from nets.registry import NETWORKS
from slimbase import files
from slimbase.errors import UserError
from slimzoo.config.evaluate import EvalConfig
from slimzoo.evaluation.evaluate import check, evaluate
from slimzoo.model import checkpoints, training_state
from slimzoo.model import info as model_info

_POLL_SECS = 1
_COLUMNS: tuple[str, ...] = (
    "model_name",
    "global_step",
    "count",
    "top_1",
    "top_5",
    "loss",
    "dataset_name",
    "dataset_split_name",
    "moving_averages",
    "image_size",
    "preprocessing_name",
    "labels_offset",
    "quantize",
    "precision",
    "central_fraction",
    "crops",
    "flip",
    "max_num_batches",
    "checkpoint",
)


def evaluate_all(config: EvalConfig) -> Iterator[dict[str, Any]]:
    """Evaluates the one or more networks that `config` asks for.

    Yields:
      The result of `evaluate` for each, after it was added to `results_csv`.

    Raises:
      UserError: for what the user can fix.
    """
    check(config)
    failed = []
    for one in _each(config):
        try:
            results = evaluate(one)
        except UserError as error:
            if one == config:  # The only one.
                raise
            logging.error(f"{one.checkpoint_path}: {error}")
            failed.append(one.checkpoint_path)
            continue
        if config.results_csv:
            _append(pathlib.Path(config.results_csv), results)
        yield results
    if failed:
        raise UserError(f"could not evaluate {', '.join(failed)}")


def _each(config: EvalConfig) -> Iterator[EvalConfig]:
    several = re.search(r"[,*?\[]", config.model_name or "")
    ways = {
        "--graph": config.graph,
        "--all_checkpoints": config.all_checkpoints,
        "--watch": config.watch,
        "several models in --model_name": several,
    }
    wanted = [way for way, is_wanted in ways.items() if is_wanted]
    if len(wanted) > 1:
        raise UserError(f"{' and '.join(wanted)} do not go together: give one of them")
    if several:
        yield from _models(config)
    elif config.all_checkpoints or config.watch:
        directory = config.checkpoint_path
        is_there = tf.gfile.IsDirectory(directory)
        may_come = config.watch and not (
            tf.gfile.Exists(directory) or checkpoints.is_there(directory)
        )
        if not is_there and not may_come:
            raise UserError(
                "--all_checkpoints and --watch need a directory of checkpoints, and "
                f"--checkpoint_path={directory} is none"
            )
        found = _watched(config) if config.watch else checkpoints.all_in(directory)
        for checkpoint in found:
            yield dataclasses.replace(config, checkpoint_path=checkpoint)
    else:
        yield config


def _watched(config: EvalConfig) -> Iterator[str]:
    """Each new checkpoint of a directory, which may not exist yet."""
    directory = config.checkpoint_path
    seen = None
    waiting_since = time.monotonic()
    logging.info(f"Waiting for checkpoints in {directory}")
    while True:
        # In this order: the last checkpoint is written before training ends.
        ended = training_state.has_ended(directory)
        latest = checkpoints.latest(directory)
        if latest and latest != seen and checkpoints.is_there(latest):
            seen = latest
            yield latest
            waiting_since = time.monotonic()
        elif ended:
            logging.info(f"Training in {directory} has ended")
            return
        elif time.monotonic() - waiting_since > config.watch_timeout_secs:
            logging.warning(
                f"No new checkpoint in {directory} for {config.watch_timeout_secs:d} "
                "seconds: not waiting any longer"
            )
            return
        else:
            time.sleep(_POLL_SECS)


def _models(config: EvalConfig) -> Iterator[EvalConfig]:
    """A config for each model below a directory whose network is wanted."""
    patterns = [p.strip() for p in (config.model_name or "").split(",") if p.strip()]
    for pattern in patterns:
        if not fnmatch.filter(NETWORKS, pattern):
            NETWORKS[pattern]  # Raises, and suggests close names.
    found = 0
    for directory in _directories(config.checkpoint_path):
        name = _network_in(directory)
        if name and any(fnmatch.fnmatchcase(name, p) for p in patterns):
            found += 1
            yield dataclasses.replace(
                config,
                model_name=name,
                checkpoint_path=str(directory),
                eval_dir=str(pathlib.Path(config.eval_dir) / directory.name),
            )
    if not found:
        raise UserError(
            f"no model of --model_name={config.model_name} in the directories of "
            f"--checkpoint_path={config.checkpoint_path}: "
            f"{files.listing(config.checkpoint_path)}. Each should hold a checkpoint "
            "and model.json, or be named after its network"
        )


def _directories(parent: str) -> list[pathlib.Path]:
    if not pathlib.Path(parent).is_dir():
        raise UserError(f"--checkpoint_path={parent} is not a directory of models")
    return sorted(path for path in pathlib.Path(parent).iterdir() if path.is_dir())


def _network_in(directory: pathlib.Path) -> str | None:
    """The network whose checkpoint is in `directory`; None if there is none."""
    try:
        checkpoints.find(str(directory))
    except UserError:
        return None
    name = model_info.read(str(directory)).get("model_name", directory.name)
    return name if name in NETWORKS else None


def _append(path: pathlib.Path, results: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(results)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"--results_csv: cannot write {path}: {error}") from error
