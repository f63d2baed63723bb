"""Inception v3.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for
computer vision, 2015, https://arxiv.org/abs/1512.00567.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception_utils, layers, registry
from nets.inception_utils import avg_pool, conv, max_pool


def _mixed_5(pool, conv_1x1=None, conv_5x5=None):
    return [
        [conv(64)],
        [conv(48, scope=conv_1x1), conv(64, 5, scope=conv_5x5)],
        [conv(64), conv(96, 3), conv(96, 3)],
        [avg_pool(), conv(pool)],
    ]


def _mixed_6(depth):
    row, column = (1, 7), (7, 1)
    return [
        [conv(192)],
        [conv(depth), conv(depth, row), conv(192, column)],
        [
            conv(depth),
            conv(depth, column),
            conv(depth, row),
            conv(depth, column),
            conv(192, row),
        ],
        [avg_pool(), conv(192)],
    ]


def _mixed_7(conv_3x1=None):
    row, column = (1, 3), (3, 1)
    return [
        [conv(320)],
        [conv(384), (conv(384, row), conv(384, column, scope=conv_3x1))],
        [conv(448), conv(384, 3), (conv(384, row), conv(384, column))],
        [avg_pool(), conv(192)],
    ]


_TABLE = inception_utils.STEM | {
    "Mixed_5b": _mixed_5(32),
    "Mixed_5c": _mixed_5(64, "Conv2d_0b_1x1", "Conv_1_0c_5x5"),  # sic
    "Mixed_5d": _mixed_5(64),
    "Mixed_6a": [
        [conv(384, 3, 2, "Conv2d_1a_1x1")],  # sic
        [conv(64), conv(96, 3), conv(96, 3, 2, "Conv2d_1a_1x1")],  # sic
        [max_pool(2)],
    ],
    "Mixed_6b": _mixed_6(128),
    "Mixed_6c": _mixed_6(160),
    "Mixed_6d": _mixed_6(160),
    "Mixed_6e": _mixed_6(192),
    "Mixed_7a": [
        [conv(192), conv(320, 3, 2)],
        [conv(192), conv(192, (1, 7)), conv(192, (7, 1)), conv(192, 3, 2)],
        [max_pool(2)],
    ],
    "Mixed_7b": _mixed_7("Conv2d_0b_3x1"),  # sic
    "Mixed_7c": _mixed_7(),
}


def inception_v3_base(
    inputs, final_endpoint="Mixed_7c", min_depth=16, depth_multiplier=1.0, scope=None
):
    """Inception v3 from `Conv2d_1a_3x3` up to `Mixed_7c`, for 75x75 or larger."""
    depth = layers.scaled_depth(depth_multiplier, min_depth)
    with tf.variable_scope(scope, "InceptionV3", [inputs]):
        return layers.collect_until(
            final_endpoint, inception_utils.steps(inputs, _TABLE, depth)
        )


def _auxiliary_logits(net, num_classes, depth, spatial_squeeze):
    """The classifier halfway, which only training uses."""
    with tf.variable_scope("AuxLogits"):
        net = slim.avg_pool2d(
            net, [5, 5], stride=3, padding="VALID", scope="AvgPool_1a_5x5"
        )
        net = slim.conv2d(net, depth(128), [1, 1], scope="Conv2d_1b_1x1")
        kernel = layers.fit_kernel(net, (5, 5))
        normal = tf.truncated_normal_initializer(stddev=0.01)
        scope = f"Conv2d_2a_{kernel[0]}x{kernel[1]}"
        net = slim.conv2d(
            net,
            depth(768),
            kernel,
            padding="VALID",
            weights_initializer=normal,
            scope=scope,
        )
        normal = tf.truncated_normal_initializer(stddev=0.001)
        net = layers.linear(
            net, num_classes, weights_initializer=normal, scope="Conv2d_2b_1x1"
        )
        return layers.squeeze_if(spatial_squeeze, net)


inception_v3_arg_scope = inception_utils.inception_arg_scope


@registry.register(
    "inception_v3",
    arg_scope=inception_v3_arg_scope,
    image_size=299,
    preprocessing="inception",
    classifier_scopes=("InceptionV3/Logits", "InceptionV3/AuxLogits"),
    paper="https://arxiv.org/abs/1512.00567",
)
def inception_v3(
    inputs,
    num_classes=1000,
    is_training=True,
    dropout_keep_prob=0.8,
    min_depth=16,
    depth_multiplier=1.0,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    create_aux_logits=True,
    scope="InceptionV3",
    global_pool=False,
):
    """Inception v3 as a classifier, made for 299x299 in [-1, 1]."""
    depth = layers.scaled_depth(depth_multiplier, min_depth)
    with (
        tf.variable_scope(scope, "InceptionV3", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = inception_v3_base(
            inputs, scope=scope, min_depth=min_depth, depth_multiplier=depth_multiplier
        )
        if create_aux_logits and num_classes:
            end_points["AuxLogits"] = _auxiliary_logits(
                end_points["Mixed_6e"], num_classes, depth, spatial_squeeze
            )
        return layers.pooled_classifier(
            net,
            end_points,
            num_classes,
            kernel=(8, 8),
            pool_scope="AvgPool_1a_{0}x{1}",
            dropout_keep_prob=dropout_keep_prob,
            global_pool=global_pool,
            spatial_squeeze=spatial_squeeze,
            prediction_fn=prediction_fn,
            prelogits="PreLogits",
        )
