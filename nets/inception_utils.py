"""What the Inception networks share: their arg scope and their cells as tables."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim


def inception_arg_scope(
    weight_decay=0.00004,
    use_batch_norm=True,
    batch_norm_decay=0.9997,
    batch_norm_epsilon=0.001,
    activation_fn=tf.nn.relu,
    batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS,
    batch_norm_scale=False,
):
    """Arg scope of the Inception networks.

    Args:
      weight_decay: L2 factor of all weights.
      use_batch_norm: normalize after each convolution; else biases are added.
      batch_norm_decay: of the moving averages.
      batch_norm_epsilon: added to variances.
      activation_fn: after each convolution.
      batch_norm_updates_collections: where the moving averages' updates go.
      batch_norm_scale: whether batch norm has a factor (gamma), which the rectified
        linear unit after it makes redundant.
    """
    batch_norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "updates_collections": batch_norm_updates_collections,
        "fused": None,  # Whatever is fastest.
        "scale": batch_norm_scale,
    }
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            weights_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope(
            [slim.conv2d],
            weights_initializer=slim.variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm if use_batch_norm else {},
        ) as scope,
    ):
        return scope


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution; without a `scope` it is named by its place in the branch."""

    depth: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    scope: str | None = None


@dataclasses.dataclass(frozen=True)
class Pool:
    """3x3 pooling by `op`, named by its place in the branch."""

    op: Callable[..., tf.Tensor]
    name: str
    stride: int = 1


@dataclasses.dataclass(frozen=True)
class Fork:
    """Convolutions side by side whose outputs are concatenated."""

    convs: tuple[Conv, ...]


Layer = Conv | Pool | Fork
Branch = Sequence[Layer]


def conv(
    depth: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    scope: str | None = None,
) -> Conv:
    """A convolution; `kernel` is a number or (height, width)."""
    return Conv(
        depth, (kernel, kernel) if isinstance(kernel, int) else kernel, stride, scope
    )


def avg_pool(stride: int = 1) -> Pool:
    """3x3 average pooling."""
    return Pool(slim.avg_pool2d, "AvgPool", stride)


def max_pool(stride: int = 1) -> Pool:
    """3x3 maximum pooling."""
    return Pool(slim.max_pool2d, "MaxPool", stride)


def fork(*convs: Conv) -> Fork:
    """Convolutions side by side."""
    return Fork(convs)


def _apply(net, layer, place, depth):
    """Applies a `Conv` or `Pool` that checkpoints know by its `place`: 0a, 0b, 1a."""
    padding = "VALID" if layer.stride > 1 else "SAME"
    if isinstance(layer, Pool):
        scope = f"{layer.name}_{place}_3x3"
        return layer.op(net, [3, 3], layer.stride, padding, scope=scope)
    height, width = layer.kernel
    scope = layer.scope or f"Conv2d_{place}_{height}x{width}"
    return slim.conv2d(
        net, depth(layer.depth), [height, width], layer.stride, padding, scope=scope
    )


def cell(
    net: tf.Tensor,
    scope: str,
    branches: Sequence[Branch],
    depth: Callable[[int], int] = lambda depth: depth,
) -> tf.Tensor:
    """Concatenates the `branches` of `net` along the channels.

    Layers at stride 1 keep the size; at stride 2 they halve it, without padding.

    Args:
      net: `[batch, height, width, channels]`.
      scope: of the cell; branch i is under `scope`/Branch_i.
      branches: tables of layers.
      depth: from nominal to actual depth of a layer.
    """
    outputs = []
    with tf.variable_scope(scope):
        for i, branch in enumerate(branches):
            with tf.variable_scope(f"Branch_{i}"):
                outputs.append(_apply_branch(net, branch, depth))
        return tf.concat(outputs, 3)


def _apply_branch(net, branch, depth):
    letters = iter("abcdefgh")
    for layer in branch:
        if isinstance(layer, Fork):
            sides = [_apply(net, c, f"0{next(letters)}", depth) for c in layer.convs]
            net = tf.concat(sides, 3)
        else:
            place = "1a" if layer.stride > 1 else f"0{next(letters)}"
            net = _apply(net, layer, place, depth)
    return net
