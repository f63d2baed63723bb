"""Builds MobileNets from tables of layers, `conv_defs`.

A table is a dict of

* `spec`: a list of `op(function, **arguments)`, one per layer;
* `defaults`: arguments by tuple of functions, for the arg scope around the layers;
* `overrides`: the same, which win over `defaults`; may be left out.
"""

import collections
import contextlib
import inspect
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from nets.mobilenet import conv_blocks

Op = collections.namedtuple("Op", ["op", "params", "multiplier_func"])
NoOpScope = conv_blocks.NoOpScope
safe_arg_scope = conv_blocks.safe_arg_scope


@slim.add_arg_scope
def apply_activation(x, name=None, activation_fn=None):
    """Applies `activation_fn(x, name)`, which an arg scope can give, unless None."""
    return activation_fn(x, name=name) if activation_fn else x


@slim.add_arg_scope
def depth_multiplier(
    output_params, multiplier, divisible_by=8, min_depth=8, **unused_kwargs
):
    """Scales `num_outputs` in `output_params`, if it is there, by `multiplier`.

    For `divisible_by` and `min_depth` see `layers.make_divisible`.
    """
    if "num_outputs" in output_params:
        output_params["num_outputs"] = layers.make_divisible(
            output_params["num_outputs"] * multiplier, divisible_by, min_depth
        )


def op(opfunc, multiplier_func=depth_multiplier, **params):
    """A layer of a table: `opfunc(net, **params)`, with a stride and maybe a rate.

    Its depth is scaled by `multiplier_func(params, multiplier)`, in place.
    """
    return Op(opfunc, params=params, multiplier_func=multiplier_func)


def _layers(net, spec, multiplier, output_stride, use_explicit_padding):
    strides = (layer.params.get("stride", 1) for layer in spec)
    placements = layers.strides_and_rates(strides, output_stride)
    for i, (layer, (stride, rate)) in enumerate(zip(spec, placements, strict=True), 1):
        params: dict[str, Any] = {**layer.params, "stride": stride}
        layer.multiplier_func(params, multiplier)
        if rate > 1 and tuple(params.get("kernel_size", ())) != (1, 1):
            params["rate"] = rate
        if use_explicit_padding:
            arguments = inspect.signature(layer.op).parameters
            if "kernel_size" in params and "use_explicit_padding" not in arguments:
                net = layers.pad_for_kernel(net, params["kernel_size"], rate)
            else:
                params["use_explicit_padding"] = True
        try:
            net = layer.op(net, **params)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"layer_{i}, {layer.op} with {params}, cannot be built: {error}"
            ) from error
        yield f"layer_{i}", net


@contextlib.contextmanager
def _arg_scopes(arguments):
    with contextlib.ExitStack() as stack:
        for functions, params in dict(arguments).items():
            stack.enter_context(slim.arg_scope(functions, **params))
        yield


def _inner_end_points(end_points):
    """Yields the tensors inside the layers whose names end in `output`."""
    scopes = {net.name.rpartition("/")[0]: name for name, net in end_points.items()}
    for operation in next(iter(end_points.values())).graph.get_operations():
        scope, _, name = operation.name.rpartition("/")
        if scope in scopes and name.endswith("output"):
            yield f"{scopes[scope]}/{name}", operation.outputs[0]


@slim.add_arg_scope
def mobilenet_base(
    inputs,
    conv_defs,
    multiplier=1.0,
    final_endpoint=None,
    output_stride=None,
    use_explicit_padding=False,
    scope=None,
    is_training=False,
):
    """The layers of a table.

    Args:
      conv_defs: a table of layers.
      multiplier: factor of all depths, above zero.
      final_endpoint: `layer_1`, `layer_2`, ...; None for the last.
      use_explicit_padding: pads as for any picture size and convolves 'VALID'.
      is_training: of batch norm; None leaves it to the arg scope around the call.

    Returns:
      The final end point and all by name: `layer_i`, and `layer_i/name` for the
      tensors in a layer whose names end in `output`.
    """
    if multiplier <= 0:
        raise ValueError(f"multiplier must be above zero, not {multiplier}")
    if output_stride not in (None, 1) and (output_stride <= 0 or output_stride % 2):
        raise ValueError(f"{output_stride=} is neither None nor 1 nor a multiple of 2")
    spec = conv_defs["spec"]
    padding = "VALID" if use_explicit_padding else None
    with (
        conv_blocks.full_scope(scope, "Mobilenet"),
        safe_arg_scope([slim.batch_norm], is_training=is_training),
        _arg_scopes(conv_defs.get("defaults", {})),
        _arg_scopes(conv_defs.get("overrides", {})),
        safe_arg_scope([slim.conv2d, slim.separable_conv2d], padding=padding),
    ):
        net, end_points = layers.collect_until(
            final_endpoint or f"layer_{len(spec)}",
            _layers(inputs, spec, multiplier, output_stride, use_explicit_padding),
        )
    end_points.update(_inner_end_points(end_points))
    return net, end_points


