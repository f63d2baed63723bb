"""Blocks of MobileNets: separable and split convolutions, inverted residuals.

Sandler et al.: MobileNetV2: Inverted residuals and linear bottlenecks, 2018,
https://arxiv.org/abs/1801.04381. Hu et al.: Squeeze-and-excitation networks, 2017,
https://arxiv.org/abs/1709.01507.
"""

import contextlib
import itertools
from collections.abc import Callable

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers


@contextlib.contextmanager
def full_scope(scope, default_scope):
    """Variable scope that names operations as variables, also when entered again."""
    with (
        tf.variable_scope(scope, default_scope) as opened,
        tf.name_scope(opened.original_name_scope),
    ):
        yield opened


class NoOpScope(contextlib.nullcontext):
    """A scope without effect."""


def safe_arg_scope(funcs, **kwargs):
    """`slim.arg_scope` without the arguments that are None; `NoOpScope` if all are."""
    given = {name: value for name, value in kwargs.items() if value is not None}
    return slim.arg_scope(funcs, **given) if given else NoOpScope()


@slim.add_arg_scope
def split_separable_conv2d(
    input_tensor,
    num_outputs,
    scope=None,
    normalizer_fn=None,
    stride=1,
    rate=1,
    endpoints=None,
    use_explicit_padding=False,
) -> tf.Tensor:
    """A 3x3 depthwise convolution and a 1x1 convolution to depth `num_outputs`.

    `scope` is the prefix of their scopes; None for a unique scope `separable` of both.
    The dict `endpoints` receives their outputs. `use_explicit_padding` pads as for any
    picture size and convolves 'VALID'.
    """
    prefix = f"{scope}_" if scope else ""
    padding = "VALID" if use_explicit_padding else "SAME"
    convs = [slim.conv2d, slim.separable_conv2d]
    if use_explicit_padding:
        input_tensor = layers.pad_for_kernel(input_tensor, [3, 3], rate)
    with (
        contextlib.nullcontext() if scope else full_scope(None, "separable"),
        slim.arg_scope(convs, normalizer_fn=normalizer_fn),
    ):
        name = f"{prefix}depthwise"
        net = slim.separable_conv2d(
            input_tensor, None, [3, 3], 1, stride, padding, rate=rate, scope=name
        )
        outputs = {name: net}
        name = f"{prefix}pointwise"
        net = outputs[name] = slim.conv2d(net, num_outputs, [1, 1], scope=name)
    if endpoints is not None:
        endpoints.update(outputs)
    return net


def expand_input_by_factor(n, divisible_by=8):
    """Returns `f(num_inputs, **_)`: `n` times as many, a multiple of `divisible_by`."""
    return lambda num_inputs, **_: layers.make_divisible(num_inputs * n, divisible_by)


