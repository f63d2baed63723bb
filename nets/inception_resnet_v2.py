"""Inception-ResNet v2.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of
residual connections on learning, 2016, https://arxiv.org/abs/1602.07261.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception_utils, layers, registry
from nets.inception_utils import avg_pool, conv, max_pool

_CONV_1X1 = "Conv2d_1x1"  # sic, without a place

_STEM = inception_utils.STEM | {
    "Mixed_5b": [
        [conv(96, scope=_CONV_1X1)],
        [conv(48), conv(64, 5)],
        [conv(64), conv(96, 3), conv(96, 3)],
        [avg_pool(), conv(64)],
    ],
}
_BLOCK35 = [
    [conv(32, scope=_CONV_1X1)],
    [conv(32), conv(32, 3)],
    [conv(32), conv(48, 3), conv(64, 3)],
]
_BLOCK17 = [
    [conv(192, scope=_CONV_1X1)],
    [conv(128), conv(160, (1, 7)), conv(192, (7, 1))],
]
_MIXED_7A = [
    [conv(256), conv(384, 3, 2)],
    [conv(256), conv(288, 3, 2)],
    [conv(256), conv(288, 3), conv(320, 3, 2)],
    [max_pool(2)],
]
_BLOCK8 = [
    [conv(192, scope=_CONV_1X1)],
    [conv(192), conv(224, (1, 3)), conv(256, (3, 1))],
]


def _mixed_6a(stride):
    return [
        [conv(384, 3, stride)],
        [conv(256), conv(256, 3), conv(384, 3, stride)],
        [max_pool(stride)],
    ]


def _block(name, branches):
    def block(net, scale=1.0, activation_fn=tf.nn.relu, scope=None, reuse=None):
        """A residual cell, which adds `scale` times its branches to `net`.

        `activation_fn` is of the sum, or None.
        """
        with tf.variable_scope(scope, name.title(), [net], reuse=reuse):
            mixed = inception_utils.concat_branches(net, branches)
            depth = net.shape.as_list()[3]
            residual = scale * layers.linear(mixed, depth, scope=_CONV_1X1)
            if activation_fn == tf.nn.relu6:
                # Like the activations: quantization needs a known range.
                residual = tf.clip_by_value(residual, -6.0, 6.0)
            net += residual
            return activation_fn(net) if activation_fn else net

    block.__name__ = block.__qualname__ = name
    return block


block35 = _block("block35", _BLOCK35)  # The name is the size it was made for.
block17 = _block("block17", _BLOCK17)
block8 = _block("block8", _BLOCK8)


def _layers(inputs, dilated, padding, activation_fn):
    def repeat(net, times, block, scale):
        return slim.repeat(net, times, block, scale=scale, activation_fn=activation_fn)

    net = inputs
    for scope, net in inception_utils.steps(inputs, _STEM, padding=padding):
        yield scope, net
    net = repeat(net, 10, block35, 0.17)
    with tf.variable_scope("Mixed_6a"):
        branches = _mixed_6a(stride=1 if dilated else 2)
        net = inception_utils.concat_branches(net, branches, padding=padding)
    yield "Mixed_6a", net
    with slim.arg_scope([slim.conv2d], rate=2 if dilated else 1):
        net = repeat(net, 20, block17, 0.10)
    yield "PreAuxLogits", net
    if dilated:
        raise ValueError(
            "output_stride 8 ends at PreAuxLogits: give that or an earlier "
            "final_endpoint, or output_stride=16"
        )
    with tf.variable_scope("Mixed_7a"):
        net = inception_utils.concat_branches(net, _MIXED_7A, padding=padding)
    yield "Mixed_7a", net
    net = repeat(net, 9, block8, 0.20)
    net = block8(net, activation_fn=None)
    yield "Conv2d_7b_1x1", slim.conv2d(net, 1536, [1, 1], scope="Conv2d_7b_1x1")


def inception_resnet_v2_base(
    inputs,
    final_endpoint="Conv2d_7b_1x1",
    output_stride=16,
    align_feature_maps=False,
    scope=None,
    activation_fn=tf.nn.relu,
):
    """Inception-ResNet v2 up to a layer or cell, for 75x75 or larger.

    Args:
      final_endpoint: one of the stem from `Conv2d_1a_3x3` to `Mixed_5b`, `Mixed_6a`,
        `PreAuxLogits`, `Mixed_7a` or `Conv2d_7b_1x1`.
      output_stride: 8 or 16, of `PreAuxLogits`, where the network ends at 8.
      align_feature_maps: pads everywhere, so that places in features lie above the
        same places of the picture whatever the layer.
      activation_fn: of the residual cells' sums.
    """
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride must be 8 or 16, not {output_stride}")
    padding = "SAME" if align_feature_maps else "VALID"
    with tf.variable_scope(scope, "InceptionResnetV2", [inputs]):
        return layers.collect_until(
            final_endpoint, _layers(inputs, output_stride == 8, padding, activation_fn)
        )


def inception_resnet_v2_arg_scope(
    weight_decay=0.00004,
    batch_norm_decay=0.9997,
    batch_norm_epsilon=0.001,
    activation_fn=tf.nn.relu,
    batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS,
    batch_norm_scale=False,
):
    """Arg scope of Inception-ResNet v2, whose biases are regularized too."""
    inception_arg_scope = inception_utils.inception_arg_scope(
        weight_decay,
        True,
        batch_norm_decay,
        batch_norm_epsilon,
        activation_fn,
        batch_norm_updates_collections,
        batch_norm_scale,
    )
    regularizer = slim.l2_regularizer(weight_decay)
    regularized = [slim.conv2d, slim.fully_connected]
    with (
        slim.arg_scope(inception_arg_scope),
        slim.arg_scope(regularized, biases_regularizer=regularizer),
        slim.arg_scope(
            [slim.conv2d], weights_initializer=slim.xavier_initializer()
        ) as scope,
    ):
        return scope


@registry.register(
    "inception_resnet_v2",
    arg_scope=inception_resnet_v2_arg_scope,
    image_size=299,
    preprocessing="inception",
    classifier_scopes=("InceptionResnetV2/Logits", "InceptionResnetV2/AuxLogits"),
    paper="https://arxiv.org/abs/1602.07261",
)
def inception_resnet_v2(
    inputs,
    num_classes=1001,
    is_training=True,
    dropout_keep_prob=0.8,
    reuse=None,
    scope="InceptionResnetV2",
    create_aux_logits=True,
    activation_fn=tf.nn.relu,
):
    """Inception-ResNet v2 as a classifier, made for 299x299 in [-1, 1].

    The auxiliary classifier needs pictures of known size. `activation_fn` is that of
    the residual cells' sums.
    """
    with (
        tf.variable_scope(scope, "InceptionResnetV2", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = inception_resnet_v2_base(
            inputs, scope=scope, activation_fn=activation_fn
        )
        if create_aux_logits and num_classes:
            end_points["AuxLogits"] = inception_utils.auxiliary_logits(
                end_points["PreAuxLogits"], num_classes, "Conv2d_2a_5x5", "Logits"
            )

        def flatten(net):
            return slim.dropout(slim.flatten(net), dropout_keep_prob, scope="Dropout")

        return inception_utils.classifier(
            net, end_points, num_classes, "AvgPool_1a_8x8", flatten
        )
