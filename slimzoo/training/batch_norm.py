"""Batch norm's moving averages in training."""

from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim


def grow_decay(arg_scope: dict[Any, Any], step: tf.Tensor) -> dict[Any, Any]:
    """An arg scope whose batch norm follows quickly at first.

    With a fixed decay of 0.9997 moving averages need thousands of steps to forget
    where they started, and until then evaluation differs from training. Here the
    decay at step n is min(decay, (1 + n) / (10 + n)).

    Args:
      arg_scope: as a network's arg scope function returns it; not changed.
      step: the global step.
    """
    n = tf.cast(step, tf.float32)
    growing = (1 + n) / (10 + n)

    def capped(arguments):
        return arguments | {"decay": tf.minimum(arguments.get("decay", 0.999), growing)}

    batch_norm = slim.arg_scope_func_key(slim.batch_norm)
    adapted = {batch_norm: capped(arg_scope.get(batch_norm, {}))}
    for layer, arguments in arg_scope.items():
        if layer == batch_norm:
            continue
        # Parameters handed to the normalizer win over batch norm's own scope.
        if "decay" in (arguments.get("normalizer_params") or {}):
            params = capped(arguments["normalizer_params"])
            arguments = arguments | {"normalizer_params": params}
        adapted[layer] = arguments
    return adapted


def freeze(arg_scope: dict[Any, Any]) -> dict[Any, Any]:
    """An arg scope whose batch norm stays as it is and uses its moving averages.

    It does so even where a network says that it is training.

    Args:
      arg_scope: as a network's arg scope function returns it; not changed.
    """
    batch_norm = slim.arg_scope_func_key(slim.batch_norm)
    return arg_scope | {batch_norm: _Frozen(arg_scope.get(batch_norm, {}))}


class _Frozen(dict):
    """Batch norm's arguments, of which inner arg scopes cannot change two."""

    def __init__(self, arguments):
        super().__init__(arguments, is_training=False, trainable=False)

    def copy(self):
        return _Frozen(self)

    def update(self, arguments):
        super().update(_Frozen(arguments))
