"""Every registered network against its golden record in nets/goldens.

A record holds what checkpoints and programs rely on: variables in creation order,
end points and their tensor names, counts, and what the network computes when each
variable is filled by `testing.fill` and the input is `testing.pictures`.
"""

import dataclasses
import functools
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, registry, testing
from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimbase.graph import classic_graph

GOLDENS = pathlib.Path(__file__).parent / "goldens"
# Of larger networks the values, and of deeper ones everything, is for the slow tier.
FAST_PARAMETERS = 4_000_000
FAST_VARIABLES = 500
# So is what is built by the same code as a network of the fast tier, only wider: its
# `depth_multiplier` or its table is what differs.
OTHER_WIDTHS = {
    *("mobilenet_v1", "mobilenet_v1_050", "mobilenet_v1_075"),
    *("mobilenet_v2_140", "mobilenet_edgetpu", "mobilenet_v3_small_minimalistic"),
}
# Their classifier is left out by code that another network of the fast tier shares.
OTHER_FEATURES = {
    *("inception_v1", "inception_v2", "i3d", "mobilenet_v2", "mobilenet_edgetpu_075"),
    *("mobilenet_v3_large", "mobilenet_v3_large_minimalistic", "vgg_16", "vgg_19"),
}


def _path(name):
    return GOLDENS / f"{name}.json.gz"


@functools.cache
def _golden(name):
    return testing.read_golden(_path(name))


def _has_few_layers(name):
    few = len(_golden(name)["infer"]["variables"]) < FAST_VARIABLES
    return few and name not in OTHER_WIDTHS


def _is_small(name):
    parameters = _golden(name)["infer"]["parameters"]
    return parameters < FAST_PARAMETERS and _has_few_layers(name)


def _fast_if(condition):
    """All networks; those that do not fulfil the condition in the slow tier."""
    slow = {n for n in NETWORKS if _path(n).exists() and not condition(n)}
    return [pytest.param(n, marks=[pytest.mark.slow] * (n in slow)) for n in NETWORKS]


BY_LAYERS = _fast_if(_has_few_layers)
BY_FEATURES = _fast_if(lambda n: _has_few_layers(n) and n not in OTHER_FEATURES)
# Values that are not compared where the structure is.
LARGER = [param for param in _fast_if(_is_small) if param.marks]


def _build(name, is_training, use_resource=False):
    """Builds a network in the default graph as its record was taken."""
    tf.get_variable_scope().set_use_resource(use_resource)
    return testing.build(_golden(name), is_training)


def test_every_golden_has_a_network():
    assert {path.name.split(".")[0] for path in GOLDENS.iterdir()} == set(NETWORKS)


@pytest.mark.parametrize("name", BY_LAYERS)
def test_in_training(name):
    """The structure, and of a small network the values too."""
    with classic_graph():
        network = _build(name, is_training=True)
        _check_structure(name, "train", network)
        if _is_small(name):
            _check_training_values(name, network)


@pytest.mark.parametrize("name", BY_LAYERS)
def test_in_use(name):
    """The structure, and of a small network the values too."""
    with classic_graph():
        network = _build(name, is_training=False)
        _check_structure(name, "infer", network)
        if _is_small(name):
            _check_inference_values(name, network)


@pytest.mark.parametrize("name", LARGER)
def test_training_values(name):
    with classic_graph():
        _check_training_values(name, _build(name, is_training=True))


@pytest.mark.parametrize("name", LARGER)
def test_inference_values(name):
    with classic_graph():
        _check_inference_values(name, _build(name, is_training=False))


