"""MobileNet v2, its driver and its blocks, beyond what nets/zoo_test.py compares."""

import copy

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, testing
from nets.mobilenet import conv_blocks as ops
from nets.mobilenet import mobilenet as lib
from nets.mobilenet import mobilenet_v2
from slimbase.graph import classic_graph

SMALL = {"depth_multiplier": 0.25, "is_training": False}
NO_RESIDUAL = {"residual": False}


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph:
        yield graph


def _pictures(size, batch=2):
    return tf.placeholder(tf.float32, [batch, size, size, 3])


def _unknown(images):
    """The same images, of which only the number of channels is known."""
    return tf.placeholder_with_default(images, [None, None, None, 3])


def _operations(kind):
    return [o for o in tf.get_default_graph().get_operations() if o.type == kind]


def _depths():
    return {
        operation.outputs[0].shape.as_list()[3] for operation in _operations("Conv2D")
    }


def _variables(part):
    return [v.op.name for v in tf.global_variables() if part in v.op.name]


@pytest.mark.parametrize("size", [96, 160])
def test_features_are_32_times_smaller(size):
    images = _pictures(size)
    logits, end_points = mobilenet_v2.mobilenet(images, 10, **SMALL)
    assert end_points["layer_18/output"].shape.as_list()[1:3] == [size // 32] * 2
    assert logits.shape.as_list() == [2, 10]


@pytest.mark.slow
def test_unknown_sizes_compute_the_same():
    images = _pictures(96)
    known, _ = mobilenet_v2.mobilenet(images, 10, **SMALL)
    unknown, end_points = mobilenet_v2.mobilenet(
        _unknown(images), 10, reuse=True, **SMALL
    )
    assert unknown.shape.as_list() == [None, 10]
    assert end_points["global_pool"].shape.as_list()[1:3] == [1, 1]
    known, unknown = testing.run([known, unknown], images)
    np.testing.assert_allclose(unknown, known, rtol=1e-4, atol=1e-4)


def test_reuse_shares_the_variables():
    mobilenet_v2.mobilenet(_pictures(96), 10, **SMALL)
    before = tf.global_variables()
    _, end_points = mobilenet_v2.mobilenet(_pictures(64), 10, reuse=True, **SMALL)
    assert tf.global_variables() == before
    assert end_points["layer_19"].name.startswith("MobilenetV2_1/Conv_1/")
    with pytest.raises(ValueError, match="already exists"):
        mobilenet_v2.mobilenet(_pictures(64), 10, **SMALL)


def test_base_ends_at_the_final_endpoint():
    net, end_points = mobilenet_v2.mobilenet_base(
        _pictures(64), final_endpoint="layer_7", **SMALL
    )
    assert net is end_points["layer_7"]
    assert net.shape.as_list() == [2, 8, 8, 8]
    assert "layer_7/expansion_output" in end_points and "layer_8" not in end_points
    assert _variables("expanded_conv_5") and not _variables("expanded_conv_6")


@pytest.mark.parametrize("name", ["layer_20", "layer_7/output", "Conv2d_1"])
def test_final_endpoint_unknown(name):
    with pytest.raises(ValueError, match=f"{name}.*layer_1, layer_2"):
        mobilenet_v2.mobilenet_base(_pictures(64), final_endpoint=name, **SMALL)


def test_base_has_no_classifier():
    net, end_points = mobilenet_v2.mobilenet_base(_pictures(64), 0.25)
    assert net.shape.as_list() == [2, 2, 2, 320]
    assert "global_pool" not in end_points and not _variables("Logits")


@pytest.mark.slow
@pytest.mark.parametrize("output_stride", [1, 8])
def test_dilation_samples_the_strided_features_more_densely(output_stride):
    images = _pictures(32, batch=1)
    # Where strides vanish, thin layers may get residuals that they had not.
    table = {**mobilenet_v2.V2_DEF, "overrides": {(ops.expanded_conv,): NO_RESIDUAL}}
    strided, dilated = (
        mobilenet_v2.mobilenet_base(
            images,
            conv_defs=table,
            output_stride=stride,
            use_explicit_padding=True,
            reuse=tf.AUTO_REUSE,
            **SMALL,
        )[0]
        for stride in (None, output_stride)
    )
    assert dilated.shape.as_list()[1:3] == [32 // output_stride] * 2
    strided, dilated = testing.run([strided, dilated], images)
    assert np.std(strided) > 1e-3
    step = 32 // output_stride
    np.testing.assert_allclose(
        dilated[:, ::step, ::step], strided, rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_explicit_padding_is_that_of_odd_sizes():
    images = _pictures(65)  # Odd at each stride, where 'SAME' pads evenly.
    implicit, explicit = (
        mobilenet_v2.mobilenet_base(
            images, use_explicit_padding=padding, reuse=tf.AUTO_REUSE, **SMALL
        )[0]
        for padding in (False, True)
    )
    assert {o.get_attr("padding") for o in _operations("DepthwiseConv2dNative")} == {
        b"SAME",
        b"VALID",
    }
    implicit, explicit = testing.run([implicit, explicit], images)
    np.testing.assert_allclose(explicit, implicit, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_stride": 7}, "output_stride=7"),
        ({"output_stride": 0}, "output_stride=0"),
        ({"depth_multiplier": 0.0}, "above zero"),
        ({"depth_multiplier": -1, "finegrain_classification_mode": True}, "above zero"),
        ({"multiplier": 0.5}, "depth_multiplier"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        mobilenet_v2.mobilenet(_pictures(64), **arguments)


def test_pictures_must_come_in_batches():
    with pytest.raises(ValueError, match="expected 4"):
        mobilenet_v2.mobilenet(tf.zeros([64, 64, 3]))


def test_divisible_by_and_min_depth():
    mobilenet_v2.mobilenet(_pictures(64), divisible_by=16, min_depth=32)
    assert _depths() == {32, 64, 96, 160, 192, 320, 384, 576, 960, 1001, 1280}


def test_min_depth_from_the_arg_scope_around():
    with slim.arg_scope([lib.depth_multiplier], min_depth=32):
        mobilenet_v2.mobilenet(_pictures(64), depth_multiplier=0.1)
    assert _depths() == {32, 128, 192, 1001}


def test_finegrained_spares_the_last_layer():
    table = copy.deepcopy(mobilenet_v2.V2_DEF)
    mobilenet_v2.mobilenet(
        _pictures(64),
        depth_multiplier=0.01,
        conv_defs=table,
        finegrain_classification_mode=True,
    )
    assert _depths() == {8, 48, 1001, 1280}
    assert table["spec"][-1].params["num_outputs"] == 1280


def test_finegrained_widens_no_layer():
    _, end_points = mobilenet_v2.mobilenet_base(
        _pictures(32), 1.4, finegrain_classification_mode=True
    )
    assert end_points["layer_19"].shape[3] == 1792


def test_mobilenet_v2_050():
    assert mobilenet_v2.mobilenet_v2_050.default_image_size == 224
    _, end_points = mobilenet_v2.mobilenet_v2_050(_pictures(64))
    assert end_points["layer_1"].shape[3] == 16
    assert end_points["layer_19"].shape[3] == 1280


def test_activation_fn():
    mobilenet_v2.mobilenet(_pictures(64), activation_fn=tf.nn.elu)
    assert len(_operations("Elu")) == 35 and not _operations("Relu6")
    defaults = mobilenet_v2.V2_DEF["defaults"].values()
    assert tf.nn.elu not in [params.get("activation_fn") for params in defaults]


def test_prediction_fn_none():
    _, end_points = mobilenet_v2.mobilenet(_pictures(64), prediction_fn=None)
    assert "Logits" in end_points and "Predictions" not in end_points


def test_reduce_mean_for_pooling():
    _, end_points = mobilenet_v2.mobilenet(
        _pictures(64), use_reduce_mean_for_pooling=True
    )
    assert end_points["global_pool"].op.type == "Mean"


@pytest.mark.slow
def test_group_norm():
    net, _ = mobilenet_v2.mobilenet_base_group_norm(_pictures(32), 0.25, groups=4)
    assert net.shape.as_list() == [2, 1, 1, 320]
    assert not _variables("BatchNorm") and len(_variables("GroupNorm/gamma")) == 52
    assert {o.outputs[0].shape.as_list()[3] for o in _operations("Rsqrt")} == {4}
    mobilenet_v2.mobilenet_base_group_norm(_pictures(32), 0.25, scope="default")
    assert {o.outputs[0].shape.as_list()[3] for o in _operations("Rsqrt")} == {4, 8}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("in_scope", "in_call", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"is_training": False}, False),
        (False, {"is_training": True}, True),
    ],
)
def test_is_training_of_the_call_wins(in_scope, in_call, expected):
    with slim.arg_scope(mobilenet_v2.training_scope(is_training=in_scope)):
        mobilenet_v2.mobilenet(_pictures(64), **in_call)
    assert bool(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == expected
    assert bool(_operations("RandomUniform")) == expected  # Of dropout.


def test_is_training_none_leaves_it_to_the_scopes_around():
    scope = mobilenet_v2.training_scope(is_training=None)
    batch_norm = slim.arg_scope_func_key(slim.batch_norm)
    assert scope[batch_norm] == {"decay": 0.997}
    key = slim.arg_scope_func_key(slim.dropout)
    assert scope[key] == {"keep_prob": 0.8}
    with slim.arg_scope(scope):
        with slim.arg_scope([slim.batch_norm, slim.dropout], is_training=False):
            mobilenet_v2.mobilenet(_pictures(64))
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert not _operations("RandomUniform")


def test_xavier_below_zero():
    scope = mobilenet_v2.training_scope(stddev=-1)
    initializer = scope[slim.arg_scope_func_key(slim.conv2d)]["weights_initializer"]
    assert not isinstance(initializer, tf.truncated_normal_initializer)


def test_overrides_win():
    table = copy.deepcopy(mobilenet_v2.V2_DEF)
    table["overrides"] = {(ops.expanded_conv,): {"split_expansion": 2}}
    _, end_points = mobilenet_v2.mobilenet(_pictures(64), conv_defs=table)
    # The first three blocks are too thin to be split; the first expands nothing.
    assert len(_operations("Conv2D")) == len(table["spec"]) * 3 - 5
    assert end_points["layer_8/expand_part_1_output"].shape[3] == 96


def test_a_table_of_ones_own():
    def double(net, stride, rate=1):
        assert (stride, rate) == (1, 2)
        return tf.multiply(net, 2.0, name="mine/output")

    table = {
        "defaults": [((slim.conv2d,), {"activation_fn": None})],
        "spec": [
            lib.op(slim.conv2d, stride=2, num_outputs=8, kernel_size=[3, 3]),
            lib.op(slim.max_pool2d, stride=2, kernel_size=[1, 1]),
            lib.op(double),
            lib.op(ops.split_separable_conv2d, num_outputs=24),
        ],
    }
    net, end_points = lib.mobilenet_base(
        _pictures(32), table, multiplier=2, output_stride=2, scope="Mine"
    )
    assert net.shape.as_list() == [2, 16, 16, 48]
    assert end_points["layer_3/output"] is end_points["layer_3"]
    assert _variables("Mine/Conv/weights") and _variables("Mine/separable/pointwise")
    assert not _operations("Relu6")
    assert table["spec"][0].params["num_outputs"] == 8


def test_a_layer_that_cannot_be_built_is_named():
    layer = lib.op(slim.conv2d, num_outputs=8, kernel=3)
    table = {"spec": [lib.op(slim.max_pool2d, kernel_size=[2, 2]), layer]}
    with pytest.raises(ValueError, match=r"layer_2.*conv.*kernel"):
        lib.mobilenet_base(_pictures(32), table)


def test_safe_arg_scope():
    assert isinstance(lib.safe_arg_scope([slim.dropout], keep_prob=None), lib.NoOpScope)
    with lib.safe_arg_scope([slim.dropout], keep_prob=0.5, is_training=None) as scope:
        assert scope[slim.arg_scope_func_key(slim.dropout)] == {"keep_prob": 0.5}


def test_apply_activation():
    x = tf.zeros([1])
    assert lib.apply_activation(x) is x
    assert lib.apply_activation(x, "name", tf.nn.relu).op.name == "name"


def test_global_pool_by_another_pooling():
    images = _pictures(8)
    net = lib.global_pool(images, pool_op=tf.nn.max_pool2d)
    pictures = testing.pictures([2, 8, 8, 3])
    expected = pictures.max(axis=(1, 2), keepdims=True)
    np.testing.assert_array_equal(testing.run(net, images), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((4.0, 8), 8),
        ((11, 8), 16),  # 8 would lose more than a tenth.
        ((17, 8), 16),
        ((33.6, 8), 32),
        ((3, 1), 3),
        ((3, 8, 12), 12),
    ],
)
def test_make_divisible(arguments, expected):
    assert layers.make_divisible(*arguments) == expected


def test_split_separable_conv2d():
    end_points = {}
    net = ops.split_separable_conv2d(
        _pictures(9),
        16,
        scope="Conv2d_3",
        normalizer_fn=slim.batch_norm,
        stride=2,
        endpoints=end_points,
        use_explicit_padding=True,
    )
    assert net.shape.as_list() == [2, 5, 5, 16]
    assert list(end_points) == ["Conv2d_3_depthwise", "Conv2d_3_pointwise"]
    assert end_points["Conv2d_3_pointwise"] is net
    assert _variables("Conv2d_3_depthwise/BatchNorm/beta")
    ops.split_separable_conv2d(_pictures(9), 16)
    ops.split_separable_conv2d(_pictures(9), 16)
    assert _variables("separable_1/depthwise/depthwise_weights")


@pytest.mark.parametrize(
    ("channels", "ways", "sizes"),
    [(24, 1, [24]), (24, 2, [16, 8]), (64, 3, [24, 24, 16]), (16, 3, [16])],
)
def test_split_conv(channels, ways, sizes):
    images = tf.zeros([1, 2, 2, channels])
    net = ops.split_conv(images, 32, ways, "conv")
    assert net.shape.as_list() == [1, 2, 2, 32]
    weights = [v.shape.as_list()[2] for v in slim.get_variables_by_suffix("weights")]
    assert weights == sizes


def test_split_conv_of_an_odd_depth():
    with pytest.raises(ValueError, match="36 channels"):
        ops.split_conv(tf.zeros([1, 2, 2, 36]), 32, 2, "conv")


@pytest.mark.parametrize(
    ("location", "channels"),
    [("input", 3), ("expansion", 16), ("output", 8), (None, None)],
)
def test_depthwise_location(location, channels):
    end_points = {}
    net = ops.expanded_conv(
        _pictures(8),
        8,
        expansion_size=16,
        kernel_size=(5, 5),
        depthwise_location=location,
        endpoints=end_points,
        use_explicit_padding=True,
    )
    assert net.shape.as_list() == [2, 8, 8, 8]
    assert end_points["expansion_output"].shape[3] == 16
    assert end_points["projection_output"].shape[3] == 8
    weights = slim.get_variables_by_suffix("depthwise_weights")
    assert [v.shape.as_list() for v in weights] == (
        [[5, 5, channels, 1]] if location else []
    )
    assert ("depthwise_output" in end_points) == bool(location)


def test_activations_of_an_expanded_conv():
    ops.expanded_conv(
        _pictures(8),
        8,
        expansion_size=16,
        inner_activation_fn=tf.nn.elu,
        depthwise_activation_fn=tf.nn.selu,
        project_activation_fn=tf.nn.softplus,
        scope="block",
    )
    kinds = {"Elu": "expand", "Selu": "depthwise", "Softplus": "project"}
    for kind, place in kinds.items():
        assert [o.name for o in _operations(kind)] == [f"block/{place}/{kind}"]


@pytest.mark.parametrize("residual", [True, False])
def test_residual(residual):
    images = _pictures(4)
    net = ops.expanded_conv(
        images, 3, residual=residual, projection_fn=_zeros, scope="block"
    )
    pictures = testing.pictures([2, 4, 4, 3])
    np.testing.assert_array_equal(testing.run(net, images), pictures * residual)


def _zeros(net, depth, **kwargs):
    return tf.zeros_like(net[..., :depth])


def test_residual_of_ones_own():
    images = _pictures(4)
    net = ops.expanded_conv(
        images,
        3,
        stride=2,
        projection_fn=_zeros,
        residual=lambda input_tensor, output_tensor: input_tensor[:, ::2, ::2] * 2,
    )
    pictures = testing.pictures([2, 4, 4, 3])
    np.testing.assert_array_equal(testing.run(net, images), pictures[:, ::2, ::2] * 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"depthwise_location": "nowhere"},
        {"use_explicit_padding": True, "padding": "VALID"},
    ],
)
def test_expanded_conv_refuses(arguments):
    with pytest.raises(ValueError, match=r"nowhere|needs padding 'SAME'"):
        ops.expanded_conv(_pictures(8), 8, **arguments)


def test_squeeze_excite_gates_channels():
    images = tf.placeholder(tf.float32, [2, 6, 6, 48])
    unknown = tf.placeholder_with_default(images, [None, None, None, 48])
    gated = []
    for net, pool in [(images, None), (unknown, None), (images, 6), (images, 3)]:
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
            gated.append(ops.squeeze_excite(net, squeeze_factor=4, pool=pool))
    [weights] = slim.get_variables_by_suffix("Conv/weights")
    assert weights.shape.as_list() == [1, 1, 48, 16]
    for i, net in enumerate(testing.run(gated, images)):
        gates = net / testing.pictures([2, 6, 6, 48])
        assert 0 < gates.min() < gates.max() < 1
        spread = np.ptp(gates, axis=(1, 2)).max()
        assert spread > 1e-2 if i == 3 else spread < 1e-4


def test_squeeze_excite_by_another_tensor():
    images = _pictures(6)
    net = ops.squeeze_excite(images, squeeze_input_tensor=tf.zeros([2, 3, 3, 24]))
    value = testing.run(net, images)
    gates = value / testing.pictures([2, 6, 6, 3])
    np.testing.assert_allclose(gates[0], gates[1], rtol=1e-4)
