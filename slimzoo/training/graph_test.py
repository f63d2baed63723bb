import functools
import itertools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from deployment import model_deploy
from slimbase.graph import classic_graph
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info
from slimzoo.training import graph as train_graph


def test_all_variables_are_on_the_parameter_servers():
    config = TrainConfig(model_name="mobilenet_v1_025", num_ps_tasks=2)
    info = model_info.settle(config, {"num_classes": 5}, 32)
    cluster = model_deploy.DeploymentConfig(num_ps_tasks=2)
    with classic_graph():
        with tf.device(cluster.variables_device()):
            step = tf.train.create_global_step()
        batch = tf.zeros([2, 32, 32, 3]), tf.zeros([2], tf.int64)
        clone_fn = train_graph.clone_fn(
            config, info, train_graph.network(config, info, step)
        )
        model_deploy.create_clones(cluster, clone_fn, [itertools.repeat(batch)])
        jobs = {tf.DeviceSpec.from_string(v.device).job for v in tf.global_variables()}
        tasks = {
            tf.DeviceSpec.from_string(v.device).task for v in tf.global_variables()
        }
    assert jobs == {"ps"}
    assert tasks == {0, 1}


LOGITS = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
OF_EACH = np.log(np.exp(LOGITS).sum(axis=1)) - LOGITS[[0, 1], [0, 2]]


def losses(config, weights=None):
    """Losses of a batch whose logits are given, by scope."""
    info = model_info.settle(config, {"num_classes": 3}, 28)

    def network_fn(images):
        logits = tf.constant(LOGITS)
        return logits, {"AuxLogits": logits}

    with classic_graph(), tf.Session() as session:
        batch = tf.zeros([2, 28, 28, 1]), tf.constant([0, 2], tf.int64)
        build = train_graph.clone_fn(config, info, network_fn, weights)
        clone = build(itertools.repeat(batch))
        aux, main = session.run(tf.losses.get_losses())
        return aux, main, session.run(clone.accuracy)


def test_loss_is_the_cross_entropy_with_the_auxiliary_at_a_share():
    aux, main, accuracy = losses(TrainConfig(model_name="lenet"))
    assert main == pytest.approx(OF_EACH.mean(), rel=1e-5)
    assert aux == pytest.approx(0.4 * OF_EACH.mean(), rel=1e-5)
    assert accuracy == 0.5


def test_class_weights_scale_each_pictures_loss():
    weights = np.array([0.5, 7.0, 2.0], np.float32)
    aux, main, _ = losses(TrainConfig(model_name="lenet"), weights)
    expected = (0.5 * OF_EACH[0] + 2 * OF_EACH[1]) / 2
    assert main == pytest.approx(expected, rel=1e-5)
    assert aux == pytest.approx(0.4 * expected, rel=1e-5)


class OneCpuPerClone(model_deploy.DeploymentConfig):
    """Clones on logical CPU devices."""

    def clone_device(self, clone_index):
        return f"/device:CPU:{clone_index}"


def gradients_by_training(num_clones):
    """The change of each variable, negated, in a step at learning rate 1, by name."""
    config = TrainConfig(model_name="lenet", optimizer="sgd", weight_decay=0.01)
    info = model_info.settle(config, {"num_classes": 5}, 28)
    cluster = OneCpuPerClone(num_clones)
    random = np.random.RandomState(0)
    images = random.uniform(-1, 1, [32, 28, 28, 1]).astype(np.float32)
    parts = [np.split(array, num_clones) for array in (images, np.arange(32) % 5)]
    with classic_graph():
        step = tf.train.create_global_step()
        network = functools.partial(
            train_graph.network(config, info, step), dropout_keep_prob=1.0
        )
        batches = (tuple(map(tf.constant, part)) for part in zip(*parts, strict=True))
        clone_fn = train_graph.clone_fn(config, info, network)
        clones = model_deploy.create_clones(cluster, clone_fn, [batches])
        assert {clone.outputs.accuracy.device for clone in clones} == {
            f"/device:CPU:{i}" for i in range(num_clones)
        }
        variables = tf.trainable_variables()
        train_op, _, _, _ = train_graph._train_op(
            config, info, cluster, clones, tf.constant(1.0), step, variables
        )
        devices = tf.ConfigProto(device_count={"CPU": num_clones})
        with tf.Session(config=devices) as session:
            session.run(step.initializer)
            before = {
                v.op.name: random.normal(0, 0.05, v.shape).astype(np.float32)
                for v in variables
            }
            for variable in variables:
                variable.load(before[variable.op.name], session)
            session.run(train_op)
            after = {v.op.name: session.run(v) for v in variables}
    return {name: before[name] - after[name] for name in before}


def test_two_clones_of_16_take_the_step_of_one_of_32():
    one, two = gradients_by_training(1), gradients_by_training(2)
    assert len(one) == 8
    for name, gradient in one.items():
        assert np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(two[name], gradient, rtol=1e-4, atol=1e-6)
