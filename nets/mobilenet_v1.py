"""MobileNet v1.

Howard et al.: MobileNets: Efficient convolutional neural networks for mobile vision
applications, 2017, https://arxiv.org/abs/1704.04861.
"""

from collections import namedtuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry

Conv = namedtuple("Conv", ["kernel", "stride", "depth"])
DepthSepConv = namedtuple("DepthSepConv", ["kernel", "stride", "depth"])

MOBILENETV1_CONV_DEFS = [
    Conv([3, 3], 2, 32),
    DepthSepConv([3, 3], 1, 64),
    DepthSepConv([3, 3], 2, 128),
    DepthSepConv([3, 3], 1, 128),
    DepthSepConv([3, 3], 2, 256),
    DepthSepConv([3, 3], 1, 256),
    DepthSepConv([3, 3], 2, 512),
    *[DepthSepConv([3, 3], 1, 512)] * 5,
    DepthSepConv([3, 3], 2, 1024),
    DepthSepConv([3, 3], 1, 1024),
]


def _layers(net, conv_defs, output_stride, use_explicit_padding, depth):
    def pad(net, kernel, rate=1):
        return layers.pad_for_kernel(net, kernel, rate) if use_explicit_padding else net

    strides = (conv_def.stride for conv_def in conv_defs)
    placements = layers.strides_and_rates(strides, output_stride)
    for i, (conv_def, (stride, rate)) in enumerate(
        zip(conv_defs, placements, strict=True)
    ):
        name = f"Conv2d_{i}"
        width = depth(conv_def.depth)
        if isinstance(conv_def, Conv):
            net = pad(net, conv_def.kernel)
            net = slim.conv2d(net, width, conv_def.kernel, stride, scope=name)
            yield name, net
        elif isinstance(conv_def, DepthSepConv):
            net = slim.separable_conv2d(
                pad(net, conv_def.kernel, rate),
                None,  # Depthwise only.
                conv_def.kernel,
                depth_multiplier=1,
                stride=stride,
                rate=rate,
                scope=f"{name}_depthwise",
            )
            yield f"{name}_depthwise", net
            net = slim.conv2d(net, width, [1, 1], scope=f"{name}_pointwise")
            yield f"{name}_pointwise", net
        else:
            raise ValueError(
                f"conv_defs[{i}] is {conv_def!r}; expected a Conv or a DepthSepConv"
            )


def mobilenet_v1_base(
    inputs,
    final_endpoint="Conv2d_13_pointwise",
    min_depth=8,
    depth_multiplier=1.0,
    conv_defs=None,
    output_stride=None,
    use_explicit_padding=False,
    scope=None,
):
    """The convolutions of MobileNet v1: `Conv2d_0` and depthwise separable ones.

    Args:
      final_endpoint: `Conv2d_0`, or `Conv2d_i_depthwise` or `Conv2d_i_pointwise`
        for i from 1 to 13.
      conv_defs: rows of `Conv` and `DepthSepConv`; None for the paper's.
      output_stride: 8, 16, 32 or None.
      use_explicit_padding: pads as for any picture size and convolves 'VALID'.
    """
    if output_stride not in (None, 8, 16, 32):
        raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride}")
    depth = layers.scaled_depth(depth_multiplier, min_depth)
    conv_defs = MOBILENETV1_CONV_DEFS if conv_defs is None else conv_defs
    padding = "VALID" if use_explicit_padding else "SAME"
    with (
        tf.variable_scope(scope, "MobilenetV1", [inputs]),
        slim.arg_scope([slim.conv2d, slim.separable_conv2d], padding=padding),
    ):
        return layers.collect_until(
            final_endpoint,
            _layers(inputs, conv_defs, output_stride, use_explicit_padding, depth),
        )


def mobilenet_v1_arg_scope(
    is_training=True,
    weight_decay=0.00004,
    stddev=0.09,
    regularize_depthwise=False,
    batch_norm_decay=0.9997,
    batch_norm_epsilon=0.001,
    batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS,
    normalizer_fn=slim.batch_norm,
):
    """Arg scope of `mobilenet_v1`.

    Args:
      is_training: of batch norm; None leaves it to the call.
      stddev: of the truncated normal that initializes weights.
      regularize_depthwise: whether `weight_decay` holds for depthwise weights too.
      normalizer_fn: after each convolution.
    """
    batch_norm = {
        "center": True,
        "scale": True,
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "updates_collections": batch_norm_updates_collections,
    }
    if is_training is not None:
        batch_norm["is_training"] = is_training
    regularizer = slim.l2_regularizer(weight_decay)
    with (
        slim.arg_scope(
            [slim.conv2d, slim.separable_conv2d],
            weights_initializer=tf.truncated_normal_initializer(stddev=stddev),
            activation_fn=tf.nn.relu6,
            normalizer_fn=normalizer_fn,
        ),
        slim.arg_scope([slim.batch_norm], **batch_norm),
        slim.arg_scope([slim.conv2d], weights_regularizer=regularizer),
        slim.arg_scope(
            [slim.separable_conv2d],
            weights_regularizer=regularizer if regularize_depthwise else None,
        ) as scope,
    ):
        return scope


_FACTS = {
    "arg_scope": mobilenet_v1_arg_scope,
    "image_size": 224,
    "preprocessing": "inception",
    "classifier_scopes": ("MobilenetV1/Logits",),
    "paper": "https://arxiv.org/abs/1704.04861",
}


@registry.register("mobilenet_v1", **_FACTS)
def mobilenet_v1(
    inputs,
    num_classes=1000,
    dropout_keep_prob=0.999,
    is_training=True,
    min_depth=8,
    depth_multiplier=1.0,
    conv_defs=None,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    scope="MobilenetV1",
    global_pool=False,
):
    """MobileNet v1 as a classifier, made for pictures in [-1, 1].

    `conv_defs` are rows of `Conv` and `DepthSepConv`; None for the paper's.
    """
    layers.check_image_batch(inputs)
    with (
        tf.variable_scope(scope, "MobilenetV1", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = mobilenet_v1_base(
            inputs,
            scope=scope,
            min_depth=min_depth,
            depth_multiplier=depth_multiplier,
            conv_defs=conv_defs,
        )
        return layers.pooled_classifier(
            net,
            end_points,
            num_classes,
            kernel=(7, 7),
            pool_scope="AvgPool_1a",
            dropout_keep_prob=dropout_keep_prob,
            global_pool=global_pool,
            spatial_squeeze=spatial_squeeze,
            prediction_fn=prediction_fn,
        )


wrapped_partial = layers.wrapped_partial


def _thinner(name, depth_multiplier):
    network = wrapped_partial(mobilenet_v1, depth_multiplier=depth_multiplier)
    return registry.register(name, **_FACTS)(network)


mobilenet_v1_075 = _thinner("mobilenet_v1_075", 0.75)
mobilenet_v1_050 = _thinner("mobilenet_v1_050", 0.50)
mobilenet_v1_025 = _thinner("mobilenet_v1_025", 0.25)
