"""Batch norm's moving averages in training."""

from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim


def grow_decay(arg_scope: dict[Any, Any], step: tf.Tensor) -> dict[Any, Any]:
    """An arg scope whose batch norm averages over few steps at first.

    With a fixed decay of 0.9997 moving averages need thousands of steps to forget
    their initial values, and until then evaluation differs from training. Here the
    decay at step n is min(decay, (1 + n) / (10 + n)).

    Args:
      arg_scope: arg scope that a network's function returns; not changed.
      step: global step.
    """
    n = tf.cast(step, tf.float32)
    growing = (1 + n) / (10 + n)
    return _with_decay(arg_scope, lambda decay: tf.minimum(decay, growing))


def average_all(arg_scope: dict[Any, Any], count: tf.Tensor) -> dict[Any, Any]:
    """An arg scope whose batch norm keeps the mean of the statistics of all batches.

    Args:
      arg_scope: arg scope that a network's function returns; not changed.
      count: number of the batches before this one; at 0, what was kept is dropped.
    """
    n = tf.cast(count, tf.float32)
    return _with_decay(arg_scope, lambda _: n / (n + 1))


def _with_decay(
    arg_scope: dict[Any, Any], change: Callable[[Any], Any]
) -> dict[Any, Any]:
    """An arg scope with other decays of batch norm, each made by `change`."""

    def changed(arguments: dict[str, Any]) -> dict[str, Any]:
        return arguments | {"decay": change(arguments.get("decay", 0.999))}

    batch_norm = slim.arg_scope_func_key(slim.batch_norm)
    adapted = {batch_norm: changed(arg_scope.get(batch_norm, {}))}
    for layer, arguments in arg_scope.items():
        if layer == batch_norm:
            continue
        # Parameters of the normalizer win over batch norm's own scope.
        if "decay" in (arguments.get("normalizer_params") or {}):
            params = changed(arguments["normalizer_params"])
            arguments = arguments | {"normalizer_params": params}
        adapted[layer] = arguments
    return adapted


def freeze(arg_scope: dict[Any, Any]) -> dict[Any, Any]:
    """An arg scope whose batch norm is not trained and uses its moving averages.

    This holds even where a network is in the training phase.

    Args:
      arg_scope: arg scope that a network's function returns; not changed.
    """
    batch_norm = slim.arg_scope_func_key(slim.batch_norm)
    return arg_scope | {batch_norm: _Frozen(arg_scope.get(batch_norm, {}))}


class _Frozen(dict):
    """Batch norm's arguments, of which inner arg scopes cannot change two."""

    def __init__(self, arguments: dict[str, Any]):
        super().__init__(arguments, is_training=False, trainable=False)

    def copy(self) -> "_Frozen":
        return _Frozen(self)

    def update(self, arguments: dict[str, Any]) -> None:
        super().update(_Frozen(arguments))
