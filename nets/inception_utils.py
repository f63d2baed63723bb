"""What the Inception networks share: arg scope, tables of layers, and heads."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from slimbase.errors import UserError


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

    Before a rectified linear unit, `batch_norm_scale` is redundant.
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


_POOLS = {"AvgPool": slim.avg_pool2d, "MaxPool": slim.max_pool2d}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer in a table; see `conv`, `avg_pool` and `max_pool`."""

    kind: str  # Conv2d, AvgPool or MaxPool: how its scope begins.
    kernel: tuple[int, int]  # Height and width.
    # Any number, 1 too, makes it a layer that shrinks pictures: named 1a, and padded
    # as the caller of `steps` says. None keeps their size.
    stride: int | None = None
    scope: str | None = None  # None: after its place in the branch and its kernel.
    depth: int = 0  # Nominal number of a convolution's filters.
    stddev: float | None = None  # Of the initial weights; None: as the arg scope says.


# Layers; those in a tuple are side by side, and concatenated.
Branch = Sequence[Layer | tuple[Layer, ...]]
Depth = Callable[[int], int]


def conv(
    depth: int,
    kernel: int | tuple[int, int] = 1,
    stride: int | None = None,
    scope: str | None = None,
    stddev: float | None = None,
) -> Layer:
    """A convolution; see `Layer`. `kernel` is a number or (height, width)."""
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Layer("Conv2d", size, stride, scope, depth, stddev)


def avg_pool() -> Layer:
    """3x3 average pooling that keeps the size."""
    return Layer("AvgPool", (3, 3))


def max_pool(
    stride: int | None = None, scope: str | None = None, kernel: int = 3
) -> Layer:
    """Maximum pooling; see `Layer`."""
    return Layer("MaxPool", (kernel, kernel), stride, scope)


STEM = {  # Of Inception v3 and Inception-ResNet v2.
    "Conv2d_1a_3x3": conv(32, 3, 2),
    "Conv2d_2a_3x3": conv(32, 3, 1),
    "Conv2d_2b_3x3": conv(64, 3),
    "MaxPool_3a_3x3": max_pool(2),
    "Conv2d_3b_1x1": conv(80),
    "Conv2d_4a_3x3": conv(192, 3, 1),
    "MaxPool_5a_3x3": max_pool(2),
}


def _apply(net, layer, scope, depth, padding):
    how = {
        "stride": layer.stride or 1,
        "padding": padding if layer.stride else "SAME",
        "scope": scope,
    }
    if layer.kind in _POOLS:
        return _POOLS[layer.kind](net, layer.kernel, **how)
    if layer.stddev is not None:
        normal = tf.truncated_normal_initializer(stddev=layer.stddev)
        how["weights_initializer"] = normal
    return slim.conv2d(net, depth(layer.depth), layer.kernel, **how)


def _apply_branch(net, branch, depth, padding, axis):
    letters = iter("abcdefgh")

    def apply(layer):
        place = "1a" if layer.stride else f"0{next(letters)}"
        height, width = layer.kernel
        scope = layer.scope or f"{layer.kind}_{place}_{height}x{width}"
        return _apply(net, layer, scope, depth, padding)

    for layer in branch:
        if isinstance(layer, tuple):
            net = tf.concat([apply(side) for side in layer], axis)
        else:
            net = apply(layer)
    return net


def concat_branches(
    net: tf.Tensor,
    branches: Sequence[Branch],
    depth: Depth = lambda depth: depth,
    padding: str = "VALID",
    axis: int = 3,
) -> tf.Tensor:
    """Concatenates the `branches` of `net`, under Branch_0, Branch_1 and so on.

    Args:
      depth: from nominal to actual depth of a layer.
      padding: of the layers that have a stride.
      axis: of the channels.
    """
    outputs = []
    for i, branch in enumerate(branches):
        with tf.variable_scope(f"Branch_{i}"):
            outputs.append(_apply_branch(net, branch, depth, padding, axis))
    return tf.concat(outputs, axis)


def steps(
    net: tf.Tensor,
    table: Mapping[str, Layer | Sequence[Branch]],
    depth: Depth = lambda depth: depth,
    padding: str = "VALID",
    axis: int = 3,
) -> Iterator[tuple[str, tf.Tensor]]:
    """Applies layers and the branches of cells, one after the other, by scope.

    Yields each scope with what is computed there; see `concat_branches` for the rest.
    """
    for scope, entry in table.items():
        if isinstance(entry, Layer):
            net = _apply(net, entry, scope, depth, padding)
        else:
            with tf.variable_scope(scope):
                net = concat_branches(net, entry, depth, padding, axis)
        yield scope, net


def auxiliary_logits(
    net: tf.Tensor, num_classes: int, conv_scope: str, logits_scope: str
) -> tf.Tensor:
    """The classifier halfway through Inception v4 and Inception-ResNet v2.

    The scopes are those of the convolution over all that the pooling leaves of `net`,
    whose height and width must be known, and of the fully connected layer.
    """
    with tf.variable_scope("AuxLogits"):
        kernel = layers.fit_kernel(net, (5, 5))
        net = slim.avg_pool2d(net, kernel, 3, "VALID", scope="AvgPool_1a_5x5")
        net = slim.conv2d(net, 128, [1, 1], scope="Conv2d_1b_1x1")
        size = net.shape.as_list()[1:3]
        if None in size:
            raise UserError(
                "the auxiliary classifier needs pictures of known height and width: "
                "give them a static shape, or create_aux_logits=False"
            )
        net = slim.conv2d(net, 768, size, padding="VALID", scope=conv_scope)
        return slim.fully_connected(
            slim.flatten(net), num_classes, activation_fn=None, scope=logits_scope
        )


def classifier(
    net: tf.Tensor,
    end_points: dict[str, tf.Tensor],
    num_classes: int | None,
    pool_scope: str,
    flatten: Callable[[tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The classifier of Inception v4 and Inception-ResNet v2, for any picture size.

    Args:
      net, end_points: features and what they are made of, which is extended in place.
      pool_scope: of the pooling over the whole size, where it is known.
      flatten: from pooled features to `[batch, channels]`, with dropout.
    """
    with tf.variable_scope("Logits"):
        size = net.shape.as_list()[1:3]
        if None in size:
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
        else:
            net = slim.avg_pool2d(net, size, padding="VALID", scope=pool_scope)
        end_points["global_pool"] = net
        if not num_classes:
            return net, end_points
        net = end_points["PreLogitsFlatten"] = flatten(net)
        logits = slim.fully_connected(
            net, num_classes, activation_fn=None, scope="Logits"
        )
        end_points["Logits"] = logits
        end_points["Predictions"] = tf.nn.softmax(logits, name="Predictions")
    return logits, end_points