def _split_divisible(total, ways, divisor):
    """Splits `total` as evenly as multiples of `divisor` allow."""
    if total % divisor or total // ways < divisor:
        raise ValueError(f"{total} channels are not {ways} multiples of {divisor}")
    ends = [-(-total * i // (ways * divisor)) * divisor for i in range(ways + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


def split_conv(
    input_tensor, num_outputs, num_ways, scope, divisible_by=8, **kwargs
) -> tf.Tensor:
    """A 1x1 convolution in `num_ways` groups of channels, about equally large.

    Group i is in `scope`_part_i. There is one group, in `scope`, where they would have
    less than `divisible_by` channels; else their sizes are multiples of it, as both
    depths must be. `kwargs` is for `slim.conv2d`.
    """
    num_inputs = input_tensor.shape.as_list()[3]
    if num_ways == 1 or min(num_inputs, num_outputs) // num_ways < divisible_by:
        return slim.conv2d(input_tensor, num_outputs, [1, 1], scope=scope, **kwargs)
    sizes = _split_divisible(num_inputs, num_ways, divisible_by)
    depths = _split_divisible(num_outputs, num_ways, divisible_by)
    groups = tf.split(input_tensor, sizes, axis=3, name=f"split_{scope}")
    outputs = []
    for i, (group, depth) in enumerate(zip(groups, depths, strict=True)):
        part = f"{scope}_part_{i}"
        net = slim.conv2d(group, depth, [1, 1], scope=part, **kwargs)
        outputs.append(tf.identity(net, f"{part}_output"))
    return tf.concat(outputs, 3, name=f"{scope}_concat")


@slim.add_arg_scope
def expanded_conv(
    input_tensor,
    num_outputs,
    expansion_size=expand_input_by_factor(6),  # noqa: B008  A function, as is meant.
    stride=1,
    rate=1,
    kernel_size=(3, 3),
    residual: bool | Callable[..., tf.Tensor] = True,
    normalizer_fn=None,
    split_projection=1,
    split_expansion=1,
    split_divisible_by=8,
    expansion_transform=None,
    depthwise_location="expansion",
    depthwise_channel_multiplier=1,
    endpoints=None,
    use_explicit_padding=False,
    padding="SAME",
    inner_activation_fn=None,
    depthwise_activation_fn=None,
    project_activation_fn=tf.identity,
    depthwise_fn=slim.separable_conv2d,
    expansion_fn=split_conv,
    projection_fn=split_conv,
    scope=None,
):
    """Inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection.

    Args:
      expansion_size: depth of the expansion, or `f(num_inputs, **_)` that returns it;
        nothing is expanded unless it exceeds the input's.
      stride, rate, kernel_size, padding, depthwise_channel_multiplier, depthwise_fn: of
        the depthwise convolution.
      residual: whether to add the input, where the shapes agree; or
        `f(input_tensor, output_tensor)` that returns the result.
      normalizer_fn: after each convolution.
      split_projection, split_expansion, split_divisible_by: of `split_conv`.
      expansion_transform: `f(expansion_tensor, input_tensor)` before the projection.
      depthwise_location: 'input', 'expansion' or 'output': what is convolved depthwise,
        without activation for the first and the last; or None.
      endpoints: dict that receives `expansion_output`, `expansion_transform` and
        `projection_output`, even where nothing happens there, and `depthwise_output`.
      use_explicit_padding: as in `split_separable_conv2d`; not with a `padding`.
      inner_activation_fn: of all but the projection; None for the arg scope's.
      depthwise_activation_fn: of the depthwise convolution, if another.
      expansion_fn, projection_fn: in place of `split_conv`, without its groups.
      scope: variable scope; None for a unique `expanded_conv`.
    """
    places = (None, "input", "expansion", "output")
    if depthwise_location not in places:
        raise ValueError(f"{depthwise_location=} is none of {places}")
    if use_explicit_padding and padding != "SAME":
        raise ValueError(f"use_explicit_padding needs padding 'SAME', not {padding!r}")
    endpoints = {} if endpoints is None else endpoints

    def depthwise(net, **activation):
        if use_explicit_padding:
            net = layers.pad_for_kernel(net, kernel_size, rate)
        net = depthwise_fn(
            net,
            num_outputs=None,
            kernel_size=kernel_size,
            depth_multiplier=depthwise_channel_multiplier,
            stride=stride,
            rate=rate,
            normalizer_fn=normalizer_fn,
            padding="VALID" if use_explicit_padding else padding,
            scope="depthwise",
            **activation,
        )
        endpoints["depthwise_output"] = tf.identity(net, "depthwise_output")
        return endpoints["depthwise_output"]

    def pointwise(function, net, depth, ways, **kwargs):
        if function is split_conv:
            kwargs.update(num_ways=ways, divisible_by=split_divisible_by)
        return function(net, depth, normalizer_fn=normalizer_fn, **kwargs)

    depthwise_activation_fn = depthwise_activation_fn or inner_activation_fn
    with (
        full_scope(scope, "expanded_conv"),
        safe_arg_scope([slim.conv2d], activation_fn=inner_activation_fn),
        safe_arg_scope([slim.separable_conv2d], activation_fn=depthwise_activation_fn),
    ):
        net = input_tensor = tf.identity(input_tensor, "input")
        num_inputs = input_tensor.shape.as_list()[3]
        if depthwise_location == "input":
            net = depthwise(net, activation_fn=None)
        if callable(expansion_size):
            expansion_size = expansion_size(num_inputs=num_inputs)
        if expansion_size > net.shape.as_list()[3]:
            net = pointwise(
                expansion_fn, net, expansion_size, split_expansion, scope="expand"
            )
            net = tf.identity(net, "expansion_output")
        endpoints["expansion_output"] = net
        if depthwise_location == "expansion":
            net = depthwise(net)
        if expansion_transform:
            net = expansion_transform(expansion_tensor=net, input_tensor=input_tensor)
        endpoints["expansion_transform"] = net
        project = {"scope": "project", "activation_fn": project_activation_fn}
        net = pointwise(projection_fn, net, num_outputs, split_projection, **project)
        endpoints["projection_output"] = net
        if depthwise_location == "output":
            net = depthwise(net, activation_fn=None)
        if callable(residual):
            net = residual(input_tensor=input_tensor, output_tensor=net)
        elif residual and stride == 1 and net.shape.as_list()[3] == num_inputs:
            net += input_tensor
        return tf.identity(net, "output")


@slim.add_arg_scope
def squeeze_excite(
    input_tensor,
    divisible_by=8,
    squeeze_factor=3,
    inner_activation_fn=tf.nn.relu,
    gating_fn=tf.sigmoid,
    squeeze_input_tensor=None,
    pool=None,
):
    """Squeeze-and-excitation: gates each channel by what all of them see on average.

    Args:
      divisible_by: the depth of the squeezed features is a multiple of it.
      squeeze_factor: how many times fewer the squeezed features are.
      inner_activation_fn, gating_fn: of the squeezed features, of the gates.
      squeeze_input_tensor: what the gates are computed from, if not `input_tensor`.
      pool: size of the window that is averaged, the gates being resized to the
        picture; None for the whole picture.
    """
    source = input_tensor if squeeze_input_tensor is None else squeeze_input_tensor
    sources, channels = source.shape.as_list()[3], input_tensor.shape.as_list()[3]
    squeezed = layers.make_divisible(sources / squeeze_factor, divisible_by)
    with (
        tf.variable_scope("squeeze_excite"),
        slim.arg_scope([slim.conv2d], normalizer_fn=None),
    ):
        if pool is None:
            gates = tf.reduce_mean(source, [1, 2], keepdims=True)
        else:
            gates = tf.nn.avg_pool2d(source, pool, strides=1, padding="VALID")
        gates = slim.conv2d(gates, squeezed, [1, 1], activation_fn=inner_activation_fn)
        gates = slim.conv2d(gates, channels, [1, 1], activation_fn=gating_fn)
        if pool is not None:
            size = tf.shape(input_tensor)[1:3]
            gates = tf.image.resize_bilinear(gates, size, align_corners=True)
        return input_tensor * gates
