"""Where training starts, and what it trains."""

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from nets.registry import NETWORKS
from slimzoo import checkpoints
from slimzoo.config import TrainConfig
from slimzoo.errors import UserError
from slimzoo.model_info import ModelInfo


def starting_checkpoint(config: TrainConfig, own: str | None) -> str | None:
    """The checkpoint to warm start from; None to start anew or to resume.

    The checkpoint in `train_dir`, `own`, wins over `checkpoint_path`, with a warning.

    Raises:
      UserError: when `checkpoint_path` names no checkpoint.
    """
    if not own:
        path = config.checkpoint_path
        return checkpoints.find(path) if path else None
    step = checkpoints.step_of(own)
    if config.checkpoint_path:
        logging.warning(
            "WARNING: --checkpoint_path=%s is ignored: %s already holds a checkpoint, "
            "and training goes on from that one, at step %d. To start from "
            "--checkpoint_path, give another --train_dir.",
            config.checkpoint_path,
            config.train_dir,
            step,
        )
    else:
        logging.info("Resuming from %s, step %d", own, step)
    return None


def init_fn(
    config: TrainConfig, info: ModelInfo, checkpoint: str | None
) -> Callable[[Any, tf.Session], None] | None:
    """An `init_fn` for `tf.train.Scaffold` that restores model variables.

    Args:
      config: says which scopes to leave out, and whether missing variables may be.
      info: of the network in the default graph.
      checkpoint: what to restore; None for nothing.

    Raises:
      UserError: when a scope matches no variable, the scopes match all of them, or
        the checkpoint does not fit.
    """
    flag = "checkpoint_exclude_scopes"
    excluded = checkpoints.split_scopes(flag, config.checkpoint_exclude_scopes)
    variables = {v.op.name: v for v in slim.get_model_variables()}
    checkpoints.check_scopes(flag, excluded, list(variables))
    if checkpoint is None:
        return None
    wanted = {
        name: v for name, v in variables.items() if not name.startswith(tuple(excluded))
    }
    classifier_scopes = NETWORKS[info.model_name].classifier_scopes
    if not wanted:
        raise UserError(
            f"--{flag}={config.checkpoint_exclude_scopes} leaves nothing to restore; "
            "to start anew, leave --checkpoint_path out"
        )
    restored = checkpoints.fitting(
        wanted,
        checkpoint,
        classifier_scopes=classifier_scopes,
        advice="to fine-tune, leave its classifier out with "
        f"--checkpoint_exclude_scopes={','.join(classifier_scopes)}; if it merely has "
        "no background class, give --labels_offset=1.",
        missing_advice=" To start them anew, give --ignore_missing_vars.",
        ignore_missing=config.ignore_missing_vars,
    )
    logging.info(
        "Starting from %s: %d variables restored, %d start anew",
        checkpoint,
        len(restored),
        len(variables) - len(restored),
    )
    restore = checkpoints.restorer(restored, checkpoint)
    return lambda scaffold, session: restore(session)


def variables_to_train(config: TrainConfig) -> list[tf.Variable]:
    """The trainable variables in `trainable_scopes`, by default all.

    Raises:
      UserError: when a scope matches no trainable variable.
    """
    flag = "trainable_scopes"
    scopes = checkpoints.split_scopes(flag, config.trainable_scopes)
    variables = tf.trainable_variables()
    if not scopes:
        return variables
    checkpoints.check_scopes(flag, scopes, [v.op.name for v in variables])
    chosen = [v for v in variables if v.op.name.startswith(tuple(scopes))]
    logging.info("Training %d of %d variables", len(chosen), len(variables))
    return chosen


def check_resume(config: TrainConfig, own: str | None) -> None:
    """Checks that the graph's variables are all in `own`, train_dir's checkpoint.

    Raises:
      UserError: when another network or optimizer has written it.
    """
    if own is None:
        return
    variables = {v.op.name: v for v in tf.global_variables()}
    try:
        checkpoints.fitting(variables, own, advice="")
    except UserError as error:
        raise UserError(
            f"cannot resume in --train_dir={config.train_dir}: {error} Give the flags "
            "it was trained with, or another --train_dir."
        ) from error


def explained_errors(own: str | None) -> contextlib.AbstractContextManager[None]:
    """Turns what fails in resuming from `own` into an error for the user."""
    return checkpoints.explained_errors(own) if own else contextlib.nullcontext()
