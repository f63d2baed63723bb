"""Every registered network against its golden record in nets/goldens.

A record holds what checkpoints and programs rely on: variables in creation order,
end points and their tensor names, counts, and what the network computes when each
variable is filled by `_fill` and the input is `_pictures`.
"""

import functools
import gzip
import json
import pathlib
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory
from nets.registry import NETWORKS
from slimzoo.graph import classic_graph

GOLDENS = pathlib.Path(__file__).parent / "goldens"
FAST = 4_000_000  # Parameters; the values of larger networks are for the slow tier.


@functools.cache
def _golden(name):
    path = GOLDENS / f"{name}.json.gz"
    assert path.exists(), f"{name} has no golden record: see tools/make_goldens.py"
    return json.loads(gzip.decompress(path.read_bytes()))


def _fill(name, shape):
    """The stated value of a variable, which depends on its name and shape alone."""
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    draw = draw.astype(np.float32)
    leaf = name.split("/")[-1]
    if leaf == "moving_variance":
        return 1 + 0.5 * np.abs(draw)
    if leaf == "gamma":
        return 1 + 0.1 * draw
    if leaf in ("beta", "moving_mean", "biases", "bias") or len(shape) < 2:
        return 0.1 * draw
    fan_in = np.prod(shape[:2] if leaf == "depthwise_weights" else shape[:-1])
    return draw * np.float32(np.sqrt(2.0 / fan_in))


def _pictures(shape):
    return np.random.default_rng(7).uniform(-1, 1, shape).astype(np.float32)


def _build(name, is_training, use_resource=False):
    """Builds a network in the default graph as its record was taken."""
    golden = _golden(name)
    tf.get_variable_scope().set_use_resource(use_resource)
    network_fn = nets_factory.get_network_fn(
        name, golden["num_classes"], weight_decay=1e-4, is_training=is_training
    )
    images = tf.placeholder(tf.float32, golden["input_shape"], name="input")
    return images, *network_fn(images)


def _run(fetches, images):
    """Evaluates `fetches` with stated variables and pictures."""
    with tf.Session() as session:
        for variable in tf.global_variables():
            value = _fill(variable.op.name, variable.shape.as_list())
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
        return session.run(fetches, {images: _pictures(images.shape.as_list())})


def _assert_close(value, fingerprint, what):
    flat = np.asarray(value, np.float64).reshape(-1)
    tolerance = 1e-3 * max(fingerprint["std"], 1e-6)
    assert list(np.shape(value)) == fingerprint["shape"], what
    assert abs(flat.mean() - fingerprint["mean"]) < tolerance, what
    assert abs(flat.std() - fingerprint["std"]) < tolerance, what
    samples = flat[:: max(1, flat.size // 8)][:8]
    np.testing.assert_allclose(
        samples, fingerprint["samples"], rtol=1e-3, atol=tolerance, err_msg=what
    )


def _tensors(end_points):
    return {key: value for key, value in end_points.items() if hasattr(value, "name")}


def test_every_golden_has_a_network():
    assert {path.name.split(".")[0] for path in GOLDENS.iterdir()} == set(NETWORKS)


@pytest.mark.parametrize("mode", ["train", "infer"])
@pytest.mark.parametrize("name", NETWORKS)
def test_structure(name, mode):
    golden, expected = _golden(name), _golden(name)[mode]
    assert NETWORKS[name].image_size == golden["default_image_size"]
    with classic_graph():
        _, logits, end_points = _build(name, is_training=mode == "train")
        variables = tf.global_variables()
        trainable = {v.op.name for v in tf.trainable_variables()}
        assert [
            [v.op.name, v.shape.as_list(), v.op.name in trainable] for v in variables
        ] == expected["variables"]
        assert {
            key: [tensor.name, tensor.shape.as_list()]
            for key, tensor in _tensors(end_points).items()
        } == expected["end_points"]
        assert logits.name == expected["logits_tensor"]
        assert {
            key: len(tf.get_collection(collection))
            for key, collection in {
                "model_variables": tf.GraphKeys.MODEL_VARIABLES,
                "regularization_losses": tf.GraphKeys.REGULARIZATION_LOSSES,
                "update_ops": tf.GraphKeys.UPDATE_OPS,
            }.items()
        } == {
            key: expected[key]
            for key in ("model_variables", "regularization_losses", "update_ops")
        }
        parameters = sum(v.shape.num_elements() for v in tf.trainable_variables())
        assert parameters == expected["parameters"]


def _is_small(name):
    return _golden(name)["infer"]["parameters"] < FAST


BY_SIZE = [
    pytest.param(name, marks=[] if _is_small(name) else [pytest.mark.slow])
    for name in NETWORKS
]


@pytest.mark.parametrize("name", BY_SIZE)
def test_inference_values(name):
    expected = _golden(name)["infer"]
    with classic_graph():
        images, logits, end_points = _build(name, is_training=False)
        logits, end_points = _run([logits, _tensors(end_points)], images)
    _assert_close(logits, expected["logits"], "logits")
    for key, value in end_points.items():
        _assert_close(value, expected["end_point_values"][key], key)


@pytest.mark.parametrize("name", BY_SIZE)
def test_training_values(name):
    """The regularization loss, and the first moving mean after one update.

    The latter pins down batch norm's decay; the outputs of inference its epsilon.
    """
    expected = _golden(name)["train"]
    with classic_graph():
        images, _, _ = _build(name, is_training=True)
        loss = tf.losses.get_regularization_loss()
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)[:2]
        moving = expected.get("first_moving_mean_after_update", {})
        with tf.control_dependencies(updates):
            after = {
                variable.op.name: tf.identity(
                    variable.read_value()
                    if hasattr(variable, "read_value")
                    else variable
                )
                for variable in tf.global_variables()
                if variable.op.name in moving
            }
        loss, after = _run([loss, after], images)
    assert loss == pytest.approx(expected["regularization_loss"], rel=1e-4)
    assert set(after) == set(moving)
    for key, fingerprint in moving.items():
        _assert_close(after[key], fingerprint, key)


@pytest.mark.parametrize("name", ["lenet", "mobilenet_v1_025"])
def test_resource_variables_compute_the_same(name):
    outputs = []
    for use_resource in (False, True):
        with tf.Graph().as_default():
            images, logits, _ = _build(name, False, use_resource)
            kinds = {variable.op.type for variable in tf.global_variables()}
            assert kinds == {"VarHandleOp" if use_resource else "VariableV2"}
            outputs.append(_run(logits, images))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)


