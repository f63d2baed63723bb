"""Layers over clips."""

from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import i3d_utils, testing
from slimbase.graph import classic_graph

# Without what pyright makes of tf_slim's layers.
conv3d_spatiotemporal: Any = i3d_utils.conv3d_spatiotemporal
inception_block_v1_3d: Any = i3d_utils.inception_block_v1_3d


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph:
        yield graph


def _variables():
    return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _initialized(tensors):
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tensors)


def test_separable_convolution_starts_as_the_one_over_space():
    clips = tf.random.uniform([2, 5, 8, 8, 3])
    net = conv3d_spatiotemporal(clips, 4, [3, 3, 3], separable=True, scope="conv")
    assert _variables() == {
        "conv/weights": [1, 3, 3, 3, 4],
        "conv/biases": [4],
        "conv/temporal/weights": [3, 1, 1, 4, 4],
        "conv/temporal/biases": [4],
    }
    over_space = tf.get_default_graph().get_tensor_by_name("conv/BiasAdd:0")
    np.testing.assert_allclose(*_initialized([net, over_space]), rtol=1e-5)


@pytest.mark.parametrize("stride", [2, [1, 2, 4]])
def test_separable_convolution_strides_as_the_whole_one(stride):
    clips = tf.zeros([2, 8, 16, 16, 3])
    shapes = [
        conv3d_spatiotemporal(clips, 4, [3, 3, 3], stride, separable=separable).shape
        for separable in (False, True)
    ]
    frames, height, width = [stride] * 3 if stride == 2 else stride
    assert shapes == [[2, 8 // frames, 16 // height, 16 // width, 4]] * 2
    assert set(_variables()) == {
        f"{scope}/{leaf}"
        for scope in ("Conv", "Conv_1", "Conv_2")
        for leaf in ("weights", "biases")
    }


def test_a_kernel_of_one_frame_is_not_split():
    clips = tf.zeros([2, 8, 16, 16, 3])
    net = conv3d_spatiotemporal(
        clips, 4, [1, 3, 3], 2, "VALID", separable=True, scope="conv"
    )
    assert net.shape.as_list() == [2, 4, 7, 7, 4]
    assert list(_variables()) == ["conv/weights", "conv/biases"]


def test_both_convolutions_are_regularized_and_activated_the_first_normalized():
    net = conv3d_spatiotemporal(
        tf.random.normal([2, 4, 8, 8, 3]),
        4,
        [3, 3, 3],
        activation_fn=tf.nn.relu,
        normalizer_fn=slim.batch_norm,
        normalizer_params={"scale": True},
        weights_regularizer=slim.l2_regularizer(1e-4),
        separable=True,
        scope="conv",
    )
    assert len(tf.losses.get_regularization_losses()) == 2
    assert "conv/BatchNorm/gamma" in _variables()
    assert "conv/temporal/biases" in _variables()
    types = [op.type for op in tf.get_default_graph().get_operations()]
    assert types.count("Relu") == 2 and net.op.type == "Relu"


@pytest.mark.parametrize("shape", [[2, 1, 1, 4, 4], [3, 3, 1, 4, 4], [3, 4, 4]])
def test_center_initializer_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="odd number of frames"):
        i3d_utils.center_initializer()(shape)


def test_center_initializer():
    weights = _initialized(i3d_utils.center_initializer()([3, 1, 1, 2, 3]))
    np.testing.assert_array_equal(
        weights[:, 0, 0], [np.zeros([2, 3]), np.eye(2, 3), np.zeros([2, 3])]
    )


@pytest.mark.parametrize(
    ("data_format", "shape", "expected"),
    [
        ("NDHWC", [2, 4, 8, 8, 6], [2, 4, 8, 8, 21]),
        ("NCDHW", [2, 6, 4, 8, 8], [2, 21, 4, 8, 8]),
    ],
)
def test_block(data_format, shape, expected):
    gated = []

    def gate(net, scope):
        gated.append(f"{tf.get_variable_scope().name}/{scope}")
        return net

    with slim.arg_scope([inception_block_v1_3d], self_gating_fn=gate):
        net = inception_block_v1_3d(
            tf.zeros(shape), 3, 1, 5, 2, 6, 7, 5, data_format=data_format, scope="cell"
        )
    assert net.shape.as_list() == expected
    weights = {k: v for k, v in _variables().items() if k.endswith("weights")}
    assert weights == {
        "cell/Branch_0/Conv2d_0a_1x1/weights": [1, 1, 1, 6, 3],
        "cell/Branch_1/Conv2d_0a_1x1/weights": [1, 1, 1, 6, 1],
        "cell/Branch_1/Conv2d_0b_3x3/weights": [5, 3, 3, 1, 5],
        "cell/Branch_2/Conv2d_0a_1x1/weights": [1, 1, 1, 6, 2],
        "cell/Branch_2/Conv2d_0b_3x3/weights": [5, 3, 3, 2, 6],
        "cell/Branch_3/Conv2d_0b_1x1/weights": [1, 1, 1, 6, 7],
    }
    assert gated == [
        "cell/Branch_0/Conv2d_0a_1x1",
        "cell/Branch_1/Conv2d_0b_3x3",
        "cell/Branch_2/Conv2d_0b_3x3",
        "cell/Branch_3/Conv2d_0b_1x1",
    ]


def test_unknown_data_format():
    with pytest.raises(ValueError, match="NCDHW, not NHWC"):
        inception_block_v1_3d(
            tf.zeros([1, 2, 4, 4, 3]), 1, 1, 1, 1, 1, 1, data_format="NHWC"
        )


def test_reduced_kernel_size():
    def reduced(shape):
        clips = tf.placeholder(tf.float32, shape)
        return i3d_utils.reduced_kernel_size_3d(clips, [2, 7, 7])

    assert reduced([None, 8, 7, 7, 3]) == [2, 7, 7]
    assert reduced([None, 1, 4, 9, 3]) == [1, 4, 7]
    assert reduced([1, None, 4, 4, 3]) == [2, 7, 7]
    with pytest.raises(ValueError, match="expected a clip"):
        reduced([1, 7, 7, 3])
