"""VGG, AlexNet and OverFeat, beyond what nets/zoo_test.py compares."""

import inspect

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, testing, vgg
from nets.registry import NETWORKS
from slimbase.graph import classic_graph

LARGER = {  # A picture's height and width, and the places that its logits have.
    "alexnet_v2": ([300, 400], [4, 7]),
    "overfeat": ([281, 331], [2, 4]),
    "vgg_a": ([256, 352], [2, 5]),
    "vgg_16": ([256, 352], [2, 5]),
    "vgg_19": ([256, 352], [2, 5]),
}


@pytest.fixture(params=LARGER)
def name(request):
    return request.param


def _build(name, images, **kwargs):
    with slim.arg_scope(NETWORKS[name].arg_scope()):
        return NETWORKS[name].function(images, **kwargs)


def _placeholder(*size):
    return tf.placeholder(tf.float32, [None, *size, 3])


def test_slides_over_larger_pictures(name):
    size, places = LARGER[name]
    with classic_graph():
        logits, end_points = _build(
            name, _placeholder(*size), num_classes=5, spatial_squeeze=False
        )
        assert logits.shape.as_list() == [None, *places, 5]
        assert end_points[f"{name}/fc8"] is logits
        assert "global_pool" not in end_points


def test_global_pool(name):
    size, _ = LARGER[name]
    with classic_graph():
        images = _placeholder(*size)
        logits, end_points = _build(name, images, num_classes=5, global_pool=True)
        assert logits.shape.as_list() == [None, 5]
        assert end_points["global_pool"].shape.as_list() == [None, 1, 1, 4096]


@pytest.mark.parametrize("num_classes", [0, None])
def test_features(name, num_classes):
    size, places = LARGER[name]
    with classic_graph():
        net, end_points = _build(name, _placeholder(*size), num_classes=num_classes)
        assert net.shape.as_list() == [None, *places, 4096]
        assert f"{name}/fc8" not in end_points
        pooled, end_points = _build(
            name,
            _placeholder(*size),
            num_classes=num_classes,
            global_pool=True,
            scope="pooled",
        )
        assert pooled.shape.as_list() == [None, 1, 1, 4096]
        assert end_points["global_pool"] is pooled


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_v2", "overfeat", "vgg_a"])
def test_pictures_of_unknown_size(name):
    size, places = LARGER[name]
    with classic_graph(), testing.session() as session:
        images = _placeholder(None, None)
        pooled, _ = _build(name, images, num_classes=3, global_pool=True)
        with tf.variable_scope("", reuse=True):
            dense, _ = _build(
                name, images, num_classes=3, spatial_squeeze=False, is_training=False
            )
        assert pooled.shape.as_list() == [None, 3]
        session.run(tf.global_variables_initializer())
        feed = {images: testing.pictures([1, *size, 3])}
        pooled, dense = session.run([pooled, dense], feed)
        assert pooled.shape == (1, 3)
        assert dense.shape == (1, *places, 3)


def test_pictures_of_another_size_are_told(name):
    size, _ = LARGER[name]
    too_large = pytest.raises(ValueError, match=r"too large .* spatial_squeeze=False")
    with classic_graph(), too_large:
        _build(name, tf.zeros([1, *size, 3]))
    too_small = pytest.raises(ValueError, match=f"too small for {name}")
    with classic_graph(), too_small:
        nets_factory.get_network_fn(name, 10)(tf.zeros([1, 32, 32, 3]))


@pytest.mark.parametrize("name", ["vgg_a", "vgg_16", "vgg_19"])
def test_reuse_and_fc_conv_padding_of_vgg(name):
    with classic_graph():
        train, _ = _build(name, _placeholder(224, 224), num_classes=5)
        variables = tf.global_variables()
        same, end_points = _build(
            name,
            _placeholder(224, 256),
            num_classes=5,
            is_training=False,
            spatial_squeeze=False,
            reuse=True,
            fc_conv_padding="SAME",
        )
        assert tf.global_variables() == variables
        assert train.shape.as_list() == [None, 5]
        assert same.shape.as_list() == [None, 7, 8, 5]
        assert end_points[f"{name}/conv1/conv1_1"].shape.as_list()[1:3] == [224, 256]


def test_end_points_within_other_scopes(name):
    with classic_graph(), tf.variable_scope("outer"):
        logits, end_points = _build(name, _placeholder(256, 256), global_pool=True)
    assert end_points.pop("global_pool") is not None
    assert all(key.startswith(f"outer/{name}/") for key in end_points)
    assert end_points[f"outer/{name}/fc8"] is logits


def test_dropout_in_training_alone(name):
    def dropouts(**kwargs):
        with classic_graph() as graph:
            _build(name, _placeholder(256, 256), global_pool=True, **kwargs)
            return [
                op.name.split("/")[1]
                for op in graph.get_operations()
                if op.type == "RandomUniform" and "dropout" in op.name
            ]

    assert dropouts() == ["dropout6", "dropout7"]
    assert dropouts(is_training=False) == dropouts(dropout_keep_prob=1.0) == []


@pytest.mark.parametrize(("name", "bias"), [("alexnet_v2", 0.1), ("overfeat", 0)])
def test_initial_values(name, bias):
    """In fc6 to fc8 the weights are narrower, and but for fc8 biases are positive."""
    with classic_graph(seed=1), testing.session() as session:
        _build(name, _placeholder(256, 256), num_classes=5, global_pool=True)
        # All but the weights of fc6, which take long.
        some = slim.get_variables(f"{name}/(conv|fc[78]|fc6/biases)")
        session.run(tf.variables_initializer(some))

        def value(variable):
            return session.run(f"{name}/{variable}:0")

        for layer, expected in (
            ("conv1", bias),
            ("fc6", 0.1),
            ("fc7", 0.1),
            ("fc8", 0),
        ):
            np.testing.assert_allclose(value(f"{layer}/biases"), expected)
        assert 0.004 < value("fc7/weights").std() < 0.005
        assert abs(value("fc7/weights")).max() < 0.0101
        assert value("conv5/weights").std() > 0.006


def test_names_and_signatures():
    assert vgg.vgg_d is vgg.vgg_16 and vgg.vgg_e is vgg.vgg_19
    for name in ("vgg_a", "vgg_16", "vgg_19"):
        network = getattr(vgg, name)
        assert network.__name__ == name
        assert network.default_image_size == 224
        arguments = inspect.signature(network).parameters
        assert {key: value.default for key, value in arguments.items()} == {
            "inputs": inspect.Parameter.empty,
            "num_classes": 1000,
            "is_training": True,
            "dropout_keep_prob": 0.5,
            "spatial_squeeze": True,
            "reuse": None,
            "scope": name,
            "fc_conv_padding": "VALID",
            "global_pool": False,
        }
