"""What the residual networks share: blocks, the layers around them, the arg scope.

Features stay dense, as segmentation needs them, by atrous convolution: Chen et al.:
DeepLab, 2016, https://arxiv.org/abs/1606.00915.
"""

import contextlib
import itertools
import operator
from collections import namedtuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry
from slimbase.errors import UserError

_UNITS = {  # By number of layers: units in each of the four blocks.
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


class Block(namedtuple("Block", ["scope", "unit_fn", "args"])):
    """Residual units: `unit_fn(net, rate=..., **unit)` for each `unit` in `args`."""


def subsample(inputs, factor, scope=None):
    """Every `factor`-th row and column of `[batch, height, width, channels]`."""
    if factor == 1:
        return inputs
    return slim.max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs, num_outputs, kernel_size, stride, rate=1, scope=None):
    """A convolution that at any stride is the dense one, subsampled.

    'SAME' padding would move the kernel by a pixel between even and odd sizes.
    `kernel_size` is one odd number, and `rate` 1 unless `stride` is.
    """
    if stride != 1:
        inputs = layers.pad_for_kernel(inputs, [kernel_size] * 2, rate)
    padding = "SAME" if stride == 1 else "VALID"
    return slim.conv2d(
        inputs, num_outputs, kernel_size, stride, padding, rate=rate, scope=scope
    )


@slim.add_arg_scope
def stack_blocks_dense(
    net,
    blocks,
    output_stride=None,
    store_non_strided_activations=False,
    outputs_collections=None,
):
    """Stacks the units of `blocks`, dilated once `output_stride` is reached.

    From there on, what would be strides multiply the rates of the units after them:
    these compute the same features, at more places.

    Args:
      blocks: a list of `Block`.
      output_stride: how much smaller the result is than `net`; None takes all strides.
      store_non_strided_activations: subsamples after each block instead of in its
        last unit, so that the collected block outputs are before the stride.
      outputs_collections: where the output of each block goes.
    """
    strides = [unit.get("stride", 1) for block in blocks for unit in block.args]
    reachable = sorted({1, *itertools.accumulate(strides, operator.mul)})
    if output_stride not in (None, *reachable):
        raise UserError(
            "The target output_stride cannot be reached: of the blocks alone, without "
            f"the 4 of a root block, expected one of {reachable}, not {output_stride}"
        )
    placements = layers.strides_and_rates(strides, output_stride)
    for block in blocks:
        with tf.variable_scope(block.scope, "block", [net]) as scope:
            postponed = 1
            for i, unit in enumerate(block.args, 1):
                stride, rate = next(placements)
                if store_non_strided_activations and i == len(block.args):
                    stride, postponed = 1, stride
                if "stride" in unit:
                    unit = {**unit, "stride": stride}
                with tf.variable_scope(f"unit_{i}", values=[net]):
                    net = block.unit_fn(net, rate=rate, **unit)
            net = slim.utils.collect_named_outputs(outputs_collections, scope.name, net)
            net = subsample(net, postponed)
    return net


def resnet_arg_scope(
    weight_decay=0.0001,
    batch_norm_decay=0.997,
    batch_norm_epsilon=1e-5,
    batch_norm_scale=True,
    activation_fn=tf.nn.relu,
    use_batch_norm=True,
    batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS,
):
    """Arg scope of the residual networks."""
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
        "updates_collections": batch_norm_updates_collections,
        "fused": None,  # Whatever is fastest.
    }
    with (
        slim.arg_scope(
            [slim.conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=slim.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm,
        ),
        slim.arg_scope([slim.batch_norm], **batch_norm),
        # Keeps features in line with pixels, which dense prediction needs.
        slim.arg_scope([slim.max_pool2d], padding="SAME") as scope,
    ):
        return scope


def bottleneck_block(bottleneck, scope, base_depth, num_units, stride):
    """A `Block` of `num_units` bottlenecks, the last of which has the stride."""
    unit = {"depth": base_depth * 4, "depth_bottleneck": base_depth}
    strides = [1] * (num_units - 1) + [stride]
    return Block(scope, bottleneck, [{**unit, "stride": stride} for stride in strides])


def blocks_of(num_layers, block, depth=lambda depth: depth):
    """The four blocks, by `block`, of the papers' network of that many layers."""
    stages = zip((64, 128, 256, 512), _UNITS[num_layers], (2, 2, 2, 1), strict=True)
    return [
        block(f"block{i}", depth(base_depth), num_units, stride)
        for i, (base_depth, num_units, stride) in enumerate(stages, 1)
    ]


def _end_points_collection(scope):
    return f"{scope.original_name_scope}_end_points"  # Another one at each reuse.


@contextlib.contextmanager
def network_scope(scope, default_scope, inputs, bottleneck, is_training, reuse):
    """The variable scope of a network, in which layers and blocks are end points."""
    with tf.variable_scope(scope, default_scope, [inputs], reuse=reuse) as scope:
        batch_norm = {} if is_training is None else {"is_training": is_training}
        with (
            slim.arg_scope(
                [slim.conv2d, bottleneck, stack_blocks_dense],
                outputs_collections=_end_points_collection(scope),
            ),
            slim.arg_scope([slim.batch_norm], **batch_norm),
        ):
            yield scope


def root_block(inputs, output_stride):
    """Features at stride 4, and what is left of `output_stride` for the blocks."""
    if output_stride is not None:
        if output_stride % 4:
            raise UserError(
                "The output_stride needs to be a multiple of 4, the stride of the root "
                f"block, not {output_stride}"
            )
        output_stride //= 4
    net = conv2d_same(inputs, 64, 7, stride=2, scope="conv1")
    return slim.max_pool2d(net, [3, 3], stride=2, scope="pool1"), output_stride


def classifier(net, scope, num_classes, global_pool, spatial_squeeze):
    """Logits (or features), and the end points of the network by name."""
    end_points = slim.utils.convert_collection_to_dict(_end_points_collection(scope))
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], keepdims=True, name="pool5")
        end_points["global_pool"] = net
    if not num_classes:
        return net, end_points
    net = layers.linear(net, num_classes, scope="logits")
    end_points[f"{scope.name}/logits"] = net
    if spatial_squeeze:
        net = layers.squeeze_if(spatial_squeeze, net)
        end_points[f"{scope.name}/spatial_squeeze"] = net
    end_points["predictions"] = slim.softmax(net, scope="predictions")
    return net, end_points


def register(name, function, paper, classes):
    """Registers `function` as the network `name`, and names it so."""
    function.__name__ = function.__qualname__ = name
    return registry.register(
        name,
        arg_scope=resnet_arg_scope,
        image_size=224,
        classes=classes,
        preprocessing="vgg",
        classifier_scopes=(f"{name}/logits",),
        paper=paper,
    )(function)
