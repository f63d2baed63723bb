"""The Inception networks beyond what their golden records hold."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception, inception_resnet_v2, inception_utils, inception_v4, testing
from slimbase.graph import classic_graph

STEM = "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3"
END_POINTS = {
    "inception_v2": "Conv2d_1a_7x7 MaxPool_2a_3x3 Conv2d_2b_1x1 Conv2d_2c_3x3 "
    "MaxPool_3a_3x3 Mixed_3b Mixed_3c Mixed_4a Mixed_4b Mixed_4c Mixed_4d Mixed_4e "
    "Mixed_5a Mixed_5b Mixed_5c",
    "inception_v3": f"{STEM} MaxPool_3a_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3 "
    "MaxPool_5a_3x3 Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d "
    "Mixed_6e Mixed_7a Mixed_7b Mixed_7c",
    "inception_v4": f"{STEM} Mixed_3a Mixed_4a Mixed_5a Mixed_5b Mixed_5c Mixed_5d "
    "Mixed_5e Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_6f Mixed_6g Mixed_6h "
    "Mixed_7a Mixed_7b Mixed_7c Mixed_7d",
    "inception_resnet_v2": f"{STEM} MaxPool_3a_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3 "
    "MaxPool_5a_3x3 Mixed_5b Mixed_6a PreAuxLogits Mixed_7a Conv2d_7b_1x1",
}
FOR_ANY_SIZE = {
    "inception_v2": {"global_pool": True},
    "inception_v3": {"global_pool": True, "create_aux_logits": False},
    "inception_v4": {"create_aux_logits": False},
    "inception_resnet_v2": {"create_aux_logits": False},
}
every_network = pytest.mark.parametrize("name", END_POINTS)
with_multiplier = pytest.mark.parametrize("name", ["inception_v2", "inception_v3"])


@pytest.fixture(autouse=True)
def _graph():
    with classic_graph():
        yield


def _base(name, *args, **kwargs):
    return getattr(inception, f"{name}_base")(*args, **kwargs)


def _network(name, *args, **kwargs):
    with slim.arg_scope(getattr(inception, f"{name}_arg_scope")()):
        return getattr(inception, name)(*args, **kwargs)


def _variables(scope=None):
    return {v.op.name: v.shape.as_list() for v in slim.get_variables(scope)}


def _run(*fetches):
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches)


@every_network
@pytest.mark.parametrize("count", [1, 9])
def test_a_base_ends_at_its_final_endpoint(name, count):
    expected = END_POINTS[name].split()[:count]
    net, end_points = _base(name, tf.zeros([2, 75, 75, 3]), expected[-1])
    assert list(end_points) == expected
    assert net is end_points[expected[-1]]


@pytest.mark.slow
@every_network
def test_unknown_final_endpoint_lists_all(name):
    known = ", ".join(END_POINTS[name].split())
    with pytest.raises(ValueError, match=f"Mixed_9z; it can be one of: {known}$"):
        _base(name, tf.zeros([1, 75, 75, 3]), "Mixed_9z")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *list(FOR_ANY_SIZE)[:2],
        pytest.param("inception_v4", marks=pytest.mark.slow),
        pytest.param("inception_resnet_v2", marks=pytest.mark.slow),
    ],
)
def test_any_batch_and_size_and_reused_variables(name):
    pictures = np.random.default_rng(1).uniform(-1, 1, [2, 80, 107, 3])
    pictures = pictures.astype(np.float32)
    how = {"num_classes": 7, "is_training": False, **FOR_ANY_SIZE[name]}
    known, end_points = _network(name, tf.constant(pictures), **how)
    before = _variables()
    assert "AuxLogits" not in end_points
    assert not any("/AuxLogits/" in variable for variable in before)
    unknown, _ = _network(
        name,
        tf.placeholder_with_default(pictures, [None, None, None, 3]),
        reuse=True,
        **how,
    )
    assert _variables() == before
    assert unknown.shape.as_list() == [None, 7]
    known, unknown = _run(known, unknown)
    assert known.std() > 0
    np.testing.assert_allclose(unknown, known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "kernel"), [(17, 5), (9, 2), (3, 1)])
def test_auxiliary_logits_fit_the_features(size, kernel):
    features = tf.zeros([2, size, size, 32])
    logits = inception_utils.auxiliary_logits(features, 7, "conv", "logits")
    assert logits.shape.as_list() == [2, 7]
    assert _variables()["AuxLogits/conv/weights"] == [kernel, kernel, 128, 768]


def test_auxiliary_logits_need_a_known_size():
    features = tf.placeholder(tf.float32, [2, None, None, 32])
    with pytest.raises(ValueError, match="create_aux_logits=False"):
        inception_utils.auxiliary_logits(features, 7, "conv", "logits")


@pytest.mark.slow
@with_multiplier
def test_pooling_shrinks_with_the_picture(name):
    _, end_points = _network(name, tf.zeros([2, 107, 139, 3]), 7, spatial_squeeze=False)
    height, width = end_points[END_POINTS[name].split()[-1]].shape[1:3]
    assert end_points["AvgPool_1a"].op.name.endswith(
        f"AvgPool_1a_{height}x{width}/AvgPool"
    )
    assert end_points["Logits"].shape.as_list() == [2, 1, 1, 7]


@pytest.mark.slow
@with_multiplier
def test_depth_multiplier(name):
    nominal, quarter, double = (
        _base(
            name,
            tf.zeros([2, 75, 75, 3]),
            min_depth=1,
            depth_multiplier=multiplier,
            scope=f"times_{multiplier}",
        )[1]
        for multiplier in (1.0, 0.25, 2.0)
    )
    for key, net in nominal.items():
        depth = net.shape[3]
        assert (quarter[key].shape[3], double[key].shape[3]) == (depth / 4, depth * 2)


@pytest.mark.slow
@with_multiplier
def test_min_depth(name):
    _base(name, tf.zeros([2, 75, 75, 3]), min_depth=24, depth_multiplier=0.01)
    depths = {
        shape[-1] for name, shape in _variables().items() if "depthwise" not in name
    }
    assert depths == {24}


@with_multiplier
@pytest.mark.parametrize("multiplier", [0, -0.5])
def test_depth_multiplier_is_above_zero(name, multiplier):
    with pytest.raises(ValueError, match="depth_multiplier"):
        _network(name, tf.zeros([2, 75, 75, 3]), depth_multiplier=multiplier)


@pytest.mark.slow
@with_multiplier
def test_prediction_fn(name):
    images = tf.zeros([2, 107, 107, 3])
    logits, end_points = _network(
        name, images, 7, prediction_fn=lambda logits, scope: -logits
    )
    assert end_points["Predictions"].op.inputs[0] is logits


class TestInceptionV2Base:
    def test_without_the_separable_convolution(self):
        with slim.arg_scope(inception.inception_v2_arg_scope()):
            _base(
                "inception_v2",
                tf.zeros([2, 64, 64, 3]),
                "Conv2d_1a_7x7",
                use_separable_conv=False,
            )
        scope = "InceptionV2/Conv2d_1a_7x7"
        assert _variables() == {
            f"{scope}/weights": [7, 7, 3, 64],
            **{
                f"{scope}/BatchNorm/{leaf}": [64]
                for leaf in ("beta", "moving_mean", "moving_variance")
            },
        }

    def test_without_the_root_block(self):
        features = tf.zeros([2, 28, 28, 192])
        _, end_points = _base("inception_v2", features, include_root_block=False)
        assert list(end_points) == END_POINTS["inception_v2"].split()[5:]
        assert end_points["Mixed_5c"].shape.as_list() == [2, 7, 7, 1024]

    @pytest.mark.slow
    def test_channels_first(self):
        shapes = []
        for data_format, shape in (("NHWC", [2, 64, 96, 3]), ("NCHW", [2, 3, 64, 96])):
            with classic_graph(), slim.arg_scope(inception.inception_v2_arg_scope()):
                _, end_points = _base(
                    "inception_v2",
                    tf.zeros(shape),
                    use_separable_conv=False,
                    data_format=data_format,
                )
                shapes.append((_variables(), end_points))
        (variables, last), (variables_first, first) = shapes
        assert variables_first == variables
        for key, net in last.items():
            batch, height, width, channels = net.shape
            assert first[key].shape == [batch, channels, height, width]

    @pytest.mark.parametrize(
        "kwargs",
        [{"data_format": "NCHW"}, {"data_format": "CHWN", "use_separable_conv": False}],
    )
    def test_data_format_errors(self, kwargs):
        with pytest.raises(ValueError, match=r"data_format .*N"):
            _base("inception_v2", tf.zeros([2, 3, 64, 64]), **kwargs)

    def test_initial_weights(self):
        """Their deviation; a truncated normal's is 0.88 of its `stddev`."""
        with slim.arg_scope(inception.inception_v2_arg_scope()):
            _base("inception_v2", tf.zeros([1, 32, 32, 3]), "Mixed_3b")
        stated = {
            "Conv2d_1a_7x7/depthwise_weights": 0.88,
            "Conv2d_2b_1x1/weights": 0.088,
            "Mixed_3b/Branch_0/Conv2d_0a_1x1/weights": np.sqrt(2 / 192),
            "Mixed_3b/Branch_1/Conv2d_0a_1x1/weights": 0.0792,
            "Mixed_3b/Branch_2/Conv2d_0a_1x1/weights": 0.0792,
            "Mixed_3b/Branch_3/Conv2d_0b_1x1/weights": 0.088,
        }
        found = _run(*(slim.get_unique_variable(f"InceptionV2/{v}") for v in stated))
        for value, (name, deviation) in zip(found, stated.items(), strict=True):
            assert value.std() == pytest.approx(deviation, rel=0.05), name


