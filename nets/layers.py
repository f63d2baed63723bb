"""What several architecture families share."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase.errors import UserError


def scaled_depth(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """Returns the function from a layer's nominal depth to its actual one."""
    if depth_multiplier <= 0:
        raise ValueError(f"depth_multiplier must be above zero, not {depth_multiplier}")
    return lambda depth: max(int(depth * depth_multiplier), min_depth)


def make_divisible(value: float, divisor: int, minimum: int | None = None) -> int:
    """Rounds `value` to a multiple of `divisor`, losing a tenth of it at most.

    `minimum` is the least result, multiple or not; None for `divisor`.
    """
    rounded = int(value + divisor / 2) // divisor * divisor
    rounded = max(divisor if minimum is None else minimum, rounded)
    return rounded if rounded >= 0.9 * value else rounded + divisor


def strides_and_rates(
    strides: Iterable[int], output_stride: int | None
) -> Iterator[tuple[int, int]]:
    """Yields the stride and the atrous rate of each layer, given its nominal stride.

    Once `output_stride` is reached, what would be strides multiply the rates of the
    layers after them instead.
    """
    reached, rate = 1, 1
    for stride in strides:
        if output_stride is not None and reached == output_stride:
            yield 1, rate
            rate *= stride
        else:
            yield stride, 1
            reached *= stride


def fit_kernel(net: tf.Tensor, kernel: Iterable[int]) -> list[int]:
    """Shrinks `kernel` (height, width) to what is left of a small picture.

    It stays as it is where a size of `net` is unknown. Clips have frames in front.
    """
    size = net.shape.as_list()[1:-1]
    if None in size:
        return list(kernel)
    return [min(have, want) for have, want in zip(size, kernel, strict=True)]


def pad_for_kernel(
    net: tf.Tensor, kernel: Iterable[int], rate: int = 1, mode: str = "CONSTANT"
) -> tf.Tensor:
    """Pads so that a 'VALID' convolution keeps the size, at stride 1.

    Unlike 'SAME' the padding does not depend on the size of the picture. `mode` is
    that of `tf.pad`: zeros, unless it is 'REFLECT' or 'SYMMETRIC'.
    """
    pads = [divmod((size - 1) * rate, 2) for size in kernel]
    sides = [[half, half + odd] for half, odd in pads]
    return tf.pad(net, [[0, 0], *sides, [0, 0]], mode)


def check_image_batch(images: tf.Tensor) -> None:
    """Raises ValueError unless `images` is `[batch, height, width, channels]`."""
    if images.shape.rank != 4:
        raise ValueError(
            "Invalid input tensor rank, expected 4 (batch, height, width, channels), "
            f"was: {images.shape.rank}"
        )


def check_multiple_of(factor: int, images: tf.Tensor) -> None:
    """Raises ValueError unless height and width, where known, are multiples."""
    height, width = images.shape.as_list()[1:3]
    for name, size in (("height", height), ("width", width)):
        if size is not None and size % factor:
            raise ValueError(
                f"The input {name} must be a multiple of {factor}, not {size}"
            )


