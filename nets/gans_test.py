"""The generative networks, against their records in nets/goldens_gans and beyond."""

import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import cyclegan, dcgan, pix2pix, testing
from slimbase.graph import classic_graph

GOLDENS = pathlib.Path(__file__).parent / "goldens_gans"
UPSAMPLINGS = ["conv2d_transpose", "nn_upsample_conv", "bilinear_upsample_conv"]


def _with_pix2pix_scope(function, **kwargs):
    def build(images):
        with slim.arg_scope(pix2pix.pix2pix_arg_scope()):
            return function(images, **kwargs)

    return build


def _dcgan(function, **kwargs):
    return lambda inputs: function(inputs, depth=32, is_training=False, **kwargs)


RECORDED = {
    "cyclegan_generator_resnet": cyclegan.cyclegan_generator_resnet,
    "cyclegan_generator_resnet_9_blocks_conv_up": lambda images: (
        cyclegan.cyclegan_generator_resnet(
            images, num_resnet_blocks=9, num_filters=32, tanh_linear_slope=0.1
        )
    ),
    "dcgan_discriminator": _dcgan(dcgan.discriminator),
    "dcgan_generator": _dcgan(dcgan.generator, final_size=64),
    "pix2pix_discriminator": _with_pix2pix_scope(
        pix2pix.pix2pix_discriminator, num_filters=[32, 64, 128]
    ),
    "pix2pix_generator": _with_pix2pix_scope(pix2pix.pix2pix_generator, num_outputs=3),
    "pix2pix_generator_transpose": _with_pix2pix_scope(
        pix2pix.pix2pix_generator, num_outputs=3, upsample_method="conv2d_transpose"
    ),
}


def test_every_golden_is_compared():
    assert {path.name.split(".")[0] for path in GOLDENS.iterdir()} == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_golden(name):
    golden = testing.read_golden(GOLDENS / f"{name}.json.gz")
    with classic_graph():
        inputs = tf.placeholder(tf.float32, golden["input_shape"])
        net, end_points = RECORDED[name](inputs)
        variables = [[v.op.name, v.shape.as_list()] for v in tf.global_variables()]
        assert variables == golden["variables"]
        shapes = {key: value.shape.as_list() for key, value in end_points.items()}
        assert shapes == golden["end_points"]
        if golden["output"]:  # pix2pix's generator is random.
            testing.assert_close(testing.run(net, inputs), golden["output"], name)


def _values(net, feed=None):
    with testing.session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(net, feed)


# CycleGAN


@pytest.mark.parametrize("kernel_size", [3, 4, 5, 6, (3, 5)])
def test_cyclegan_keeps_the_size(kernel_size):
    with classic_graph():
        images = tf.placeholder(tf.float32, [None, 32, 40, 3])
        net, _ = cyclegan.cyclegan_generator_resnet(
            images, num_resnet_blocks=1, num_filters=4, kernel_size=kernel_size
        )
        assert net.shape.as_list() == [None, 32, 40, 3]


@pytest.mark.parametrize("pad_mode", ["REFLECT", "CONSTANT"])
@pytest.mark.parametrize("method", UPSAMPLINGS)
def test_cyclegan_of_unknown_size(method, pad_mode):
    def upsample(net, num_outputs, stride):
        return cyclegan.cyclegan_upsample(net, num_outputs, stride, method, pad_mode)

    with classic_graph():
        images = tf.placeholder(tf.float32, [None, None, None, 3])
        net, end_points = cyclegan.cyclegan_generator_resnet(
            images, num_resnet_blocks=1, num_filters=4, upsample_fn=upsample
        )
        for shape in [(2, 16, 24, 3), (1, 32, 16, 3)]:
            values = _values(net, {images: testing.pictures(shape)})
            assert values.shape == shape
            assert abs(values).max() <= 1
        assert end_points["decoder2"].shape[-1] == 4


