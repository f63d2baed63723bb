"""Quantization-aware training: networks that compute as if in 8 bits.

Jacob et al.: Quantization and training of neural networks for efficient
integer-arithmetic-only inference, 2017, https://arxiv.org/abs/1712.05877.

Variables are named as `tf.contrib.quantize` of TensorFlow 1 named them. See
docs/quantization.md.
"""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping

import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase.errors import UserError

NetworkFn = Callable[..., tuple[tf.Tensor, dict[str, tf.Tensor]]]

_BITS = 8
_RANGE_DECAY = 0.999
_INITIAL_RANGE = {"weights_quant": (-6.0, 6.0)}  # Others begin at 0.
_LAYERS = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
_ARITHMETIC = ("Add", "AddN", "AddV2", "Mul", "Sub")
_ACTIVATIONS = ("Relu", "Relu6")
_VARIABLES = ("VariableV2", "VarHandleOp")
_READS = ("Identity", "ReadVariableOp")
_KEEPS = ("Identity", "BatchToSpaceND")  # Between a layer and its activation.
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
    """`network_fn` as quantization-aware training wants it.

    Weights are quantized as the exported network has them, with batch norm folded in,
    while batch norm goes on with the statistics of its batch. Gradients pass quantized
    values as if they were not, but for those out of range. Ranges of activations are
    moving averages of their least and greatest values; the operations that update
    ranges are put in `tf.GraphKeys.UPDATE_OPS`.

    Args:
      network_fn: `f(images, **kwargs) -> (logits, end_points)` that builds a network of
        convolutions and matrix products by tf_slim, in the training phase.
      delay: quantization begins at this step; until then ranges are learned.
      step: the global step, an integer scalar; needed where `delay` is above 0.
      symmetric: whether the ranges of weights are as far below 0 as above. They have
        coarser steps, but TensorFlow Lite's int8 needs them; uint8 takes either.

    Returns:
      A function like `network_fn`. Its float variables are those of `network_fn`;
      ranges are model variables that are not trained. It raises UserError when there
      is nothing that can be quantized.
    """
    if delay < 0:
        raise UserError(f"quantization cannot begin at step {delay}; give 0 or more")
    if delay and step is None:
        raise ValueError("a delay needs the global step")

    def active():
        return tf.cast(step, tf.int64) >= delay if delay else None

    return _rewritten(network_fn, True, active, symmetric)


def for_inference(network_fn: NetworkFn) -> NetworkFn:
    """`network_fn` with quantized weights and activations, in ranges that are learned.

    Args:
      network_fn: as in `for_training`, in the inference phase.

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
      variables: by name.
      available: names in the checkpoint.
    """

    def find(name):
        scope, _, variable = name.rpartition("/")
        parent, _, kind = scope.rpartition("/")
        other = f"{parent}/{_ALSO_NAMED.get(kind)}/{variable}"
        return other if name not in available and other in available else name

    return {find(name): variable for name, variable in variables.items()}


def _rewritten(network_fn, is_training, active, symmetric=False) -> NetworkFn:
    @functools.wraps(network_fn)
    def quantized(images, **kwargs):
        graph = tf.get_default_graph()
        before = {op.name for op in graph.get_operations()}
        logits, end_points = network_fn(images, **kwargs)
        added = [op for op in graph.get_operations() if op.name not in before]
        rewriter = _Rewriter(graph, is_training, active(), symmetric)
        rewriter.rewrite(added)
        return rewriter.resolve(logits), {
            name: rewriter.resolve(net) for name, net in end_points.items()
        }

    return quantized


