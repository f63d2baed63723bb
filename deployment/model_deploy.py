"""Copies a model onto devices and machines and trains the copies as one.

A *clone* is a copy of the model on one device; all clones share their variables. A
*replica* is one worker process with its clones; replicas share their variables
through parameter servers (ps tasks). One machine is one replica without ps tasks.

    config = DeploymentConfig(num_clones=2)
    with tf.device(config.inputs_device()):
        next_batch = make_iterator().get_next
    with tf.device(config.optimizer_device()):
        optimizer = tf.train.MomentumOptimizer(0.01, 0.9)
    model = deploy(config, model_fn, [next_batch], optimizer=optimizer)

`model_fn` builds one clone: it takes its batch, creates its variables with tf_slim and
adds its loss, the mean over its batch, to `tf.GraphKeys.LOSSES`. The loss trained on is
the mean over clones plus the regularization losses, counted once, so its gradients are
those of one model fed all the clones' batches together, but for batch norm, which sees
one clone's batch at a time.

Sessions need `allow_soft_placement=True` on machines without the GPUs asked for. The
devices below name the worker job without a task: TensorFlow takes the task whose
session runs.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase.errors import UserError

__all__ = [
    "Clone",
    "DeployedModel",
    "DeploymentConfig",
    "create_clones",
    "deploy",
    "optimize_clones",
]


class Clone(NamedTuple):
    """One copy of the model.

    Attributes:
      outputs: what `model_fn` returned.
      scope: name scope of its operations, `clone_<i>/`, or empty for an only clone.
      device: device of its operations.
    """

    outputs: Any
    scope: str
    device: str


class DeployedModel(NamedTuple):
    """The clones and what trains them.

    Attributes:
      train_op: scalar; running it does one step and returns the total loss. None
        without an optimizer.
      summary_op: merged summaries as a string scalar, or None if there are none.
      total_loss: scalar, or None if no clone has a loss.
      clones: list of `Clone`.
    """

    train_op: tf.Tensor | None
    summary_op: tf.Tensor | None
    total_loss: tf.Tensor | None
    clones: list[Clone]


@dataclasses.dataclass(frozen=True)
class DeploymentConfig:
    """Which devices clones, variables, inputs and the optimizer are placed on.

    Attributes:
      num_clones: clones in each replica, one per GPU.
      clone_on_cpu: whether all clones are placed on the CPU instead.
      replica_id: index of this replica; 0 is usually the chief.
      num_replicas: number of workers.
      num_ps_tasks: number of parameter servers; 0 keeps variables in the worker.
      worker_job_name: name of the workers' job in the cluster.
      ps_job_name: name of the parameter servers' job in the cluster.

    Raises:
      ValueError: for a count or index out of range, replicas without parameter
        servers, or parameter servers without job names.
    """

    num_clones: int = 1
    clone_on_cpu: bool = False
    replica_id: int = 0
    num_replicas: int = 1
    num_ps_tasks: int = 0
    worker_job_name: str = "worker"
    ps_job_name: str = "ps"

    def __post_init__(self):
        if self.num_clones < 1:
            raise UserError(f"num_clones is {self.num_clones}; give at least 1")
        if self.num_ps_tasks < 0:
            raise UserError(f"num_ps_tasks is {self.num_ps_tasks}; give 0 or more")
        if self.num_replicas > 1 and not self.num_ps_tasks:
            raise UserError(
                f"num_replicas is {self.num_replicas} but num_ps_tasks is 0: replicas "
                "share variables through parameter servers; give at least 1"
            )
        if not 0 <= self.replica_id < self.num_replicas:
            raise UserError(
                f"replica_id is {self.replica_id}; with num_replicas "
                f"{self.num_replicas} it counts from 0 to {self.num_replicas - 1}"
            )
        if self.num_ps_tasks and not (self.worker_job_name and self.ps_job_name):
            raise UserError(
                "worker_job_name and ps_job_name must not be empty with parameter "
                f"servers; they are {self.worker_job_name!r} and {self.ps_job_name!r}"
            )

    @property
    def ps_device(self) -> str:
        """The parameter servers' job, or empty without them."""
        return f"/job:{self.ps_job_name}" if self.num_ps_tasks else ""

    @property
    def worker_device(self) -> str:
        """The workers' job, or empty without parameter servers."""
        return f"/job:{self.worker_job_name}" if self.num_ps_tasks else ""

    def caching_device(self) -> Callable[[tf.Operation], str] | None:
        """The `caching_device` of variables: the reader's, or None without ps tasks.

        It saves reading a reference variable from its server more than once a step;
        resource variables are read on their server all the same.
        """
        return (lambda op: op.device) if self.num_ps_tasks else None

    def clone_device(self, clone_index: int) -> str:
        """Device of the clone's operations; ValueError if there is no such clone."""
        self._check_clone(clone_index)
        processor = "CPU:0" if self.clone_on_cpu else f"GPU:{clone_index}"
        return f"{self.worker_device}/device:{processor}"

    def clone_scope(self, clone_index: int) -> str:
        """Name scope of the clone; ValueError if there is no such clone.

        An only clone has an empty scope, so its operations keep their plain names.
        """
        self._check_clone(clone_index)
        return f"clone_{clone_index}" if self.num_clones > 1 else ""

    def optimizer_device(self) -> str:
        """Device of the optimizer and the summed gradients: the worker's CPU."""
        return f"{self.worker_device}/device:CPU:0"

    def inputs_device(self) -> str:
        """Device of the input pipeline: the worker's CPU."""
        return f"{self.worker_device}/device:CPU:0"

    def variables_device(self) -> str | Callable[[tf.Operation], str]:
        """Device of the variables.

        Returns:
          The CPU; with parameter servers, a device function that deals variables, of
          both kinds, to the servers' CPUs in turn and leaves other operations alone.
          Each call starts with the first server.
        """
        cpu = f"{self.ps_device}/device:CPU:0"
        if not self.num_ps_tasks:
            return cpu
        return tf.train.replica_device_setter(
            self.num_ps_tasks, ps_device=cpu, worker_device=""
        )

    def _check_clone(self, clone_index: int) -> None:
        if not 0 <= clone_index < self.num_clones:
            raise UserError(
                f"clone_index is {clone_index}; with num_clones {self.num_clones} it "
                f"counts from 0 to {self.num_clones - 1}"
            )


