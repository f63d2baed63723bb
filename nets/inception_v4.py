"""Inception v4.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the impact of
residual connections on learning, 2016, https://arxiv.org/abs/1602.07261.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import inception_utils, layers, registry
from nets.inception_utils import avg_pool, conv, max_pool

_INCEPTION_A = [
    [conv(96)],
    [conv(64), conv(96, 3)],
    [conv(64), conv(96, 3), conv(96, 3)],
    [avg_pool(), conv(96)],
]
_REDUCTION_A = [
    [conv(384, 3, 2)],
    [conv(192), conv(224, 3), conv(256, 3, 2)],
    [max_pool(2)],
]
_INCEPTION_B = [
    [conv(384)],
    [conv(192), conv(224, (1, 7)), conv(256, (7, 1))],
    [
        conv(192),
        conv(192, (7, 1)),
        conv(224, (1, 7)),
        conv(224, (7, 1)),
        conv(256, (1, 7)),
    ],
    [avg_pool(), conv(128)],
]
_REDUCTION_B = [
    [conv(192), conv(192, 3, 2)],
    [conv(256), conv(256, (1, 7)), conv(320, (7, 1)), conv(320, 3, 2)],
    [max_pool(2)],
]
_INCEPTION_C = [
    [conv(256)],
    [conv(384), (conv(256, (1, 3)), conv(256, (3, 1)))],
    [
        conv(384),
        conv(448, (3, 1)),
        conv(512, (1, 3)),
        (conv(256, (1, 3)), conv(256, (3, 1))),
    ],
    [avg_pool(), conv(256)],
]

_TABLE = {
    "Conv2d_1a_3x3": conv(32, 3, 2),
    "Conv2d_2a_3x3": conv(32, 3, 1),
    "Conv2d_2b_3x3": conv(64, 3),
    "Mixed_3a": [
        [max_pool(2, "MaxPool_0a_3x3")],  # sic
        [conv(96, 3, 2, "Conv2d_0a_3x3")],  # sic
    ],
    "Mixed_4a": [
        [conv(64), conv(96, 3, 1)],
        [conv(64), conv(64, (1, 7)), conv(64, (7, 1)), conv(96, 3, 1)],
    ],
    "Mixed_5a": [[conv(192, 3, 2)], [max_pool(2)]],
    **{f"Mixed_5{letter}": _INCEPTION_A for letter in "bcde"},
    "Mixed_6a": _REDUCTION_A,
    **{f"Mixed_6{letter}": _INCEPTION_B for letter in "bcdefgh"},
    "Mixed_7a": _REDUCTION_B,
    **{f"Mixed_7{letter}": _INCEPTION_C for letter in "bcd"},
}


def _block(name, scope_name, branches):
    def block(inputs, scope=None, reuse=None):
        """A cell by itself; `scope` is None for its own name."""
        with tf.variable_scope(scope, scope_name, [inputs], reuse=reuse):
            return inception_utils.concat_branches(inputs, branches)

    block.__name__ = block.__qualname__ = name
    return block


# The paper's sizes: 35x35 before the first reduction, then 17x17, then 8x8.
block_inception_a = _block("block_inception_a", "BlockInceptionA", _INCEPTION_A)
block_reduction_a = _block("block_reduction_a", "BlockReductionA", _REDUCTION_A)
block_inception_b = _block("block_inception_b", "BlockInceptionB", _INCEPTION_B)
block_reduction_b = _block("block_reduction_b", "BlockReductionB", _REDUCTION_B)
block_inception_c = _block("block_inception_c", "BlockInceptionC", _INCEPTION_C)


def inception_v4_base(inputs, final_endpoint="Mixed_7d", scope=None):
    """Inception v4 from `Conv2d_1a_3x3` up to `Mixed_7d`, for 75x75 or larger."""
    with tf.variable_scope(scope, "InceptionV4", [inputs]):
        return layers.collect_until(
            final_endpoint, inception_utils.steps(inputs, _TABLE)
        )


inception_v4_arg_scope = inception_utils.inception_arg_scope


@registry.register(
    "inception_v4",
    arg_scope=inception_v4_arg_scope,
    image_size=299,
    preprocessing="inception",
    classifier_scopes=("InceptionV4/Logits", "InceptionV4/AuxLogits"),
    paper="https://arxiv.org/abs/1602.07261",
)
def inception_v4(
    inputs,
    num_classes=1001,
    is_training=True,
    dropout_keep_prob=0.8,
    reuse=None,
    scope="InceptionV4",
    create_aux_logits=True,
):
    """Inception v4 as a classifier, made for 299x299 in [-1, 1].

    The auxiliary classifier needs pictures of known size.
    """
    with (
        tf.variable_scope(scope, "InceptionV4", [inputs], reuse=reuse) as scope,
        slim.arg_scope([slim.batch_norm, slim.dropout], is_training=is_training),
    ):
        net, end_points = inception_v4_base(inputs, scope=scope)
        if create_aux_logits and num_classes:
            end_points["AuxLogits"] = inception_utils.auxiliary_logits(
                end_points["Mixed_6h"], num_classes, "Conv2d_2a", "Aux_logits"
            )

        def flatten(net):
            net = slim.dropout(net, dropout_keep_prob, scope="Dropout_1b")
            return slim.flatten(net, scope="PreLogitsFlatten")

        return inception_utils.classifier(
            net, end_points, num_classes, "AvgPool_1a", flatten
        )
