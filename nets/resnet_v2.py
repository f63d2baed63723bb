"""ResNet v2, whose units begin with batch norm and activation.

He, Zhang, Ren, Sun: Identity mappings in deep residual networks, 2016,
https://arxiv.org/abs/1603.05027. The published checkpoints were trained on pictures
of 299x299 in [-1, 1], preprocessed as for Inception.
"""

import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_utils

resnet_arg_scope = resnet_utils.resnet_arg_scope


@slim.add_arg_scope
def bottleneck(
    inputs,
    depth,
    depth_bottleneck,
    stride,
    rate=1,
    outputs_collections=None,
    scope=None,
):
    """A residual unit: batch norm, activation, 1x1, 3x3 and 1x1 convolution, sum.

    Arguments as of `resnet_v1.bottleneck`.
    """
    with tf.variable_scope(scope, "bottleneck_v2", [inputs]) as scope:
        preact = slim.batch_norm(inputs, activation_fn=tf.nn.relu, scope="preact")
        if slim.utils.last_dimension(inputs.shape, min_rank=4) == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            shortcut = layers.linear(preact, depth, stride=stride, scope="shortcut")
        residual = slim.conv2d(preact, depth_bottleneck, [1, 1], scope="conv1")
        residual = resnet_utils.conv2d_same(
            residual, depth_bottleneck, 3, stride, rate, scope="conv2"
        )
        residual = layers.linear(residual, depth, scope="conv3")
        output = tf.add(shortcut, residual, name="add")
        return slim.utils.collect_named_outputs(outputs_collections, scope.name, output)


# f(scope, base_depth, num_units, stride) -> Block; the last unit has the stride.
resnet_v2_block = functools.partial(resnet_utils.bottleneck_block, bottleneck)


def resnet_v2(
    inputs,
    blocks,
    num_classes=None,
    is_training=True,
    global_pool=True,
    output_stride=None,
    include_root_block=True,
    spatial_squeeze=True,
    reuse=None,
    scope=None,
):
    """ResNet v2 of the given blocks; the arguments are as in `resnet_v1.resnet_v1`."""
    with resnet_utils.network_scope(
        scope, "resnet_v2", inputs, bottleneck, is_training, reuse
    ) as scope:
        net = inputs
        if include_root_block:
            with slim.arg_scope([slim.conv2d], activation_fn=None, normalizer_fn=None):
                net, output_stride = resnet_utils.root_block(net, output_stride)
        net = resnet_utils.stack_blocks_dense(net, blocks, output_stride)
        net = slim.batch_norm(net, activation_fn=tf.nn.relu, scope="postnorm")
        return resnet_utils.classifier(
            net, scope, num_classes, global_pool, spatial_squeeze
        )


resnet_v2.default_image_size = 224


def _of_depth(num_layers):
    name = f"resnet_v2_{num_layers}"

    def network(
        inputs,
        num_classes=None,
        is_training=True,
        global_pool=True,
        output_stride=None,
        spatial_squeeze=True,
        reuse=None,
        scope=name,
    ):
        """ResNet v2 of one of the paper's depths; see `resnet_v1.resnet_v1`."""
        return resnet_v2(
            inputs,
            resnet_utils.blocks_of(num_layers, resnet_v2_block),
            num_classes,
            is_training,
            global_pool,
            output_stride,
            spatial_squeeze=spatial_squeeze,
            reuse=reuse,
            scope=scope,
        )

    paper = "https://arxiv.org/abs/1603.05027"
    return resnet_utils.register(name, network, paper, classes=1001)


resnet_v2_50 = _of_depth(50)
resnet_v2_101 = _of_depth(101)
resnet_v2_152 = _of_depth(152)
resnet_v2_200 = _of_depth(200)