def create_clones(
    config: DeploymentConfig,
    model_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> list[Clone]:
    """Builds `config.num_clones` clones that share their variables.

    The first clone creates the variables, the others reuse them. Variables made by
    tf_slim are placed on `config.variables_device()`, those of a bare
    `tf.get_variable` on the first clone's device.

    Args:
      config: where to place them.
      model_fn: called as `model_fn(*args, **kwargs)` once per clone.
      args: positional arguments of `model_fn`, the same for every clone: pass a
        function to give each clone a batch of its own.
      kwargs: keyword arguments of `model_fn`.

    Returns:
      The clones, in order.
    """
    clones = []
    with slim.arg_scope(
        [slim.model_variable, slim.variable], device=config.variables_device()
    ):
        for i in range(config.num_clones):
            device = config.clone_device(i)
            with tf.name_scope(config.clone_scope(i)) as scope, tf.device(device):
                with tf.variable_scope(tf.get_variable_scope(), reuse=i > 0 or None):
                    outputs = model_fn(*(args or ()), **(kwargs or {}))
            clones.append(Clone(outputs, scope, device))
    return clones


def optimize_clones(
    clones: Sequence[Clone],
    optimizer: tf.train.Optimizer,
    regularization_losses: Sequence[tf.Tensor] | None = None,
    **kwargs: Any,
) -> tuple[tf.Tensor, list[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]]]:
    """Computes the clones' total loss and its gradients.

    A clone that a variable does not affect adds nothing to the variable's gradient;
    variables that affect no clone's loss are left out. Sparse gradients stay sparse.

    Args:
      clones: what `create_clones` returned.
      optimizer: its `compute_gradients` is called once per clone, on its device.
      regularization_losses: added to the first clone's loss; None for those in
        `tf.GraphKeys.REGULARIZATION_LOSSES`.
      **kwargs: passed to `compute_gradients`.

    Returns:
      The total loss, a scalar: the mean of the clones' losses plus the regularization
      losses. And its gradients, as a list of (gradient, variable).

    Raises:
      ValueError: if there is no loss at all.
    """
    losses = _clone_losses(clones, regularization_losses)
    if not losses:
        raise UserError(
            "There is no loss to optimize: model_fn must add one to "
            "tf.GraphKeys.LOSSES, as the functions of tf.losses do"
        )
    clone_gradients = []
    for clone, loss in losses:
        with tf.name_scope(clone.scope), tf.device(clone.device):
            clone_gradients.append(optimizer.compute_gradients(loss, **kwargs))
    return _total_loss(losses), _sum_gradients(clone_gradients)


