"""OverFeat, after the paper's fast model.

Sermanet et al.: OverFeat: Integrated recognition, localization and detection using
convolutional networks, 2013, https://arxiv.org/abs/1312.6229. Here fc6 to fc8 are
convolutions.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry
from nets.layers import conv, max_pool

_LAYERS = {
    "conv1": conv(64, 11, stride=4, padding="VALID"),
    "pool1": max_pool(2),
    "conv2": conv(256, 5, padding="VALID"),
    "pool2": max_pool(2),
    "conv3": conv(512, 3),
    "conv4": conv(1024, 3),
    "conv5": conv(1024, 3),
    "pool5": max_pool(2),
}


def overfeat_arg_scope(weight_decay=0.0005):
    """Arg scope of `overfeat`."""
    with (
        slim.arg_scope(layers.convolutional_arg_scope(weight_decay)),
        slim.arg_scope([slim.max_pool2d], padding="VALID") as scope,
    ):
        return scope


@registry.register(
    "overfeat",
    arg_scope=overfeat_arg_scope,
    image_size=231,
    classes=1000,
    preprocessing="vgg",
    classifier_scopes=("overfeat/fc8",),
    paper="https://arxiv.org/abs/1312.6229",
)
def overfeat(
    inputs,
    num_classes=1000,
    is_training=True,
    dropout_keep_prob=0.5,
    spatial_squeeze=True,
    scope="overfeat",
    global_pool=False,
):
    """OverFeat as a classifier, made for 231x231; the features are those of fc7."""
    return layers.convolutional_classifier(
        inputs,
        _LAYERS,
        num_classes,
        name="overfeat",
        scope=scope,
        fc6=conv(3072, 6, padding="VALID"),
        is_training=is_training,
        dropout_keep_prob=dropout_keep_prob,
        spatial_squeeze=spatial_squeeze,
        global_pool=global_pool,
        weights_initializer=tf.truncated_normal_initializer(stddev=0.005),
        biases_initializer=tf.constant_initializer(0.1),
    )
