import collections
import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase.graph import classic_graph
from slimzoo.config.evaluate import EvalConfig
from slimzoo.formats import freezing
from slimzoo.model import info as model_info

WITH_ALL: dict[str, Any] = {"scale": True, "center": True}
NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


def randomize(session, seed=0):
    """Gives each variable random values; those of batch norms as after training."""
    random = np.random.default_rng(seed)
    values = {}
    for variable in tf.global_variables():
        shape, name = variable.shape.as_list(), variable.op.name
        if name.endswith(("gamma", "moving_variance")):
            value = random.uniform(0.5, 1.5, shape)
        elif name.endswith(("beta", "moving_mean", "biases")):
            value = random.normal(0, 0.5, shape)
        else:
            value = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        values[variable.initializer.inputs[1]] = value
    session.run([v.initializer for v in tf.global_variables()], values)


def frozen(build, shape):
    """The graph that `build` makes, and names of input and outputs."""
    with classic_graph(), tf.Session() as session:
        images = tf.placeholder(tf.float32, shape, "input")
        outputs = build(images)
        randomize(session)
        graph_def = freezing.freeze(session, outputs)
    return graph_def, [output.op.name for output in outputs]


def run(graph_def, names, images):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run([f"{name}:0" for name in names], {"input:0": images})


def count(graph_def, *kinds):
    return sum(node.op in kinds for node in graph_def.node)


def folded(build, shape=(None, 9, 9, 3), batch=2, tolerance=1e-5):
    """Folds, and checks that results are the same but for rounding."""
    graph_def, names = frozen(build, shape)
    assert not count(graph_def, "VariableV2", "VarHandleOp", "Assign")
    before = graph_def.SerializeToString(deterministic=True)
    result = freezing.fold_batch_norms(graph_def, names)
    assert graph_def.SerializeToString(deterministic=True) == before
    images = np.random.default_rng(1).normal(0, 1, (batch, *shape[1:]))
    pairs = zip(run(graph_def, names, images), run(result, names, images), strict=True)
    for expected, value in pairs:
        scale = np.abs(expected).max()
        assert np.isfinite(scale)
        assert scale > 0
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * scale)
    return graph_def, result


def norm(net, **options):
    return slim.batch_norm(net, is_training=False, **(WITH_ALL | options))


def conv(net, width=4, size=3, **options):
    plain: dict[str, Any] = {"activation_fn": None, "biases_initializer": None}
    return slim.conv2d(net, width, [size, size], **(plain | options))


def separable(net, width, multiplier):
    return slim.separable_conv2d(
        net,
        *(width, [3, 3], multiplier),
        normalizer_fn=slim.batch_norm,
        normalizer_params=WITH_ALL | {"is_training": False},
    )


