"""Training: from a config to checkpoints."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory
from datasets.reading import pipeline, preflight
from datasets.storage import manifests
from datasets.storage.split import StoredSplit
from slimbase.errors import UserError
from slimbase.files import write_json
from slimbase.graph import classic_graph, explained_memory_errors
from slimzoo.config.train import TrainConfig
from slimzoo.inference import precision
from slimzoo.model import checkpoints, training_state
from slimzoo.model import info as model_info
from slimzoo.model.history import History
from slimzoo.model.info import ModelInfo
from slimzoo.training import graph as train_graph
from slimzoo.training import hooks, mirroring, validation, warm_start
from slimzoo.training.cluster import join
from slimzoo.training.cluster import session as cluster_session
from slimzoo.training.graph import TrainGraph
from slimzoo.training.start_report import StartReport

# Threads of queues never end by themselves: longer waiting is of no use.
STOP_GRACE_SECS = 5


def train(
    config: TrainConfig, extra_hooks: Sequence[tf.train.SessionRunHook] = ()
) -> None:
    """Trains a network as `config` says; writes checkpoints to its `train_dir`.

    Goes on from the latest checkpoint in `train_dir`, if there is one.

    Args:
      config: options.
      extra_hooks: hooks of the session, for programs that watch or end it.

    Raises:
      UserError: for problems that the user can fix.
    """
    _check(config)
    joined = join.join(config)
    if joined is not None and _train(joined, config, extra_hooks):
        join.finish(joined)


def _train(
    config: TrainConfig,
    given: TrainConfig,
    extra_hooks: Sequence[tf.train.SessionRunHook],
) -> bool:
    """Trains; returns whether training came to its end and no signal stopped it."""
    own_checkpoint = checkpoints.latest(config.train_dir)
    if own_checkpoint and _is_finished(config, own_checkpoint):
        return True
    start = warm_start.starting_checkpoint(config, own_checkpoint)
    info, dataset = _model_and_data(config, own_checkpoint, start)
    config = warm_start.with_finetuning(config, info)
    deployment = join.deployment(config)
    precision.check(config, deployment.clone_on_cpu)
    seed = None if config.seed is None else config.seed + config.task
    with classic_graph(seed):
        graph = train_graph.build(config, info, dataset, deployment, seed)
        info = dataclasses.replace(info, channels=graph.channels)
        warm = warm_start.plan(config, info, start)
        warm_start.check_resume(config, own_checkpoint)
        # With relative paths, train_dir may be moved.
        saver = tf.train.Saver(
            max_to_keep=config.keep_checkpoints, save_relative_paths=True
        )
        StartReport(config, info, dataset, deployment, graph, warm).log()
        if config.task == 0:
            checkpoints.adopt(config.train_dir)
            _write_records(given, info)
        with (
            _marked_as_running(config),
            warm_start.explained_errors(own_checkpoint),
            checkpoints.explained_save_errors(config.train_dir),
            explained_memory_errors(config.batch_size),
            precision.operation_lists(config.precision),
            hooks.stopping_on_signals() as stop_on_signals,
            cluster_session.ending_when_blocked(config, stop_on_signals),
        ):
            session_hooks = [
                *graph.hooks,
                *_hooks(config, info, dataset, graph, saver),
                *join.hooks(config, graph.train_op),
                *extra_hooks,
            ]
            if not cluster_session.leaves_late(config):
                session_hooks.append(stop_on_signals)
            with _session(config, warm.init_fn, saver, session_hooks) as session:
                with pipeline.explained_errors(dataset, info.labels_offset):
                    reached = _steps(config, graph, session)
    if reached is None:
        raise UserError(f"there are no records in {config.dataset_dir}")
    _log_end(config, stop_on_signals.reason or "Finished", reached)
    return stop_on_signals.reason is None


def _log_end(config: TrainConfig, reason: str, step: int) -> None:
    best = pathlib.Path(config.train_dir, checkpoints.BEST)
    logging.info(
        f"{reason} at step {step}; checkpoints are in {config.train_dir}"
        + (f", the best one in {best}" if best.exists() else "")
    )


def _marked_as_running(
    config: TrainConfig,
) -> contextlib.AbstractContextManager[None]:
    """Marks the directory as in training, so that --watch knows when to end."""
    if config.task > 0:  # The chief does.
        return contextlib.nullcontext()
    return training_state.running(config.train_dir)


def _check(config: TrainConfig) -> None:
    if not config.dataset_dir:
        raise UserError(
            "--dataset_dir is missing: give the directory of the data set's records, "
            "as made by download_and_convert_data.py"
        )
    validation.check(config)


def _is_finished(config: TrainConfig, checkpoint: str) -> bool:
    step = checkpoints.step_of(checkpoint)
    finished = (
        config.max_number_of_steps is not None and step >= config.max_number_of_steps
    )
    if finished:
        logging.warning(
            f"Nothing to do: {checkpoint} is at step {step} of "
            f"{config.max_number_of_steps} already. Raise --max_number_of_steps to "
            "train on, or give another --train_dir."
        )
    return finished


def _model_and_data(
    config: TrainConfig, own_checkpoint: str | None, start: str | None
) -> tuple[ModelInfo, StoredSplit]:
    if own_checkpoint:
        record = model_info.read(config.train_dir)
    else:
        record = warm_start.record_of(start) if start else {}
    manifest = manifests.read_manifest(config.dataset_dir)
    info = model_info.settle(config, record, config.train_image_size, manifest)
    dataset = dataset_factory.describe(
        info.dataset_name, config.dataset_dir, manifest
    ).open_split(config.dataset_split_name, manifest)
    if config.distortions:  # Otherwise as recorded.
        info = dataclasses.replace(info, distortions=config.distortions.as_record())
    if config.quantize_delay >= 0:  # Otherwise as in the checkpoint to go on from.
        info = dataclasses.replace(info, quantize=True)
    if info.quantize and config.precision != "float32":
        raise UserError(
            f"--quantize_delay does not go with --precision={config.precision}: what "
            "computes as if in 8 bits has to do so in float32"
        )
    info = model_info.with_classes(info, dataset)
    mirroring.warn(info)
    dataset, _ = preflight.prepare(dataset, info.labels_offset, config.skip_bad_records)
    return info, dataset


def _write_records(config: TrainConfig, info: ModelInfo) -> None:
    """Writes model.json, which later commands read, and config.json, to repeat this."""
    info.write(config.train_dir)
    options = dataclasses.asdict(config)
    write_json(pathlib.Path(config.train_dir) / "config.json", options)


def _hooks(
    config: TrainConfig,
    info: ModelInfo,
    dataset: StoredSplit,
    graph: TrainGraph,
    saver: tf.train.Saver,
) -> list[tf.train.SessionRunHook]:
    """The hooks, in the order in which they see a step."""
    is_chief = config.task == 0
    history = History(config.train_dir)
    chosen = [
        hooks.StopOnNan(graph.scalars["loss"], config.train_dir),
        hooks.Progress(
            graph.train_op,
            graph.scalars,
            images_per_step=config.global_batch,
            every_n_steps=config.log_every_n_steps,
            last_step=config.max_number_of_steps,
            history=history if is_chief else None,
        ),
    ]
    if config.max_number_of_steps is not None:
        chosen.append(tf.train.StopAtStepHook(last_step=config.max_number_of_steps))
    if is_chief:
        evaluator = validation.prepared(config, info, dataset, history)
        extras = (
            {"every_steps": evaluator.every_steps, "after_save": evaluator}
            if evaluator
            else {}
        )
        # It comes after the check of the loss, so that nan is not saved.
        chosen.append(
            hooks.SaveCheckpoints(
                config.train_dir,
                saver,
                every_secs=config.save_interval_secs,
                **extras,
            )
        )
    return chosen


def _session(
    config: TrainConfig,
    init_fn: warm_start.InitFn | None,
    saver: tf.train.Saver,
    session_hooks: list[tf.train.SessionRunHook],
) -> tf.train.MonitoredSession:
    is_chief = config.task == 0
    scaffold = tf.train.Scaffold(
        init_fn=init_fn,
        summary_op=tf.summary.merge_all(),
        # Without it TensorFlow makes another saver, with operations of its own. It also
        # learns of the checkpoints that are there, to delete those beyond
        # --keep_checkpoints.
        saver=saver if is_chief else None,
        # The chief need not check twice which variables have values: `ready_op`, which
        # comes next, checks all of them. The other workers wait for them here.
        ready_for_local_init_op=tf.constant([], tf.string) if is_chief else None,
    )
    options = precision.configure(join.session_config(config), config.precision)
    if not is_chief:
        return tf.train.MonitoredSession(
            cluster_session.WaitForChief(config.master, scaffold, options),
            session_hooks,
            stop_grace_period_secs=STOP_GRACE_SECS,
        )
    return tf.train.MonitoredTrainingSession(
        config.master,
        checkpoint_dir=config.train_dir,
        scaffold=scaffold,
        hooks=session_hooks,
        save_checkpoint_secs=None,
        save_checkpoint_steps=None,
        save_summaries_steps=None,
        save_summaries_secs=config.save_summaries_secs,
        log_step_count_steps=None,
        stop_grace_period_secs=STOP_GRACE_SECS,
        config=options,
    )


def _steps(
    config: TrainConfig, graph: TrainGraph, session: tf.train.MonitoredSession
) -> int | None:
    """Takes steps until a hook stops them; the step reached, None without any."""

    def accumulate_and_step(step_context: Any) -> int:
        for _ in range(config.accumulate_gradients - 1):
            step_context.session.run(graph.accumulate_op)
        return step_context.run_with_hooks(graph.train_op)

    reached = None
    while not session.should_stop():
        if graph.accumulate_op is None:
            reached = session.run(graph.train_op)
        else:
            reached = session.run_step_fn(accumulate_and_step)
    return reached
