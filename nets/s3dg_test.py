"""S3D-G in what nets/zoo_test.py does not ask of it."""

from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import s3dg, testing
from slimbase.graph import classic_graph

# Without what pyright makes of tf_slim's layers.
network: Any = s3dg.s3dg

BLOCKS = ["Conv2d_2c_3x3"] + [
    f"Mixed_{cell}" for cell in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
]


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph, slim.arg_scope(s3dg.s3dg_arg_scope()):
        yield graph


def _shapes():
    return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _blocks_with(part):
    return sorted({name.split("/")[1] for name in _shapes() if f"/{part}/" in name})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("final_endpoint", "shape"),
    [
        ("Conv2d_1a_7x7", [2, 4, 32, 32, 64]),
        ("MaxPool_2a_3x3", [2, 4, 16, 16, 64]),
        ("Mixed_3c", [2, 4, 8, 8, 480]),
        ("MaxPool_4a_3x3", [2, 2, 4, 4, 480]),
        ("MaxPool_5a_2x2", [2, 1, 2, 2, 832]),
        ("Mixed_5c", [2, 1, 2, 2, 1024]),
    ],
)
def test_base_ends_at_the_final_endpoint(final_endpoint, shape):
    clips = tf.placeholder(tf.float32, [2, 8, 64, 64, 3])
    net, end_points = s3dg.s3dg_base(clips, final_endpoint=final_endpoint)
    assert list(end_points)[-1] == final_endpoint
    assert net.shape.as_list() == shape


@pytest.mark.slow
@pytest.mark.parametrize("starts", [("Mixed_4b", None), (None, "Mixed_4b")])
def test_time_and_gates_start_where_told(starts):
    s3dg.s3dg_base(
        tf.zeros([1, 8, 32, 32, 3]),
        temporal_conv_startat=starts[0],
        gating_startat=starts[1],
    )
    for part, start in zip(("temporal", "self_gating"), starts, strict=True):
        assert _blocks_with(part) == (BLOCKS[BLOCKS.index(start) :] if start else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"temporal_conv_startat": "Mixed_6a"},
        {"gating_startat": "MaxPool_4a_3x3"},
        {"first_temporal_kernel_size": 2},
        {"final_endpoint": "Mixed_6a"},
        {"data_format": "NHWC"},
        {"depth_multiplier": 0},
    ],
)
def test_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments.values()))}"):
        s3dg.s3dg_base(tf.zeros([1, 8, 32, 32, 3]), **arguments)


@pytest.mark.parametrize("frames", [1, 7])
def test_first_kernel_and_thinner_layers(frames):
    _, end_points = s3dg.s3dg_base(
        tf.zeros([1, 8, 32, 32, 3]),
        frames,
        final_endpoint="Mixed_3b",
        min_depth=24,
        depth_multiplier=0.25,
    )
    assert _shapes()["InceptionV1/Conv2d_1a_7x7/weights"] == [frames, 7, 7, 3, 24]
    assert end_points["Conv2d_2c_3x3"].shape[-1] == 48
    assert end_points["Mixed_3b"].shape[-1] == 24 + 32 + 24 + 24


@pytest.mark.slow
def test_channels_first_has_the_same_variables():
    outputs = []
    for data_format, shape in (
        ("NDHWC", [2, 8, 48, 64, 3]),
        ("NCDHW", [2, 3, 8, 48, 64]),
    ):
        with tf.Graph().as_default():
            logits, end_points = network(tf.zeros(shape), 10, data_format=data_format)
            outputs.append((_shapes(), logits.shape.as_list()))
            assert end_points["Mixed_5c"].shape[data_format.index("C")] == 1024
    assert outputs[0] == outputs[1]


def test_clips_of_any_length():
    clips = tf.placeholder(tf.float32, [None, None, None, None, 3])
    net, _ = s3dg.s3dg_base(clips, final_endpoint="Mixed_3b")
    assert net.shape.as_list() == [None, None, None, None, 256]


@pytest.mark.slow
def test_evaluation_reuses_the_variables_of_training():
    network(tf.zeros([1, 8, 32, 32, 3]), 10)
    before = tf.global_variables()
    clips = tf.placeholder(tf.float32, [None, 16, 32, 32, 3])
    logits, end_points = network(
        clips, 10, is_training=False, spatial_squeeze=False, reuse=True
    )
    assert tf.global_variables() == before
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        logits, predictions = session.run(
            [logits, end_points["Predictions"]], {clips: np.ones([3, 16, 32, 32, 3])}
        )
    assert logits.shape == (3, 1, 1, 10)
    np.testing.assert_allclose(predictions.sum(-1), 1, rtol=1e-5)


@pytest.mark.slow
def test_features_of_an_earlier_end_point():
    clips = tf.zeros([2, 16, 112, 112, 3])
    features, _ = network(clips, None)
    assert features.shape.as_list() == [2, 1, 1, 1, 1024]
    logits, end_points = network(
        clips, 10, final_endpoint="Mixed_4b", prediction_fn=None, scope="Shorter"
    )
    assert logits.shape.as_list() == [2, 10]
    assert list(end_points)[-2:] == ["Mixed_4b", "Logits"]
    with pytest.raises(ValueError, match="too large"):
        network(clips, 10, final_endpoint="Mixed_3b", scope="Shortest")


def test_gates_weigh_channels_by_their_average():
    clips = tf.constant(np.random.default_rng(0).normal(size=[2, 3, 4, 5, 2]))
    with slim.arg_scope([slim.conv3d], weights_initializer=tf.initializers.ones()):
        net = s3dg.self_gating(clips, "here")
    assert list(_shapes()) == ["here/self_gating/transformer_W/weights"]
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        inputs, outputs = session.run([clips, net])
    sums = inputs.mean((1, 2, 3), keepdims=True).sum(-1, keepdims=True)
    np.testing.assert_allclose(outputs, inputs / (1 + np.exp(-sums)))