KINDS = {
    "convolution": lambda net: norm(conv(net)),
    "strided": lambda net: norm(conv(net, stride=2, padding="VALID")),
    "pointwise": lambda net: norm(conv(net, size=1)),
    "depthwise": lambda net: separable(net, None, 1),
    "depthwise, multiplied": lambda net: separable(net, None, 3),
    "separable": lambda net: separable(net, 5, 2),
    "without scale": lambda net: norm(conv(net), scale=False),
    "without centre": lambda net: norm(conv(net), center=False),
    "without both": lambda net: norm(conv(net), scale=False, center=False),
    "epsilon": lambda net: norm(conv(net), epsilon=0.5),
    "two of one kind": lambda net: norm(conv(norm(conv(net)), 6)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_batch_norm_becomes_part_of_the_convolution_before_it(kind):
    graph_def, result = folded(lambda net: [tf.nn.relu(KINDS[kind](net))])
    assert count(graph_def, *NORMS)
    assert count(result, *NORMS) == 0
    assert count(result, "BiasAdd") == count(graph_def, *NORMS)


def test_constants_that_nothing_reads_are_gone():
    _, result = folded(lambda net: [norm(conv(net), scale=False)])
    kinds = collections.Counter(node.op for node in result.node)
    assert kinds == {"Placeholder": 1, "Conv2D": 1, "BiasAdd": 1, "Const": 2}


def test_convolutions_may_share_weights_and_statistics():
    def build(net):
        with tf.variable_scope("shared"):
            first = norm(conv(net, scope="conv"), scope="norm")
        with tf.variable_scope("shared", reuse=True):
            second = norm(conv(-net, scope="conv"), scope="norm")
        return [first, second]

    _, result = folded(build)
    assert count(result, *NORMS) == 0


def read_twice(net):
    net = conv(net)
    return [norm(net) + tf.nn.relu(net)]


def normed_twice(net):
    net = conv(net)
    return [norm(net) + norm(net)]


def wanted(net):
    net = conv(net)
    return [norm(net), net]


def after_something_else(net):
    return [norm(tf.nn.relu(conv(net)))]


def after_biases(net):
    return [norm(conv(net, biases_initializer=tf.zeros_initializer()))]


def in_training(net):
    return [slim.batch_norm(conv(net), is_training=True, **WITH_ALL)]


def computed_weights(net):
    weights = tf.reduce_mean(net) * tf.ones([3, 3, 3, 4])
    return [norm(tf.nn.conv2d(net, weights, 1, "SAME"))]


def computed_statistics(net):
    net = conv(net)
    mean = tf.reduce_mean(tf.get_default_graph().get_tensor_by_name("input:0"))
    ones = tf.ones([4])
    return [
        tf.nn.fused_batch_norm(net, ones, ones, mean * ones, ones, is_training=False)[0]
    ]


def statistics_are_read(net):
    constants = [tf.constant([i + 1.0] * 4) for i in range(4)]
    values = tf.nn.fused_batch_norm(conv(net), *constants, is_training=False)
    return [tf.nn.relu(values[0]), values[1] + values[2]]


@pytest.mark.parametrize(
    "build",
    [
        *(read_twice, normed_twice, wanted, after_something_else, after_biases),
        *(in_training, computed_weights, computed_statistics, statistics_are_read),
    ],
)
def test_batch_norm_stays_where_results_would_change(build):
    graph_def, result = folded(build)
    assert count(result, *NORMS) == count(graph_def, *NORMS) > 0
    assert count(result, "BiasAdd") == count(graph_def, "BiasAdd")


def test_batch_norm_may_be_the_output_and_be_read_elsewhere():
    def build(net):
        net = norm(conv(net))
        return [net, tf.nn.relu(net) - tf.nn.relu(-net)]

    _, result = folded(build)
    assert count(result, *NORMS) == 0


def test_what_a_batch_norm_waits_for_is_no_statistic():
    def build(net):
        net = conv(net)
        with tf.control_dependencies([tf.constant(1.0, name="before")]):
            return [tf.nn.relu(norm(net))]

    folded(build)


def test_channels_may_come_first():
    """Such graphs run on GPUs alone: their nodes are what can be looked at."""

    def build(net):
        net = conv(net, data_format="NCHW")
        return [norm(net, data_format="NCHW")]

    graph_def, names = frozen(build, (None, 3, 9, 9))
    result = freezing.fold_batch_norms(graph_def, names)
    [add] = [node for node in result.node if node.op == "BiasAdd"]
    assert add.attr["data_format"].s == b"NCHW"
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(result, name="")
        assert graph.get_tensor_by_name(f"{names[0]}:0").shape[1:] == [4, 9, 9]


@pytest.mark.parametrize(
    ("name", "size", "remaining"),
    [
        ("mobilenet_v1_025", 64, 0),
        # One stands before the first convolution of each block, one at the end.
        pytest.param("resnet_v2_50", 33, 17, marks=pytest.mark.slow),
    ],
)
def test_networks_give_the_same_logits(name, size, remaining):
    info = model_info.settle(EvalConfig(model_name=name), {}, size)
    info = dataclasses.replace(info, num_classes=7)

    def build(images):
        logits, _ = info.network_fn()(images)
        return [logits]

    _, result = folded(build, (None, size, size, 3), tolerance=1e-4)
    assert count(result, *NORMS) == remaining
