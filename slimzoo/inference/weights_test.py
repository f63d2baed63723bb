import dataclasses
import logging

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.evaluate import EvalConfig
from slimzoo.inference import weights
from slimzoo.model import info as model_info

INFO = dataclasses.replace(
    model_info.settle(EvalConfig(model_name="lenet"), {}, None), num_classes=5
)
AVERAGED = dataclasses.replace(INFO, moving_average_decay=0.9)
SUFFIX = "/ExponentialMovingAverage"


def build(info=INFO):
    """Logits of a small LeNet for one picture."""
    return info.network_fn()(tf.ones([1, 8, 8, 1]))[0]


def random_values(seed):
    """Values for that network's variables, by name."""
    with classic_graph():
        build()
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.1, shape) for name, shape in shapes.items()}


# Networks


def test_logits_are_of_the_network_in_use_not_in_training():
    with classic_graph(), tf.Session() as session:
        logits = build()
        assert logits.shape == [1, 5]
        session.run(tf.global_variables_initializer())
        # Dropout would change them.
        np.testing.assert_array_equal(session.run(logits), session.run(logits))


def logits_restored(info, checkpoint):
    with classic_graph(), tf.Session() as session:
        logits = build(info)
        weights.restorer(info, checkpoint)(session)
        weights.tell_weights(info, checkpoint)
        return session.run(logits)


def logits_of(values):
    with classic_graph(), tf.Session() as session:
        logits = build()
        for variable in tf.global_variables():
            initializer = variable.initializer
            feed = {initializer.inputs[1]: values[variable.op.name]}
            session.run(initializer, feed)
        return session.run(logits)


def test_weights_are_those_of_the_checkpoint(write_checkpoint, caplog):
    caplog.set_level(logging.INFO, "absl")
    values = random_values(1)
    checkpoint = write_checkpoint(values)
    restored = logits_restored(INFO, checkpoint)
    np.testing.assert_array_equal(restored, logits_of(values))
    assert f"Using the weights of {checkpoint}" in caplog.text


def test_weights_are_moving_averages_where_there_are_some(write_checkpoint, caplog):
    caplog.set_level(logging.INFO, "absl")
    values, averages = random_values(1), random_values(2)
    checkpoint = write_checkpoint(
        values | {name + SUFFIX: value for name, value in averages.items()}
    )
    restored = logits_restored(AVERAGED, checkpoint)
    np.testing.assert_array_equal(restored, logits_of(averages))
    assert f"moving averages of the weights of {checkpoint}" in caplog.text
    # A decay of 0 means that there are none.
    plain = dataclasses.replace(INFO, moving_average_decay=0.0)
    restored = logits_restored(plain, checkpoint)
    np.testing.assert_array_equal(restored, logits_of(values))


def test_missing_moving_averages_are_told(write_checkpoint):
    with pytest.raises(UserError, match="give --moving_average_decay=0"):
        logits_restored(AVERAGED, write_checkpoint(random_values(1)))


def test_other_number_of_classes_says_what_to_check(write_checkpoint):
    checkpoint = write_checkpoint(random_values(1))
    with pytest.raises(UserError) as error:
        logits_restored(dataclasses.replace(INFO, num_classes=6), checkpoint)
    message = str(error.value)
    assert "The checkpoint has 5 classes, this network 6" in message
    assert "--dataset_name" in message
    assert "give --labels_offset=1" in message
    info = dataclasses.replace(INFO, num_classes=4, labels_offset=1)
    with pytest.raises(UserError, match="leave --labels_offset out if"):
        logits_restored(info, checkpoint)


def test_missing_variable_is_told_without_a_flag_of_training(write_checkpoint):
    values = random_values(1)
    del values["LeNet/conv2/biases"]
    with pytest.raises(UserError, match="first LeNet/conv2/biases") as error:
        logits_restored(INFO, write_checkpoint(values))
    assert "--ignore_missing_vars" not in str(error.value)


# Frozen graphs


@pytest.fixture
def write_graph(tmp_path):
    """`f(build)` writes the graph that `build` makes; gives its path."""

    def write(build):
        with classic_graph() as graph:
            build()
            path = tmp_path / "graph.pb"
            path.write_bytes(graph.as_graph_def().SerializeToString())
        return str(path)

    return write


def double(name="input"):
    images = tf.placeholder(tf.float32, [None, 2], name)
    return tf.add(images, images, "Predictions")