class _Rewriter:
    """Quantizes what a network function has added to the graph."""

    def __init__(
        self,
        graph: tf.Graph,
        is_training: bool,
        active: tf.Tensor | None,
        symmetric: bool,
    ) -> None:
        self._graph = graph
        self._is_training = is_training
        self._active = active
        self._symmetric = symmetric
        scope = graph.get_name_scope()
        self._clone = f"{scope}/" if scope else ""  # No part of variables' names.
        self._replaced = {}
        self._names = set()

    def rewrite(self, operations: Iterable[tf.Operation]) -> None:
        """Quantizes layers and what is computed from them.

        Args:
          operations: of the network, each after those it depends on.
        """
        layers, arithmetic, computed = [], [], set()
        for op in operations:
            is_layer = op.type in _LAYERS and _is_variable(op.inputs[1])
            if is_layer:
                layers.append(op)
            elif not any(net.op.name in computed for net in op.inputs):
                continue
            elif op.type in _ARITHMETIC and _is_picture_arithmetic(op):
                arithmetic.append(op)
            computed.add(op.name)
        if not layers:
            raise UserError(
                "the network cannot be quantized: it has no convolution of pictures "
                "and no matrix product with weights"
            )
        for layer in layers:
            with self._beside(layer):
                self._quantize_layer(layer)
        for op in arithmetic:
            with self._beside(op):
                end, activation = _activation_after(op.outputs[0])
                name = f"{_scope(op)}/act" if activation else op.name
                self._quantize_output(end, f"{name}_quant")

    def resolve(self, net: tf.Tensor) -> tf.Tensor:
        """What stands in the graph now for `net`."""
        while net.ref() in self._replaced:
            net = self._replaced[net.ref()]
        return net

    @contextlib.contextmanager
    def _beside(self, op):
        with self._graph.name_scope(f"{_scope(op)}/"), tf.device(op.device):
            yield

    def _quantize_layer(self, layer):
        scope = _scope(layer)
        norm, between = _following(layer.outputs[0])
        if norm and norm.type.startswith("FusedBatchNorm"):
            net = self._fold(layer, between, norm)
            self._replace(norm.outputs[0], net, norm.outputs[0].consumers())
        else:
            weights = self._quantize_weights(layer.inputs[1], scope)
            layer._update_input(1, weights)
            net = layer.outputs[0]
            following = net.consumers()
            if len(following) == 1 and following[0].type == "BiasAdd":
                net = following[0].outputs[0]
        end, activation = _activation_after(net)
        kind = "conv" if not activation and _is_added(net) else "act"
        self._quantize_output(end, f"{scope}/{kind}_quant")

    def _fold(self, layer, between, norm):
        """The layer with batch norm in its weights and biases.

        Weights are always scaled by the moving variance, as in inference, for else
        they would jump from batch to batch. In training the output makes up for it.
        """
        gamma, beta, mean, variance = norm.inputs[1:]
        epsilon = norm.get_attr("epsilon")
        deviation = tf.sqrt(variance + epsilon)
        scale = gamma / deviation
        weights = layer.inputs[1]
        per_channel = (
            tf.reshape(scale, weights.shape[2:])
            if layer.type == "DepthwiseConv2dNative"
            else scale
        )
        folded = tf.multiply(weights, per_channel, name="mul_fold")
        folded = self._quantize_weights(folded, _scope(layer))
        net = self._copy(layer, [layer.inputs[0], folded])
        for op in between:
            net = self._copy(op, [net, *op.inputs[1:]])
        if norm.get_attr("is_training"):
            raw = norm.inputs[0]
            # TensorFlow has no gradients of the statistics that its operation gives.
            mean, batch_variance = tf.nn.moments(raw, [0, 1, 2])
            batch_deviation = tf.sqrt(batch_variance + epsilon)
            net = tf.multiply(net, deviation / batch_deviation, name="correction_mul")
            scale = gamma / batch_deviation
            # What remains for batch norm is to update the averages, once they are read.
            with tf.control_dependencies([deviation]):
                norm._update_input(0, tf.identity(raw))
        return tf.add(net, beta - mean * scale, name="add_fold")

    def _copy(self, op, inputs):
        return self._graph.create_op(
            op.type,
            inputs,
            [net.dtype for net in op.outputs],
            name=f"{op.name.rpartition('/')[2]}_Fold",
            attrs=dict(op.node_def.attr),
        ).outputs[0]

    def _quantize_weights(self, weights, scope):
        name = f"{scope}/weights_quant"
        low, high = self._range(name)
        if self._is_training:
            least, greatest = _extent(weights)
            if self._symmetric:
                greatest = tf.maximum(greatest, -least)
                least = -greatest
            low, high = _update(low, least), _update(high, greatest)
        return self._fake_quant(weights, low, high, name, narrow_range=True)

    def _quantize_output(self, net, name):
        consumers = net.consumers()
        name = self._unique(name)
        low, high = self._range(name)
        if self._is_training:
            least, greatest = _extent(net)
            low, high = self._average(low, least), self._average(high, greatest)
        quantized = self._fake_quant(net, low, high, name)
        self._replace(net, quantized, consumers)

    def _unique(self, name):
        number, unique = 0, name
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique

    def _range(self, name):
        name = name.removeprefix(self._clone)
        initial = _INITIAL_RANGE.get(name.rpartition("/")[2], (0.0, 6.0))
        return [
            _variable(slim.model_variable, f"{name}/{end}", value)
            for end, value in zip(("min", "max"), initial, strict=True)
        ]

    def _average(self, average, value):
        """The moving average with `value`, without a bias towards where it began."""
        path = average.op.name
        scope = path.rpartition("/")[0]
        biased = _variable(slim.variable, f"{scope}/{path}/biased", 0.0)
        count = _variable(slim.variable, f"{scope}/{path}/local_step", 0.0)
        decay = tf.constant(_RANGE_DECAY)
        biased = _update(biased, biased * decay + value * (1 - decay))
        count = _update(count, count + 1)
        return _update(average, biased / (1 - tf.pow(decay, count)))

    def _fake_quant(self, net, low, high, name, narrow_range=False):
        with tf.name_scope(f"{name}/"):
            quantized = tf.quantization.fake_quant_with_min_max_vars(
                *(net, low, high, _BITS, narrow_range),
                name="FakeQuantWithMinMaxVars",
            )
            if self._active is None:
                return quantized
            return tf.where_v2(self._active, quantized, net, name="delayed")

    def _replace(self, old, new, consumers):
        self._replaced[old.ref()] = new
        for op in consumers:
            for i, net in enumerate(op.inputs):
                if net is old:
                    op._update_input(i, new)


