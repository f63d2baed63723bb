"""I3D: Inception v1 inflated to three dimensions.

Carreira, Zisserman: Quo vadis, action recognition? A new model and the Kinetics
dataset, 2017, https://arxiv.org/abs/1705.07750.
"""

import tf_slim as slim

from nets import registry, s3dg
from nets.i3d_utils import conv3d_spatiotemporal as conv3d_spatiotemporal
from nets.i3d_utils import i3d_arg_scope

_INFLATED = {
    "first_temporal_kernel_size": 7,
    "temporal_conv_startat": "Conv2d_2c_3x3",
    "gating_startat": None,
}


def i3d_base(inputs, final_endpoint="Mixed_5c", scope="InceptionV1"):
    """I3D from `Conv2d_1a_7x7` up to `Mixed_5c`, of clips as for `s3dg`."""
    return s3dg.s3dg_base(
        inputs, final_endpoint=final_endpoint, scope=scope, **_INFLATED
    )


@registry.register(
    "i3d",
    arg_scope=i3d_arg_scope,
    image_size=224,
    classes=400,
    frames=64,
    preprocessing="inception",
    classifier_scopes=("InceptionV1/Logits",),
    paper="https://arxiv.org/abs/1705.07750",
)
def i3d(
    inputs,
    num_classes=1000,
    dropout_keep_prob=0.8,
    is_training=True,
    prediction_fn=slim.softmax,
    spatial_squeeze=True,
    reuse=None,
    scope="InceptionV1",
):
    """I3D as a classifier of clips; its `inputs` and features are those of `s3dg`."""
    return s3dg.s3dg(
        inputs,
        num_classes,
        dropout_keep_prob=dropout_keep_prob,
        is_training=is_training,
        prediction_fn=prediction_fn,
        spatial_squeeze=spatial_squeeze,
        reuse=reuse,
        scope=scope,
        **_INFLATED,
    )
