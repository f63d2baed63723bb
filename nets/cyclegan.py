"""CycleGAN's generator.

Zhu, Park, Isola, Efros: Unpaired image-to-image translation using cycle-consistent
adversarial networks, 2017, https://arxiv.org/abs/1703.10593.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from slimbase import errors

_RESIZE = {
    "nn_upsample_conv": tf.image.resize_nearest_neighbor,
    "bilinear_upsample_conv": tf.image.resize_bilinear,
}


def cyclegan_arg_scope(
    instance_norm_center=True,
    instance_norm_scale=True,
    instance_norm_epsilon=0.001,
    weights_init_stddev=0.02,
    weight_decay=0.0,
):
    """Arg scope of the generator's convolutions; the transposed ones are without.

    Instance norm may add an offset (center) and multiply by a factor (scale); its
    epsilon is added to variances. Weights are normal at first.
    """
    with slim.arg_scope(
        [slim.conv2d],
        normalizer_fn=slim.instance_norm,
        normalizer_params={
            "center": instance_norm_center,
            "scale": instance_norm_scale,
            "epsilon": instance_norm_epsilon,
        },
        weights_initializer=tf.random_normal_initializer(0, weights_init_stddev),
        weights_regularizer=slim.l2_regularizer(weight_decay) if weight_decay else None,
    ) as scope:
        return scope


def cyclegan_upsample(
    net,
    num_outputs,
    stride,
    method="conv2d_transpose",
    pad_mode="REFLECT",
    align_corners=False,
):
    """Makes a picture `stride`, factors of height and width, times as large.

    Args:
      method: 'conv2d_transpose', or 'nn_upsample_conv' or 'bilinear_upsample_conv',
        which resize to the nearest neighbor or bilinearly and then convolve.
      pad_mode: of `tf.pad`, before a convolution.
      align_corners: whether resizing keeps the corners' values.
    """
    with tf.variable_scope("upconv"):
        if method == "conv2d_transpose":
            net = slim.conv2d_transpose(
                net, num_outputs, [3, 3], stride, padding="VALID"
            )
            # 'SAME' would cut off the last row and column instead, which shifts the
            # picture against the strided convolutions of the encoder.
            return tf.slice(net, [0, 1, 1, 0], [-1] * 4)
        if method not in _RESIZE:
            known = ["conv2d_transpose", *_RESIZE]
            raise errors.unknown(f"Unknown method: [{method}]", method, known)
        size = tf.shape(net)[1:3] * stride
        net = _RESIZE[method](net, size, align_corners=align_corners)
        net = layers.pad_for_kernel(net, [3, 3], mode=pad_mode)
        return slim.conv2d(net, num_outputs, [3, 3], padding="VALID")


def cyclegan_generator_resnet(
    images,
    arg_scope_fn=cyclegan_arg_scope,
    num_resnet_blocks=6,
    num_filters=64,
    upsample_fn=cyclegan_upsample,
    kernel_size=3,
    tanh_linear_slope=0.0,
    is_training=False,
):
    """Translates pictures: two strided convolutions, residual blocks, two upsamplings.

    The paper has 6 blocks for pictures of 128x128 and 9 from 256x256 on. Returns
    predictions of the shape of `images`, and the end points by name.

    Args:
      images: in [-1, 1]; height and width are multiples of 4 and may be unknown.
      arg_scope_fn: returns the arg scope of the layers.
      num_filters: depth of the first convolution; the blocks are four times as deep.
      upsample_fn: `f(net, num_outputs=, stride=)`.
      kernel_size: of the strided convolutions and the blocks, a number or a pair.
      tanh_linear_slope: factor of the logits that are added to their tanh, so that
        gradients do not vanish.
      is_training: unused, the generator is the same in training.
    """
    del is_training
    layers.check_image_batch(images)
    layers.check_multiple_of(4, images)
    kernel = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    end_points = {}

    def conv(net, depth, kernel=kernel, **arguments) -> tf.Tensor:
        net = layers.pad_for_kernel(net, kernel, mode="REFLECT")
        return slim.conv2d(net, depth, kernel, padding="VALID", **arguments)

    with slim.arg_scope(arg_scope_fn()):
        with tf.variable_scope("input"):
            net = end_points["encoder_0"] = conv(images, num_filters, [7, 7])
        with tf.variable_scope("encoder"):
            for i in (1, 2):
                net = conv(net, num_filters * 2**i, stride=2)
                end_points[f"encoder_{i}"] = net
        with tf.variable_scope("residual_blocks"):
            for i in range(num_resnet_blocks):
                with tf.variable_scope(f"block_{i}"):
                    residual = conv(net, num_filters * 4)
                    net += conv(residual, num_filters * 4, activation_fn=None)
                end_points[f"resnet_block_{i}"] = net
        with tf.variable_scope("decoder"):
            for i, factor in ((1, 2), (2, 1)):
                with tf.variable_scope(f"decoder{i}"):
                    net = upsample_fn(
                        net, num_outputs=num_filters * factor, stride=[2, 2]
                    )
                end_points[f"decoder{i}"] = net
        with tf.variable_scope("output"):
            linear = {"activation_fn": None, "normalizer_fn": None}
            logits = conv(net, images.shape.as_list()[3], [7, 7], **linear)
            # States the shape, which resizing forgets, and checks an unknown size.
            logits = end_points["logits"] = tf.reshape(logits, tf.shape(images))
            predictions = tf.tanh(logits) + tanh_linear_slope * logits
            end_points["predictions"] = predictions
    return predictions, end_points