def _scope(op):
    return op.name.rpartition("/")[0]


def _is_variable(net):
    while net.op.type in _READS:
        net = net.op.inputs[0]
    return net.op.type in _VARIABLES


def _is_picture_arithmetic(op):
    """Whether `op` computes on features: not on statistics, and not for dropout."""
    return op.outputs[0].shape.rank in (2, 4) and "dropout" not in op.name.lower()


def _following(net):
    """The only operation that reads `net`, past those that keep it, and these."""
    passed = []
    while True:
        consumers = net.consumers()
        if len(consumers) != 1:
            return None, passed
        if consumers[0].type not in _KEEPS:
            return consumers[0], passed
        passed.append(consumers[0])
        net = consumers[0].outputs[0]


def _activation_after(net):
    """The activation's output and True; `net` and False where there is none."""
    op, _ = _following(net)
    if op and op.type in _ACTIVATIONS:
        return op.outputs[0], True
    return net, False


def _is_added(net):
    op, _ = _following(net)
    return bool(op) and op.type.startswith("Add")


def _extent(net):
    """The least and the greatest value, with 0 between, which stays exact."""
    return tf.minimum(tf.reduce_min(net), 0), tf.maximum(tf.reduce_max(net), 0)


def _variable(make, name, value):
    initializer = tf.constant_initializer(value)
    return make(name, [], initializer=initializer, trainable=False)


def _update(variable, value):
    """Has `variable` take `value` when a step is taken; gives the value."""
    value = tf.stop_gradient(value)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(variable, value))
    return value