class TestInceptionV4Blocks:
    @pytest.mark.parametrize(
        ("block", "scope", "shape"),
        [
            ("block_inception_a", "BlockInceptionA", [2, 9, 11, 384]),
            ("block_reduction_a", "BlockReductionA", [2, 4, 5, 384 + 256 + 32]),
            ("block_inception_b", "BlockInceptionB", [2, 9, 11, 1024]),
            ("block_reduction_b", "BlockReductionB", [2, 4, 5, 192 + 320 + 32]),
            ("block_inception_c", "BlockInceptionC", [2, 9, 11, 1536]),
        ],
    )
    def test_scope_and_reuse(self, block, scope, shape):
        block = getattr(inception_v4, block)
        features = tf.zeros([2, 9, 11, 32])
        assert block(features).shape == shape
        assert all(name.startswith(f"{scope}/") for name in _variables())
        count = len(_variables())
        block(features, scope="mine")
        assert len(_variables("mine")) == count
        block(features, scope="mine", reuse=True)
        assert len(_variables()) == 2 * count


class TestInceptionResnetV2:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("output_stride", "aligned", "sizes"),
        [
            (16, True, [150, 150, 150, 75, 75, 75, 38, 38, 19]),
            (8, False, [149, 147, 147, 73, 73, 71, 35, 35, 33]),
            (8, True, [150, 150, 150, 75, 75, 75, 38, 38, 38]),
        ],
    )
    def test_sizes(self, output_stride, aligned, sizes):
        _, end_points = _base(
            "inception_resnet_v2",
            tf.zeros([2, 299, 299, 3]),
            "Mixed_6a",
            output_stride=output_stride,
            align_feature_maps=aligned,
        )
        assert [net.shape.as_list()[1:3] for net in end_points.values()] == [
            [size, size] for size in sizes
        ]

    @pytest.mark.slow
    def test_output_stride_8_dilates(self):
        """Every second place holds what output stride 16 computes there."""
        images = tf.random.uniform([1, 75, 107, 3], -1, 1, seed=1)
        with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
            strided, dilated = (
                _base(
                    "inception_resnet_v2",
                    images,
                    "PreAuxLogits",
                    output_stride=output_stride,
                    scope="Base",
                )[0]
                for output_stride in (16, 8)
            )
        assert len(_variables()) == 2 * (12 + 10 * 7 + 4 + 20 * 5)  # No others at 8.
        strided, dilated = _run(strided, dilated)
        assert strided.std() > 0
        np.testing.assert_allclose(dilated[:, ::2, ::2], strided, rtol=1e-3, atol=1e-4)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"output_stride": 32}, "8 or 16, not 32"),
            ({"output_stride": 8}, "PreAuxLogits"),
        ],
    )
    def test_output_stride_errors(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            _base("inception_resnet_v2", tf.zeros([1, 75, 75, 3]), **kwargs)

    @pytest.mark.parametrize("name", ["block35", "block17", "block8"])
    def test_a_block_adds_its_scaled_residual(self, name):
        block = getattr(inception_resnet_v2, name)
        net = tf.random.uniform([2, 5, 7, 32], -3, 3, seed=1)
        default = block(net)
        assert all(key.startswith(f"{name.title()}/") for key in _variables())
        with tf.variable_scope(tf.get_variable_scope(), reuse=True):
            linear, tripled, bounded = (
                block(net, scale, activation_fn, scope=name.title())
                for scale, activation_fn in ((1, None), (3, None), (50, tf.nn.relu6))
            )
        net, default, linear, tripled, bounded = _run(
            net, default, linear, tripled, bounded
        )
        residual = linear - net
        assert residual.std() > 0.1
        np.testing.assert_allclose(default, np.maximum(linear, 0), atol=1e-5)
        np.testing.assert_allclose(tripled, net + 3 * residual, rtol=1e-3, atol=1e-4)
        clipped = net + np.clip(50 * residual, -6, 6)
        np.testing.assert_allclose(bounded, np.clip(clipped, 0, 6), atol=1e-2)

    def test_activation_fn_is_that_of_the_blocks(self):
        images = tf.zeros([1, 75, 75, 3])
        _base("inception_resnet_v2", images, "Mixed_6a", activation_fn=tf.nn.elu)
        types = [op.type for op in tf.get_default_graph().get_operations()]
        assert types.count("Elu") == 10


@every_network
def test_arg_scope_reaches_batch_norm(name):
    arg_scope = getattr(inception, f"{name}_arg_scope")
    with slim.arg_scope(arg_scope(batch_norm_scale=True, activation_fn=tf.nn.elu)):
        net, _ = _base(
            name,
            tf.zeros([1, 75, 75, 3]),
            END_POINTS[name].split()[2],
        )
    assert net.op.type == "Elu"
    assert _variables(".*/gamma")


def test_arg_scope_without_batch_norm():
    with slim.arg_scope(inception_utils.inception_arg_scope(use_batch_norm=False)):
        slim.conv2d(tf.zeros([1, 9, 9, 3]), 8, [3, 3], scope="conv")
    assert _variables() == {"conv/weights": [3, 3, 3, 8], "conv/biases": [8]}
