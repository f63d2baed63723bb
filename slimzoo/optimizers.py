"""Learning rate schedules and optimizers by name."""

from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf

from slimzoo.config import TrainConfig
from slimzoo.registry import Registry

Schedule = Callable[[TrainConfig, tf.Tensor, int], Any]

SCHEDULES: Registry[Schedule] = Registry("--learning_rate_decay_type=%s is unknown")
SCHEDULES.update(
    exponential=lambda config, step, decay_steps: tf.train.exponential_decay(
        config.learning_rate,
        step,
        decay_steps,
        config.learning_rate_decay_factor,
        staircase=True,
    ),
    fixed=lambda config, step, decay_steps: tf.constant(config.learning_rate),
    polynomial=lambda config, step, decay_steps: tf.train.polynomial_decay(
        config.learning_rate,
        step,
        decay_steps,
        config.end_learning_rate,
        power=1.0,
        cycle=False,
    ),
)

Optimizer = Callable[[TrainConfig, tf.Tensor], tf.train.Optimizer]

OPTIMIZERS: Registry[Optimizer] = Registry("--optimizer=%s is unknown")
OPTIMIZERS.update(
    adadelta=lambda config, rate: tf.train.AdadeltaOptimizer(
        rate, config.adadelta_rho, config.opt_epsilon
    ),
    adagrad=lambda config, rate: tf.train.AdagradOptimizer(
        rate, config.adagrad_initial_accumulator_value
    ),
    adam=lambda config, rate: tf.train.AdamOptimizer(
        rate, config.adam_beta1, config.adam_beta2, config.opt_epsilon
    ),
    ftrl=lambda config, rate: tf.train.FtrlOptimizer(
        rate,
        config.ftrl_learning_rate_power,
        config.ftrl_initial_accumulator_value,
        config.ftrl_l1,
        config.ftrl_l2,
    ),
    momentum=lambda config, rate: tf.train.MomentumOptimizer(rate, config.momentum),
    rmsprop=lambda config, rate: tf.train.RMSPropOptimizer(
        rate, config.rmsprop_decay, config.rmsprop_momentum, config.opt_epsilon
    ),
    sgd=lambda config, rate: tf.train.GradientDescentOptimizer(rate),
)


def learning_rate(config: TrainConfig, step: tf.Tensor, num_samples: int) -> tf.Tensor:
    """The learning rate at `step`, a scalar tensor.

    An epoch has `num_samples / batch_size` steps, divided by `replicas_to_aggregate`
    with `sync_replicas`; clones do not shorten it.
    """
    steps_per_epoch = num_samples / config.batch_size
    if config.sync_replicas:
        steps_per_epoch /= config.replicas_to_aggregate
    decay_steps = max(1, int(steps_per_epoch * config.num_epochs_per_decay))
    rate = SCHEDULES[config.learning_rate_decay_type](config, step, decay_steps)
    if config.warmup_epochs:
        warmup_steps = steps_per_epoch * config.warmup_epochs
        warming = config.learning_rate * tf.cast(step, tf.float32) / warmup_steps
        rate = tf.minimum(warming, rate)
    return rate


def make(config: TrainConfig, rate: tf.Tensor) -> tf.train.Optimizer:
    """The optimizer that `config` names, at learning rate `rate`."""
    return OPTIMIZERS[config.optimizer](config, rate)