def collect_until(
    final_endpoint: str, steps: Iterable[tuple[str, tf.Tensor]]
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds `steps`, pairs of name and tensor, up to `final_endpoint`.

    Returns the last tensor and all of them by name.
    """
    end_points = {}
    for name, net in steps:
        end_points[name] = net
        if name == final_endpoint:
            return net, end_points
    raise ValueError(
        f"Unknown final endpoint {final_endpoint}; it can be one of: "
        + ", ".join(end_points)
    )


def squeeze_if(
    spatial_squeeze: bool, net: tf.Tensor, name: str = "SpatialSqueeze"
) -> tf.Tensor:
    """Drops the spatial dimensions of `[batch, 1, 1, channels]`, when asked to."""
    if not spatial_squeeze:
        return net
    if not {1, None}.issuperset(net.shape.as_list()[1:3]):
        raise UserError(
            f"images are too large for the network: its pooling leaves "
            f"{net.shape.as_list()[1:3]} instead of one place. Give the default image "
            "size or a smaller one, or spatial_squeeze=False, or global_pool=True "
            "where the network has it"
        )
    return tf.squeeze(net, [1, 2], name=name)


def linear(
    net: tf.Tensor, depth: int, kernel: Sequence[int] = (1, 1), **arguments: Any
) -> tf.Tensor:
    """A convolution without activation and normalization."""
    return slim.conv2d(
        net, depth, kernel, activation_fn=None, normalizer_fn=None, **arguments
    )


def pooled_classifier(
    net: tf.Tensor,
    end_points: dict[str, tf.Tensor],
    num_classes: int | None,
    *,
    kernel: tuple[int, int],
    pool_scope: str,
    dropout_keep_prob: float,
    global_pool: bool,
    spatial_squeeze: bool,
    prediction_fn: Callable[..., Any] | None,
    prelogits: str | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Average pooling, dropout and a 1x1 convolution to the classes.

    Args:
      net, end_points: features and what they are made of, which is extended in place.
      kernel: of the pooling; shrunk for small pictures.
      pool_scope: name of the pooling layer, `{0}` and `{1}` standing for its kernel.
      prelogits: key for the features after dropout.
    """
    with tf.variable_scope("Logits"):
        if global_pool:
            net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
            end_points["global_pool"] = net
        else:
            fitted = fit_kernel(net, kernel)
            net = slim.avg_pool2d(
                net, fitted, padding="VALID", scope=pool_scope.format(*fitted)
            )
            end_points["AvgPool_1a"] = net
        if not num_classes:
            return net, end_points
        net = slim.dropout(net, keep_prob=dropout_keep_prob, scope="Dropout_1b")
        if prelogits:
            end_points[prelogits] = net
        logits = linear(net, num_classes, scope="Conv2d_1c_1x1")
        logits = squeeze_if(spatial_squeeze, logits)
    end_points["Logits"] = logits
    if prediction_fn:
        end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points


def conv(depth: int, kernel: int, **arguments: Any) -> Callable[..., tf.Tensor]:
    """A convolution in a table; `arguments` are others of `slim.conv2d`."""
    return functools.partial(
        slim.conv2d, num_outputs=depth, kernel_size=[kernel, kernel], **arguments
    )


def max_pool(kernel: int) -> Callable[..., tf.Tensor]:
    """A pooling in a table, at stride 2."""
    return functools.partial(slim.max_pool2d, kernel_size=[kernel, kernel])


def convolutional_arg_scope(weight_decay=0.0005):
    """Arg scope of VGG, on which AlexNet's and OverFeat's build."""
    with (
        slim.arg_scope(
            [slim.conv2d, slim.fully_connected],
            activation_fn=tf.nn.relu,
            biases_initializer=tf.zeros_initializer(),
            weights_regularizer=slim.l2_regularizer(weight_decay),
        ),
        slim.arg_scope([slim.conv2d], padding="SAME") as scope,
    ):
        return scope


def convolutional_classifier(
    inputs: tf.Tensor,
    table: Mapping[str, Callable[..., tf.Tensor]],
    num_classes: int | None,
    *,
    name: str,
    scope: str | tf.VariableScope | None,
    fc6: Callable[..., tf.Tensor],
    is_training: bool,
    dropout_keep_prob: float,
    spatial_squeeze: bool,
    global_pool: bool,
    reuse: Any = None,
    **fc_arguments: Any,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Convolutions and pools, then fc6 to fc8, convolutions in their turn.

    So the network slides over pictures that are larger than it was made for.

    Args:
      table: `conv` and `max_pool` by scope.
      name: variable scope where `scope` is None.
      fc6: `conv` as large as what `table` leaves of the pictures.
      **fc_arguments: of the convolutions fc6 to fc8.
    """
    with tf.variable_scope(scope, name, [inputs], reuse=reuse) as opened:
        collection = opened.original_name_scope + "_end_points"
        with (
            slim.arg_scope(
                [slim.conv2d, slim.max_pool2d], outputs_collections=collection
            ),
            slim.arg_scope(
                [slim.dropout], keep_prob=dropout_keep_prob, is_training=is_training
            ),
        ):
            net = inputs
            for layer_scope, layer in table.items():
                net = layer(net, scope=layer_scope)
            with slim.arg_scope([slim.conv2d], **fc_arguments):
                net = fc6(net, scope="fc6")
                net = slim.dropout(net, scope="dropout6")
                net = slim.conv2d(net, 4096, [1, 1], scope="fc7")
                end_points = slim.utils.convert_collection_to_dict(collection)
                if global_pool:
                    net = tf.reduce_mean(net, [1, 2], keepdims=True, name="global_pool")
                    end_points["global_pool"] = net
                if not num_classes:
                    return net, end_points
                net = slim.dropout(net, scope="dropout7")
                zeros = tf.zeros_initializer()
                net = linear(net, num_classes, biases_initializer=zeros, scope="fc8")
        logits = squeeze_if(spatial_squeeze, net, "fc8/squeezed")
        end_points[f"{opened.name}/fc8"] = logits
        return logits, end_points


def wrapped_partial(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`functools.partial` that keeps the function's name, docstring and attributes."""
    return functools.update_wrapper(functools.partial(func, *args, **kwargs), func)
