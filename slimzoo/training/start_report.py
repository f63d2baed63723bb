"""A summary of a training run before its first step, on one screen."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim
from absl import logging

from datasets.storage.split import StoredSplit
from deployment.model_deploy import DeploymentConfig
from preprocessing import preprocessing_factory
from slimbase.text import listed
from slimzoo.config.train import TrainConfig
from slimzoo.model import scopes
from slimzoo.model.info import ModelInfo
from slimzoo.training import optimizers
from slimzoo.training.graph import TrainGraph
from slimzoo.training.warm_start import Plan

_MOST_SCOPES = 4


@dataclasses.dataclass(frozen=True)
class StartReport:
    """A training run that is about to start.

    Attributes:
      config: options.
      info: the network.
      dataset: the split that is trained on.
      deployment: the devices.
      graph: the graph of training, which is the default graph.
      plan: the origin of the variables' values.
    """

    config: TrainConfig
    info: ModelInfo
    dataset: StoredSplit
    deployment: DeploymentConfig
    graph: TrainGraph
    plan: Plan

    def log(self) -> None:
        """Logs a line per topic; with `show_variables` one per variable too."""
        lines = dict(self._lines())
        width = max(map(len, lines))
        table = "\n".join(f"  {topic:{width}}  {line}" for topic, line in lines.items())
        logging.info(
            f"Training {self.info.model_name} on {self.info.dataset_name}\n{table}"
        )
        if self.config.show_variables:
            logging.info("Variables\n%s", "\n".join(self._variables()))

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "network", self._network()
        yield "data", self._data()
        if self.plan.checkpoint:
            count = len(self.plan.restored)
            yield "start", f"{self.plan.checkpoint}: {count} variables restored"
            for why, names in _by_reason(self.plan.new).items():
                shown = listed(scopes.of(names), _MOST_SCOPES)
                yield f"  {why}", f"{len(names)} start anew: {shown}"
        yield "pictures", self._pictures()
        yield "trained", self._trained()
        yield "batch", self._batch()
        yield "schedule", self._schedule()
        yield "devices", self._devices()
        yield "train_dir", self.config.train_dir

    def _network(self) -> str:
        return (
            f"{_size(tf.trainable_variables()):,} parameters, "
            f"{self.info.num_classes} classes, {self.info.size_text}, "
            f"preprocessing {self.info.preprocessing_name}"
        )

    def _data(self) -> str:
        split, count = self.config.dataset_split_name, self.dataset.num_samples
        return f"{split}: {count:,} images in {self.config.dataset_dir}"

    def _pictures(self) -> str:
        recipe = preprocessing_factory.get_recipe(self.info.preprocessing_name)
        chosen = self.info.chosen_distortions
        texts = [chosen.describe(recipe.mirrors, recipe.distorts_colors)]
        for name in ("random_erasing", "mixup_alpha", "cutmix_alpha"):
            if value := getattr(self.config, name):
                texts.append(f"{name} {value:g}")
        return ", ".join(texts)

    def _trained(self) -> str:
        trained, everything = self.graph.variables, tf.trainable_variables()
        frozen = "; batch norm is frozen" if self.config.freeze_batch_norm else ""
        return (
            f"{len(trained)} of {len(everything)} variables, {_size(trained):,} of "
            f"{_size(everything):,} parameters{frozen}"
        )

    def _batch(self) -> str:
        config = self.config
        factors = [f"{config.batch_size} images"]
        if config.num_clones > 1:
            factors.append(f"{config.num_clones} clones")
        if config.accumulate_gradients > 1:
            factors.append(f"{config.accumulate_gradients} batches")
        if config.sync_replicas and config.replicas_to_aggregate > 1:
            factors.append(f"{config.replicas_to_aggregate} workers")
        steps = self.dataset.num_samples / config.global_batch
        return f"{config.global_batch} = {' x '.join(factors)}; {steps:.1f} steps/epoch"

    def _schedule(self) -> str:
        config, num_samples = self.config, self.dataset.num_samples
        text = (
            f"{config.optimizer}, learning rate {config.learning_rate:g} "
            f"{config.learning_rate_decay_type}"
        )
        if config.max_number_of_steps:
            text += f", {_last_rate(config, num_samples):.3g} at the end"
        if config.warmup_epochs > 0:
            text += f", {config.warmup_epochs:g} epochs of warm-up"
        if not config.max_number_of_steps:
            return f"{text}; until interrupted"
        epochs = config.max_number_of_steps * config.global_batch / num_samples
        return f"{text}; to step {config.max_number_of_steps}, {epochs:.1f} epochs"

    def _devices(self) -> str:
        clones = self.config.num_clones
        count = f"{clones} x " if clones > 1 else ""
        device = "CPU" if self.deployment.clone_on_cpu else "GPU"
        return f"{count}{device}, {self.config.precision}"

    def _variables(self) -> Iterator[str]:
        trained = {variable.op.name for variable in self.graph.variables}
        for variable in slim.get_model_variables():
            name = variable.op.name
            yield (
                f"  {name} {variable.shape.as_list()}: "
                f"{'restored' if name in self.plan.restored else 'new'}, "
                f"{'trained' if name in trained else 'frozen'}"
            )


def _last_rate(config: TrainConfig, num_samples: int) -> float:
    """The learning rate of the last step.

    It is computed on the CPU: a GPU's memory is left to training.
    """
    on_cpu = tf.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.Session(config=on_cpu) as session:
        step = tf.constant((config.max_number_of_steps or 1) - 1, tf.int64)
        return session.run(optimizers.learning_rate(config, step, num_samples))


def _size(variables: Iterable[tf.Variable]) -> int:
    return sum(variable.shape.num_elements() for variable in variables)


def _by_reason(new: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    names = collections.defaultdict(list)
    for name, why in new.items():
        names[why].append(name)
    return names
