"""The graph of training: from record files to the operation that takes a step."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets.reading import pipeline
from datasets.storage.split import StoredSplit
from deployment import model_deploy
from preprocessing import augmentation, ops
from slimzoo.config.train import TrainConfig
from slimzoo.inference import precision
from slimzoo.model.info import ModelInfo
from slimzoo.training import batch_norm, class_weights, optimizers, warm_start
from slimzoo.training.cluster.session import SyncReplicas

AUXILIARY_LOSS_WEIGHT = 0.4
_EXAMPLES_IN_SUMMARIES = 3

Batch = tuple[tf.Tensor, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class CloneOutputs:
    """The outputs of one copy of the network for its batch.

    Attributes:
      images: float `[batch, height, width, channels]`.
      end_points: end points by name.
      accuracy: share of the batch that is answered right, scalar.
    """

    images: tf.Tensor
    end_points: dict[str, tf.Tensor]
    accuracy: tf.Tensor


@dataclasses.dataclass(frozen=True)
class TrainGraph:
    """The parts of the graph that a session needs.

    Attributes:
      train_op: operation that takes a step; its value is the step reached.
      accumulate_op: operation that adds the gradients of a batch to those of the next
        step; None where each step has one batch.
      scalars: scalars about the step by name: loss, accuracy, learning_rate and
        data_wait, the seconds that the step has waited for images.
      hooks: hooks that the session needs.
      variables: variables that are trained.
      channels: channels of the images.
    """

    train_op: tf.Tensor
    accumulate_op: tf.Operation | None
    scalars: dict[str, tf.Tensor]
    hooks: Sequence[tf.train.SessionRunHook]
    variables: Sequence[tf.Variable]
    channels: int


def build(
    config: TrainConfig,
    info: ModelInfo,
    dataset: StoredSplit,
    cluster: model_deploy.DeploymentConfig,
    seed: int | None,
) -> TrainGraph:
    """Builds the graph of training in the default graph.

    Args:
      config: options.
      info: facts about the network.
      dataset: split to train on.
      cluster: devices of clones, variables and input.
      seed: seed of order and distortions; None for another one each time.
    """
    with tf.device(cluster.variables_device()):
        step = tf.train.create_global_step()
    batches, wait = _batches(config, info, dataset, cluster, seed)
    with precision.building(config.precision):
        clones = model_deploy.create_clones(
            cluster,
            clone_fn(
                config,
                info,
                network(config, info, step),
                class_weights.read(config.class_weights, info, dataset),
            ),
            [iter(batches)],
        )
    rate = optimizers.learning_rate(config, step, dataset.num_samples)
    variables = warm_start.variables_to_train(config)
    train_op, accumulate_op, loss, hooks = _train_op(
        config, info, cluster, clones, rate, step, variables
    )
    first = clones[0].outputs
    _summarize(clones[0], loss, rate)
    scalars = {
        "loss": loss,
        "accuracy": first.accuracy,
        "learning_rate": rate,
        "data_wait": wait,
    }
    channels = first.images.shape.as_list()[-1]
    return TrainGraph(train_op, accumulate_op, scalars, hooks, variables, channels)


def _batches(
    config: TrainConfig,
    info: ModelInfo,
    dataset: StoredSplit,
    cluster: model_deploy.DeploymentConfig,
    seed: int | None,
) -> tuple[list[Batch], tf.Tensor]:
    """A batch per clone, and the seconds that a step waits for them."""
    recipe = info.preprocessing(is_training=True)

    def preprocess(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if not config.random_erasing:
            return recipe(image, seed=seed)
        erasing, rest = ops.split_seed(seed, 2)
        image = recipe(image, seed=rest)
        return augmentation.random_erasing(image, config.random_erasing, erasing)

    def mix(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Batch:
        targets = tf.one_hot(labels, info.num_classes)
        alphas = config.mixup_alpha, config.cutmix_alpha
        return augmentation.mix(images, targets, *alphas, seed)

    with tf.device(cluster.inputs_device()):
        batches = pipeline.train_batches(
            dataset,
            preprocess,
            config.batch_size,
            labels_offset=info.labels_offset,
            num_readers=config.num_readers,
            takes_encoded=True,
            num_threads=config.num_preprocessing_threads,
            seed=seed,
            shard=(config.task, config.worker_replicas),
            mix=mix if config.mixup_alpha or config.cutmix_alpha else None,
        )
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            next_batches = pipeline.next_batches(batches, cluster.num_clones)
        with tf.control_dependencies([labels for _, labels in next_batches]):
            wait = tf.timestamp() - start
    return next_batches, wait


def network(
    config: TrainConfig, info: ModelInfo, step: tf.Variable
) -> Callable[..., Any]:
    """The network of `info` in the training phase, as a function of images."""

    def adapt_arg_scope(scope: dict[Any, Any]) -> dict[Any, Any]:
        if config.freeze_batch_norm:
            return batch_norm.freeze(scope)
        if config.grow_batch_norm_decay:
            return batch_norm.grow_decay(scope, step)
        return scope

    return info.network_fn(
        weight_decay=config.weight_decay,
        is_training=True,
        quantization={
            "delay": max(0, config.quantize_delay),
            "step": step,
            "symmetric": config.quantize_symmetric,
        },
        adapt_arg_scope=adapt_arg_scope,
    )


def clone_fn(
    config: TrainConfig,
    info: ModelInfo,
    network_fn: Callable[..., Any],
    weights: np.ndarray | None = None,
) -> Callable[[Iterator[Batch]], CloneOutputs]:
    """A function that builds the network and its losses for the next batch.

    Args:
      config: options.
      info: facts about the network.
      network_fn: function that builds the network.
      weights: weights of the classes in the loss, `[classes]`; None for equal ones.
    """

    def build_clone(batches: Iterator[Batch]) -> CloneOutputs:
        images, targets = next(batches)
        if targets.shape.rank == 1:  # Labels; a mixed batch has targets already.
            targets = tf.one_hot(targets, info.num_classes)
        importance = 1.0 if weights is None else tf.linalg.matvec(targets, weights)
        logits, end_points = network_fn(images)
        if "AuxLogits" in end_points:
            tf.losses.softmax_cross_entropy(
                targets,
                end_points["AuxLogits"],
                weights=AUXILIARY_LOSS_WEIGHT * importance,
                label_smoothing=config.label_smoothing,
                scope="aux_loss",
            )
        tf.losses.softmax_cross_entropy(
            targets,
            logits,
            weights=importance,
            label_smoothing=config.label_smoothing,
        )
        hits = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
        accuracy = tf.reduce_mean(tf.cast(hits, tf.float32))
        return CloneOutputs(images, end_points, accuracy)

    return build_clone


def _train_op(
    config: TrainConfig,
    info: ModelInfo,
    cluster: model_deploy.DeploymentConfig,
    clones: list[model_deploy.Clone],
    rate: tf.Tensor,
    step: tf.Variable,
    variables: list[tf.Variable],
) -> tuple[tf.Tensor, tf.Operation | None, tf.Tensor, list[tf.train.SessionRunHook]]:
    """`train_op` and `accumulate_op` of `TrainGraph`, the loss, and the hooks."""
    averages = None
    if info.moving_average_decay:
        averages = tf.train.ExponentialMovingAverage(info.moving_average_decay, step)
    sync_hooks = []
    with tf.device(cluster.optimizer_device()):
        optimizer = precision.scale_loss(
            optimizers.make(config, rate), config.precision
        )
        if config.sync_replicas:
            optimizer = tf.train.SyncReplicasOptimizer(
                optimizer,
                config.replicas_to_aggregate,
                config.worker_replicas,
                variable_averages=averages,
                variables_to_average=slim.get_model_variables() if averages else None,
            )
            sync_hooks = [SyncReplicas(optimizer, is_chief=config.task == 0)]
    loss, gradients = model_deploy.optimize_clones(
        clones, optimizer, var_list=variables
    )
    # Updates of batch norm; other clones' would change the same moving averages.
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
    accumulate_op = forget = None
    if config.accumulate_gradients > 1:
        gradients, forget, add = optimizers.accumulate(
            gradients, config.accumulate_gradients
        )
        accumulate_op = tf.group(add, *updates)
    gradients = optimizers.clip(gradients, config.clip_gradient_norm)
    updates.append(optimizer.apply_gradients(gradients, step))
    with tf.control_dependencies(updates):
        if forget:
            updates.append(forget())
        if averages and not config.sync_replicas:  # With it the chief updates them.
            updates.append(averages.apply(slim.get_model_variables()))
    with tf.control_dependencies(updates):
        return step.read_value(), accumulate_op, loss, sync_hooks


def _summarize(clone: model_deploy.Clone, loss: tf.Tensor, rate: tf.Tensor) -> None:
    images = clone.outputs.images
    if images.shape.rank == 4:
        tf.summary.image("images", images, _EXAMPLES_IN_SUMMARIES)
    summarize(clone.outputs.end_points, clone.scope, loss, rate)
    tf.summary.scalar("accuracy", clone.outputs.accuracy)


def summarize(
    end_points: Mapping[str, tf.Tensor], scope: str, loss: tf.Tensor, rate: tf.Tensor
) -> None:
    """Adds the summaries that the original's training has, too.

    Args:
      end_points: end points of a clone, by name.
      scope: scope of that clone, whose losses are shown.
      loss: loss of all clones, scalar.
      rate: learning rate, scalar.
    """
    for name, value in end_points.items():
        tf.summary.histogram(f"activations/{name}", value)
        tf.summary.scalar(f"sparsity/{name}", tf.nn.zero_fraction(value))
    for part in tf.losses.get_losses(scope):
        tf.summary.scalar(f"losses/{part.op.name}", part)
    for variable in slim.get_model_variables():
        tf.summary.histogram(variable.op.name, variable)
    tf.summary.scalar("learning_rate", rate)
    tf.summary.scalar("total_loss", loss)
