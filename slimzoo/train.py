"""Training: from a config to checkpoints."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from datasets import dataset_factory, input_pipeline
from deployment import model_deploy
from nets import nets_factory
from preprocessing import preprocessing_factory
from slimzoo import batch_norm, checkpoints, hooks, model_info, optimizers, warm_start
from slimzoo.config import TrainConfig
from slimzoo.errors import UserError
from slimzoo.graph import classic_graph, session_config
from slimzoo.model_info import ModelInfo

AUXILIARY_LOSS_WEIGHT = 0.4
# The queue of sync_replicas never ends by itself; waiting longer helps nobody.
STOP_GRACE_SECS = 5

Dataset = Any  # slim.dataset.Dataset
Batch = tuple[tf.Tensor, tf.Tensor]


def train(config: TrainConfig) -> None:
    """Trains a network as `config` says; checkpoints go to its `train_dir`.

    Goes on from the latest checkpoint in `train_dir`, if there is one.

    Raises:
      UserError: for what the user can mend.
    """
    _check(config)
    cluster = _cluster(config)
    own_checkpoint = checkpoints.latest(config.train_dir)
    if own_checkpoint and _is_finished(config, own_checkpoint):
        return
    start = warm_start.starting_checkpoint(config, own_checkpoint)
    info, dataset = _model_and_data(config, resuming=own_checkpoint is not None)

    seed = None if config.seed is None else config.seed + config.task
    with classic_graph(seed):
        with tf.device(cluster.variables_device()):
            step = tf.train.create_global_step()
        batches = _batches(config, info, dataset, cluster, seed)
        network_fn = _network(config, info, step)
        clones = model_deploy.create_clones(
            cluster, _clone_fn(config, info, network_fn), [iter(batches)]
        )
        init_fn = warm_start.init_fn(config, info, start)
        rate = optimizers.learning_rate(config, step, dataset.num_samples)
        train_op, loss, sync_hooks = _train_op(
            config, info, cluster, clones, rate, step
        )
        warm_start.check_resume(config, own_checkpoint)
        _summarize(clones[0], loss, rate)

        info = dataclasses.replace(info, channels=batches[0][0].shape.as_list()[-1])
        if config.task == 0:
            info.write(config.train_dir)
        with warm_start.explained_errors(own_checkpoint):
            session = _session(
                config, init_fn, [*sync_hooks, *_hooks(config, train_op, loss, rate)]
            )
        reached = None
        with session, input_pipeline.explained_errors():
            while not session.should_stop():
                reached = session.run(train_op)
    if reached is None:
        raise UserError(f"there are no records in {config.dataset_dir}")
    logging.info(
        "Finished at step %d; checkpoints are in %s", reached, config.train_dir
    )


def _check(config: TrainConfig) -> None:
    if not config.dataset_dir:
        raise UserError(
            "--dataset_dir is missing: give the directory of the data set's records, "
            "as made by download_and_convert_data.py"
        )
    if config.master not in ("", "local") and "://" not in config.master:
        raise UserError(
            f"--master={config.master} is no address of a TensorFlow server: give "
            "one like grpc://localhost:2222, or leave it out"
        )
    if config.quantize_delay >= 0:
        raise UserError(
            "--quantize_delay: quantization-aware training is not available; train "
            "without it"
        )


def _cluster(config: TrainConfig) -> model_deploy.DeploymentConfig:
    on_cpu = config.clone_on_cpu
    if not (on_cpu or config.master):
        gpus = len(tf.config.list_physical_devices("GPU"))
        if gpus == 0:
            logging.info("There is no GPU: training on the CPU, as with --clone_on_cpu")
            on_cpu = True
        elif gpus < config.num_clones:
            raise UserError(
                f"--num_clones={config.num_clones} needs as many GPUs, but there are "
                f"{gpus}; give fewer clones, or --clone_on_cpu"
            )
    return model_deploy.DeploymentConfig(
        num_clones=config.num_clones,
        clone_on_cpu=on_cpu,
        replica_id=config.task,
        num_replicas=config.worker_replicas,
        num_ps_tasks=config.num_ps_tasks,
    )


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


def _model_and_data(config: TrainConfig, resuming: bool) -> tuple[ModelInfo, Dataset]:
    record = model_info.read(config.train_dir) if resuming else {}
    info = model_info.settle(config, record, config.train_image_size)
    dataset = dataset_factory.get_dataset(
        info.dataset_name, config.dataset_split_name, config.dataset_dir or ""
    )
    info = model_info.with_classes(info, dataset)
    logging.info(
        "Training %s on %s %s: %d images, %d classes, %dx%d, preprocessing %s",
        *(info.model_name, info.dataset_name, config.dataset_split_name),
        *(dataset.num_samples, info.num_classes, info.image_size, info.image_size),
        info.preprocessing_name,
    )
    return info, dataset


def _batches(
    config: TrainConfig,
    info: ModelInfo,
    dataset: Dataset,
    cluster: model_deploy.DeploymentConfig,
    seed: int | None,
) -> list[Batch]:
    preprocess = preprocessing_factory.get_preprocessing(
        info.preprocessing_name,
        is_training=True,
        use_grayscale=info.use_grayscale,
        height=info.image_size,
        width=info.image_size,
    )
    with tf.device(cluster.inputs_device()):
        batches = input_pipeline.train_batches(
            dataset,
            preprocess,
            config.batch_size,
            labels_offset=info.labels_offset,
            num_readers=config.num_readers,
            num_threads=config.num_preprocessing_threads,
            seed=seed,
        )
        return input_pipeline.next_batches(batches, cluster.num_clones)


def _network(
    config: TrainConfig, info: ModelInfo, step: tf.Variable
) -> Callable[..., Any]:
    def adapt_arg_scope(scope):
        return (
            batch_norm.grow_decay(scope, step)
            if config.grow_batch_norm_decay
            else scope
        )

    return nets_factory.get_network_fn(
        info.model_name,
        info.num_classes,
        weight_decay=config.weight_decay,
        is_training=True,
        adapt_arg_scope=adapt_arg_scope,
    )


def _clone_fn(
    config: TrainConfig, info: ModelInfo, network_fn: Callable[..., Any]
) -> Callable[[Iterator[Batch]], dict[str, tf.Tensor]]:
    def clone_fn(batches):
        images, labels = next(batches)
        logits, end_points = network_fn(images)
        one_hot = tf.one_hot(labels, info.num_classes)
        if "AuxLogits" in end_points:
            tf.losses.softmax_cross_entropy(
                one_hot,
                end_points["AuxLogits"],
                weights=AUXILIARY_LOSS_WEIGHT,
                label_smoothing=config.label_smoothing,
                scope="aux_loss",
            )
        tf.losses.softmax_cross_entropy(
            one_hot, logits, label_smoothing=config.label_smoothing
        )
        return end_points

    return clone_fn


def _train_op(
    config: TrainConfig,
    info: ModelInfo,
    cluster: model_deploy.DeploymentConfig,
    clones: list[model_deploy.Clone],
    rate: tf.Tensor,
    step: tf.Variable,
) -> tuple[tf.Tensor, tf.Tensor, list[tf.train.SessionRunHook]]:
    """What a session runs: the step reached, the total loss; and hooks it needs."""
    averages = None
    if info.moving_average_decay:
        averages = tf.train.ExponentialMovingAverage(info.moving_average_decay, step)
    sync_hooks = []
    with tf.device(cluster.optimizer_device()):
        optimizer = optimizers.make(config, rate)
        if config.sync_replicas:
            optimizer = tf.train.SyncReplicasOptimizer(
                optimizer,
                config.replicas_to_aggregate,
                config.worker_replicas,
                variable_averages=averages,
                variables_to_average=slim.get_model_variables() if averages else None,
            )
            sync_hooks = [optimizer.make_session_run_hook(config.task == 0)]
    loss, gradients = model_deploy.optimize_clones(
        clones, optimizer, var_list=warm_start.variables_to_train(config)
    )
    # Batch norm's: those of other clones would update the same moving averages.
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
    updates.append(optimizer.apply_gradients(gradients, step))
    if averages and not config.sync_replicas:  # There the chief updates them.
        with tf.control_dependencies(updates):
            updates.append(averages.apply(slim.get_model_variables()))
    with tf.control_dependencies(updates):
        return step.read_value(), loss, sync_hooks


def _summarize(clone: model_deploy.Clone, loss: tf.Tensor, rate: tf.Tensor) -> None:
    for name, value in clone.outputs.items():
        tf.summary.histogram(f"activations/{name}", value)
        tf.summary.scalar(f"sparsity/{name}", tf.nn.zero_fraction(value))
    for part in tf.losses.get_losses(clone.scope):
        tf.summary.scalar(f"losses/{part.op.name}", part)
    for variable in slim.get_model_variables():
        tf.summary.histogram(variable.op.name, variable)
    tf.summary.scalar("learning_rate", rate)
    tf.summary.scalar("total_loss", loss)


def _hooks(
    config: TrainConfig, step: tf.Tensor, loss: tf.Tensor, rate: tf.Tensor
) -> list[tf.train.SessionRunHook]:
    chosen = [
        hooks.StopOnNan(loss),
        hooks.Progress(
            step,
            loss,
            rate,
            pictures_per_step=config.batch_size * config.num_clones,
            every_n_steps=config.log_every_n_steps,
            last_step=config.max_number_of_steps,
        ),
    ]
    if config.max_number_of_steps is not None:
        chosen.append(tf.train.StopAtStepHook(last_step=config.max_number_of_steps))
    return chosen


def _session(
    config: TrainConfig,
    init_fn: Callable[..., None] | None,
    session_hooks: list[tf.train.SessionRunHook],
) -> tf.train.MonitoredSession:
    # So that train_dir may be moved or copied.
    saver = tf.train.Saver(save_relative_paths=True)
    return tf.train.MonitoredTrainingSession(
        config.master,
        is_chief=config.task == 0,
        checkpoint_dir=config.train_dir,
        scaffold=tf.train.Scaffold(
            init_fn=init_fn, summary_op=tf.summary.merge_all(), saver=saver
        ),
        hooks=session_hooks,
        save_checkpoint_secs=config.save_interval_secs,
        save_summaries_steps=None,
        save_summaries_secs=config.save_summaries_secs,
        log_step_count_steps=None,
        stop_grace_period_secs=STOP_GRACE_SECS,
        config=session_config(),
    )
