"""Inception v1, or GoogLeNet, with batch normalization.

Szegedy et al.: Going deeper with convolutions, 2014,
https://arxiv.org/abs/1409.4842.

Its tables are those of its counterparts for video too: see `nets.s3dg`.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception_utils, layers, registry
from nets.inception_utils import conv, max_pool

STEM = {
    "Conv2d_1a_7x7": conv(64, 7, 2),
    "MaxPool_2a_3x3": max_pool(2),
    "Conv2d_2b_1x1": conv(64),
    "Conv2d_2c_3x3": conv(192, 3),
    "MaxPool_3a_3x3": max_pool(2),
}
# Widths in the order of the paper's table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 (a
# 3x3 here), pool projection.
CELLS = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool_4a_3x3": max_pool(2),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool_5a_2x2": max_pool(2, kernel=2),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def _branches(scope, widths):
    conv_1x1, reduce_3x3, conv_3x3, reduce_5x5, conv_5x5, projection = widths
    last = "Conv2d_0a_3x3" if scope == "Mixed_5b" else None  # sic
    return [
        [conv(conv_1x1)],
        [conv(reduce_3x3), conv(conv_3x3, 3)],
        [conv(reduce_5x5), conv(conv_5x5, 3, scope=last)],
        [max_pool(), conv(projection)],
    ]


_CELLS = {
    scope: _branches(scope, layer) if isinstance(layer, tuple) else layer
    for scope, layer in CELLS.items()
}


def inception_v1_base(
    inputs, final_endpoint="Mixed_5c", include_root_block=True, scope="InceptionV1"
):
    """Inception v1 from `Conv2d_1a_7x7` up to `Mixed_5c`.

    `include_root_block` is whether to start with the layers up to `MaxPool_3a_3x3`;
    else `inputs` are its features, of 192 channels and an eighth of the size.
    """
    table = STEM | _CELLS if include_root_block else _CELLS
    with (
        tf.variable_scope(scope, "InceptionV1", [inputs]),
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            weights_initializer=tf.truncated_normal_initializer(stddev=0.01),
        ),
    ):
        return layers.collect_until(
            final_endpoint, inception_utils.steps(inputs, table, padding="SAME")
        )


inception_v1_arg_scope = inception_utils.inception_arg_scope


@registry.register(
    "inception_v1",
    arg_scope=inception_v1_arg_scope,
    image_size=224,
    preprocessing="inception",
    classifier_scopes=("InceptionV1/Logits",),
    paper="https://arxiv.org/abs/1409.4842",
)
def inception_v1(
    inputs,
    num_classes=1000,
    is_training=True,
    dropout_keep_prob=0.8,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    scope="InceptionV1",
    global_pool=False,
):
    """Inception v1 as a classifier, made for 224x224 in [-1, 1]."""
    with (
        tf.variable_scope(scope, "InceptionV1", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = inception_v1_base(inputs, scope=scope)
        with tf.variable_scope("Logits"):
            if global_pool:
                net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
                end_points["global_pool"] = net
            else:
                kernel = layers.fit_kernel(net, (7, 7))
                net = slim.avg_pool2d(net, kernel, stride=1, scope="AvgPool_0a_7x7")
                end_points["AvgPool_0a_7x7"] = net
            if not num_classes:
                return net, end_points
            net = slim.dropout(net, keep_prob=dropout_keep_prob, scope="Dropout_0b")
            logits = layers.linear(net, num_classes, scope="Conv2d_0c_1x1")
            logits = layers.squeeze_if(spatial_squeeze, logits)
            end_points["Logits"] = logits
            if prediction_fn:
                end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points