def test_get_network_fn():
    network_fn = nets_factory.get_network_fn("mobilenet_v1_025", num_classes=7)
    assert network_fn.default_image_size == 224
    with tf.Graph().as_default():
        logits, _ = network_fn(tf.zeros([2, 64, 64, 3]), spatial_squeeze=False)
        assert logits.shape.as_list() == [2, 1, 1, 7]
    assert set(nets_factory.networks_map) == set(nets_factory.arg_scopes_map)


@pytest.mark.parametrize("num_classes", [0, None])
@pytest.mark.parametrize("name", NETWORKS)
def test_features_without_classes(name, num_classes):
    network_fn = nets_factory.get_network_fn(name, num_classes)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, _golden(name)["input_shape"])
        net, end_points = network_fn(images)
        assert net.shape[0] == images.shape[0] and net.shape[-1] > 100
        assert "Logits" not in end_points and "AuxLogits" not in end_points


@pytest.mark.parametrize("name", NETWORKS)
def test_classifier_scopes_are_what_depends_on_the_number_of_classes(name):
    def shapes(num_classes):
        with tf.Graph().as_default():
            images = tf.placeholder(tf.float32, _golden(name)["input_shape"])
            nets_factory.get_network_fn(name, num_classes, is_training=True)(images)
            return {v.op.name: v.shape.as_list() for v in tf.global_variables()}

    few, many = shapes(5), shapes(7)
    dependent = {variable for variable in few if few[variable] != many[variable]}
    scopes = NETWORKS[name].classifier_scopes
    assert all(variable.startswith(scopes) for variable in dependent)
    for scope in scopes:
        assert any(variable.startswith(scope + "/") for variable in dependent), scope


def test_unknown_network_suggests_close_names():
    with pytest.raises(ValueError, match="Name of network unknown mobilenet_v11"):
        nets_factory.get_network_fn("mobilenet_v11", 10)
    with pytest.raises(ValueError, match=r"Did you mean .*mobilenet_v1"):
        nets_factory.get_network_fn("mobilenet_v11", 10)


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="lenet"):
        NETWORKS.register("lenet", NETWORKS["lenet"])


def test_the_scopes_around_a_call_reach_the_network():
    network_fn = nets_factory.get_network_fn("lenet", 10)
    with tf.Graph().as_default():
        with slim.arg_scope([slim.conv2d, slim.fully_connected], trainable=False):
            network_fn(tf.zeros([1, 28, 28, 1]))
        assert tf.trainable_variables() == []


def test_images_too_large_for_the_pooling_are_told():
    network_fn = nets_factory.get_network_fn("mobilenet_v1_025", 10)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="too large"):
        network_fn(tf.zeros([1, 299, 299, 3]))