def test_cyclegan_upsampling_by_resizing():
    """With a kernel that copies, what is left is the resizing."""
    copy = tf.constant_initializer(np.eye(9)[4])
    picture = np.arange(16, dtype=np.float32).reshape([1, 4, 4, 1])

    def upsample(method, **kwargs):
        with classic_graph(), slim.arg_scope([slim.conv2d], weights_initializer=copy):
            net = tf.constant(picture)
            return _values(
                cyclegan.cyclegan_upsample(net, 1, [2, 3], method, **kwargs)
            )[0, :, :, 0]

    nearest = upsample("nn_upsample_conv")
    np.testing.assert_array_equal(
        nearest, np.kron(picture[0, :, :, 0], np.ones([2, 3]))
    )
    bilinear = upsample("bilinear_upsample_conv")
    np.testing.assert_allclose(bilinear[0, :6], np.arange(6) / 3, atol=1e-6)
    aligned = upsample("bilinear_upsample_conv", align_corners=True)
    np.testing.assert_allclose(aligned[0], np.linspace(0, 3, 12), atol=1e-6)
    assert aligned[-1, -1] == 15


@pytest.mark.parametrize(("height", "width"), [(29, 32), (32, 30)])
def test_cyclegan_needs_multiples_of_four(height, width):
    wrong = "height must be a multiple of 4" if height % 4 else "width must be a mul"
    with tf.Graph().as_default(), pytest.raises(ValueError, match=wrong):
        cyclegan.cyclegan_generator_resnet(tf.zeros([1, height, width, 3]))


def test_cyclegan_arg_scope():
    def scope():
        return cyclegan.cyclegan_arg_scope(
            instance_norm_center=False, instance_norm_scale=False, weight_decay=0.1
        )

    with classic_graph():
        cyclegan.cyclegan_generator_resnet(
            tf.zeros([1, 32, 32, 3]), scope, num_resnet_blocks=1, num_filters=4
        )
        leaves = {v.op.name.split("/")[-1] for v in tf.global_variables()}
        assert leaves == {"weights", "biases"}
        assert len(tf.losses.get_regularization_losses()) == 6


def test_unknown_upsampling():
    with tf.Graph().as_default():
        net = tf.zeros([1, 4, 4, 1])
        for upsample in (cyclegan.cyclegan_upsample, pix2pix.upsample):
            with pytest.raises(ValueError, match=r"\[conv2d_transposed\].* Did you"):
                upsample(net, 1, [2, 2], "conv2d_transposed")


# DCGAN


@pytest.mark.parametrize("fused", [False, True])
def test_dcgan_trains_with_shared_variables(fused):
    with classic_graph(seed=1):
        noise, real = tf.random.normal([4, 16]), tf.random.normal([4, 16, 16, 3])
        kwargs = {"depth": 4, "fused_batch_norm": fused}
        pictures, end_points = dcgan.generator(noise, final_size=16, **kwargs)
        assert list(end_points) == ["deconv1", "deconv2", "deconv3", "logits"]
        of_real, _ = dcgan.discriminator(real, **kwargs)
        variables = tf.global_variables()
        of_made, _ = dcgan.discriminator(tf.tanh(pictures), reuse=True, **kwargs)
        assert tf.global_variables() == variables
        moving = slim.get_variables_by_name("Generator/deconv1/BatchNorm/moving_mean")
        gradients = tf.gradients(of_real - of_made, tf.trainable_variables())
        assert None not in gradients
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            after = tf.identity(moving[0])
        gradients, after = _values([gradients, after])
        assert all(np.isfinite(gradient).all() for gradient in gradients)
        # Zero debiased: after one update it is the batch's mean, not a thousandth.
        assert abs(after).max() > 0.01


