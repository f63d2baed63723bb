"""Training: from a config to checkpoints."""

import dataclasses
import pathlib
from collections.abc import Sequence
from contextlib import nullcontext

import tensorflow.compat.v1 as tf
from absl import logging

from datasets import dataset_factory
from datasets.reading import pipeline, preflight
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
from slimzoo.training import hooks, start_report, validation, warm_start
from slimzoo.training.cluster import join
from slimzoo.training.cluster import session as cluster_session
from slimzoo.training.graph import Dataset, TrainGraph

# For threads of queues that never end by themselves; waiting longer helps nobody.
STOP_GRACE_SECS = 5


def train(
    config: TrainConfig, extra_hooks: Sequence[tf.train.SessionRunHook] = ()
) -> None:
    """Trains a network as `config` says; checkpoints go to its `train_dir`.

    Goes on from the latest checkpoint in `train_dir`, if there is one.

    Args:
      config: options.
      extra_hooks: of the session, for programs that watch or end it.

    Raises:
      UserError: for what the user can mend.
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
    """Trains; whether it came to its end, instead of being stopped by a signal."""
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
        saver = tf.train.Saver(  # Relative paths, so that train_dir may be moved.
            max_to_keep=config.keep_checkpoints, save_relative_paths=True
        )
        start_report.tell(config, info, dataset, deployment, graph, warm)
        if config.task == 0:
            checkpoints.adopt(config.train_dir)
            _write_records(given, info)
        with (
            _told_to_others(config),
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
    best = pathlib.Path(config.train_dir, checkpoints.BEST)
    logging.info(
        "%s at step %d; checkpoints are in %s%s",
        *(stop_on_signals.reason or "Finished", reached, config.train_dir),
        f", the best one in {best}" if best.exists() else "",
    )
    return stop_on_signals.reason is None


def _told_to_others(config):
    """Those who watch for checkpoints hear when there will be no more."""
    is_chief = config.task == 0
    return training_state.running(config.train_dir) if is_chief else nullcontext()


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
            "Nothing to do: %s is at step %d of %d already. Raise "
            "--max_number_of_steps to train on, or give another --train_dir.",
            *(checkpoint, step, config.max_number_of_steps),
        )
    return finished


def _model_and_data(
    config: TrainConfig, own_checkpoint: str | None, start: str | None
) -> tuple[ModelInfo, Dataset]:
    if own_checkpoint:
        record = model_info.read(config.train_dir)
    else:
        record = warm_start.record_of(start) if start else {}
    info = model_info.settle(config, record, config.train_image_size)
    dataset = dataset_factory.get_dataset(
        info.dataset_name, config.dataset_split_name, config.dataset_dir or ""
    )
    if config.quantize_delay >= 0:  # Else as the checkpoint that it goes on from.
        info = dataclasses.replace(info, quantize=True)
    if info.quantize and config.precision != "float32":
        raise UserError(
            f"--quantize_delay does not go with --precision={config.precision}: what "
            "computes as if in 8 bits has to do so in float32"
        )
    info = model_info.with_classes(info, dataset)
    dataset, _ = preflight.prepare(
        dataset,
        info.labels_offset,
        *(config.dataset_dir or "", config.dataset_split_name, config.skip_bad_records),
    )
    return info, dataset


def _write_records(config: TrainConfig, info: ModelInfo) -> None:
    """What later steps need to know, and what would repeat this one."""
    info.write(config.train_dir)
    options = dataclasses.asdict(config)
    write_json(pathlib.Path(config.train_dir) / "config.json", options)


def _hooks(
    config: TrainConfig,
    info: ModelInfo,
    dataset: Dataset,
    graph: TrainGraph,
    saver: tf.train.Saver,
) -> list[tf.train.SessionRunHook]:
    """In the order in which they look at a step."""
    is_chief = config.task == 0
    history = History(config.train_dir)
    chosen = [
        hooks.StopOnNan(graph.told["loss"], config.train_dir),
        hooks.Progress(
            graph.train_op,
            graph.told,
            pictures_per_step=start_report.global_batch(config),
            every_n_steps=config.log_every_n_steps,
            last_step=config.max_number_of_steps,
            history=history if is_chief else None,
        ),
    ]
    if config.max_number_of_steps is not None:
        chosen.append(tf.train.StopAtStepHook(last_step=config.max_number_of_steps))
    if is_chief:
        evaluation = validation.wanted(config, info, dataset.num_samples, history)
        extras = (
            {"every_steps": evaluation.every_steps, "after_save": evaluation}
            if evaluation
            else {}
        )
        # After the check of the loss: what is not a number is not saved.
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
        # Otherwise there would be another, with operations of its own. So this one also
        # learns of the checkpoints that are there, and deletes those beyond
        # --keep_checkpoints.
        saver=saver if is_chief else None,
        # What the chief has just made need not be looked for twice: `ready_op`, which
        # comes next, looks for all of it. The others wait for it.
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
    """Takes steps until a hook says stop; the step reached, None without any."""

    def accumulate_and_step(step_context):
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
