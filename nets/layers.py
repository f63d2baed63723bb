"""What several architecture families share."""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimzoo.errors import UserError


def scaled_depth(depth_multiplier: float, min_depth: int) -> Callable[[int], int]:
    """Returns the function from a layer's nominal depth to its actual one.

    Raises:
      ValueError: unless `depth_multiplier` is greater than zero.
    """
    if depth_multiplier <= 0:
        raise ValueError(f"depth_multiplier must be above zero, not {depth_multiplier}")
    return lambda depth: max(int(depth * depth_multiplier), min_depth)


def fit_kernel(net: tf.Tensor, kernel: Iterable[int]) -> list[int]:
    """Shrinks `kernel` (height, width) to what is left of a small picture.

    Where the height or width of `net`, `[batch, height, width, channels]`, is
    unknown, the kernel stays as it is.
    """
    size = net.shape.as_list()[1:3]
    if None in size:
        return list(kernel)
    return [min(have, want) for have, want in zip(size, kernel, strict=True)]


def pad_for_kernel(net: tf.Tensor, kernel: Iterable[int], rate: int = 1) -> tf.Tensor:
    """Pads with zeros so that a 'VALID' convolution keeps the size, at stride 1.

    Unlike 'SAME' the padding does not depend on the size of the picture.
    """
    pads = [divmod((size - 1) * rate, 2) for size in kernel]
    sides = [[half, half + odd] for half, odd in pads]
    return tf.pad(net, [[0, 0], *sides, [0, 0]])


def check_image_batch(images: tf.Tensor) -> None:
    """Raises ValueError unless `images` is `[batch, height, width, channels]`."""
    if images.shape.rank != 4:
        raise ValueError(
            "Invalid input tensor rank, expected 4 (batch, height, width, channels), "
            f"was: {images.shape.rank}"
        )


def collect_until(
    final_endpoint: str, steps: Iterable[tuple[str, tf.Tensor]]
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Builds `steps`, pairs of name and tensor, up to `final_endpoint`.

    Returns:
      The last tensor and all of them by name.

    Raises:
      ValueError: when no step has that name.
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


def squeeze_if(spatial_squeeze: bool, net: tf.Tensor) -> tf.Tensor:
    """Drops the spatial dimensions of `[batch, 1, 1, channels]`, when asked to.

    Raises:
      ValueError: when they are known to be larger.
    """
    if not spatial_squeeze:
        return net
    if not {1, None}.issuperset(net.shape.as_list()[1:3]):
        raise UserError(
            f"images are too large for the network: its pooling leaves "
            f"{net.shape.as_list()[1:3]} instead of one place. Give the default image "
            "size or a smaller one, or global_pool=True or spatial_squeeze=False"
        )
    return tf.squeeze(net, [1, 2], name="SpatialSqueeze")


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
      net: features, `[batch, height, width, channels]`.
      end_points: extended in place.
      num_classes: 0 or None returns the pooled features.
      kernel: of the pooling; shrunk for small pictures.
      pool_scope: name of the pooling layer, `{0}` and `{1}` standing for its kernel.
      dropout_keep_prob: of the pooled features.
      global_pool: average over whatever is there, for pictures of any size.
      spatial_squeeze: whether logits are `[batch, classes]` (else `[batch, 1, 1,
        classes]`).
      prediction_fn: from logits to predictions, or None.
      prelogits: key for the features after dropout.

    Returns:
      Logits (or features) and `end_points`.
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
        logits = slim.conv2d(
            net,
            num_classes,
            [1, 1],
            activation_fn=None,
            normalizer_fn=None,
            scope="Conv2d_1c_1x1",
        )
        logits = squeeze_if(spatial_squeeze, logits)
    end_points["Logits"] = logits
    if prediction_fn:
        end_points["Predictions"] = prediction_fn(logits, scope="Predictions")
    return logits, end_points
