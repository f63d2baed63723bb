import dataclasses
import logging

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

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
        weights.log_weights(info, checkpoint)
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


def test_missing_moving_averages_are_refused(write_checkpoint):
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


def test_missing_variable_is_reported_without_a_flag_of_training(write_checkpoint):
    values = random_values(1)
    del values["LeNet/conv2/biases"]
    with pytest.raises(UserError, match="first LeNet/conv2/biases") as error:
        logits_restored(INFO, write_checkpoint(values))
    assert "--ignore_missing_vars" not in str(error.value)


def test_end_point_is_chosen_by_name():
    end_points = {"global_pool": tf.constant(1.0), "cells": [1, 2]}
    chosen = weights.choose_end_point(end_points, "global_pool")
    assert chosen is end_points["global_pool"]
    for name in ("global_pol", "cells"):
        with pytest.raises(UserError, match=f"--end_point={name} .*global_pool"):
            weights.choose_end_point(end_points, name)


def test_auxiliary_classifier_may_be_missing(write_checkpoint, caplog):
    caplog.set_level(logging.INFO, "absl")
    kept, auxiliary = "InceptionV3/Conv/weights", "InceptionV3/AuxLogits/weights"
    info = dataclasses.replace(INFO, model_name="inception_v3")

    def restore(checkpoint):
        with classic_graph(), tf.Session() as session:
            found = [slim.model_variable(n, [2]) for n in (kept, auxiliary)]
            session.run(tf.global_variables_initializer())
            weights.restorer(info, checkpoint)(session)
            return session.run(found)

    [value, _] = restore(write_checkpoint({kept: [1, 2]}))
    assert value.tolist() == [1, 2]
    assert "has no auxiliary classifier, which only training uses" in caplog.text
    caplog.clear()
    complete = {kept: [1, 2], auxiliary: [3, 4]}
    assert restore(write_checkpoint(complete))[1].tolist() == [3, 4]
    assert "auxiliary" not in caplog.text
    with pytest.raises(UserError, match=f"first {kept}"):
        restore(write_checkpoint({auxiliary: [3, 4]}))
