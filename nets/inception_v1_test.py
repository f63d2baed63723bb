"""Inception v1 in what nets/zoo_test.py does not ask of it."""

from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import inception, testing
from slimbase.graph import classic_graph

# Without what pyright makes of tf_slim's layers.
inception_v1: Any = inception.inception_v1

END_POINTS = {  # Shapes for pictures of half the default size.
    "Conv2d_1a_7x7": [5, 56, 56, 64],
    "MaxPool_2a_3x3": [5, 28, 28, 64],
    "Conv2d_2b_1x1": [5, 28, 28, 64],
    "Conv2d_2c_3x3": [5, 28, 28, 192],
    "MaxPool_3a_3x3": [5, 14, 14, 192],
    "Mixed_3b": [5, 14, 14, 256],
    "Mixed_3c": [5, 14, 14, 480],
    "MaxPool_4a_3x3": [5, 7, 7, 480],
    "Mixed_4b": [5, 7, 7, 512],
    "Mixed_4c": [5, 7, 7, 512],
    "Mixed_4d": [5, 7, 7, 512],
    "Mixed_4e": [5, 7, 7, 528],
    "Mixed_4f": [5, 7, 7, 832],
    "MaxPool_5a_2x2": [5, 4, 4, 832],
    "Mixed_5b": [5, 4, 4, 832],
    "Mixed_5c": [5, 4, 4, 1024],
}


@pytest.fixture(autouse=True)
def graph():
    with classic_graph() as graph:
        yield graph


@pytest.mark.slow
@pytest.mark.parametrize("final_endpoint", END_POINTS)
def test_base_ends_at_the_final_endpoint(final_endpoint):
    images = tf.placeholder(tf.float32, [5, 112, 112, 3])
    net, end_points = inception.inception_v1_base(images, final_endpoint)
    names = list(END_POINTS)
    names = names[: names.index(final_endpoint) + 1]
    assert {name: t.shape.as_list() for name, t in end_points.items()} == {
        name: END_POINTS[name] for name in names
    }
    assert net is end_points[final_endpoint]


def test_unknown_final_endpoint_names_the_known_ones():
    with pytest.raises(ValueError, match=r"Mixed_6a.*Mixed_5c"):
        inception.inception_v1_base(tf.zeros([1, 64, 64, 3]), "Mixed_6a")


def test_base_without_root_block():
    features = tf.placeholder(tf.float32, [5, 28, 28, 192])
    net, end_points = inception.inception_v1_base(features, include_root_block=False)
    assert list(end_points) == list(END_POINTS)[5:]
    assert net.shape.as_list() == [5, 7, 7, 1024]
    assert end_points["Mixed_3b"].shape.as_list() == [5, 28, 28, 256]
    with pytest.raises(ValueError, match="Conv2d_1a_7x7"):
        inception.inception_v1_base(
            features, "Conv2d_1a_7x7", include_root_block=False, scope="Other"
        )


def test_pooling_fits_small_pictures():
    logits, end_points = inception_v1(tf.zeros([2, 96, 64, 3]), 10)
    assert end_points["Mixed_5c"].shape.as_list() == [2, 3, 2, 1024]
    assert end_points["AvgPool_0a_7x7"].shape.as_list() == [2, 1, 1, 1024]
    assert logits.shape.as_list() == [2, 10]


def test_large_pictures_keep_their_places():
    images = tf.zeros([1, 256, 288, 3])
    logits, _ = inception_v1(images, 10, spatial_squeeze=False)
    assert logits.shape.as_list() == [1, 2, 3, 10]
    with pytest.raises(ValueError, match="too large"):
        inception_v1(images, 10, reuse=True)


def test_unknown_batch_and_picture_size():
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    logits, end_points = inception_v1(images, 10, global_pool=True)
    assert logits.shape.as_list() == [None, 10]
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        fetches = [logits, end_points["global_pool"]]
        for size in (48, 80):
            values = session.run(fetches, {images: np.zeros([2, size, size + 9, 3])})
            assert [v.shape for v in values] == [(2, 10), (2, 1, 1, 1024)]


@pytest.mark.slow
def test_evaluation_reuses_the_variables_of_training():
    images = tf.random.uniform([2, 64, 64, 3])
    inception_v1(images, 10)
    variables = tf.global_variables()
    logits, _ = inception_v1(images, 10, is_training=False, reuse=True)
    assert tf.global_variables() == variables
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(tf.argmax(logits, 1)).shape == (2,)


@pytest.mark.slow
def test_features_and_predictions_as_asked():
    images = tf.zeros([2, 64, 64, 3])
    features, end_points = inception_v1(images, None)
    assert features is end_points["AvgPool_0a_7x7"]
    _, end_points = inception_v1(
        images,
        10,
        prediction_fn=lambda logits, scope: tf.sigmoid(logits, scope),
        scope="Sigmoid",
    )
    assert end_points["Predictions"].op.type == "Sigmoid"
    _, end_points = inception_v1(images, 10, prediction_fn=None, scope="Logits")
    assert "Predictions" not in end_points