def deploy(
    config: DeploymentConfig,
    model_fn: Callable[..., Any],
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    optimizer: tf.train.Optimizer | None = None,
    summarize_gradients: bool = False,
) -> DeployedModel:
    """Builds the clones and, given an optimizer, one operation that trains them.

    Args:
      config: where to place everything.
      model_fn: see `create_clones`, also for `args` and `kwargs`.
      args: positional arguments of `model_fn`.
      kwargs: keyword arguments of `model_fn`.
      optimizer: trains the clones and increments the global step; None to only sum
        their losses, as for evaluation.
      summarize_gradients: whether to add a histogram `<variable>_gradient` and a
        scalar `<variable>_gradient_norm` for each trained variable.

    Returns:
      The `DeployedModel`. `train_op` also runs the first clone's update operations:
      those of other clones would update the same moving averages. `summary_op` has
      the summaries of the graph so far except those of clones other than the first.

    Raises:
      ValueError: if there is an optimizer and no loss or no gradient.
    """
    clones = create_clones(config, model_fn, args, kwargs)
    train_op = None
    with tf.device(config.optimizer_device()):
        if optimizer is None:
            losses = _clone_losses(clones)
            total_loss = _total_loss(losses) if losses else None
        else:
            update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
            with tf.device(config.variables_device()):
                global_step = tf.train.get_or_create_global_step()
            total_loss, gradients = optimize_clones(clones, optimizer)
            if summarize_gradients:
                _summarize_gradients(gradients)
            apply_op = optimizer.apply_gradients(gradients, global_step)
            with tf.control_dependencies([tf.group(*update_ops, apply_op)]):
                train_op = tf.identity(total_loss, name="train_op")
        if total_loss is not None:
            tf.summary.scalar("total_loss", total_loss)
        summary_op = _merge_summaries(clones)
    return DeployedModel(train_op, summary_op, total_loss, clones)


def _clone_losses(
    clones: Sequence[Clone], regularization_losses: Sequence[tf.Tensor] | None = None
) -> list[tuple[Clone, tf.Tensor]]:
    """The clones that have a loss, each with its share of the total loss."""
    extra_losses = regularization_losses
    if extra_losses is None:
        extra_losses = tf.losses.get_regularization_losses()
    shares = []
    for clone in clones:
        with tf.name_scope(clone.scope):
            share = _share(clone, len(clones), extra_losses)
        extra_losses = ()  # Counted once, on the first clone.
        if share is not None:
            shares.append((clone, share))
    return shares


def _share(
    clone: Clone, num_clones: int, regularization_losses: Sequence[tf.Tensor]
) -> tf.Tensor | None:
    parts = {}
    with tf.device(clone.device):
        if losses := tf.losses.get_losses(clone.scope):
            loss = tf.add_n(losses, name="clone_loss")
            if num_clones > 1:
                loss = tf.divide(loss, num_clones, name="scaled_clone_loss")
            parts["clone_loss"] = loss
        if regularization_losses:
            parts["regularization_loss"] = tf.add_n(
                regularization_losses, name="regularization_loss"
            )
        share = tf.add_n(list(parts.values())) if parts else None
    # Outside the clone's device: GPUs have no kernels for summaries.
    for name, part in parts.items():
        tf.summary.scalar(f"Losses/{name}", part)
    return share


def _total_loss(losses: Iterable[tuple[Clone, tf.Tensor]]) -> tf.Tensor:
    return tf.add_n([loss for _, loss in losses], name="total_loss")


def _sum_gradients(
    clone_gradients: Iterable[Iterable[tuple[Any, tf.Variable]]],
) -> list[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]]:
    """Sums (gradient, variable) pairs over clones, one pair for each variable."""
    by_variable = {}
    for gradient, variable in itertools.chain.from_iterable(clone_gradients):
        if gradient is not None:
            by_variable.setdefault(variable.ref(), []).append(gradient)
    return [
        (_add(gradients, f"{ref.deref().op.name}/sum_grads"), ref.deref())
        for ref, gradients in by_variable.items()
    ]


def _add(
    gradients: list[tf.Tensor | tf.IndexedSlices], name: str
) -> tf.Tensor | tf.IndexedSlices:
    if len(gradients) == 1:
        return gradients[0]
    if not all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients):
        return tf.add_n(gradients, name=name)
    # Slices of one index add up, so putting all side by side is their sum; `add_n`
    # would make them dense, as large as the variable.
    with tf.name_scope(name):
        return tf.IndexedSlices(
            tf.concat([gradient.values for gradient in gradients], 0),
            tf.concat([gradient.indices for gradient in gradients], 0),
            gradients[0].dense_shape,
        )


def _summarize_gradients(
    gradients: Iterable[tuple[tf.Tensor | tf.IndexedSlices, tf.Variable]],
) -> None:
    for gradient, variable in gradients:
        name = variable.op.name
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        tf.summary.histogram(f"{name}_gradient", values)
        tf.summary.scalar(f"{name}_gradient_norm", tf.global_norm([gradient]))


def _merge_summaries(clones: Sequence[Clone]) -> tf.Tensor | None:
    other_scopes = tuple(clone.scope for clone in clones[1:])
    summaries = [
        summary
        for summary in tf.get_collection(tf.GraphKeys.SUMMARIES)
        if not summary.name.startswith(other_scopes)
    ]
    return tf.summary.merge(summaries, name="summary_op") if summaries else None
