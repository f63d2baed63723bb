"""The same training graph, in operations that CPUs are fast at in bfloat16.

TensorFlow has good bfloat16 kernels for some operations and poor ones for others, which
the gradients of a network need. This module expresses the latter by the former.
docs/precision.md has the figures. Names, variables and values stay; a value may be
rounded at another place.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow.compat.v1 as tf

# Names of gradients.
_CONV, _DEPTHWISE = "Bfloat16Conv2D", "Bfloat16DepthwiseConv2D"
_RELU, _MINIMUM = "Bfloat16BoundedRelu", "Bfloat16BoundOfRelu"
# Bounds within which a matrix product is faster than the kernel of filter gradients.
_LEAST_WEIGHTS = 32768  # Of one place of the filter, channels in times channels out.
_MOST_PLACES = 17 * 17  # Of the output.
# With AMX, it is always faster for 1x1 filters of at least so many channels.
_LEAST_CHANNELS = 16
# Depthwise kernels fall back to slow ones for other counts of channels.
_CHANNELS_AT_ONCE = 16
_LARGEST_DEPTHWISE = 3


@contextlib.contextmanager
def fast_gradients(has_amx: bool) -> Iterator[None]:
    """Gives convolutions that are built inside gradients that are fast in bfloat16.

    Args:
      has_amx: whether the CPU has AMX, which is much faster at matrix products than
        TensorFlow's gradients of filters are.
    """
    conv = f"{_CONV}WithAmx" if has_amx else _CONV
    override = {"Conv2D": conv, "DepthwiseConv2dNative": _DEPTHWISE}
    with tf.get_default_graph().gradient_override_map(override):
        yield


def bound_relu(graph: tf.Graph) -> None:
    """Replaces each Relu6 of `graph` by the minimum of a Relu and 6.

    TensorFlow makes the Relu a part of the batch norm before it, and is faster at the
    minimum than at Relu6 in bfloat16.
    """
    if not is_fast_throughout(graph):
        return
    for operation in graph.get_operations():
        if operation.type != "Relu6":
            continue
        [features], [output] = operation.inputs, operation.outputs
        readers = output.consumers()
        with (
            graph.as_default(),
            graph.device(operation.device),
            graph.gradient_override_map({"Relu": _RELU, "Minimum": _MINIMUM}),
            tf.name_scope(f"{operation.name}/"),
        ):
            six = tf.constant(6.0, features.dtype)
            bounded = tf.minimum(tf.nn.relu(features), six)
        for reader in readers:
            for index, tensor in enumerate(reader.inputs):
                if tensor is output:
                    reader._update_input(index, bounded)


def is_fast_throughout(graph: tf.Graph) -> bool:
    """Whether all depthwise convolutions of `graph` are fast in bfloat16."""
    return all(
        all(
            size in range(1, _LARGEST_DEPTHWISE + 1)
            for size in operation.inputs[1].shape[:2]
        )
        and operation.inputs[1].shape[2] % _CHANNELS_AT_ONCE == 0
        for operation in graph.get_operations()
        if operation.type == "DepthwiseConv2dNative"
    )


def _conv_gradient(
    operation: tf.Operation, gradient: tf.Tensor, has_amx: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    images, filters = operation.inputs
    attributes = _attributes(operation, "explicit_paddings")
    to_images = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(images),
        filter=filters,
        out_backprop=gradient,
        **attributes,
    )
    if _is_faster_as_product(operation, has_amx):
        return to_images, _products(images, filters, gradient, attributes)
    to_filters = tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=tf.shape(filters),
        out_backprop=gradient,
        **attributes,
    )
    return to_images, to_filters


@tf.RegisterGradient(_CONV)
def _(operation: tf.Operation, gradient: tf.Tensor) -> Any:
    return _conv_gradient(operation, gradient, has_amx=False)


@tf.RegisterGradient(f"{_CONV}WithAmx")
def _(operation: tf.Operation, gradient: tf.Tensor) -> Any:
    return _conv_gradient(operation, gradient, has_amx=True)


def _is_faster_as_product(operation: tf.Operation, has_amx: bool) -> bool:
    """Whether a convolution's filter gradient is, and can be, a product of matrices."""
    shapes = [t.shape for t in (*operation.inputs, *operation.outputs)]
    if not all(shape[1:].is_fully_defined() for shape in shapes):
        return False
    _, (height, width, channels_in, channels_out), (_, *places, _) = shapes
    if (
        operation.get_attr("data_format") != b"NHWC"
        or operation.get_attr("padding") not in (b"SAME", b"VALID")
        or {*operation.get_attr("strides"), *operation.get_attr("dilations")} != {1}
        or shapes[0][-1] != channels_in  # Groups of channels.
    ):
        return False
    if has_amx and height == width == 1:
        return min(channels_in, channels_out) >= _LEAST_CHANNELS
    weights = channels_in * channels_out
    return weights >= _LEAST_WEIGHTS and places[0] * places[1] <= _MOST_PLACES


def _products(
    images: tf.Tensor,
    filters: tf.Tensor,
    gradient: tf.Tensor,
    attributes: Mapping[str, Any],
) -> tf.Tensor:
    """The gradient to filters, one product of matrices for each of their places."""
    height, width, channels_in, channels_out = filters.shape.as_list()
    rows, columns = gradient.shape.as_list()[1:3]
    if attributes["padding"] == b"SAME":
        around = [[(size - 1) // 2, size // 2] for size in (height, width)]
        images = tf.pad(images, [[0, 0], *around, [0, 0]])
    gradient = tf.reshape(gradient, [-1, channels_out])
    seen = (
        images[:, top : top + rows, left : left + columns]
        for top in range(height)
        for left in range(width)
    )
    products = [
        tf.matmul(tf.reshape(part, [-1, channels_in]), gradient, transpose_a=True)
        for part in seen
    ]
    return tf.reshape(tf.stack(products), filters.shape)


@tf.RegisterGradient(_DEPTHWISE)
def _(operation: tf.Operation, gradient: tf.Tensor) -> Any:
    images, filters = operation.inputs
    attributes = _attributes(operation, "explicit_paddings")
    to_filters = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=images,
        filter_sizes=tf.shape(filters),
        out_backprop=gradient,
        **attributes,
    )
    height, width, _, multiplier = filters.shape.as_list()
    is_convolution = (  # With the filter turned by half a circle.
        {*attributes["strides"], *attributes["dilations"], multiplier} == {1}
        and height % 2 == width % 2 == 1
        and attributes["padding"] == b"SAME"
    )
    if is_convolution and is_fast_throughout(operation.graph):
        to_images = tf.raw_ops.DepthwiseConv2dNative(
            input=gradient, filter=tf.reverse(filters, [0, 1]), **attributes
        )
    else:
        to_images = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=tf.shape(images),
            filter=filters,
            out_backprop=gradient,
            **attributes,
        )
    return to_images, to_filters


@tf.RegisterGradient(_MINIMUM)
def _(operation: tf.Operation, gradient: tf.Tensor) -> Any:
    bounded = operation.outputs[0]
    return tf.raw_ops.Relu6Grad(gradients=gradient, features=bounded), None


@tf.RegisterGradient(_RELU)
def _(operation: tf.Operation, gradient: tf.Tensor) -> Any:
    return gradient  # The minimum has done it.


def _attributes(operation: tf.Operation, *others: str) -> dict[str, Any]:
    names = ("strides", "padding", "data_format", "dilations", *others)
    return {name: operation.get_attr(name) for name in names}
