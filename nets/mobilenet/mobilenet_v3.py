"""MobileNet v3, large and small, and MobileNetEdgeTPU.

Howard et al.: Searching for MobileNetV3, 2019, https://arxiv.org/abs/1905.02244.
Howard, Gupta: Introducing the next generation of on-device vision models: MobileNetV3
and MobileNetEdgeTPU, 2019,
https://ai.googleblog.com/2019/11/introducing-next-generation-on-device.html.
"""

import copy
import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, registry
from nets.mobilenet import conv_blocks as ops
from nets.mobilenet import mobilenet as lib

__all__ = [
    "V3_LARGE",
    "V3_LARGE_DETECTION",
    "V3_SMALL",
    "V3_SMALL_DETECTION",
    "large",
    "mobilenet",
    "small",
    "training_scope",
]

op = lib.op
expand_input = ops.expand_input_by_factor
training_scope = lib.training_scope

squeeze_excite = functools.partial(
    ops.squeeze_excite,
    squeeze_factor=4,
    inner_activation_fn=tf.nn.relu,
    gating_fn=lambda x: tf.nn.relu6(x + 3) * 0.16667,  # sic: a sixth, nearly.
)


def hard_swish(x):
    """The swish activation's cheap likeness: `x * relu6(x + 3) / 6`."""
    with tf.name_scope("hard_swish"):
        return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def reduce_to_1x1(input_tensor, default_size=7, **kwargs):
    """Average of the whole picture, as a layer of a table.

    Of the arguments that layers are given only `scope` has an effect; `default_size`
    was once for pictures of unknown size.
    """
    with tf.name_scope(kwargs.get("scope"), "AvgPool2D"):
        return lib.global_pool(input_tensor)


def _squeeze_excite_expansion(expansion_tensor, input_tensor):
    return squeeze_excite(expansion_tensor)


def mbv3_op(ef, n, k, s=1, act=tf.nn.relu, se=None, **kwargs):
    """An inverted residual, as a layer of a table.

    Args:
      ef: factor of the expansion.
      n, k, s: depth, size of the kernel, stride.
      act: activation of all but the projection.
      se: `f(expansion_tensor, input_tensor)` before the projection.
      **kwargs: other arguments of `conv_blocks.expanded_conv`.
    """
    return op(
        ops.expanded_conv,
        expansion_size=expand_input(ef),
        kernel_size=(k, k),
        stride=s,
        num_outputs=n,
        inner_activation_fn=act,
        expansion_transform=se,
        **kwargs,
    )


mbv3_op_se = functools.partial(mbv3_op, se=_squeeze_excite_expansion)


def _fused_conv(
    input_tensor, kernel_size, stride=1, rate=1, use_explicit_padding=False, **kwargs
):
    """`conv_blocks.expanded_conv` that expands by a convolution of all channels."""

    def expand(net, depth, **scope_etc):
        if use_explicit_padding:
            net = layers.pad_for_kernel(net, kernel_size, rate)
        return slim.conv2d(net, depth, kernel_size, stride, rate=rate, **scope_etc)

    kwargs.update(depthwise_location=None, expansion_fn=expand)
    return ops.expanded_conv(input_tensor, stride=stride, **kwargs)


def mbv3_fused(ef, n, k, s=1, **kwargs):
    """`mbv3_op` whose expansion and depthwise convolution are one full convolution."""
    return mbv3_op(ef, n, k, s, **kwargs)._replace(op=_fused_conv)


def _defaults(normalizer_fn, **normalizer_params):
    return {
        (ops.expanded_conv,): {"normalizer_fn": normalizer_fn, "residual": True},
        (slim.conv2d, slim.fully_connected, slim.separable_conv2d): {
            "normalizer_fn": normalizer_fn,
            "activation_fn": tf.nn.relu,
        },
        (normalizer_fn,): normalizer_params,
    }


DEFAULTS = _defaults(slim.batch_norm, center=True, scale=True)
DEFAULTS_GROUP_NORM = _defaults(slim.group_norm, groups=8)


_LARGE = [  # Expansion, depth, kernel, stride, squeeze-and-excitation, hard swish.
    (1, 16, 3, 1, False, False),
    (4, 24, 3, 2, False, False),
    (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False),
    *[(3, 40, 5, 1, True, False)] * 2,
    (6, 80, 3, 2, False, True),
    (2.5, 80, 3, 1, False, True),
    *[(184 / 80, 80, 3, 1, False, True)] * 2,
    *[(6, 112, 3, 1, True, True)] * 2,
    (6, 160, 5, 2, True, True),
    *[(6, 160, 5, 1, True, True)] * 2,
]
_SMALL = [
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True),
    *[(6, 40, 5, 1, True, True)] * 2,
    *[(3, 48, 5, 1, True, True)] * 2,
    (6, 96, 5, 2, True, True),
    *[(6, 96, 5, 1, True, True)] * 2,
]


def _conv_defs(rows, features, embedding, minimalistic=False):
    """The table with `rows`, and the depths before and after its pooling.

    Minimalistic are 3x3 kernels throughout, without the last two columns.
    """

    def block(ef, n, k, s, se, hs):
        if minimalistic:
            return mbv3_op(ef, n, 3, s)
        block_op = mbv3_op_se if se else mbv3_op
        return block_op(ef, n, k, s, hard_swish if hs else tf.nn.relu)

    swish = {} if minimalistic else {"activation_fn": hard_swish}
    conv = functools.partial(op, slim.conv2d, **swish)
    spec = [
        conv(stride=2, num_outputs=16, kernel_size=(3, 3)),
        *[block(*row) for row in rows],
        conv(stride=1, num_outputs=features, kernel_size=[1, 1]),
        op(reduce_to_1x1, default_size=7, stride=1),
        conv(stride=1, num_outputs=embedding, kernel_size=[1, 1], normalizer_fn=None),
    ]
    return {"defaults": dict(DEFAULTS), "spec": spec}