@pytest.mark.parametrize("final_size", [8, 16, 32, 64])
def test_dcgan_generator_sizes(final_size):
    with classic_graph():
        noise = tf.placeholder(tf.float32, [None, 10])
        net, end_points = dcgan.generator(
            noise, depth=8, final_size=final_size, num_outputs=2
        )
        last = final_size.bit_length() - 2
        assert f"deconv{last + 1}" not in end_points
        assert end_points[f"deconv{last}"].shape[-1] == 8
        assert end_points["deconv1"].shape.as_list() == [None, 4, 4, 2 * final_size]
        values = _values(net, {noise: testing.pictures([3, 10])})
        assert values.shape == (3, final_size, final_size, 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([5, 32, 32], "rank"),
        ([5, 32, None, 3], "known width and height"),
        ([5, 32, 16, 3], "not have equal width and height: 16 and 32"),
        ([5, 30, 30, 3], "not a power of 2: 30"),
    ],
)
def test_dcgan_discriminator_inputs(shape, message):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        dcgan.discriminator(tf.placeholder(tf.float32, shape))


def test_dcgan_generator_inputs():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match=r"\[batch, noise\]"):
            dcgan.generator(tf.zeros([5, 8, 8]))
        for size in (4, 30):
            with pytest.raises(ValueError, match="must be a power of 2 and at least 8"):
                dcgan.generator(tf.zeros([5, 8]), final_size=size)


# pix2pix

BLOCKS = [pix2pix.Block(4, 0), pix2pix.Block(8, 0), pix2pix.Block(8, 0)]


@pytest.mark.parametrize("method", ["conv2d_transpose", "nn_upsample_conv"])
def test_pix2pix_generator_of_unknown_size(method):
    build = _with_pix2pix_scope(
        pix2pix.pix2pix_generator,
        num_outputs=2,
        blocks=BLOCKS,
        upsample_method=method,
    )
    with classic_graph():
        images = tf.placeholder(tf.float32, [None, None, None, 3])
        net, end_points = build(images)
        assert {"encoder2", "decoder2"} < set(end_points)
        assert not {"encoder3", "decoder3"} & set(end_points)
        feed = {images: testing.pictures([2, 16, 24, 3])}
        logits, predictions = _values([net, end_points["predictions"]], feed)
        assert logits.shape == (2, 16, 24, 2)
        np.testing.assert_allclose(predictions, np.tanh(logits), rtol=1e-4)


@pytest.mark.parametrize(("keep_prob", "is_random"), [(0, False), (0.5, True)])
def test_pix2pix_generator_drops_out_when_used_too(keep_prob, is_random):
    blocks = [pix2pix.Block(4, keep_prob), pix2pix.Block(8, 0)]
    with classic_graph(seed=1), testing.session() as session:
        net, _ = pix2pix.pix2pix_generator(tf.ones([1, 8, 8, 3]), 3, blocks)
        session.run(tf.global_variables_initializer())
        assert (session.run(net) != session.run(net)).any() == is_random


def test_pix2pix_generator_size_goes_with_the_blocks():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="height must be a multiple of 8, not 12"):
            pix2pix.pix2pix_generator(tf.zeros([1, 12, 16, 3]), 3, BLOCKS)


@pytest.mark.parametrize(
    ("padding", "sizes"), [(0, [31, 14, 11, 8]), (1, [32, 16, 15, 14])]
)
def test_pix2pix_discriminator_padding(padding, sizes):
    with classic_graph():
        images = tf.placeholder(tf.float32, [None, 64, 64, 3])
        net, end_points = pix2pix.pix2pix_discriminator(
            images, [4, 8, 16], padding=padding, pad_mode="CONSTANT"
        )
        shapes = [end_points[f"conv{i}"].shape[1] for i in range(3)] + [net.shape[1]]
        assert shapes == sizes
        feed = {images: testing.pictures([2, 64, 64, 3])}
        logits, predictions = _values([net, end_points["predictions"]], feed)
        np.testing.assert_allclose(predictions, 1 / (1 + np.exp(-logits)), rtol=1e-4)


def test_pix2pix_discriminator_padding_is_not_negative():
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="padding must be at least 0, not -1"):
            pix2pix.pix2pix_discriminator(tf.zeros([2, 64, 64, 3]), [4, 8], padding=-1)
