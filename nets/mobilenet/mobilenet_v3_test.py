"""MobileNet v3 and EdgeTPU, beyond what nets/zoo_test.py compares."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import testing
from nets.mobilenet import conv_blocks as ops
from nets.mobilenet import mobilenet as lib
from nets.mobilenet import mobilenet_v3
from slimbase.graph import classic_graph

SMALL = {"depth_multiplier": 0.25, "is_training": False}
TABLES = {  # The table and its last layer before the pooling.
    "large": (mobilenet_v3.V3_LARGE, "layer_17"),
    "small": (mobilenet_v3.V3_SMALL, "layer_13"),
    "edge_tpu": (mobilenet_v3.V3_EDGETPU, "layer_24"),
}


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph:
        yield graph


def _pictures(size, batch=2):
    return tf.placeholder(tf.float32, [batch, size, size, 3])


def _variables(part):
    return [v.op.name for v in tf.global_variables() if part in v.op.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "edge_tpu"])
def test_unknown_sizes_compute_the_same(name):
    network = getattr(mobilenet_v3, name)
    images = tf.placeholder(tf.float32, [2, 96, 64, 3])
    unknown = tf.placeholder_with_default(images, [None, None, None, 3])
    logits = [
        network(pictures, 10, reuse=tf.AUTO_REUSE, **SMALL)[0]
        for pictures in (images, unknown)
    ]
    assert [net.shape.as_list() for net in logits] == [[2, 10], [None, 10]]
    known, unknown = testing.run(logits, images)
    assert np.std(known) > 1e-3
    np.testing.assert_allclose(unknown, known, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "output_stride"), [("large", 16), ("small", 2), ("edge_tpu", 4)]
)
def test_dilation_samples_the_strided_features_more_densely(name, output_stride):
    table, features = TABLES[name]
    images = _pictures(32, batch=1)
    strided, dilated = (
        mobilenet_v3.mobilenet_base(
            images,
            conv_defs=_of_convolutions_alone(table),
            final_endpoint=features,
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


def _of_convolutions_alone(table):
    """Without averages and residuals, which change where strides vanish."""
    plain = {"expansion_transform": None, "residual": False}
    spec = [
        layer._replace(params={**layer.params, **plain})
        if "expansion_transform" in layer.params
        else layer
        for layer in table["spec"]
    ]
    return {**table, "spec": spec}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "edge_tpu"])
def test_explicit_padding_is_that_of_odd_sizes(name):
    images = _pictures(65)  # Odd at each stride, where 'SAME' pads evenly.
    implicit, explicit = (
        getattr(mobilenet_v3, name)(
            images, 10, use_explicit_padding=padding, reuse=tf.AUTO_REUSE, **SMALL
        )[0]
        for padding in (False, True)
    )
    operations = tf.get_default_graph().get_operations()
    assert any(operation.type == "Pad" for operation in operations)
    implicit, explicit = testing.run([implicit, explicit], images)
    np.testing.assert_allclose(explicit, implicit, rtol=1e-3, atol=1e-3)


def test_all_layers_at_an_output_stride():
    logits, _ = mobilenet_v3.small(_pictures(64), 10, output_stride=8, **SMALL)
    assert logits.shape.as_list() == [2, 10]


def test_mobilenet_is_the_large_one():
    assert mobilenet_v3.mobilenet.default_image_size == 224
    _, end_points = mobilenet_v3.mobilenet(_pictures(64))
    assert end_points["layer_19"].shape.as_list() == [2, 1, 1, 1280]
    assert _variables("MobilenetV3/expanded_conv_14/")


def test_reuse_shares_the_variables():
    mobilenet_v3.small(_pictures(64), 10, **SMALL)
    before = tf.global_variables()
    mobilenet_v3.small(_pictures(96), 10, reuse=True, **SMALL)
    assert tf.global_variables() == before


def test_base_ends_at_the_final_endpoint():
    net, end_points = mobilenet_v3.mobilenet_base(
        _pictures(64), final_endpoint="layer_5", conv_defs=mobilenet_v3.V3_SMALL
    )
    assert net is end_points["layer_5"]
    assert net.shape.as_list() == [2, 4, 4, 40]
    assert not _variables("expanded_conv_4")
    with pytest.raises(ValueError, match="layer_20"):
        mobilenet_v3.mobilenet_base(_pictures(64), final_endpoint="layer_20", scope="b")


def test_multiplier_is_refused():
    with pytest.raises(ValueError, match="depth_multiplier"):
        mobilenet_v3.mobilenet(_pictures(64), multiplier=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (mobilenet_v3.V3_LARGE_DETECTION, [112, 80, 80, 80, 480, None, 1280]),
        (mobilenet_v3.V3_LARGE, [112, 160, 160, 160, 960, None, 1280]),
        (mobilenet_v3.V3_SMALL_DETECTION, [48, 48, 48, 48, 288, None, 1024]),
        (mobilenet_v3.V3_SMALL, [48, 96, 96, 96, 576, None, 1024]),
    ],
)
def test_detection_halves_the_last_blocks(table, expected):
    depths = [layer.params.get("num_outputs") for layer in table["spec"]]
    assert depths[-7:] == expected
    net, _ = mobilenet_v3.mobilenet_base(_pictures(32), conv_defs=table)
    assert net.shape.as_list() == [2, 1, 1, expected[-1]]


@pytest.mark.parametrize("groups", [{}, {"groups": 4}])
def test_group_norm(groups):
    mobilenet_v3.small(_pictures(64), use_groupnorm=True, **groups)
    assert not _variables("BatchNorm") and len(_variables("GroupNorm/gamma")) == 34
    norms = [
        operation.outputs[0].shape.as_list()[3]
        for operation in tf.get_default_graph().get_operations()
        if operation.type == "Rsqrt"
    ]
    assert set(norms) == {groups.get("groups", 8)}
    groups_of_table = mobilenet_v3.DEFAULTS_GROUP_NORM[(slim.group_norm,)]
    assert groups_of_table == {"groups": 8}


def test_finegrained_spares_the_last_layer():
    _, end_points = mobilenet_v3.small(
        _pictures(64), depth_multiplier=0.35, finegrain_classification_mode=True
    )
    assert end_points["layer_13"].shape[3] == 200
    assert end_points["layer_15"].shape[3] == 1024


def test_hard_swish():
    x = tf.constant([-4.0, -3.0, -1.0, 0.0, 1.0, 3.0, 4.0])
    with testing.session() as session:
        value = session.run(mobilenet_v3.hard_swish(x))
    np.testing.assert_allclose(value, [0, 0, -1 / 3, 0, 2 / 3, 3, 4], rtol=1e-6)


def test_rows_of_a_table():
    plain = mobilenet_v3.mbv3_op(ef=3, n=24, k=5, s=2, residual=False)
    assert plain.op is ops.expanded_conv
    assert plain.multiplier_func is lib.depth_multiplier
    assert plain.params["expansion_size"](16) == 48
    assert plain.params["kernel_size"] == (5, 5)
    assert plain.params["residual"] is False
    assert plain.params["expansion_transform"] is None
    assert mobilenet_v3.mbv3_op_se(ef=3, n=24, k=5).params["expansion_transform"]


def test_squeeze_excite_gates_by_hard_sigmoid():
    images = tf.zeros([1, 2, 2, 32])
    with testing.session() as session:
        gates = mobilenet_v3.squeeze_excite(images + 1.0)
        assert slim.get_variables_by_suffix("Conv/weights")[0].shape[3] == 8
        for variable in tf.global_variables():
            session.run(variable.assign(tf.zeros_like(variable)))
        np.testing.assert_allclose(session.run(gates), 3 * 0.16667, rtol=1e-6)


def test_wrapped_partial():
    def network(net, scope="A", width=1):
        """What it does."""
        return net, scope, width

    wrapped = mobilenet_v3.wrapped_partial(network, {"scope": "B"}, width=2)
    assert wrapped(0) == (0, "B", 2)
    assert wrapped(0, scope="C", width=3) == (0, "C", 3)
    assert wrapped.__name__ == "network" and wrapped.__doc__ == "What it does."


@pytest.mark.slow
def test_edge_tpu_has_a_scope_of_its_own():
    mobilenet_v3.edge_tpu(_pictures(32), **SMALL)
    mobilenet_v3.edge_tpu(_pictures(32), scope="Mine", **SMALL)
    assert _variables("MobilenetEdgeTPU/Conv/weights") == [
        "MobilenetEdgeTPU/Conv/weights"
    ]
    assert _variables("Mine/Conv/weights")
