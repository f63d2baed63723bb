"""I3D in what nets/zoo_test.py does not ask of it."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import i3d, testing
from slimbase.graph import classic_graph


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph:
        yield graph


def _names():
    return [variable.op.name for variable in tf.global_variables()]


def test_base_ends_at_the_final_endpoint():
    clips = tf.placeholder(tf.float32, [None, 8, 64, 64, 3])
    net, end_points = i3d.i3d_base(clips, "MaxPool_4a_3x3", scope="I3D")
    assert list(end_points)[-1] == "MaxPool_4a_3x3"
    assert net.shape.as_list() == [None, 2, 4, 4, 480]
    assert all(name.startswith("I3D/") for name in _names())
    with pytest.raises(ValueError, match="Mixed_6a"):
        i3d.i3d_base(clips, "Mixed_6a")


def test_separable_by_arg_scope():
    clips = tf.zeros([1, 8, 32, 32, 3])
    with slim.arg_scope(i3d.i3d_arg_scope(separable_conv3d=True)):
        i3d.i3d_base(clips, "Mixed_3b")
    temporal = [name for name in _names() if name.endswith("temporal/weights")]
    assert len(temporal) == 3
    assert "InceptionV1/Conv2d_1a_7x7/temporal/weights" not in temporal


def test_renormalization_trains():
    with slim.arg_scope(i3d.i3d_arg_scope(use_renorm=True)):
        net, _ = i3d.i3d_base(tf.random.uniform([2, 8, 32, 32, 3]), "Conv2d_1a_7x7")
    assert "InceptionV1/Conv2d_1a_7x7/BatchNorm/renorm_mean" in _names()
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(net).shape == (2, 4, 16, 16, 64)


@pytest.mark.slow
def test_short_clips_reuse_the_variables():
    with slim.arg_scope(i3d.i3d_arg_scope()):
        i3d.i3d(tf.zeros([1, 16, 32, 32, 3]), 10)
        before = _names()
        logits, end_points = i3d.i3d(
            tf.random.uniform([2, 2, 32, 48, 3]),
            10,
            is_training=False,
            spatial_squeeze=False,
            reuse=True,
        )
    assert _names() == before
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        values, predictions = session.run([logits, end_points["Predictions"]])
    assert values.shape == (2, 1, 1, 10)
    np.testing.assert_allclose(predictions.sum(-1), 1, rtol=1e-5)
