"""Learning rate schedules and optimizers by name."""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow.compat.v1 as tf
from absl import logging

from slimbase.errors import UserError
from slimbase.registry import Registry
from slimzoo.config.train import TrainConfig

# A function of the options, the step and the steps per decay.
ScheduleFn = Callable[[TrainConfig, tf.Tensor, int], Any]


def _all_steps(config: TrainConfig) -> int:
    if config.max_number_of_steps is None:
        raise UserError(
            "--learning_rate_decay_type=cosine ends with training: give "
            "--max_number_of_steps"
        )
    return config.max_number_of_steps


SCHEDULES: Registry[ScheduleFn] = Registry("--learning_rate_decay_type=%s is unknown")
SCHEDULES.update(
    exponential=lambda config, step, decay_steps: tf.train.exponential_decay(
        config.learning_rate,
        step,
        decay_steps,
        config.learning_rate_decay_factor,
        staircase=True,
    ),
    cosine=lambda config, step, decay_steps: tf.train.cosine_decay(
        config.learning_rate,
        step,
        _all_steps(config),
        config.end_learning_rate / config.learning_rate,
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


def _decays(config: TrainConfig) -> Callable[[tf.Variable], bool]:
    """Whether decoupled weight decay applies to a variable, as a function."""
    return lambda variable: variable.shape.rank > 1 or not config.decay_weights_only


class _AdamW(tf.train.AdamOptimizer):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2017, 1711.05101)."""

    def __init__(
        self,
        rate: tf.Tensor,
        *args: float,
        decay: float,
        decays: Callable[[tf.Variable], bool],
    ):
        super().__init__(rate, *args)
        self._shrinkage = rate * decay
        self._decays = decays

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor | None, tf.Variable]],
        global_step: tf.Variable | None = None,
        name: str | None = None,
    ) -> tf.Operation:
        pairs = list(grads_and_vars)
        shrunk = []
        for gradient, variable in pairs:
            if gradient is not None and self._decays(variable):
                with tf.colocate_with(variable):
                    shrunk.append(variable.assign_sub(self._shrinkage * variable))
        with tf.control_dependencies(shrunk):
            return super().apply_gradients(pairs, global_step, name)


class _Lars(tf.train.MomentumOptimizer):
    """Layer-wise adaptive rates (You, Gitman, Ginsburg 2017, 1708.03888)."""

    TRUST = 0.001

    def __init__(
        self,
        rate: tf.Tensor,
        momentum: float,
        *,
        decay: float,
        decays: Callable[[tf.Variable], bool],
    ):
        super().__init__(rate, momentum)
        self._decay = decay
        self._decays = decays

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor | None, tf.Variable]],
        global_step: tf.Variable | None = None,
        name: str | None = None,
    ) -> tf.Operation:
        scaled = [
            (self._scaled(gradient, variable), variable)
            for gradient, variable in grads_and_vars
            if gradient is not None
        ]
        return super().apply_gradients(scaled, global_step, name)

    def _scaled(self, gradient: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        if not self._decays(variable):
            return gradient
        with tf.colocate_with(variable):
            size = tf.norm(variable)
            full_size = tf.norm(gradient) + self._decay * size
            trust = tf.where(
                (size > 0) & (full_size > 0), self.TRUST * size / full_size, 1.0
            )
            return trust * (gradient + self._decay * variable)


Gradients = list[tuple[tf.Tensor, tf.Variable]]
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
    adamw=lambda config, rate: _AdamW(
        rate,
        config.adam_beta1,
        config.adam_beta2,
        config.adamw_epsilon,
        decay=config.decoupled_weight_decay,
        decays=_decays(config),
    ),
    ftrl=lambda config, rate: tf.train.FtrlOptimizer(
        rate,
        config.ftrl_learning_rate_power,
        config.ftrl_initial_accumulator_value,
        config.ftrl_l1,
        config.ftrl_l2,
    ),
    lars=lambda config, rate: _Lars(
        rate,
        config.momentum,
        decay=config.decoupled_weight_decay,
        decays=_decays(config),
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
    if config.optimizer == "adam" and config.opt_epsilon >= 0.1:
        logging.warning(
            f"--optimizer=adam hardly moves with --opt_epsilon={config.opt_epsilon:g}, "
            "which suits rmsprop: give --opt_epsilon=1e-8, or --optimizer=adamw"
        )
    return OPTIMIZERS[config.optimizer](config, rate)


def clip(gradients: Gradients, norm: float) -> Gradients:
    """Scales `gradients` down to the global norm `norm`; 0 leaves them."""
    if not norm:
        return gradients
    clipped, _ = tf.clip_by_global_norm([gradient for gradient, _ in gradients], norm)
    return [
        (gradient, variable)
        for gradient, (_, variable) in zip(clipped, gradients, strict=True)
    ]


def accumulate(
    gradients: Gradients, count: int
) -> tuple[Gradients, Callable[[], tf.Operation], tf.Operation]:
    """Sums gradients over batches in local variables.

    Args:
      gradients: gradients of one batch.
      count: batches per step, at least 2.

    Returns:
      The mean of this batch's gradients and those in the sums; a function that makes
      the operation that resets the sums; and the operation that adds this batch's
      gradients to the sums.
    """
    sums = [
        tf.Variable(
            tf.zeros(variable.shape, variable.dtype.base_dtype),
            trainable=False,
            collections=[tf.GraphKeys.LOCAL_VARIABLES],
            name=f"{variable.op.name}/gradient_sum",
        )
        for _, variable in gradients
    ]
    pairs = list(zip(sums, gradients, strict=True))
    mean = [((total + grad) / count, variable) for total, (grad, variable) in pairs]
    add = tf.group(*(total.assign_add(grad) for total, (grad, _) in pairs))

    def forget() -> tf.Operation:
        return tf.group(*(total.assign(tf.zeros_like(total)) for total in sums))

    return mean, forget, add
