"""What a training run is about to do, on one screen."""

import collections
from collections.abc import Iterable, Iterator

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from deployment.model_deploy import DeploymentConfig
from slimbase.text import listed
from slimzoo.config.train import TrainConfig
from slimzoo.model import checkpoints
from slimzoo.model.info import ModelInfo
from slimzoo.training import optimizers
from slimzoo.training.graph import Dataset, TrainGraph
from slimzoo.training.warm_start import Plan

_MOST_SCOPES = 4


def global_batch(config: TrainConfig) -> int:
    """Pictures per step, over all clones and workers that a step waits for."""
    workers = config.replicas_to_aggregate if config.sync_replicas else 1
    clones = config.num_clones * config.accumulate_gradients
    return config.batch_size * clones * workers


def tell(
    config: TrainConfig,
    info: ModelInfo,
    dataset: Dataset,
    deployment: DeploymentConfig,
    graph: TrainGraph,
    plan: Plan,
) -> None:
    """Logs a line per topic; with `show_variables` one per variable too."""
    lines = dict(_lines(config, info, dataset, deployment, graph, plan))
    width = max(map(len, lines))
    logging.info(
        "Training %s on %s\n%s",
        *(info.model_name, info.dataset_name),
        "\n".join(f"  {topic:{width}}  {line}" for topic, line in lines.items()),
    )
    if config.show_variables:
        logging.info("Variables\n%s", "\n".join(_variables(graph, plan)))


def _lines(config, info, dataset, deployment, graph, plan) -> Iterator[tuple[str, str]]:
    all_variables = tf.trainable_variables()
    parameters = _size(all_variables)
    yield (
        "network",
        f"{parameters:,} parameters, {info.num_classes} classes, "
        f"{info.size_text}, preprocessing {info.preprocessing_name}",
    )
    yield (
        "data",
        f"{config.dataset_split_name}: {dataset.num_samples:,} images in "
        f"{config.dataset_dir}",
    )
    if plan.checkpoint:
        yield "start", f"{plan.checkpoint}: {len(plan.restored)} variables restored"
        for why, names in _by_reason(plan.new).items():
            yield f"  {why}", f"{len(names)} start anew: {_scopes(names)}"
    trained = graph.variables
    yield (
        "trained",
        f"{len(trained)} of {len(all_variables)} variables, {_size(trained):,} of "
        f"{parameters:,} parameters"
        + ("; batch norm is frozen" if config.freeze_batch_norm else ""),
    )
    batch = global_batch(config)
    factors = [
        (1, config.batch_size, "images"),
        (config.num_clones, config.num_clones, "clones"),
        (config.accumulate_gradients, config.accumulate_gradients, "batches"),
        (config.replicas_to_aggregate, config.replicas_to_aggregate, "workers"),
    ]
    product = " x ".join(
        f"{count} {what}"
        for factor, count, what in factors
        if what == "images"
        or (factor > 1 and (what != "workers" or config.sync_replicas))
    )
    yield "batch", f"{batch} = {product}; {dataset.num_samples / batch:.1f} steps/epoch"
    steps = config.max_number_of_steps
    last = ""
    if steps:
        last = f", {_last_rate(config, dataset.num_samples):.3g} at the end"
    yield (
        "schedule",
        f"{config.optimizer}, learning rate {config.learning_rate:g} "
        f"{config.learning_rate_decay_type}{last}"
        + (f", {config.warmup_epochs:g} epochs of warm-up" * (config.warmup_epochs > 0))
        + (
            f"; to step {steps}, {steps * batch / dataset.num_samples:.1f} epochs"
            if steps
            else "; until interrupted"
        ),
    )
    count = f"{config.num_clones} x " * (config.num_clones > 1)
    place = "CPU" if deployment.clone_on_cpu else "GPU"
    yield "devices", f"{count}{place}, {config.precision}"
    yield "train_dir", config.train_dir


def _last_rate(config, num_samples):
    """Of the last step, on the CPU: this is no time to take a GPU's memory."""
    on_cpu = tf.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.Session(config=on_cpu) as session:
        step = tf.constant(config.max_number_of_steps - 1, tf.int64)
        return session.run(optimizers.learning_rate(config, step, num_samples))


def _size(variables: Iterable[tf.Variable]) -> int:
    return sum(variable.shape.num_elements() for variable in variables)


def _by_reason(new):
    names = collections.defaultdict(list)
    for name, why in new.items():
        names[why].append(name)
    return names


def _scopes(names):
    return listed(checkpoints.scopes_of(names), _MOST_SCOPES)


def _variables(graph, plan):
    trained = {variable.op.name for variable in graph.variables}
    for variable in slim.get_model_variables():
        name = variable.op.name
        yield (
            f"  {name} {variable.shape.as_list()}: "
            f"{'restored' if name in plan.restored else 'new'}, "
            f"{'trained' if name in trained else 'frozen'}"
        )
