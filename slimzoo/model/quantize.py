"""Quantization-aware training: networks that compute as if in 8 bits.

Jacob et al.: Quantization and training of neural networks for efficient
integer-arithmetic-only inference, 2017, https://arxiv.org/abs/1712.05877.

Variables are named as `tf.contrib.quantize` of TensorFlow 1 named them. See
docs/quantization.md.
"""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimzoo.model.quantize_rewriter import Rewriter

NetworkFn = Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]

# Names that releases of tf.contrib.quantize gave to the same range.
_ALSO_NAMED = {
    "conv_quant": "act_quant",
    "act_quant": "conv_quant",
    "add_quant": "post_activation_bypass_quant",
}


def for_training(
    network_fn: NetworkFn,
    delay: int = 0,
    step: tf.Tensor | None = None,
    symmetric: bool = False,
) -> NetworkFn:
    """`network_fn` for quantization-aware training.

    Weights are quantized as in the exported network, with batch norm folded in, while
    batch norm goes on with the statistics of its batch. Gradients pass quantized values
    unchanged, except for values out of range. Ranges of activations are moving averages
    of their least and greatest values; the operations that update ranges are in
    `tf.GraphKeys.UPDATE_OPS`.

    Args:
      network_fn: `f(images, **kwargs) -> (logits, end_points)` that builds a network of
        convolutions and matrix products by tf_slim, in the training phase.
      delay: step at which quantization begins; until then ranges are learned.
      step: global step, an integer scalar; needed where `delay` is above 0.
      symmetric: whether the ranges of weights are as far below 0 as above. They have
        coarser steps, but TensorFlow Lite's int8 needs them; uint8 takes either.

    Returns:
      A function like `network_fn`. Its float variables are those of `network_fn`;
      ranges are model variables that are not trained. It raises UserError for a network
      without layers that can be quantized.
    """
    if delay < 0:
        raise UserError(f"quantization cannot begin at step {delay}; give 0 or more")
    if delay and step is None:
        raise ValueError("a delay needs the global step")

    def active():
        return tf.cast(step, tf.int64) >= delay if delay else None

    return _rewritten(network_fn, True, active, symmetric)


def for_inference(network_fn: NetworkFn) -> NetworkFn:
    """`network_fn` with weights and activations quantized in the ranges learned.

    Args:
      network_fn: function as in `for_training`, in the inference phase.

    Returns:
      A function like `network_fn`. Batch norm is folded into weights and biases.
    """
    return _rewritten(network_fn, False, lambda: None)


def is_range(name: str) -> bool:
    """Whether a variable is a range: a checkpoint of a float network has none."""
    scope, _, variable = name.rpartition("/")
    return variable in ("min", "max") and scope.endswith("_quant")


def names_in(
    variables: Mapping[str, tf.Variable], available: Collection[str]
) -> dict[str, tf.Variable]:
    """`variables` by the names that a checkpoint has for them.

    Args:
      variables: variables by name.
      available: names in the checkpoint.
    """

    def find(name: str) -> str:
        scope, _, variable = name.rpartition("/")
        parent, _, kind = scope.rpartition("/")
        other = f"{parent}/{_ALSO_NAMED.get(kind)}/{variable}"
        return other if name not in available and other in available else name

    return {find(name): variable for name, variable in variables.items()}


def _rewritten(
    network_fn: NetworkFn,
    is_training: bool,
    active: Callable[[], tf.Tensor | None],
    symmetric: bool = False,
) -> NetworkFn:
    @functools.wraps(network_fn)
    def quantized(
        images: tf.Tensor, **kwargs: Any
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        graph = tf.get_default_graph()
        before = {op.name for op in graph.get_operations()}
        logits, end_points = network_fn(images, **kwargs)
        added = [op for op in graph.get_operations() if op.name not in before]
        rewriter = Rewriter(graph, is_training, active(), symmetric)
        rewriter.rewrite(added)
        return rewriter.resolve(logits), {
            name: rewriter.resolve(net) for name, net in end_points.items()
        }

    return quantized
