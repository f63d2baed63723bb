"""VGG: configurations A, D (16 layers with weights) and E (19).

Simonyan, Zisserman: Very deep convolutional networks for large-scale image
recognition, 2014, https://arxiv.org/abs/1409.1556. Here fc6 to fc8 are convolutions.
"""

from nets import layers, registry
from nets.layers import conv, max_pool

vgg_arg_scope = layers.convolutional_arg_scope
_DEPTHS = (64, 128, 256, 512, 512)


def _table(repeats):
    table = {}
    for i, (repeat, depth) in enumerate(zip(repeats, _DEPTHS, strict=True), 1):
        for j in range(1, repeat + 1):
            table[f"conv{i}/conv{i}_{j}"] = conv(depth, 3)
        table[f"pool{i}"] = max_pool(2)
    return table


def _vgg(name, repeats):
    """Returns the network with `repeats` convolutions before each of five pools."""

    @registry.register(
        name,
        arg_scope=vgg_arg_scope,
        image_size=224,
        classes=1000,
        preprocessing="vgg",
        classifier_scopes=(f"{name}/fc8",),
        paper="https://arxiv.org/abs/1409.1556",
    )
    def vgg(
        inputs,
        num_classes=1000,
        is_training=True,
        dropout_keep_prob=0.5,
        spatial_squeeze=True,
        reuse=None,
        scope=name,
        fc_conv_padding="VALID",
        global_pool=False,
    ):
        """VGG as a classifier, made for 224x224; the features are those of fc7.

        `fc_conv_padding` is 'VALID', or 'SAME' for logits in each 32nd place of the
        picture, with `spatial_squeeze` False or `global_pool`.
        """
        return layers.convolutional_classifier(
            inputs,
            _table(repeats),
            num_classes,
            name=name,
            scope=scope,
            fc6=conv(4096, 7, padding=fc_conv_padding),
            is_training=is_training,
            dropout_keep_prob=dropout_keep_prob,
            spatial_squeeze=spatial_squeeze,
            global_pool=global_pool,
            reuse=reuse,
        )

    vgg.__name__ = vgg.__qualname__ = name
    return vgg


vgg_a = _vgg("vgg_a", (1, 1, 2, 2, 2))
vgg_16 = vgg_d = _vgg("vgg_16", (2, 2, 3, 3, 3))
vgg_19 = vgg_e = _vgg("vgg_19", (2, 2, 4, 4, 4))
