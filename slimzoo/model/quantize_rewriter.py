"""Rewrites the operations of a network so that it computes as if in 8 bits."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase.errors import UserError

_BITS = 8
_RANGE_DECAY = 0.999
_INITIAL_RANGE = {"weights_quant": (-6.0, 6.0)}  # Others begin at 0.
_LAYERS = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
_ARITHMETIC = ("Add", "AddN", "AddV2", "Mul", "Sub")
_ACTIVATIONS = ("Relu", "Relu6")
_VARIABLES = ("VariableV2", "VarHandleOp")
_READS = ("Identity", "ReadVariableOp")
_KEEPS = ("Identity", "BatchToSpaceND")  # Between a layer and its activation.


class Rewriter:
    """Quantizes the operations that a network function has added to the graph."""

    def __init__(
        self,
        graph: tf.Graph,
        is_training: bool,
        active: tf.Tensor | None,
        symmetric: bool,
    ) -> None:
        """Prepares to rewrite a part of `graph`.

        Args:
          graph: the network's graph.
          is_training: whether ranges are updated, and batch norm uses its batch.
          active: whether quantization has begun, a scalar; None for always.
          symmetric: whether the ranges of weights are as far below 0 as above.
        """
        self._graph = graph
        self._is_training = is_training
        self._active = active
        self._symmetric = symmetric
        scope = graph.get_name_scope()
        self._clone = f"{scope}/" if scope else ""  # No part of variables' names.
        self._replaced = {}  # Tensor by the reference of the one it stands for.
        self._names = set()

    def rewrite(self, operations: Iterable[tf.Operation]) -> None:
        """Quantizes layers, and the arithmetic on their outputs.

        Args:
          operations: the network's operations, each after those it depends on.

        Raises:
          UserError: for a network without layers that can be quantized.
        """
        layers, arithmetic, computed = [], [], set()
        for op in operations:
            is_layer = op.type in _LAYERS and _is_variable(op.inputs[1])
            if is_layer:
                layers.append(op)
            elif not any(net.op.name in computed for net in op.inputs):
                continue
            elif op.type in _ARITHMETIC and _is_feature_arithmetic(op):
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
        """The tensor that stands in the graph for `net` now."""
        while net.ref() in self._replaced:
            net = self._replaced[net.ref()]
        return net

    @contextlib.contextmanager
    def _beside(self, op: tf.Operation) -> Iterator[None]:
        with self._graph.name_scope(f"{_scope(op)}/"), tf.device(op.device):
            yield

    def _quantize_layer(self, layer: tf.Operation) -> None:
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

    def _fold(
        self, layer: tf.Operation, between: Iterable[tf.Operation], norm: tf.Operation
    ) -> tf.Tensor:
        """The layer with batch norm in its weights and biases.

        Weights are always scaled by the moving variance, as in inference; otherwise
        they would jump from batch to batch. In training the output is corrected for it.
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
            # Batch norm only updates the averages, after they are read.
            with tf.control_dependencies([deviation]):
                norm._update_input(0, tf.identity(raw))
        return tf.add(net, beta - mean * scale, name="add_fold")

    def _copy(self, op: tf.Operation, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        return self._graph.create_op(
            op.type,
            inputs,
            [net.dtype for net in op.outputs],
            name=f"{op.name.rpartition('/')[2]}_Fold",
            attrs=dict(op.node_def.attr),
        ).outputs[0]

    def _quantize_weights(self, weights: tf.Tensor, scope: str) -> tf.Tensor:
        name = f"{scope}/weights_quant"
        low, high = self._range(name)
        if self._is_training:
            least, greatest = _extent(weights)
            if self._symmetric:
                greatest = tf.maximum(greatest, -least)
                least = -greatest
            low, high = _update(low, least), _update(high, greatest)
        return self._fake_quant(weights, low, high, name, narrow_range=True)

    def _quantize_output(self, net: tf.Tensor, name: str) -> None:
        consumers = net.consumers()
        name = self._unique(name)
        low, high = self._range(name)
        if self._is_training:
            least, greatest = _extent(net)
            low, high = self._average(low, least), self._average(high, greatest)
        quantized = self._fake_quant(net, low, high, name)
        self._replace(net, quantized, consumers)

    def _unique(self, name: str) -> str:
        number, unique = 0, name
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique

    def _range(self, name: str) -> list[tf.Variable]:
        name = name.removeprefix(self._clone)
        initial = _INITIAL_RANGE.get(name.rpartition("/")[2], (0.0, 6.0))
        return [
            _variable(slim.model_variable, f"{name}/{end}", value)
            for end, value in zip(("min", "max"), initial, strict=True)
        ]

    def _average(self, average: tf.Variable, value: tf.Tensor) -> tf.Tensor:
        """The moving average with `value`, without a bias towards its first value."""
        path = average.op.name
        scope = path.rpartition("/")[0]
        biased = _variable(slim.variable, f"{scope}/{path}/biased", 0.0)
        count = _variable(slim.variable, f"{scope}/{path}/local_step", 0.0)
        decay = tf.constant(_RANGE_DECAY)
        biased = _update(biased, biased * decay + value * (1 - decay))
        count = _update(count, count + 1)
        return _update(average, biased / (1 - tf.pow(decay, count)))

    def _fake_quant(
        self,
        net: tf.Tensor,
        low: tf.Tensor,
        high: tf.Tensor,
        name: str,
        narrow_range: bool = False,
    ) -> tf.Tensor:
        with tf.name_scope(f"{name}/"):
            quantized = tf.quantization.fake_quant_with_min_max_vars(
                net,
                low,
                high,
                _BITS,
                narrow_range,
                name="FakeQuantWithMinMaxVars",
            )
            if self._active is None:
                return quantized
            return tf.where_v2(self._active, quantized, net, name="delayed")

    def _replace(
        self, old: tf.Tensor, new: tf.Tensor, consumers: Iterable[tf.Operation]
    ) -> None:
        self._replaced[old.ref()] = new
        for op in consumers:
            for i, net in enumerate(op.inputs):
                if net is old:
                    op._update_input(i, new)


def _scope(op: tf.Operation) -> str:
    return op.name.rpartition("/")[0]


def _is_variable(net: tf.Tensor) -> bool:
    while net.op.type in _READS:
        net = net.op.inputs[0]
    return net.op.type in _VARIABLES


def _is_feature_arithmetic(op: tf.Operation) -> bool:
    """Whether `op` computes on features: not on statistics, and not for dropout."""
    return op.outputs[0].shape.rank in (2, 4) and "dropout" not in op.name.lower()


def _following(net: tf.Tensor) -> tuple[tf.Operation | None, list[tf.Operation]]:
    """The only reader of `net`, past operations that keep it, and those operations."""
    passed = []
    while True:
        consumers = net.consumers()
        if len(consumers) != 1:
            return None, passed
        if consumers[0].type not in _KEEPS:
            return consumers[0], passed
        passed.append(consumers[0])
        net = consumers[0].outputs[0]


def _activation_after(net: tf.Tensor) -> tuple[tf.Tensor, bool]:
    """The activation's output and True; `net` and False where there is none."""
    op, _ = _following(net)
    if op and op.type in _ACTIVATIONS:
        return op.outputs[0], True
    return net, False


def _is_added(net: tf.Tensor) -> bool:
    op, _ = _following(net)
    return bool(op) and op.type.startswith("Add")


def _extent(net: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The least and the greatest value and 0, which stays exact within a range."""
    return tf.minimum(tf.reduce_min(net), 0), tf.maximum(tf.reduce_max(net), 0)


def _variable(make: Callable[..., tf.Variable], name: str, value: float) -> tf.Variable:
    initializer = tf.constant_initializer(value)
    return make(name, [], initializer=initializer, trainable=False)


def _update(variable: tf.Variable, value: tf.Tensor) -> tf.Tensor:
    """Assigns `value` to `variable` in each step; gives the value."""
    value = tf.stop_gradient(value)
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(variable, value))
    return value
