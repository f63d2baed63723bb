import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimzoo.inference import bfloat16_kernels

# Pictures, filters, strides, padding.
CONVOLUTIONS = {
    "1x1": ((2, 6, 5, 16), (1, 1, 16, 32), 1, "SAME"),
    "1x1, many channels": ((2, 6, 5, 256), (1, 1, 256, 128), 1, "VALID"),
    "3x3": ((2, 6, 5, 256), (3, 3, 256, 128), 1, "SAME"),
    "3x3, valid": ((2, 6, 5, 256), (3, 3, 256, 128), 1, "VALID"),
    "even": ((2, 6, 5, 256), (2, 4, 256, 128), 1, "SAME"),
    "1x7": ((1, 7, 9, 192), (1, 7, 192, 192), 1, "SAME"),
    "large pictures": ((1, 18, 18, 256), (1, 1, 256, 128), 1, "SAME"),
    "strides": ((2, 7, 5, 256), (1, 1, 256, 128), 2, "SAME"),
    "explicit": ((2, 6, 5, 256), (3, 3, 256, 128), 1, [[0, 0], [1, 1], [2, 0], [0, 0]]),
    "groups": ((2, 6, 5, 512), (1, 1, 256, 128), 1, "SAME"),
}
PRODUCTS = {"1x1, many channels", "3x3", "3x3, valid", "even", "1x7"}
DEPTHWISE = {
    "3x3": ((2, 6, 5, 16), (3, 3, 16, 1), 1, "SAME"),
    "valid": ((2, 6, 5, 16), (3, 3, 16, 1), 1, "VALID"),
    "strides": ((2, 6, 5, 16), (3, 3, 16, 1), 2, "SAME"),
    "two each": ((2, 6, 5, 16), (3, 3, 16, 2), 1, "SAME"),
    "even": ((2, 6, 5, 16), (2, 2, 16, 1), 1, "SAME"),
    "odd channels": ((2, 6, 5, 5), (3, 3, 5, 1), 1, "SAME"),
}


def convolve(pictures, filters, strides, padding):
    return tf.nn.conv2d(pictures, filters, strides, padding)


def convolve_depthwise(pictures, filters, strides, padding):
    return tf.nn.depthwise_conv2d(pictures, filters, [1, strides, strides, 1], padding)


def gradients(build, shapes, *arguments, has_amx=None, batch_known=True):
    """Those to pictures and filters, and the operations that compute them.

    The gradients are TensorFlow's own where `has_amx` is None.
    """
    random = np.random.default_rng(0)
    values = [random.normal(size=shape) for shape in shapes]
    with tf.Graph().as_default() as graph:
        inputs = [tf.placeholder(tf.float32, shape) for shape in shapes]
        if not batch_known:
            inputs[0] = tf.placeholder(tf.float32, [None, *shapes[0][1:]])
        if has_amx is None:
            output = build(*inputs, *arguments)
        else:
            with bfloat16_kernels.fast_gradients(has_amx):
                output = build(*inputs, *arguments)
        before = set(graph.get_operations())
        weights = tf.cos(tf.range(output.shape[-1], dtype=tf.float32))
        found = tf.gradients(tf.reduce_sum(output**2 * weights), inputs)
        kinds = {op.type for op in set(graph.get_operations()) - before}
        with tf.Session() as session:
            feed = dict(zip(inputs, values, strict=True))
            return session.run(found, feed), kinds


@pytest.mark.parametrize("has_amx", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_gradients_of_convolutions_are_tensorflows(name, has_amx):
    *shapes, strides, padding = CONVOLUTIONS[name]
    try:
        expected, _ = gradients(convolve, shapes, strides, padding)
    except tf.errors.InvalidArgumentError:
        if name != "groups":
            raise
        pytest.skip("TensorFlow has no gradients of grouped convolutions on this CPU")
    known = name != "1x1, many channels"
    actual, kinds = gradients(
        *(convolve, shapes, strides, padding), has_amx=has_amx, batch_known=known
    )
    for mine, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * theirs.std())
    products = PRODUCTS | ({"1x1", "large pictures"} if has_amx else set())
    assert ("MatMul" in kinds) == (name in products)
    assert ("Conv2DBackpropFilter" in kinds) == (name not in products)


@pytest.mark.parametrize("name", DEPTHWISE)
def test_gradients_of_depthwise_convolutions_are_tensorflows(name):
    *shapes, strides, padding = DEPTHWISE[name]
    expected, _ = gradients(convolve_depthwise, shapes, strides, padding)
    actual, kinds = gradients(
        convolve_depthwise, shapes, strides, padding, has_amx=False
    )
    for mine, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * theirs.std())
    assert ("DepthwiseConv2dNative" in kinds) == (name == "3x3")


def test_relu6_is_bounded_and_has_its_gradient():
    features = np.array([-1.0, 0.0, 0.5, 3.0, 5.9, 6.0, 6.5], np.float32)
    with tf.Graph().as_default() as graph:
        given = tf.constant(features)
        relu6 = tf.nn.relu6(given, name="net/Relu6")
        read = relu6 * relu6
        both = tf.concat([relu6, read], 0)
        bfloat16_kernels.bound_relu(graph)
        assert not relu6.consumers()
        [gradient] = tf.gradients(both, given)
        with tf.Session() as session:
            values, slopes = session.run([both, gradient])
    clipped = np.clip(features, 0, 6)
    np.testing.assert_array_equal(values, np.concatenate([clipped, clipped**2]))
    inside = (features > 0) & (features < 6)
    np.testing.assert_array_equal(slopes, np.where(inside, 1 + 2 * features, 0))


def test_relu6_stays_beside_depthwise_convolutions_that_are_slow():
    with tf.Graph().as_default() as graph:
        relu6 = tf.nn.relu6(tf.zeros([1, 4, 4, 5]))
        tf.nn.depthwise_conv2d(relu6, tf.zeros([3, 3, 5, 1]), [1, 1, 1, 1], "SAME")
        bfloat16_kernels.bound_relu(graph)
        assert relu6.consumers()
