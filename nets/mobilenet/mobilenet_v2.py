"""MobileNet v2.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted residuals and linear
bottlenecks, 2018, https://arxiv.org/abs/1801.04381.
"""

import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry
from nets.mobilenet import conv_blocks as ops
from nets.mobilenet import mobilenet as lib

__all__ = ["V2_DEF", "mobilenet", "mobilenet_base", "training_scope"]

op = lib.op
expand_input = ops.expand_input_by_factor
training_scope = lib.training_scope
wrapped_partial = layers.wrapped_partial

_CONVOLUTIONS = (slim.conv2d, slim.fully_connected, slim.separable_conv2d)


def _defaults(normalizer_fn):
    return {
        _CONVOLUTIONS: {"normalizer_fn": normalizer_fn, "activation_fn": tf.nn.relu6},
        (ops.expanded_conv,): {
            "expansion_size": expand_input(6),
            "split_expansion": 1,
            "normalizer_fn": normalizer_fn,
            "residual": True,
        },
        (slim.conv2d, slim.separable_conv2d): {"padding": "SAME"},
    }


def _spec():
    # Of the paper's table 2: depth, number of blocks, stride of the first.
    rows = [(24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]
    unexpanded = expand_input(1, divisible_by=1)
    return [
        op(slim.conv2d, stride=2, num_outputs=32, kernel_size=[3, 3]),
        op(ops.expanded_conv, expansion_size=unexpanded, num_outputs=16),
        *[
            op(ops.expanded_conv, stride=1 if block else stride, num_outputs=depth)
            for depth, blocks, stride in rows
            for block in range(blocks)
        ],
        op(slim.conv2d, stride=1, kernel_size=[1, 1], num_outputs=1280),
    ]


_BATCH_NORM = {(slim.batch_norm,): {"center": True, "scale": True}}
V2_DEF = {"defaults": _BATCH_NORM | _defaults(slim.batch_norm), "spec": _spec()}
V2_DEF_GROUP_NORM = {"defaults": _defaults(slim.group_norm), "spec": _spec()}

_register = functools.partial(
    registry.register,
    arg_scope=training_scope,
    image_size=224,
    preprocessing="inception",
    classifier_scopes=("MobilenetV2/Logits",),
    paper="https://arxiv.org/abs/1801.04381",
)


@_register("mobilenet_v2")
@slim.add_arg_scope
def mobilenet(
    input_tensor,
    num_classes=1001,
    depth_multiplier=1.0,
    scope="MobilenetV2",
    conv_defs=None,
    finegrain_classification_mode=False,
    min_depth=None,
    divisible_by=None,
    activation_fn=None,
    **kwargs,
):
    """MobileNet v2 as a classifier, made for pictures in [-1, 1].

    Args:
      conv_defs: a table of layers; None for `V2_DEF`.
      finegrain_classification_mode: a `depth_multiplier` below 1 spares the last layer.
      min_depth, divisible_by: of `mobilenet.depth_multiplier`, if not None.
      activation_fn: of the convolutions, if not that of the table.
      **kwargs: of `mobilenet.mobilenet` and `mobilenet.mobilenet_base`: `is_training`,
        `final_endpoint`, `output_stride`, `base_only`, ...
    """
    conv_defs = V2_DEF if conv_defs is None else conv_defs
    if activation_fn:
        defaults = dict(conv_defs["defaults"])
        given = defaults.get(_CONVOLUTIONS, {})
        defaults[_CONVOLUTIONS] = {**given, "activation_fn": activation_fn}
        conv_defs = {**conv_defs, "defaults": defaults}
    with lib.safe_arg_scope(
        [lib.depth_multiplier], min_depth=min_depth, divisible_by=divisible_by
    ):
        return lib.scaled_mobilenet(
            input_tensor,
            conv_defs,
            depth_multiplier,
            finegrain_classification_mode,
            num_classes=num_classes,
            scope=scope,
            **kwargs,
        )


@slim.add_arg_scope
def mobilenet_base(input_tensor, depth_multiplier=1.0, **kwargs):
    """`mobilenet` without pooling and classifier: its last layer and end points."""
    return mobilenet(
        input_tensor, depth_multiplier=depth_multiplier, base_only=True, **kwargs
    )


@slim.add_arg_scope
def mobilenet_base_group_norm(input_tensor, depth_multiplier=1.0, **kwargs):
    """`mobilenet_base` of `V2_DEF_GROUP_NORM`, by default with 8 `groups`."""
    groups = {(slim.group_norm,): {"groups": kwargs.pop("groups", 8)}}
    defaults = {**V2_DEF_GROUP_NORM["defaults"], **groups}
    conv_defs = {**V2_DEF_GROUP_NORM, "defaults": defaults}
    return mobilenet_base(input_tensor, depth_multiplier, conv_defs=conv_defs, **kwargs)


mobilenet_v2_140 = _register("mobilenet_v2_140")(
    wrapped_partial(mobilenet, depth_multiplier=1.4)
)
_finegrained = functools.partial(
    wrapped_partial, mobilenet, finegrain_classification_mode=True
)
mobilenet_v2_050 = _finegrained(depth_multiplier=0.50)
mobilenet_v2_035 = _register("mobilenet_v2_035")(_finegrained(depth_multiplier=0.35))
