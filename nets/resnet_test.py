"""The residual networks, beyond what nets/zoo_test.py compares."""

import inspect

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import resnet_utils, resnet_v1, resnet_v2, testing
from slimbase.graph import classic_graph

VERSIONS = {
    "v1": (resnet_v1.resnet_v1, resnet_v1.resnet_v1_block),
    "v2": (resnet_v2.resnet_v2, resnet_v2.resnet_v2_block),
}


@pytest.fixture(autouse=True)
def graph():
    with classic_graph(), slim.arg_scope(resnet_utils.resnet_arg_scope()):
        yield


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def shallow(monkeypatch):
    """Makes the networks of all depths have one unit in each block."""
    for num_layers in (50, 101, 152, 200):
        monkeypatch.setitem(resnet_utils._UNITS, num_layers, (1, 1, 1, 1))


def _tiny(version, images, num_classes=None, **kwargs):
    """A network of nominal stride 32 with seven units, of which four are strided."""
    network, block = VERSIONS[version]
    blocks = [
        block("block1", base_depth=1, num_units=2, stride=2),
        block("block2", base_depth=2, num_units=2, stride=2),
        block("block3", base_depth=4, num_units=2, stride=2),
        block("block4", base_depth=8, num_units=1, stride=1),
    ]
    arguments = {"is_training": False, "scope": "tiny"} | kwargs
    return network(images, blocks, num_classes, **arguments)


def _images(*size):
    return tf.placeholder(tf.float32, [2, *(size or (64, 64)), 3])


def test_subsample():
    picture = tf.reshape(tf.range(20.0), [1, 4, 5, 1])
    assert resnet_utils.subsample(picture, 1) is picture
    with testing.session() as session:
        subsampled = session.run(resnet_utils.subsample(picture, 2))
    np.testing.assert_array_equal(subsampled[0, ..., 0], [[0, 2, 4], [10, 12, 14]])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4, [[10, 24], [51, 90]]),
        (5, [[12, 27, 24], [63, 108, 81], [72, 117, 84]]),
    ],
)
def test_conv2d_same_by_hand(size, expected):
    """A 3x3 kernel of ones, at stride 2 around the even places of 0, 1, 2, ..."""
    picture = tf.reshape(tf.range(float(size**2)), [1, size, size, 1])
    with slim.arg_scope(
        [slim.conv2d], weights_initializer=tf.ones_initializer(), normalizer_fn=None
    ):
        output = resnet_utils.conv2d_same(picture, 1, 3, stride=2)
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(session.run(output)[0, ..., 0], expected)


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (3, 4), (7, 2)])
def test_conv2d_same_is_the_dense_one_subsampled(size, kernel, stride):
    images = _images(size, size)
    with slim.arg_scope([slim.conv2d], normalizer_fn=None):
        strided = resnet_utils.conv2d_same(images, 4, kernel, stride, scope="conv")
        tf.get_variable_scope().reuse_variables()
        dense = resnet_utils.conv2d_same(images, 4, kernel, 1, scope="conv")
    strided, dense = testing.run([strided, dense], images)
    np.testing.assert_allclose(strided, dense[:, ::stride, ::stride], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 96), (81, 65)])
