"""Layers over clips: convolutions in space and time, and Inception cells of them."""

import functools

import tensorflow.compat.v1 as tf
from tf_slim import add_arg_scope, arg_scope, batch_norm, l2_regularizer, layers

from nets.layers import fit_kernel
from slimbase.errors import UserError


def center_initializer():
    """Initializer by which a convolution over time starts as the identity.

    For `[frames, 1, 1, channels, filters]` of an odd number of frames: in the frame at
    the center ones from each channel to the filter of its number, zeros elsewhere.
    """

    def initializer(shape, dtype=tf.float32, partition_info=None):
        shape = tf.TensorShape(shape).as_list()
        if len(shape) != 5 or shape[0] % 2 == 0 or shape[1:3] != [1, 1]:
            raise ValueError(
                "center_initializer is for convolutions over an odd number of frames, "
                f"[frames, 1, 1, channels, filters], not {shape}"
            )
        half = shape[0] // 2
        identity = tf.eye(shape[3], shape[4], dtype=dtype)[tf.newaxis]
        return tf.reshape(tf.pad(identity, [[half, half], [0, 0], [0, 0]]), shape)

    return initializer


@add_arg_scope
def conv3d_spatiotemporal(
    inputs,
    num_outputs,
    kernel_size,
    stride=1,
    padding="SAME",
    activation_fn=None,
    normalizer_fn=None,
    normalizer_params=None,
    weights_regularizer=None,
    separable=False,
    data_format="NDHWC",
    scope="",
):
    """A convolution over space and time, at once or one after the other.

    The rest of the arguments is that of `slim.conv3d`.

    Args:
      kernel_size, stride: (frames, height, width); `stride` may be one number.
      normalizer_fn: after the convolution over space or both, not that over time.
      separable: whether a kernel of several frames is split into a convolution over
        space and one over time, under `scope`/temporal, which starts as the identity.
      data_format: of clips: 'NDHWC' or 'NCDHW'.
      scope: one is made up where it is empty.
    """
    frames, *size = kernel_size
    time, *space = [stride] * 3 if isinstance(stride, int) else stride
    split = separable and frames > 1
    conv = functools.partial(
        layers.conv3d,
        num_outputs=num_outputs,
        padding=padding,
        activation_fn=activation_fn,
        weights_regularizer=weights_regularizer,
        data_format=data_format,
    )
    net = conv(
        inputs,
        kernel_size=[1 if split else frames, *size],
        stride=[1 if split else time, *space],  # pyright: ignore
        normalizer_fn=normalizer_fn,
        normalizer_params=normalizer_params,
        scope=scope or None,
    )
    if not split:
        return net
    return conv(
        net,
        kernel_size=[frames, 1, 1],
        stride=[time, 1, 1],  # pyright: ignore
        normalizer_fn=None,
        weights_initializer=center_initializer(),
        scope=f"{scope}/temporal" if scope else None,
    )


def layout_arg_scope(data_format):
    """Arg scope of layers that keep the size of clips laid out as `data_format`."""
    if data_format not in ("NDHWC", "NCDHW"):
        raise UserError(f"data_format must be NDHWC or NCDHW, not {data_format}")
    with (
        arg_scope(
            [layers.conv3d, layers.max_pool3d, conv3d_spatiotemporal],
            stride=1,
            padding="SAME",
            data_format=data_format,
        ),
        # Which knows the names of pictures' formats only, and takes clips.
        arg_scope([batch_norm], data_format=data_format.replace("D", "")) as scope,
    ):
        return scope


def i3d_arg_scope(
    weight_decay=1e-7,
    batch_norm_decay=0.999,
    batch_norm_epsilon=0.001,
    use_renorm=False,
    separable_conv3d=False,
):
    """Arg scope of I3D.

    Args:
      use_renorm: whether batch norm corrects for how batches differ from the moving
        averages (batch renormalization), in training.
      separable_conv3d: whether convolutions are split in space and time.
    """
    batch_norm_params = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "fused": False,  # There is none for clips.
        "renorm": use_renorm,
    }
    with (
        arg_scope(
            [layers.conv3d, conv3d_spatiotemporal],
            weights_regularizer=l2_regularizer(weight_decay),
            activation_fn=tf.nn.relu,
            normalizer_fn=batch_norm,
            normalizer_params=batch_norm_params,
        ),
        arg_scope([conv3d_spatiotemporal], separable=separable_conv3d) as scope,
    ):
        return scope


@add_arg_scope
def inception_block_v1_3d(
    inputs,
    num_outputs_0_0a,
    num_outputs_1_0a,
    num_outputs_1_0b,
    num_outputs_2_0a,
    num_outputs_2_0b,
    num_outputs_3_0b,
    temporal_kernel_size=3,
    self_gating_fn=None,
    data_format="NDHWC",
    scope="",
):
    """A cell of Inception v1 over clips, which keeps their size.

    Args:
      inputs, data_format, scope: as of `conv3d_spatiotemporal`.
      num_outputs_I_0a, num_outputs_I_0b: filters of branch I: of its 1x1 and its 3x3
        convolution; of branch 3, pooling and a 1x1 convolution.
      temporal_kernel_size: frames of the 3x3 convolutions' kernels.
      self_gating_fn: `f(net, scope=...)` at the end of each branch, or None.
    """
    branches = [  # Depths of the 1x1 and the 3x3 convolution.
        (num_outputs_0_0a,),
        (num_outputs_1_0a, num_outputs_1_0b),
        (num_outputs_2_0a, num_outputs_2_0b),
        (num_outputs_3_0b,),
    ]
    outputs = []
    with (
        tf.variable_scope(scope or None, "InceptionBlock", [inputs]),
        arg_scope(layout_arg_scope(data_format)),
    ):
        for i, (depth, *depths_3x3) in enumerate(branches):
            with tf.variable_scope(f"Branch_{i}"):
                net, name = inputs, "Conv2d_0a_1x1"
                if i == 3:
                    net = layers.max_pool3d(net, [3, 3, 3], scope="MaxPool_0a_3x3")
                    name = "Conv2d_0b_1x1"
                net = layers.conv3d(net, depth, [1, 1, 1], scope=name)
                for depth_3x3 in depths_3x3:
                    kernel, name = [temporal_kernel_size, 3, 3], "Conv2d_0b_3x3"
                    net = conv3d_spatiotemporal(net, depth_3x3, kernel, scope=name)
                outputs.append(
                    self_gating_fn(net, scope=name) if self_gating_fn else net
                )
        return tf.concat(outputs, data_format.index("C"))


def reduced_kernel_size_3d(input_tensor, kernel_size):
    """Shrinks `kernel_size`, of three numbers, to what is left of a small clip."""
    if input_tensor.shape.rank != 5 or len(kernel_size) != 3:
        raise ValueError(
            "expected a clip [batch, frames, height, width, channels] and a kernel of "
            f"three numbers, not {input_tensor.shape} and {kernel_size}"
        )
    return fit_kernel(input_tensor, kernel_size)
