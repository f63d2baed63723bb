"""pix2pix: a U-Net as generator, a PatchGAN as discriminator.

Isola, Zhu, Zhou, Efros: Image-to-image translation with conditional adversarial
networks, 2016, https://arxiv.org/abs/1611.07004.
"""

from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from slimbase import errors


class Block(NamedTuple):
    """One convolution of the encoder and its counterpart in the decoder."""

    num_filters: int  # Of both.
    decoder_keep_prob: float  # Of the dropout after the decoder's; 0 for none.


def _default_generator_blocks():
    # sic: the paper drops out at the other end, after the decoder's first three.
    dropping = [Block(64, 0.5), Block(128, 0.5), Block(256, 0.5)]
    return dropping + [Block(512, 0)] * 4


def pix2pix_arg_scope():
    """Arg scope of generator and discriminator: instance norm, small normal weights."""
    with slim.arg_scope(
        [slim.conv2d, slim.conv2d_transpose],
        normalizer_fn=slim.instance_norm,
        normalizer_params={"center": True, "scale": True, "epsilon": 0.00001},
        weights_initializer=tf.random_normal_initializer(0, 0.02),
    ) as scope:
        return scope


def upsample(net, num_outputs, kernel_size, method="nn_upsample_conv"):
    """Makes a picture `kernel_size`, factors of height and width, times as large.

    `method` is 'nn_upsample_conv', which repeats pixels and then convolves, or
    'conv2d_transpose'.
    """
    if method == "nn_upsample_conv":
        size = tf.shape(net)[1:3] * kernel_size
        net = tf.image.resize_nearest_neighbor(net, size)
        return slim.conv2d(net, num_outputs, [4, 4], activation_fn=None)
    if method == "conv2d_transpose":
        return slim.conv2d_transpose(
            net, num_outputs, [4, 4], stride=kernel_size, activation_fn=None
        )
    raise errors.unknown(
        f"Unknown method: [{method}]", method, ["nn_upsample_conv", "conv2d_transpose"]
    )


def pix2pix_generator(
    net, num_outputs, blocks=None, upsample_method="nn_upsample_conv", is_training=False
):
    """Translates pictures: an encoder, and a decoder that sees each of its layers.

    The logits' tanh is the picture, in [-1, 1]: end point `predictions`.

    Args:
      net: pictures, made for 256x256; height and width are multiples of 2 to the
        number of blocks and may be unknown.
      num_outputs: channels of the result.
      blocks: `Block`s, the encoder's first at first; None for seven from 64 to 512.
      upsample_method: see `upsample`.
      is_training: unused: as in the paper dropout, which is the generator's only noise,
        also drops when it is used.
    """
    del is_training
    blocks = blocks or _default_generator_blocks()
    layers.check_image_batch(net)
    layers.check_multiple_of(2 ** len(blocks), net)
    shape = tf.concat([tf.shape(net)[:3], [num_outputs]], axis=0)
    end_points = {}
    with tf.variable_scope("encoder"):
        last = len(blocks) - 1
        for i, block in enumerate(blocks):
            overrides: dict[str, Any] = {} if 0 < i < last else {"normalizer_fn": None}
            net = end_points[f"encoder{i}"] = slim.conv2d(
                net,
                block.num_filters,
                [4, 4],
                stride=2,
                activation_fn=tf.nn.leaky_relu if i < last else None,
                **overrides,
            )
    with tf.variable_scope("decoder"):
        for i, block in enumerate(reversed(blocks)):
            if i:
                net = tf.concat([net, end_points[f"encoder{last - i}"]], axis=3)
            net = upsample(tf.nn.relu(net), block.num_filters, [2, 2], upsample_method)
            if block.decoder_keep_prob:
                net = slim.dropout(net, block.decoder_keep_prob, is_training=True)
            end_points[f"decoder{i}"] = net
    with tf.variable_scope("output"):
        net = layers.linear(net, num_outputs, [4, 4])
        # States the shape, which resizing forgets, and checks an unknown size.
        logits = end_points["logits"] = tf.reshape(net, shape)
        end_points["predictions"] = tf.tanh(logits)
    return logits, end_points


def pix2pix_discriminator(
    net,
    num_filters,
    padding=2,
    pad_mode="REFLECT",
    activation_fn=tf.nn.leaky_relu,
    is_training=False,
):
    """Tells real from generated pictures, patch by patch.

    The logits, `[batch, rows, columns, 1]`, are above zero for real patches; their
    sigmoid is the end point `predictions`.

    Args:
      net: pictures, beside those they were made from along the channels.
      num_filters: depths of the convolutions; all but the last have stride 2.
      padding: pixels added on each side before each convolution; 0 for none.
      pad_mode: of `tf.pad`.
      is_training: unused, the discriminator is the same in training.
    """
    del is_training
    if padding < 0:
        raise ValueError(f"padding must be at least 0, not {padding}")
    end_points = {}

    def conv(net, depth, scope, **arguments) -> tf.Tensor:
        if padding:
            side = [padding, padding]
            net = tf.pad(net, [[0, 0], side, side, [0, 0]], pad_mode)
        return slim.conv2d(
            net, depth, [4, 4], padding="VALID", scope=scope, **arguments
        )

    last = len(num_filters) - 1
    for i, depth in enumerate(num_filters):
        how = {} if i else {"normalizer_fn": None}
        how |= {"stride": 2 if i < last else 1, "activation_fn": activation_fn}
        net = end_points[f"conv{i}"] = conv(net, depth, f"conv{i}", **how)
    logits = end_points["logits"] = conv(
        net, 1, f"conv{last + 1}", activation_fn=None, normalizer_fn=None
    )
    end_points["predictions"] = tf.sigmoid(logits)
    return logits, end_points
