"""LeNet, in the shape of TensorFlow's first MNIST tutorials.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document
recognition, 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf. This variant
is wider, has rectified linear units and drops out before the classifier.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import registry


def lenet_arg_scope(weight_decay=0.0):
    """Arg scope of `lenet`."""
    with slim.arg_scope(
        [slim.conv2d, slim.fully_connected],
        weights_regularizer=slim.l2_regularizer(weight_decay),
        weights_initializer=tf.truncated_normal_initializer(stddev=0.1),
        activation_fn=tf.nn.relu,
    ) as scope:
        return scope


@registry.register(
    "lenet",
    arg_scope=lenet_arg_scope,
    image_size=28,
    channels=1,
    classes=10,
    preprocessing="lenet",
    classifier_scopes=("LeNet/fc4",),
    paper="http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
)
def lenet(
    images,
    num_classes=10,
    is_training=False,
    dropout_keep_prob=0.5,
    prediction_fn=slim.softmax,
    scope="LeNet",
):
    """Two convolutions with pooling, two fully connected layers.

    Made for 28x28; height and width must be known. There are 1024 features.
    """
    end_points = {}
    net = images
    with tf.variable_scope(scope, "LeNet", [images]):
        for i, depth in enumerate((32, 64), 1):
            net = slim.conv2d(net, depth, [5, 5], scope=f"conv{i}")
            end_points[f"conv{i}"] = net
            net = slim.max_pool2d(net, [2, 2], 2, scope=f"pool{i}")
            end_points[f"pool{i}"] = net
        net = end_points["Flatten"] = slim.flatten(net)
        net = end_points["fc3"] = slim.fully_connected(net, 1024, scope="fc3")
        if not num_classes:
            return net, end_points
        net = end_points["dropout3"] = slim.dropout(
            net, dropout_keep_prob, is_training=is_training, scope="dropout3"
        )
        logits = slim.fully_connected(net, num_classes, activation_fn=None, scope="fc4")
    end_points["Logits"] = logits
    end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points