@slim.add_arg_scope
def mobilenet(
    inputs,
    num_classes=1001,
    prediction_fn=slim.softmax,
    reuse=None,
    scope="Mobilenet",
    base_only=False,
    use_reduce_mean_for_pooling=False,
    **mobilenet_args,
):
    """The layers of a table and a classifier on top, made for pictures in [-1, 1].

    Args:
      base_only: return what `mobilenet_base` does.
      use_reduce_mean_for_pooling: see `global_pool`.
      **mobilenet_args: of `mobilenet_base`; `is_training` is of dropout, too.
    """
    layers.check_image_batch(inputs)
    is_training = mobilenet_args.get("is_training", False)
    with tf.variable_scope(scope, "Mobilenet", reuse=reuse) as scope:
        inputs = tf.identity(inputs, "input")
        net, end_points = mobilenet_base(inputs, scope=scope, **mobilenet_args)
        if base_only:
            return net, end_points
        net = tf.identity(net, name="embedding")
        with tf.variable_scope("Logits"):
            net = global_pool(net, use_reduce_mean_for_pooling)
            end_points["global_pool"] = net
            if not num_classes:
                return net, end_points
            with safe_arg_scope([slim.dropout], is_training=is_training):
                net = slim.dropout(net, scope="Dropout")
            zeros = tf.zeros_initializer()
            logits = layers.linear(
                net, num_classes, biases_initializer=zeros, scope="Conv2d_1c_1x1"
            )  # sic
            logits = tf.identity(tf.squeeze(logits, [1, 2]), name="output")
        end_points["Logits"] = logits
        if prediction_fn:
            end_points["Predictions"] = prediction_fn(logits, "Predictions")
        return logits, end_points


def scaled_mobilenet(
    inputs, conv_defs, depth_multiplier, finegrain_classification_mode, **kwargs
):
    """`mobilenet`, whose `multiplier` MobileNets v2 and v3 call `depth_multiplier`.

    In `finegrain_classification_mode` one below 1 does not thin the last layer.
    """
    if "multiplier" in kwargs:
        raise ValueError("this network has no multiplier: give depth_multiplier")
    if finegrain_classification_mode and 0 < depth_multiplier < 1:
        *spec, last = conv_defs["spec"]
        depth = last.params["num_outputs"] / depth_multiplier
        last = last._replace(params={**last.params, "num_outputs": depth})
        conv_defs = {**conv_defs, "spec": [*spec, last]}
    return mobilenet(inputs, conv_defs=conv_defs, multiplier=depth_multiplier, **kwargs)


def global_pool(
    input_tensor, use_reduce_mean_for_pooling=False, pool_op=tf.nn.avg_pool2d
):
    """Pools the whole of a picture, `[batch, height, width, channels]`, by `pool_op`.

    If told to, and where height or width is unknown, `tf.reduce_mean` averages instead,
    which has fewer hardware implementations.
    """
    size = input_tensor.shape.as_list()[1:3]
    if use_reduce_mean_for_pooling or (None in size and pool_op is tf.nn.avg_pool2d):
        return tf.reduce_mean(input_tensor, [1, 2], keepdims=True, name="ReduceMean")
    window = [1, *size, 1]
    net = pool_op(input_tensor, ksize=window, strides=[1, 1, 1, 1], padding="VALID")
    net.set_shape([None, 1, 1, None])
    return net


def training_scope(
    is_training: bool | None = True,
    weight_decay=0.00004,
    stddev=0.09,
    dropout_keep_prob=0.8,
    bn_decay=0.997,
):
    """Arg scope of all MobileNets; a call that gives `is_training` overrules it.

    Args:
      is_training: None leaves it to the arg scopes around the call.
      weight_decay: not of depthwise convolutions.
      stddev: of the truncated normal that initializes weights; below zero for Xavier's.
      bn_decay: of batch norm's moving averages.
    """
    if stddev < 0:
        initializer = slim.xavier_initializer()
    else:
        initializer = tf.truncated_normal_initializer(stddev=stddev)
    weights = {"weights_initializer": initializer, "normalizer_fn": slim.batch_norm}
    decay = slim.l2_regularizer(weight_decay)
    dropout = {"keep_prob": dropout_keep_prob, "is_training": is_training}
    with (
        slim.arg_scope([slim.fully_connected], **weights),
        slim.arg_scope([slim.conv2d], weights_regularizer=decay, **weights),
        slim.arg_scope([slim.separable_conv2d], weights_regularizer=None, **weights),
        safe_arg_scope([slim.batch_norm], decay=bn_decay, is_training=is_training),
        safe_arg_scope([slim.dropout], **dropout),
        slim.arg_scope([mobilenet_base, mobilenet], is_training=is_training) as scope,
    ):
        return scope
