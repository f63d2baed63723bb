"""ResNet v1.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015,
https://arxiv.org/abs/1512.03385. The stride of a block is in its last unit, in the 3x3
convolution, not in the first 1x1 convolution of the first unit.
"""

import contextlib
import functools
import inspect

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_utils

resnet_arg_scope = resnet_utils.resnet_arg_scope
NoOpScope = contextlib.nullcontext  # Its name before Python had one.


@slim.add_arg_scope
def bottleneck(
    inputs,
    depth,
    depth_bottleneck,
    stride,
    rate=1,
    outputs_collections=None,
    scope=None,
    use_bounded_activations=False,
):
    """A residual unit: 1x1, 3x3 and 1x1 convolution, sum, activation.

    Args:
      depth: of the output; where `inputs` has another, the shortcut is a convolution.
      depth_bottleneck: of the first two convolutions.
      stride: of the unit.
      rate: atrous rate of the 3x3 convolution.
      outputs_collections: where the output goes.
      use_bounded_activations: keeps the residual in [-6, 6] and what is after the
        sum in [0, 6], for fixed-point inference.
    """
    with tf.variable_scope(scope, "bottleneck_v1", [inputs]) as scope:
        if slim.utils.last_dimension(inputs.shape, min_rank=4) == depth:
            shortcut = resnet_utils.subsample(inputs, stride, "shortcut")
        else:
            activation_fn = tf.nn.relu6 if use_bounded_activations else None
            how = {"activation_fn": activation_fn, "scope": "shortcut"}
            shortcut = slim.conv2d(inputs, depth, [1, 1], stride, **how)
        residual = slim.conv2d(inputs, depth_bottleneck, [1, 1], scope="conv1")
        residual = resnet_utils.conv2d_same(
            residual, depth_bottleneck, 3, stride, rate, scope="conv2"
        )
        residual = slim.conv2d(
            residual, depth, [1, 1], activation_fn=None, scope="conv3"
        )
        if use_bounded_activations:
            residual = tf.clip_by_value(residual, -6.0, 6.0)
        output = tf.add(shortcut, residual, name="add")
        output = tf.nn.relu6(output) if use_bounded_activations else tf.nn.relu(output)
        return slim.utils.collect_named_outputs(outputs_collections, scope.name, output)


# f(scope, base_depth, num_units, stride) -> Block; the last unit has the stride.
resnet_v1_block = functools.partial(resnet_utils.bottleneck_block, bottleneck)


def resnet_v1(
    inputs,
    blocks,
    num_classes=None,
    is_training=True,
    global_pool=True,
    output_stride=None,
    include_root_block=True,
    spatial_squeeze=True,
    store_non_strided_activations=False,
    reuse=None,
    scope=None,
):
    """ResNet v1 of the given blocks, as a classifier or for dense prediction.

    Dense prediction has `global_pool` and `spatial_squeeze` off; its pictures are best
    a multiple of 32 plus 1 wide and high, which puts features right at the corners.

    Args:
      blocks: a list of `resnet_utils.Block`.
      is_training: of batch norm; None leaves it to the arg scope.
      include_root_block: begin with the 7x7 convolution and pooling, at stride 4.
      store_non_strided_activations: the end points of blocks are before their stride.
    """
    with resnet_utils.network_scope(
        scope, "resnet_v1", inputs, bottleneck, is_training, reuse
    ) as scope:
        net = inputs
        if include_root_block:
            net, output_stride = resnet_utils.root_block(net, output_stride)
        net = resnet_utils.stack_blocks_dense(
            net, blocks, output_stride, store_non_strided_activations
        )
        return resnet_utils.classifier(
            net, scope, num_classes, global_pool, spatial_squeeze
        )


resnet_v1.default_image_size = 224


def _swapped(function, first, second):
    """`function` with two of its arguments in each other's place."""
    parameters = inspect.signature(function).parameters
    places = {first: second, second: first}
    signature = inspect.Signature([parameters[places.get(n, n)] for n in parameters])

    @functools.wraps(function)
    def swapped(*args, **kwargs):
        return function(**signature.bind(*args, **kwargs).arguments)

    swapped.__signature__ = signature
    return swapped


def _of_depth(num_layers, swap=()):
    name = f"resnet_v1_{num_layers}"

    def network(
        inputs,
        num_classes=None,
        is_training=True,
        global_pool=True,
        output_stride=None,
        spatial_squeeze=True,
        store_non_strided_activations=False,
        min_base_depth=8,
        depth_multiplier: float = 1,
        reuse=None,
        scope=name,
    ):
        """ResNet v1 of one of the paper's depths; `resnet_v1` explains the arguments.

        Besides, `depth_multiplier` is a factor of all depths after the root block, and
        `min_base_depth` the least depth of a bottleneck where that is below 1.
        """
        depth = layers.scaled_depth(depth_multiplier, min_base_depth)
        return resnet_v1(
            inputs,
            resnet_utils.blocks_of(num_layers, resnet_v1_block, depth),
            num_classes,
            is_training,
            global_pool,
            output_stride,
            spatial_squeeze=spatial_squeeze,
            store_non_strided_activations=store_non_strided_activations,
            reuse=reuse,
            scope=scope,
        )

    function = _swapped(network, *swap) if swap else network
    paper = "https://arxiv.org/abs/1512.03385"
    return resnet_utils.register(name, function, paper, classes=1000)


_SWAP = ("spatial_squeeze", "store_non_strided_activations")

resnet_v1_50 = _of_depth(50)
resnet_v1_101 = _of_depth(101)
resnet_v1_152 = _of_depth(152, _SWAP)  # sic
resnet_v1_200 = _of_depth(200, _SWAP)  # sic
