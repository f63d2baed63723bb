"""The start of training: a checkpoint or none, and the variables to train."""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from nets.registry import NETWORKS
from slimbase import files
from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.model import checkpoints, quantize, scopes
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo

InitFn = Callable[[Any, tf.Session], None]
# A network that starts from a checkpoint gets the input that the checkpoint is for.
_INHERITED = (
    "model_name",
    "image_size",
    "preprocessing_name",
    "use_grayscale",
    "network_arguments",
)


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
            f"WARNING: --checkpoint_path={config.checkpoint_path} is ignored: "
            f"{config.train_dir} already holds a checkpoint, and training goes on from "
            f"that one, at step {step}. To start from --checkpoint_path, give another "
            "--train_dir."
        )
    else:
        logging.info(f"Resuming from {own}, step {step}")
    return None


def record_of(checkpoint: str) -> model_info.Record:
    """The facts in the model.json beside `checkpoint` for a network that starts there.

    The facts about its data set's classes are left out.
    """
    record = model_info.read(files.parent(checkpoint))
    return {key: record[key] for key in _INHERITED if key in record}


def with_finetuning(config: TrainConfig, info: ModelInfo) -> TrainConfig:
    """`config` with the scopes that its `finetune` implies; given scopes win.

    Raises:
      UserError: for an unknown value, or without a checkpoint to start from.
    """
    if config.finetune is None:
        return config
    if config.finetune not in ("head", "all"):
        raise UserError(f"--finetune={config.finetune}: expected head or all")
    if not config.checkpoint_path:
        raise UserError(
            "--finetune needs --checkpoint_path: a checkpoint to start from"
        )
    classifier = ",".join(NETWORKS[info.model_name].classifier_scopes)
    trainable = config.trainable_scopes
    if trainable is None and config.finetune == "head":
        trainable = classifier
    excluded = config.checkpoint_exclude_scopes
    return dataclasses.replace(
        config,
        checkpoint_exclude_scopes=classifier if excluded is None else excluded,
        trainable_scopes=trainable,
    )


@dataclasses.dataclass(frozen=True)
class Plan:
    """The origin of the values of model variables.

    Attributes:
      checkpoint: checkpoint to restore; None for none.
      restored: names of the variables that are restored.
      new: reasons by name of the variables that start anew.
      init_fn: function that restores variables, for `tf.train.Scaffold`; None without
        a checkpoint.
    """

    checkpoint: str | None
    restored: Sequence[str]
    new: Mapping[str, str]
    init_fn: InitFn | None


def plan(config: TrainConfig, info: ModelInfo, checkpoint: str | None) -> Plan:
    """Plans the warm start of the network in the default graph.

    Args:
      config: options, with the scopes to leave out.
      info: facts about the network.
      checkpoint: checkpoint to restore; None for none.

    Raises:
      UserError: when a scope matches no variable, the scopes match all of them, or
        the checkpoint does not fit.
    """
    flag = "checkpoint_exclude_scopes"
    excluded = scopes.split(flag, config.checkpoint_exclude_scopes)
    variables = {v.op.name: v for v in slim.get_model_variables()}
    scopes.check(flag, excluded, list(variables))
    if checkpoint is None:
        return Plan(None, [], dict.fromkeys(variables, "no checkpoint"), None)
    wanted = {
        name: v for name, v in variables.items() if not name.startswith(tuple(excluded))
    }
    classifier_scopes = NETWORKS[info.model_name].classifier_scopes
    if not wanted:
        raise UserError(
            f"--{flag}={config.checkpoint_exclude_scopes} leaves nothing to restore; "
            "to start anew, leave --checkpoint_path out"
        )
    available = checkpoints.shapes(checkpoint)
    fitting = quantize.names_in(wanted, available)
    restored = checkpoints.fitting(
        # Checkpoints of float networks have no ranges; training learns them.
        {
            n: v
            for n, v in fitting.items()
            if n in available or not quantize.is_range(n)
        },
        checkpoint,
        classifier_scopes=classifier_scopes,
        advice="to fine-tune, leave its classifier out with --finetune=head, "
        f"--finetune=all or --checkpoint_exclude_scopes={','.join(classifier_scopes)}; "
        "if it merely has "
        "no background class, give --labels_offset=1.",
        missing_advice=" To start them anew, give --ignore_missing_vars.",
        ignore_missing=config.ignore_missing_vars,
    )
    restore = checkpoints.restorer(restored, checkpoint)
    known = [variable.op.name for variable in restored.values()]
    return Plan(
        checkpoint,
        known,
        {name: _why_new(name, wanted) for name in variables if name not in known},
        lambda scaffold, session: restore(session),
    )


def _why_new(name: str, wanted: Collection[str]) -> str:
    if name not in wanted:
        return "excluded"
    return "ranges of 8 bits" if quantize.is_range(name) else "not in the checkpoint"


def variables_to_train(config: TrainConfig) -> list[tf.Variable]:
    """The trainable variables in `trainable_scopes`, by default all.

    Raises:
      UserError: when a scope matches no trainable variable.
    """
    flag = "trainable_scopes"
    trainable = scopes.split(flag, config.trainable_scopes)
    variables = tf.trainable_variables()
    scopes.check(flag, trainable, [v.op.name for v in variables])
    if not trainable:
        return variables
    return [v for v in variables if v.op.name.startswith(tuple(trainable))]


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
    """Explains failures to resume from `own`; see `checkpoints.explained_errors`."""
    return checkpoints.explained_errors(own) if own else contextlib.nullcontext()
