"""AlexNet v2: the variant of AlexNet that is one column wide.

Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014,
https://arxiv.org/abs/1404.5997. Here fc6 to fc8 are convolutions, and there is no
local response normalization.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry
from nets.layers import conv, max_pool

_LAYERS = {
    "conv1": conv(64, 11, stride=4, padding="VALID"),
    "pool1": max_pool(3),
    "conv2": conv(192, 5),
    "pool2": max_pool(3),
    "conv3": conv(384, 3),
    "conv4": conv(384, 3),
    "conv5": conv(256, 3),
    "pool5": max_pool(3),
}


def alexnet_v2_arg_scope(weight_decay=0.0005):
    """Arg scope of `alexnet_v2`."""
    with (
        slim.arg_scope(layers.convolutional_arg_scope(weight_decay)),
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            biases_initializer=tf.constant_initializer(0.1),
        ),
        slim.arg_scope([slim.max_pool2d], padding="VALID") as scope,
    ):
        return scope


@registry.register(
    "alexnet_v2",
    arg_scope=alexnet_v2_arg_scope,
    image_size=224,
    classes=1000,
    preprocessing="vgg",
    classifier_scopes=("alexnet_v2/fc8",),
    paper="https://arxiv.org/abs/1404.5997",
)
def alexnet_v2(
    inputs,
    num_classes=1000,
    is_training=True,
    dropout_keep_prob=0.5,
    spatial_squeeze=True,
    scope="alexnet_v2",
    global_pool=False,
):
    """AlexNet v2 as a classifier, made for 224x224; the features are those of fc7."""
    return layers.convolutional_classifier(
        inputs,
        _LAYERS,
        num_classes,
        name="alexnet_v2",
        scope=scope,
        fc6=conv(4096, 5, padding="VALID"),
        is_training=is_training,
        dropout_keep_prob=dropout_keep_prob,
        spatial_squeeze=spatial_squeeze,
        global_pool=global_pool,
        weights_initializer=tf.truncated_normal_initializer(stddev=0.005),
        biases_initializer=tf.constant_initializer(0.1),
    )
