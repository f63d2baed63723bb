"""S3D-G: separable convolutions over space and time, with gates.

Xie, Sun, Huang, Tu, Murphy: Rethinking spatiotemporal feature learning:
Speed-accuracy trade-offs in video classification, 2017,
https://arxiv.org/abs/1712.04851.

It is Inception v1 inflated over time. See `nets.i3d` for its predecessor.
"""

import functools
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim import arg_scope

from nets import inception_v1, layers, registry
from nets.i3d_utils import (
    conv3d_spatiotemporal,
    i3d_arg_scope,
    inception_block_v1_3d,
    layout_arg_scope,
    reduced_kernel_size_3d,
)
from slimbase.errors import UserError

_BLOCKS = [
    "Conv2d_2c_3x3",
    *(scope for scope in inception_v1.CELLS if scope.startswith("Mixed")),
]


def s3dg_arg_scope(weight_decay=1e-7, batch_norm_decay=0.999, batch_norm_epsilon=0.001):
    """Arg scope of `s3dg`."""
    return i3d_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon, separable_conv3d=True
    )


def self_gating(input_tensor, scope, data_format="NDHWC"):
    """Weighs channels from 0 to 1 by what they are on average over the clip.

    The variables are under `scope`/self_gating.
    """
    places = [data_format.index(axis) for axis in "DHW"]
    weights = slim.conv3d(
        tf.reduce_mean(input_tensor, places, keepdims=True),
        input_tensor.shape.as_list()[data_format.index("C")],
        [1, 1, 1],
        activation_fn=None,
        normalizer_fn=None,
        biases_initializer=None,  # pyright: ignore
        data_format=data_format,
        scope=f"{scope}/self_gating/transformer_W",
    )
    return tf.multiply(tf.nn.sigmoid(weights), input_tensor)


def _layers(net, first_frames, temporal_start, gating_start, depth, data_format):
    frames, gate = 1, None
    how: dict[str, Any]
    for scope, layer in (inception_v1.STEM | inception_v1.CELLS).items():
        if scope == temporal_start:
            frames = 3
        if scope == gating_start:
            gate = functools.partial(self_gating, data_format=data_format)
        if isinstance(layer, tuple):
            how = {"temporal_kernel_size": frames, "self_gating_fn": gate}
            how |= {"data_format": data_format, "scope": scope}
            net = inception_block_v1_3d(net, *map(depth, layer), **how)
        elif layer.kind == "MaxPool":
            over_time = (layer.kernel[0], layer.stride)
            if scope in inception_v1.STEM:  # Over space only.
                over_time = (1, 1)
            kernel = [over_time[0], *layer.kernel]
            stride: Any = [over_time[1], layer.stride, layer.stride]
            net = slim.max_pool3d(net, kernel, stride=stride, scope=scope)
        else:
            kernel, how = [frames, *layer.kernel], {"scope": scope}
            if scope == "Conv2d_1a_7x7":
                kernel[0] = first_frames
                # Split in two it would be slow here.
                how |= {"stride": layer.stride, "separable": False}
            net = conv3d_spatiotemporal(net, depth(layer.depth), kernel, **how)
            net = gate(net, scope) if gate else net
        yield scope, net


def s3dg_base(
    inputs,
    first_temporal_kernel_size=3,
    temporal_conv_startat="Conv2d_2c_3x3",
    gating_startat="Conv2d_2c_3x3",
    final_endpoint="Mixed_5c",
    min_depth=16,
    depth_multiplier=1.0,
    data_format="NDHWC",
    scope="InceptionV1",
):
    """S3D-G from `Conv2d_1a_7x7` up to `Mixed_5c`, of clips as for `s3dg`.

    Args:
      first_temporal_kernel_size: frames of the first convolution's kernel: 1, 3, 5
        or 7.
      temporal_conv_startat: `Conv2d_2c_3x3` or the cell from which on 3x3
        convolutions see three frames instead of one; None for none of them.
      gating_startat: the same for the gates of channels.
      data_format: 'NDHWC' or 'NCDHW'.
    """
    if first_temporal_kernel_size not in (1, 3, 5, 7):
        raise UserError(
            "first_temporal_kernel_size can only be 1, 3, 5 or 7, "
            f"not {first_temporal_kernel_size}"
        )
    for start in (temporal_conv_startat, gating_startat):
        if start not in (None, *_BLOCKS):
            raise UserError(
                "temporal_conv_startat and gating_startat can be None or one of "
                f"{', '.join(_BLOCKS)}, not {start}"
            )
    depth = layers.scaled_depth(depth_multiplier, min_depth)
    with (
        tf.variable_scope(scope, "InceptionV1", [inputs]),
        arg_scope(layout_arg_scope(data_format)),
        arg_scope(
            [slim.conv3d],
            weights_initializer=tf.truncated_normal_initializer(stddev=0.01),
        ),
    ):
        start = temporal_conv_startat, gating_startat
        steps = _layers(inputs, first_temporal_kernel_size, *start, depth, data_format)
        return layers.collect_until(final_endpoint, steps)


@registry.register(
    "s3dg",
    arg_scope=s3dg_arg_scope,
    image_size=224,
    classes=400,
    frames=64,
    preprocessing="inception",
    classifier_scopes=("InceptionV1/Logits",),
    paper="https://arxiv.org/abs/1712.04851",
)
def s3dg(
    inputs,
    num_classes=1000,
    first_temporal_kernel_size=3,
    temporal_conv_startat="Conv2d_2c_3x3",
    gating_startat="Conv2d_2c_3x3",
    final_endpoint="Mixed_5c",
    min_depth=16,
    depth_multiplier=1.0,
    dropout_keep_prob=0.8,
    is_training=True,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    data_format="NDHWC",
    scope="InceptionV1",
):
    """S3D-G as a classifier of clips; the layers' arguments are those of `s3dg_base`.

    Clips are `[batch, frames, height, width, channels]`, or as `data_format` says, in
    [-1, 1], made for 64 frames of 224x224. The features are `[batch, frames, 1, 1,
    channels]`, of an eighth of the frames less one.
    """
    with (
        tf.variable_scope(scope, "InceptionV1", [inputs], reuse=reuse) as scope,
        arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = s3dg_base(
            inputs,
            first_temporal_kernel_size,
            temporal_conv_startat,
            gating_startat,
            final_endpoint,
            min_depth,
            depth_multiplier,
            data_format,
            scope,
        )
        with tf.variable_scope("Logits"):
            if data_format == "NCDHW":
                net = tf.transpose(net, [0, 2, 3, 4, 1])
            kernel = reduced_kernel_size_3d(net, [2, 7, 7])
            net = slim.avg_pool3d(net, kernel, stride=1, scope="AvgPool_0a_7x7")
            if not num_classes:
                return net, end_points
            net = slim.dropout(net, keep_prob=dropout_keep_prob, scope="Dropout_0b")
            linear: dict[str, Any] = {"activation_fn": None, "normalizer_fn": None}
            logits = slim.conv3d(
                net, num_classes, [1, 1, 1], scope="Conv2d_0c_1x1", **linear
            )
            logits = layers.squeeze_if(spatial_squeeze, tf.reduce_mean(logits, 1))
            end_points["Logits"] = logits
            if prediction_fn:
                end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points
