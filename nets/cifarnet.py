"""A small network for CIFAR-10, after cuda-convnet.

Krizhevsky: Learning multiple layers of features from tiny images, 2009, and his
cuda-convnet, whose local response normalization this network has.
"""

import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import registry

_normalize = functools.partial(
    tf.nn.lrn, depth_radius=4, bias=1.0, alpha=0.001 / 9.0, beta=0.75
)


def cifarnet_arg_scope(weight_decay=0.004):
    """Arg scope of `cifarnet`; only its fully connected layers are regularized."""
    with (
        slim.arg_scope(
            [slim.conv2d],
            weights_initializer=tf.truncated_normal_initializer(stddev=5e-2),
            activation_fn=tf.nn.relu,
        ),
        slim.arg_scope(
            [slim.fully_connected],
            biases_initializer=tf.constant_initializer(0.1),
            weights_initializer=tf.truncated_normal_initializer(stddev=0.04),
            weights_regularizer=slim.l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
        ) as scope,
    ):
        return scope


@registry.register(
    "cifarnet",
    arg_scope=cifarnet_arg_scope,
    image_size=32,
    classes=10,
    preprocessing="cifarnet",
    classifier_scopes=("CifarNet/logits",),
    paper="https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
)
def cifarnet(
    images,
    num_classes=10,
    is_training=False,
    dropout_keep_prob=0.5,
    prediction_fn=slim.softmax,
    scope="CifarNet",
):
    """Two convolutions with pooling and normalization, three fully connected layers.

    Made for 32x32; height and width must be known. There are 192 features;
    `dropout_keep_prob` is that of the 384 before them.
    """
    end_points = {}
    with tf.variable_scope(scope, "CifarNet", [images]):
        net = end_points["conv1"] = slim.conv2d(images, 64, [5, 5], scope="conv1")
        net = end_points["pool1"] = slim.max_pool2d(net, [2, 2], 2, scope="pool1")
        net = _normalize(net, name="norm1")
        net = end_points["conv2"] = slim.conv2d(net, 64, [5, 5], scope="conv2")
        net = _normalize(net, name="norm2")
        net = end_points["pool2"] = slim.max_pool2d(net, [2, 2], 2, scope="pool2")
        net = end_points["Flatten"] = slim.flatten(net)
        net = end_points["fc3"] = slim.fully_connected(net, 384, scope="fc3")
        net = slim.dropout(
            net, dropout_keep_prob, is_training=is_training, scope="dropout3"
        )
        net = end_points["fc4"] = slim.fully_connected(net, 192, scope="fc4")
        if not num_classes:
            return net, end_points
        logits = slim.fully_connected(
            net,
            num_classes,
            biases_initializer=tf.zeros_initializer(),
            weights_initializer=tf.truncated_normal_initializer(stddev=1 / 192.0),
            weights_regularizer=None,
            activation_fn=None,
            scope="logits",
        )
        end_points["Logits"] = logits
        end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points