def _check_structure(name, mode, network):
    golden, expected = _golden(name), _golden(name)[mode]
    assert NETWORKS[name].image_size == golden["default_image_size"]
    _, logits, end_points = network
    variables = tf.global_variables()
    trainable = {v.op.name for v in tf.trainable_variables()}
    assert [
        [v.op.name, v.shape.as_list(), v.op.name in trainable] for v in variables
    ] == expected["variables"]
    assert {
        key: [tensor.name, tensor.shape.as_list()]
        for key, tensor in testing.tensors(end_points).items()
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


def _check_inference_values(name, network):
    expected = _golden(name)["infer"]
    images, logits, end_points = network
    logits, end_points = testing.run([logits, testing.tensors(end_points)], images)
    testing.assert_close(logits, expected["logits"], "logits")
    for key, value in end_points.items():
        testing.assert_close(value, expected["end_point_values"][key], key)


def _check_training_values(name, network):
    """The regularization loss, and the first moving mean after one update.

    The latter pins down batch norm's decay; the outputs of inference its epsilon.
    """
    expected = _golden(name)["train"]
    images, _, _ = network
    loss = tf.losses.get_regularization_loss()
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)[:2]
    moving = expected.get("first_moving_mean_after_update", {})
    with tf.control_dependencies(updates):
        after = {
            variable.op.name: tf.identity(
                variable.read_value() if hasattr(variable, "read_value") else variable
            )
            for variable in tf.global_variables()
            if variable.op.name in moving
        }
    loss, after = testing.run([loss, after], images)
    assert loss == pytest.approx(expected["regularization_loss"], rel=1e-4)
    assert set(after) == set(moving)
    for key, fingerprint in moving.items():
        testing.assert_close(after[key], fingerprint, key)


@pytest.mark.parametrize("name", ["lenet", "mobilenet_v1_025"])
def test_resource_variables_compute_the_same(name):
    outputs = []
    for use_resource in (False, True):
        with tf.Graph().as_default():
            images, logits, _ = _build(name, False, use_resource)
            kinds = {variable.op.type for variable in tf.global_variables()}
            assert kinds == {"VarHandleOp" if use_resource else "VariableV2"}
            outputs.append(testing.run(logits, images))
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-5)


def test_get_network_fn():
    network_fn = nets_factory.get_network_fn("mobilenet_v1_025", num_classes=7)
    assert network_fn.default_image_size == 224
    with tf.Graph().as_default():
        logits, _ = network_fn(tf.zeros([2, 64, 64, 3]), spatial_squeeze=False)
        assert logits.shape.as_list() == [2, 1, 1, 7]
    assert set(nets_factory.networks_map) == set(nets_factory.arg_scopes_map)


@pytest.mark.parametrize("name", BY_FEATURES)
def test_without_classes_only_the_classifier_scopes_are_missing(name):
    network_fn = nets_factory.get_network_fn(name, num_classes=0, is_training=True)
    with classic_graph():
        images = tf.placeholder(tf.float32, _golden(name)["input_shape"])
        net, end_points = network_fn(images)
        variables = {variable.op.name for variable in tf.global_variables()}
    assert net.shape[0] == images.shape[0]
    assert net.shape[-1] != _golden(name)["num_classes"]
    assert "Logits" not in end_points and "AuxLogits" not in end_points
    complete = {variable for variable, *_ in _golden(name)["train"]["variables"]}
    missing = complete - variables
    assert variables < complete
    scopes = [scope + "/" for scope in NETWORKS[name].classifier_scopes]
    assert all(variable.startswith(tuple(scopes)) for variable in missing)
    for scope in scopes:
        assert any(variable.startswith(scope) for variable in missing), scope


def test_none_is_no_classes():
    network_fn = nets_factory.get_network_fn("mobilenet_v1_025", num_classes=None)
    with tf.Graph().as_default():
        net, _ = network_fn(tf.zeros([2, 64, 64, 3]))
        assert net.shape.as_list() == [2, 1, 1, 256]


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


@pytest.mark.parametrize(
    ("returned", "told"), [(lambda x: x, "not .*Tensor"), (lambda x: (x, x), "tuple")]
)
def test_a_network_that_returns_something_else(returned, told, monkeypatch):
    def broken(images, num_classes, is_training):
        return returned(images)

    facts = dataclasses.replace(NETWORKS["lenet"], name="broken", function=broken)
    monkeypatch.setitem(NETWORKS, "broken", facts)
    network_fn = nets_factory.get_network_fn("broken", 10)
    with classic_graph(), pytest.raises(UserError, match=f"network broken .*{told}"):
        network_fn(tf.zeros([1, 28, 28, 1]))


def test_scopes_that_are_one_string_are_told():
    with pytest.raises(UserError, match="network broken should be a tuple"):
        registry.register("broken", classifier_scopes="Broken/logits")
