"""DCGAN: a generator and a discriminator of convolutions alone.

Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional
generative adversarial networks, 2015, https://arxiv.org/abs/1511.06434.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers


def _is_power_of_two(number):
    return number > 0 and number & (number - 1) == 0


def _validate_image_inputs(inputs):
    layers.check_image_batch(inputs)
    height, width = inputs.shape.as_list()[1:3]
    if height is None or width is None:
        raise ValueError(
            f"Input tensor must have known width and height, but is {inputs.shape}"
        )
    if height != width:
        raise ValueError(
            f"Input tensor does not have equal width and height: {width} and {height}"
        )
    if not _is_power_of_two(width):
        raise ValueError(f"Input tensor width is not a power of 2: {width}")


def _batch_norm_scope(is_training, fused):
    return slim.arg_scope(
        [slim.batch_norm],
        is_training=is_training,
        zero_debias_moving_mean=True,
        fused=fused,
    )


def discriminator(
    inputs,
    depth=64,
    is_training=True,
    reuse=None,
    scope="Discriminator",
    fused_batch_norm=False,
):
    """Tells pictures of the data set from generated ones.

    Each convolution halves the picture and doubles the depth, down to one place. The
    logits, `[batch, 1]`, are above zero for real pictures.

    Args:
      inputs: float `[batch, size, size, channels]`, `size` a power of 2.
      depth: of the first convolution.
      fused_batch_norm: whether batch norm is one operation, which is faster.
    """
    _validate_image_inputs(inputs)
    end_points = {}
    net = inputs
    with (
        tf.variable_scope(scope, "Discriminator", [inputs], reuse=reuse),
        _batch_norm_scope(is_training, fused_batch_norm),
    ):
        for i in range(inputs.shape.as_list()[1].bit_length() - 1):
            net = end_points[f"conv{i + 1}"] = slim.conv2d(
                net,
                depth * 2**i,
                [4, 4],
                stride=2,
                activation_fn=tf.nn.leaky_relu,
                normalizer_fn=slim.batch_norm if i else None,
                scope=f"conv{i + 1}",
            )
        logits = layers.linear(net, 1)
        logits = end_points["logits"] = tf.reshape(logits, [-1, 1])
    return logits, end_points


def generator(
    inputs,
    depth=64,
    final_size=32,
    num_outputs=3,
    is_training=True,
    reuse=None,
    scope="Generator",
    fused_batch_norm=False,
):
    """Makes pictures of noise: the tanh of its logits.

    Transposed convolutions: the first makes 4x4 places of one, the others double the
    picture and halve the depth.

    Args:
      inputs: float `[batch, noise]`.
      depth: of the last transposed convolution.
      final_size: height and width of the pictures, a power of 2, at least 8.
      num_outputs: channels of the pictures.
      fused_batch_norm: whether batch norm is one operation, which is faster.
    """
    if inputs.shape.rank != 2:
        raise ValueError(f"inputs must be [batch, noise], not {inputs.shape}")
    if final_size < 8 or not _is_power_of_two(final_size):
        raise ValueError(
            f"final_size must be a power of 2 and at least 8, not {final_size}"
        )
    last = final_size.bit_length() - 2
    end_points = {}
    with (
        tf.variable_scope(scope, "Generator", [inputs], reuse=reuse),
        _batch_norm_scope(is_training, fused_batch_norm),
        slim.arg_scope(
            [slim.conv2d_transpose], stride=2, normalizer_fn=slim.batch_norm
        ),
    ):
        net = inputs[:, tf.newaxis, tf.newaxis, :]
        overrides = {1: {"stride": 1, "padding": "VALID"}}
        overrides[last] = {"activation_fn": None, "normalizer_fn": None}
        for i in range(1, last + 1):
            width, how = depth * 2 ** (last - i), overrides.get(i, {})
            net = slim.conv2d_transpose(net, width, [4, 4], scope=f"deconv{i}", **how)
            end_points[f"deconv{i}"] = net
        logits = layers.linear(net, num_outputs, scope="logits")
        end_points["logits"] = logits
    return logits, end_points