V3_LARGE = _conv_defs(_LARGE, 960, 1280)
V3_SMALL = _conv_defs(_SMALL, 576, 1024)
V3_LARGE_MINIMALISTIC = _conv_defs(_LARGE, 960, 1280, minimalistic=True)
V3_SMALL_MINIMALISTIC = _conv_defs(_SMALL, 576, 1024, minimalistic=True)
V3_EDGETPU = {
    "defaults": dict(DEFAULTS),
    "spec": [
        op(slim.conv2d, stride=2, num_outputs=32, kernel_size=(3, 3)),
        mbv3_fused(ef=1, n=16, k=3),
        mbv3_fused(ef=8, n=32, k=3, s=2),
        *[mbv3_fused(ef=4, n=32, k=3) for _ in range(3)],
        mbv3_fused(ef=8, n=48, k=3, s=2),
        *[mbv3_fused(ef=4, n=48, k=3) for _ in range(3)],
        mbv3_op(ef=8, n=96, k=3, s=2),
        *[mbv3_op(ef=4, n=96, k=3) for _ in range(3)],
        mbv3_op(ef=8, n=96, k=3, residual=False),
        *[mbv3_op(ef=4, n=96, k=3) for _ in range(3)],
        mbv3_op(ef=8, n=160, k=5, s=2),
        *[mbv3_op(ef=4, n=160, k=5) for _ in range(3)],
        mbv3_op(ef=8, n=192, k=3),
        op(slim.conv2d, stride=1, num_outputs=1280, kernel_size=(1, 1)),
    ],
}


def _halved(conv_defs, reduced):
    conv_defs = copy.deepcopy(conv_defs)
    for layer in conv_defs["spec"][reduced]:
        layer.params["num_outputs"] //= 2
    return conv_defs


# From the last stride to the features, as the paper does for object detection.
V3_LARGE_DETECTION = _halved(V3_LARGE, slice(13, 17))
V3_SMALL_DETECTION = _halved(V3_SMALL, slice(9, 13))


@slim.add_arg_scope
def mobilenet(
    input_tensor,
    num_classes=1001,
    depth_multiplier=1.0,
    scope="MobilenetV3",
    conv_defs=None,
    finegrain_classification_mode=False,
    use_groupnorm=False,
    **kwargs,
):
    """MobileNet v3 as a classifier; other arguments are as in `mobilenet_v2.mobilenet`.

    `conv_defs` is a table of layers; None for `V3_LARGE`. `use_groupnorm` replaces its
    defaults by `DEFAULTS_GROUP_NORM`, with 8 groups unless `groups` is given.
    """
    conv_defs = V3_LARGE if conv_defs is None else conv_defs
    if use_groupnorm:
        groups = {(slim.group_norm,): {"groups": kwargs.pop("groups", 8)}}
        conv_defs = {**conv_defs, "defaults": {**DEFAULTS_GROUP_NORM, **groups}}
    kwargs.update(num_classes=num_classes, scope=scope)
    return lib.scaled_mobilenet(
        input_tensor,
        conv_defs,
        depth_multiplier,
        finegrain_classification_mode,
        **kwargs,
    )


mobilenet.default_image_size = 224


@slim.add_arg_scope
def mobilenet_base(input_tensor, depth_multiplier=1.0, **kwargs):
    """`mobilenet` without pooling and classifier: its last layer and end points."""
    return mobilenet(
        input_tensor, depth_multiplier=depth_multiplier, base_only=True, **kwargs
    )


def wrapped_partial(func, new_defaults=None, **kwargs):
    """`layers.wrapped_partial`, with arguments as a dict, by keyword, or both."""
    return layers.wrapped_partial(func, **{**(new_defaults or {}), **kwargs})


_register = functools.partial(
    registry.register,
    arg_scope=training_scope,
    image_size=224,
    preprocessing="inception",
    classifier_scopes=("MobilenetV3/Logits",),
    paper="https://arxiv.org/abs/1905.02244",
)
_register_edgetpu = functools.partial(
    _register,
    classifier_scopes=("MobilenetEdgeTPU/Logits",),
    paper="https://ai.googleblog.com/2019/11/introducing-next-generation-on-device.html",
)
large = _register("mobilenet_v3_large")(wrapped_partial(mobilenet, conv_defs=V3_LARGE))
small = _register("mobilenet_v3_small")(wrapped_partial(mobilenet, conv_defs=V3_SMALL))
large_minimalistic = _register("mobilenet_v3_large_minimalistic")(
    wrapped_partial(mobilenet, conv_defs=V3_LARGE_MINIMALISTIC)
)
small_minimalistic = _register("mobilenet_v3_small_minimalistic")(
    wrapped_partial(mobilenet, conv_defs=V3_SMALL_MINIMALISTIC)
)
edge_tpu = _register_edgetpu("mobilenet_edgetpu")(
    wrapped_partial(mobilenet, {"scope": "MobilenetEdgeTPU"}, conv_defs=V3_EDGETPU)
)
edge_tpu_075 = _register_edgetpu("mobilenet_edgetpu_075")(
    wrapped_partial(edge_tpu, depth_multiplier=0.75, finegrain_classification_mode=True)
)