def test_atrous_features_subsampled_are_those_at_full_stride(version, size):
    images = _images(*size)
    nominal, _ = _tiny(version, images, global_pool=False)
    output_strides = (4, 8, 16)
    features = []
    for output_stride in output_strides:
        dense, _ = _tiny(
            version, images, global_pool=False, output_stride=output_stride, reuse=True
        )
        assert dense.shape[1:3] == [-(-side // output_stride) for side in size]
        features.append(dense)
    nominal, *features = testing.run([nominal, *features], images)
    assert nominal.std() > 0.01
    for output_stride, dense in zip(output_strides, features, strict=True):
        step = 32 // output_stride
        np.testing.assert_allclose(nominal, dense[:, ::step, ::step], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("output_stride", [None, 8])
def test_activations_before_the_stride(output_stride):
    images = _images()
    arguments = {"global_pool": False, "output_stride": output_stride}
    strided, end_points = _tiny("v1", images, **arguments)
    stored, stored_points = _tiny(
        "v1", images, **arguments, store_non_strided_activations=True, reuse=True
    )

    def sizes(points):
        return [int(points[f"tiny/block{i}"].shape[1]) for i in (1, 2, 3, 4)]

    assert sizes(end_points) == ([8, 8, 8, 8] if output_stride else [8, 4, 2, 2])
    assert sizes(stored_points) == ([16, 8, 8, 8] if output_stride else [16, 8, 4, 2])
    strided, stored = testing.run([strided, stored], images)
    np.testing.assert_allclose(strided, stored, atol=1e-4)


def test_end_points(version):
    network, block = VERSIONS[version]
    blocks = [block("block1", base_depth=1, num_units=2, stride=2)]
    logits, end_points = network(_images(), blocks, 7, scope="tiny")
    unit_1, unit_2 = (f"block1/unit_{i}/bottleneck_{version}" for i in (1, 2))
    sizes_and_depths = {
        "tiny/conv1": [32, 64],
        f"tiny/{unit_1}/shortcut": [16, 4],
        f"tiny/{unit_1}/conv1": [16, 1],
        f"tiny/{unit_1}/conv2": [16, 1],
        f"tiny/{unit_1}/conv3": [16, 4],
        f"tiny/{unit_1}": [16, 4],
        f"tiny/{unit_2}/conv1": [16, 1],
        f"tiny/{unit_2}/conv2": [8, 1],
        f"tiny/{unit_2}/conv3": [8, 4],
        f"tiny/{unit_2}": [8, 4],
        "tiny/block1": [8, 4],
        "global_pool": [1, 4],
        "tiny/logits": [1, 7],
    }
    expected = {key: [2, n, n, depth] for key, (n, depth) in sizes_and_depths.items()}
    expected |= {"tiny/spatial_squeeze": [2, 7], "predictions": [2, 7]}
    assert {key: net.shape.as_list() for key, net in end_points.items()} == expected
    assert logits is end_points["tiny/spatial_squeeze"]


@pytest.mark.slow
def test_without_squeeze_logits_keep_their_places(version):
    images = _images(64, 96)
    logits, end_points = _tiny(
        version, images, 7, global_pool=False, spatial_squeeze=False, output_stride=8
    )
    assert logits.shape.as_list() == [2, 8, 12, 7]
    assert "tiny/spatial_squeeze" not in end_points
    assert "global_pool" not in end_points
    with pytest.raises(ValueError, match="spatial_squeeze=False"):
        _tiny(version, images, 7, global_pool=False, scope="another")


def test_pictures_of_unknown_number_and_size(version):
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    logits, end_points = _tiny(version, images, num_classes=7)
    assert logits.shape.as_list() == [None, 7]
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        for batch, height, width in ((1, 64, 64), (3, 33, 70)):
            pictures = np.zeros([batch, height, width, 3])
            values = session.run(
                [logits, end_points["tiny/block4"]], {images: pictures}
            )
            assert [value.shape for value in values] == [
                (batch, 7),
                (batch, -(-height // 32), -(-width // 32), 32),
            ]


def test_without_root_block(version):
    features, end_points = _tiny(
        version, _images(), include_root_block=False, global_pool=False, output_stride=2
    )
    assert features.shape.as_list() == [2, 32, 32, 32]
    assert "tiny/conv1" not in end_points


@pytest.mark.parametrize(
    ("output_stride", "root", "message"),
    [
        (6, True, "The output_stride needs to be a multiple of 4.* not 6"),
        (64, True, r"output_stride cannot be reached.* one of \[1, 2, 4, 8\], not 16"),
        (3, False, "output_stride cannot be reached.* not 3"),
    ],
)
def test_output_stride_that_the_strides_do_not_make(
    version, output_stride, root, message
):
    with pytest.raises(ValueError, match=message):
        _tiny(version, _images(), output_stride=output_stride, include_root_block=root)


@pytest.mark.slow
def test_reuse(version):
    images = _images()
    first, first_points = _tiny(version, images, 7)
    variables = tf.global_variables()
    second, second_points = _tiny(version, images, 7, reuse=True)
    assert tf.global_variables() == variables
    assert first_points.keys() == second_points.keys()
    assert {net.name for net in first_points.values()}.isdisjoint(
        net.name for net in second_points.values()
    )
    np.testing.assert_array_equal(*testing.run([first, second], images))


@pytest.mark.slow
def test_is_training_none_leaves_it_to_the_arg_scope(version):
    with slim.arg_scope([slim.batch_norm], is_training=False):
        _tiny(version, _images(), is_training=None)
        assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        _tiny(version, _images(), is_training=True, scope="trained")
        assert tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_without_batch_norm_there_are_biases():
    with slim.arg_scope(resnet_v1.resnet_arg_scope(use_batch_norm=False)):
        _tiny("v1", _images())
    names = [variable.op.name for variable in tf.global_variables()]
    assert "tiny/block1/unit_1/bottleneck_v1/conv2/biases" in names
    assert not any("BatchNorm" in name for name in names)


@pytest.mark.parametrize(
    ("bottleneck", "kwargs", "residual", "expected"),
    [
        (resnet_v1.bottleneck, {}, 0, [0, 0, 3]),
        (resnet_v1.bottleneck, {}, 100, [90, 96, 103]),
        (resnet_v1.bottleneck, {"use_bounded_activations": True}, 0, [0, 0, 3]),
        (resnet_v1.bottleneck, {"use_bounded_activations": True}, 100, [0, 2, 6]),
        # Of version 2 nothing follows the sum: the shortcut is the identity.
        (resnet_v2.bottleneck, {}, 0, [-10, -4, 3]),
        (resnet_v2.bottleneck, {}, 100, [90, 96, 103]),
    ],
)
def test_bottleneck_of_stated_residual(bottleneck, kwargs, residual, expected):
    inputs = tf.constant([-10.0, -4.0, 3.0], shape=[1, 3, 1, 1])
    with (
        slim.arg_scope(resnet_utils.resnet_arg_scope(use_batch_norm=False)),
        slim.arg_scope(
            [slim.conv2d],
            weights_initializer=tf.zeros_initializer(),
            biases_initializer=tf.constant_initializer(residual),
        ),
    ):
        output = bottleneck(inputs, 1, 1, stride=1, **kwargs)
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose(session.run(output).ravel(), expected)


def test_bounded_activations_reach_the_shortcut_through_the_arg_scope():
    with slim.arg_scope([resnet_v1.bottleneck], use_bounded_activations=True):
        _, end_points = _tiny("v1", _images())
    unit = "tiny/block1/unit_1/bottleneck_v1"
    assert end_points[unit].op.type == "Relu6"
    assert end_points[f"{unit}/shortcut"].op.type == "Relu6"


def test_depth_multiplier(shallow):
    _, end_points = resnet_v1.resnet_v1_50(
        _images(), depth_multiplier=0.1, min_base_depth=8
    )
    depths = [end_points[f"resnet_v1_50/block{i}"].shape[-1] for i in (1, 2, 3, 4)]
    assert depths == [4 * 8, 4 * 12, 4 * 25, 4 * 51]
    assert end_points["resnet_v1_50/conv1"].shape[-1] == 64
    with pytest.raises(ValueError, match="depth_multiplier"):
        resnet_v1.resnet_v1_50(_images(), depth_multiplier=0)


@pytest.mark.parametrize("num_layers", [50, 101, 152, 200])
def test_order_of_the_last_two_switches(shallow, num_layers):
    """The deeper two take `store_non_strided_activations` first."""
    name = f"resnet_v1_{num_layers}"
    network = getattr(resnet_v1, name)
    order = list(inspect.signature(network).parameters)
    switches = ["spatial_squeeze", "store_non_strided_activations"]
    assert order[5:7] == (switches if num_layers < 152 else switches[::-1])
    _, end_points = network(_images(), 7, False, True, None, True, False)
    stored = end_points[f"{name}/block1"].shape[1] == 16
    squeezed = f"{name}/spatial_squeeze" in end_points
    assert (squeezed, stored) == ((True, False) if num_layers < 152 else (False, True))


def test_names_and_default_image_sizes():
    for module, version in ((resnet_v1, "resnet_v1"), (resnet_v2, "resnet_v2")):
        assert getattr(module, version).default_image_size == 224
        for num_layers in (50, 101, 152, 200):
            network = getattr(module, f"{version}_{num_layers}")
            assert network.__name__ == f"{version}_{num_layers}"
            assert inspect.signature(network).parameters["scope"].default == (
                network.__name__
            )


def test_no_op_scope_changes_nothing():
    with resnet_v1.NoOpScope(), pytest.raises(KeyError):
        raise KeyError