def test_input_and_output_of_a_frozen_graph_are_found(write_graph):
    path = write_graph(double)
    with classic_graph(), tf.Session() as session:
        images, output = weights.load_frozen(path)
        assert images.name == "input:0"
        assert output.name == "Predictions:0"
        assert session.run(output, {images: [[1, 2]]}).tolist() == [[2, 4]]


@pytest.mark.parametrize("use_resource", [False, True])
def test_graph_that_is_not_frozen_is_told(write_graph, use_resource):
    def build():
        with tf.variable_scope("", use_resource=use_resource):
            tf.multiply(double(), tf.get_variable("weights", [2]))

    path = write_graph(build)
    with classic_graph(), pytest.raises(UserError, match=r"not frozen.*freeze_graph"):
        weights.load_frozen(path)


def two_inputs():
    tf.add(double(), tf.placeholder(tf.float32, name="more"), "sum")


def two_outputs():
    predictions = double()
    tf.tanh(predictions, "a")
    tf.exp(predictions, "b")


def no_input():
    tf.constant(1.0, name="c")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (two_inputs, r"inputs \[input, more\] and outputs \[sum\]"),
        (two_outputs, r"inputs \[input\] and outputs \[a, b\]"),
        (no_input, r"inputs \[\] and outputs \[c\]"),
    ],
)
def test_graph_with_more_or_fewer_ends_is_told(write_graph, build, message):
    path = write_graph(build)
    with classic_graph(), pytest.raises(UserError, match=message):
        weights.load_frozen(path)


def test_graph_that_is_not_there_is_told(tmp_path):
    path = str(tmp_path / "none.pb")
    with classic_graph(), pytest.raises(UserError, match=rf"{path}: No such file"):
        weights.load_frozen(path)


@pytest.mark.parametrize("content", [b'node { name: "input" }', b"\xff\xd8" * 99])
def test_file_that_is_no_graph_is_told(tmp_path, content):
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    with classic_graph(), pytest.raises(UserError, match=f"{path} is not a binary Gra"):
        weights.load_frozen(str(path))


def test_graph_with_unknown_operations_is_told(tmp_path):
    graph_def = tf.GraphDef()
    graph_def.node.add(name="a", op="NoSuchOperation")
    path = tmp_path / "graph.pb"
    path.write_bytes(graph_def.SerializeToString())
    with (
        classic_graph(),
        pytest.raises(UserError, match=rf"cannot use .*{path}: .*NoSuchOpe"),
    ):
        weights.load_frozen(str(path))


@pytest.mark.parametrize("name", ["a", "a:0", "import/a", "import/a:0"])
def test_output_may_be_named(write_graph, name):
    path = write_graph(two_outputs)
    with classic_graph():
        _, output = weights.load_frozen(path, output_layer=name)
        assert output.name == "a:0"


def test_input_may_be_named(write_graph):
    path = write_graph(two_inputs)
    with classic_graph():
        images, _ = weights.load_frozen(path, input_layer="input")
        assert images.name == "input:0"


@pytest.mark.parametrize("which", ["input_layer", "output_layer"])
def test_unknown_layer_suggests(write_graph, which):
    path = write_graph(double)
    with classic_graph(), pytest.raises(UserError) as error:
        weights.load_frozen(path, **{which: "Prediction"})
    assert "no operation Prediction" in str(error.value)
    assert "Did you mean Predictions" in str(error.value)


def test_layer_under_import_itself_comes_first(write_graph):
    def build():
        images = double()
        tf.tanh(images, "import/a")
        tf.exp(images, "a")

    path = write_graph(build)
    with classic_graph():
        _, output = weights.load_frozen(path, output_layer="import/a")
        assert output.name == "import/a:0"


def test_end_point_is_chosen_by_name():
    end_points = {"global_pool": tf.constant(1.0), "cells": [1, 2]}
    chosen = weights.choose_end_point(end_points, "global_pool")
    assert chosen is end_points["global_pool"]
    for name in ("global_pol", "cells"):
        with pytest.raises(UserError, match=f"--end_point={name} .*global_pool"):
            weights.choose_end_point(end_points, name)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (tf.nn.softmax, True),
        (lambda x: tf.reshape(tf.nn.softmax(x), [-1]), True),
        (lambda x: tf.identity(tf.squeeze(tf.nn.softmax(x))), True),
        (lambda x: x, False),
        (lambda x: tf.nn.softmax(x) * 2.0, False),
        (tf.nn.log_softmax, False),
    ],
)
def test_softmax_is_seen(build, expected):
    with classic_graph():
        logits = tf.placeholder(tf.float32, [None, 3])
        assert weights.gives_probabilities(build(logits)) is expected
