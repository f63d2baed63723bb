"""Inception v2: Inception with batch normalization.

Ioffe, Szegedy: Batch normalization: Accelerating deep network training by reducing
internal covariate shift, 2015, https://arxiv.org/abs/1502.03167.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception_utils, layers, registry
from nets.inception_utils import avg_pool, conv, max_pool


def _mixed(conv_1x1, conv_3x3, double_3x3, projection, pool=avg_pool):
    """Branches of a cell that keeps the size; pairs are widths before and after."""
    return [
        [conv(conv_1x1)],
        [conv(conv_3x3[0], stddev=0.09), conv(conv_3x3[1], 3)],
        [
            conv(double_3x3[0], stddev=0.09),
            conv(double_3x3[1], 3),
            conv(double_3x3[1], 3),
        ],
        [pool(), conv(projection, stddev=0.1)],
    ]


def _reduction(conv_3x3, double_3x3):
    return [
        [conv(conv_3x3[0], stddev=0.09), conv(conv_3x3[1], 3, 2)],
        [
            conv(double_3x3[0], stddev=0.09),
            conv(double_3x3[1], 3),
            conv(double_3x3[1], 3, 2),
        ],
        [max_pool(2)],
    ]


_ROOT = {  # After the first convolution.
    "MaxPool_2a_3x3": max_pool(2),
    "Conv2d_2b_1x1": conv(64, stddev=0.1),
    "Conv2d_2c_3x3": conv(192, 3),
    "MaxPool_3a_3x3": max_pool(2),
}
_CELLS = {
    "Mixed_3b": _mixed(64, (64, 64), (64, 96), 32),
    "Mixed_3c": _mixed(64, (64, 96), (64, 96), 64),
    "Mixed_4a": _reduction((128, 160), (64, 96)),
    "Mixed_4b": _mixed(224, (64, 96), (96, 128), 128),
    "Mixed_4c": _mixed(192, (96, 128), (96, 128), 128),
    "Mixed_4d": _mixed(160, (128, 160), (128, 160), 96),
    "Mixed_4e": _mixed(96, (128, 192), (160, 192), 96),
    "Mixed_5a": _reduction((128, 192), (192, 256)),
    "Mixed_5b": _mixed(352, (192, 320), (160, 224), 128),
    "Mixed_5c": _mixed(352, (192, 320), (192, 224), 128, pool=max_pool),
}


def _first_conv(net, width, separable):
    kwargs = {
        "stride": 2,
        "weights_initializer": tf.truncated_normal_initializer(stddev=1.0),
        "scope": "Conv2d_1a_7x7",
    }
    if separable:
        return slim.separable_conv2d(net, width, [7, 7], min(width // 3, 8), **kwargs)
    return slim.conv2d(net, width, [7, 7], **kwargs)


def _layers(net, depth, axis, separable, include_root_block):
    if include_root_block:
        net = _first_conv(net, depth(64), separable)
        yield "Conv2d_1a_7x7", net
    table = _ROOT | _CELLS if include_root_block else _CELLS
    yield from inception_utils.steps(net, table, depth, "SAME", axis)


def inception_v2_base(
    inputs,
    final_endpoint="Mixed_5c",
    min_depth=16,
    depth_multiplier=1.0,
    use_separable_conv=True,
    data_format="NHWC",
    include_root_block=True,
    scope=None,
):
    """Inception v2 from `Conv2d_1a_7x7` up to `Mixed_5c`.

    Args:
      use_separable_conv: whether the first convolution is depthwise separable.
      data_format: `NHWC`, or `NCHW` without the separable convolution.
      include_root_block: whether to start with the layers up to `MaxPool_3a_3x3`; else
        `inputs` are its features, of 192 channels and an eighth of the size.
    """
    depth = layers.scaled_depth(depth_multiplier, min_depth)
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(f"data_format must be NHWC or NCHW, not {data_format}")
    if use_separable_conv and data_format == "NCHW":
        raise ValueError(
            "the separable convolution works on NHWC only: with data_format NCHW give "
            "use_separable_conv=False"
        )
    axis = data_format.index("C")
    formatted = [slim.conv2d, slim.max_pool2d, slim.avg_pool2d, slim.batch_norm]
    with (
        tf.variable_scope(scope, "InceptionV2", [inputs]),
        slim.arg_scope(formatted, data_format=data_format),
    ):
        return layers.collect_until(
            final_endpoint,
            _layers(inputs, depth, axis, use_separable_conv, include_root_block),
        )


inception_v2_arg_scope = inception_utils.inception_arg_scope


@registry.register(
    "inception_v2",
    arg_scope=inception_v2_arg_scope,
    image_size=224,
    preprocessing="inception",
    classifier_scopes=("InceptionV2/Logits",),
    paper="https://arxiv.org/abs/1502.03167",
)
def inception_v2(
    inputs,
    num_classes=1000,
    is_training=True,
    dropout_keep_prob=0.8,
    min_depth=16,
    depth_multiplier=1.0,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    scope="InceptionV2",
    global_pool=False,
):
    """Inception v2 as a classifier, made for 224x224 in [-1, 1]."""
    with (
        tf.variable_scope(scope, "InceptionV2", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = inception_v2_base(
            inputs, scope=scope, min_depth=min_depth, depth_multiplier=depth_multiplier
        )
        return layers.pooled_classifier(
            net,
            end_points,
            num_classes,
            kernel=(7, 7),
            pool_scope="AvgPool_1a_{0}x{1}",
            dropout_keep_prob=dropout_keep_prob,
            global_pool=global_pool,
            spatial_squeeze=spatial_squeeze,
            prediction_fn=prediction_fn,
            prelogits="PreLogits",
        )
