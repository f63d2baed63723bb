"""NASNet-A for CIFAR-10 and, large and mobile, for ImageNet.

Zoph, Vasudevan, Shlens, Le: Learning transferable architectures for scalable image
recognition, 2017, https://arxiv.org/abs/1707.07012.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim
from tf_slim import arg_scope

from nets import layers, registry
from nets.nasnet import nasnet_utils as utils
from nets.nasnet.nasnet_utils import HParams, calc_reduction_layers, convolve


def cifar_config():
    """Hyperparameters of `build_nasnet_cifar`."""
    return HParams(
        num_cells=18,
        num_conv_filters=32,
        skip_reduction_layer_input=0,
        dense_dropout_keep_prob=1.0,
        drop_path_keep_prob=0.6,
        total_training_steps=937500,  # 600 epochs of 50000 pictures, 32 at a time.
    )


def large_imagenet_config():
    """Hyperparameters of `build_nasnet_large`."""
    return HParams(num_cells=18, num_conv_filters=168, drop_path_keep_prob=0.7)


def mobile_imagenet_config():
    """Hyperparameters of `build_nasnet_mobile`."""
    return HParams(
        num_cells=12,
        num_conv_filters=44,
        stem_multiplier=1.0,
        skip_reduction_layer_input=0,
    )


def _arg_scope_function(*defaults):
    def nasnet_arg_scope(
        weight_decay=defaults[0],
        batch_norm_decay=defaults[1],
        batch_norm_epsilon=defaults[2],
    ):
        """Arg scope of a NASNet or PNASNet; the decay is that of all weights."""
        norm = {"decay": batch_norm_decay, "epsilon": batch_norm_epsilon}
        with (
            arg_scope(
                [slim.fully_connected, slim.conv2d, slim.separable_conv2d],
                weights_regularizer=slim.l2_regularizer(weight_decay),
                weights_initializer=slim.variance_scaling_initializer(mode="FAN_OUT"),
                activation_fn=None,
            ),
            arg_scope([slim.conv2d, slim.separable_conv2d], biases_initializer=None),
            arg_scope([slim.fully_connected], scope="FC"),
            arg_scope([slim.batch_norm], scale=True, fused=True, **norm) as scope,
        ):
            return scope

    return nasnet_arg_scope


nasnet_cifar_arg_scope = _arg_scope_function(5e-4, 0.9, 1e-5)
nasnet_mobile_arg_scope = _arg_scope_function(4e-5, 0.9997, 1e-3)
nasnet_large_arg_scope = _arg_scope_function(5e-5, 0.9997, 1e-3)


def _auxiliary_logits(net, num_classes, activate):
    """The classifier after two thirds of the cells, which only training uses."""
    net = slim.avg_pool2d(activate(net), 5, stride=3)
    net = activate(convolve(net, 128, "proj", "aux_bn0"))
    size = utils.spatial_shape(net)
    net = activate(convolve(net, 768, "Conv", "aux_bn1", size, padding="VALID"))
    return slim.fully_connected(slim.flatten(net), num_classes)


def _steps(images, num_classes, is_training, config, current_step, cells, imagenet):
    skips = config.skip_reduction_layer_input
    reductions = calc_reduction_layers(config.num_cells, config.num_reduction_layers)
    total_cells = config.num_cells + 2 * imagenet + (len(cells) - 1) * len(reductions)
    keep_prob = config.drop_path_keep_prob if is_training else 1.0
    drop_path = keep_prob, total_cells, config.total_training_steps
    bounded = config.use_bounded_activation
    cells = [cell(config.num_conv_filters, *drop_path, bounded) for cell in cells]
    normal, reduction = cells[0], cells[-1]
    activate, outputs = normal.activate, [None]

    def grow(cell, scope, scaling, stride, previous):
        arguments = scope, scaling, stride, previous, len(outputs) - 2, current_step
        outputs.append(cell(outputs[-1], *arguments))
        return outputs[-1]

    if imagenet:
        depth = int(32 * config.stem_multiplier)
        net = slim.conv2d(images, depth, 3, 2, "VALID", scope="conv0")
        outputs.append(slim.batch_norm(net, scope="conv0_bn"))
        for i in range(2):
            scaling = config.filter_scaling_rate ** (i - 2)
            grow(reduction, f"cell_stem_{i}", scaling, 2, outputs[-2])
    else:
        depth = int(config.num_conv_filters * config.stem_multiplier)
        outputs.append(convolve(images, depth, "l1_stem_3x3", "l1_stem_bn", 3))
    yield "Stem", outputs[-1]

    scaling, previous = 1.0, None
    for i in range(config.num_cells):
        stride = 2 if i in reductions else 1
        scaling *= config.filter_scaling_rate if stride == 2 else 1
        if skips or stride == 1:  # sic: else that of the last cell, in PNASNet.
            previous = outputs[-2]
        if stride == 2 and len(cells) == 2:
            nth = reductions.index(i)
            net = grow(reduction, f"reduction_cell_{nth}", scaling, 2, outputs[-2])
            yield f"Reduction_Cell_{nth}", net
            stride, previous = 1, previous if skips else outputs[-2]
        yield f"Cell_{i}", grow(normal, f"cell_{i}", scaling, stride, previous)
        with_aux_head = is_training and num_classes and config.use_aux_head
        if with_aux_head and [i + 1] == reductions[1:2]:
            with tf.variable_scope(f"aux_{i}/aux_logits"):
                yield "AuxLogits", _auxiliary_logits(outputs[-1], num_classes, activate)

    with tf.variable_scope("final_layer"):
        net = utils.global_avg_pool(activate(outputs[-1]))
        yield "global_pool", net
        if num_classes:
            net = slim.dropout(net, config.dense_dropout_keep_prob, scope="dropout")
            logits = slim.fully_connected(net, num_classes)
            yield "Logits", logits
            yield "Predictions", tf.nn.softmax(logits, name="predictions")


def build_network(
    images,
    num_classes,
    is_training,
    final_endpoint,
    config,
    current_step=None,
    cells=(utils.NasNetANormalCell, utils.NasNetAReductionCell),
    imagenet=True,
):
    """Builds any NASNet or PNASNet; for the first arguments see `build_nasnet_mobile`.

    `cells` are the classes of the normal cell and, unless that one halves the size by
    itself, of the cell before it that does; `imagenet` selects the stem.
    """
    layers.check_image_batch(images)
    if None in images.shape.as_list()[1:]:
        raise ValueError(f"images must be of known size, not {images.shape}; set_shape")
    if config.data_format == utils.DATA_FORMAT_NCHW:
        images = tf.transpose(images, [0, 3, 1, 2])
    steps = _steps(
        images, num_classes, is_training, config, current_step, cells, imagenet
    )
    last = final_endpoint or ("Predictions" if num_classes else "global_pool")
    data_format = {"data_format": config.data_format}
    with (
        arg_scope([slim.dropout, slim.batch_norm], is_training=is_training),
        arg_scope([utils.drop_path], is_training=is_training),
        arg_scope([slim.conv2d, slim.separable_conv2d, slim.batch_norm], **data_format),
        arg_scope([slim.avg_pool2d, slim.max_pool2d], **data_format),
        arg_scope([utils.get_channel_index, utils.get_channel_dim], **data_format),
        arg_scope([utils.global_avg_pool, utils.factorized_reduction], **data_format),
    ):
        net, end_points = layers.collect_until(last, steps)
    return net if final_endpoint else end_points.get("Logits", net), end_points


def facts(arg_scope, image_size, aux_cell, **others):
    """What is registered; the auxiliary classifier follows the cell `aux_cell`."""
    return {
        "arg_scope": arg_scope,
        "image_size": image_size,
        "preprocessing": "inception",
        "classifier_scopes": ("final_layer", f"aux_{aux_cell}"),
        "paper": "https://arxiv.org/abs/1707.07012",
        **others,
    }


@registry.register(
    "nasnet_cifar",
    **facts(nasnet_cifar_arg_scope, 32, 11, preprocessing="cifarnet", classes=10),
)
def build_nasnet_cifar(
    images, num_classes, is_training=True, config=None, current_step=None
):
    """NASNet-A for CIFAR-10 as a classifier; see `build_nasnet_mobile`."""
    config = config or cifar_config()
    return build_network(
        images, num_classes, is_training, None, config, current_step, imagenet=False
    )


def _nasnet(size, arg_scope, image_size, aux_cell, default_config):
    @registry.register(f"nasnet_{size}", **facts(arg_scope, image_size, aux_cell))
    def build(
        images,
        num_classes,
        is_training=True,
        final_endpoint=None,
        config=None,
        current_step=None,
    ):
        """NASNet-A as a classifier; its variables are under no scope of their own.

        Args:
          images: in [-1, 1], of a known size.
          is_training: whether there are dropout, drop path and an auxiliary classifier,
            and batch norm uses the batch's moments.
          final_endpoint: `Stem`, `Cell_i`, `Reduction_Cell_i`, `global_pool`, `Logits`
            or `Predictions`, to return that; None for the whole network.
          config: hyperparameters, which stay as they are; None for the paper's.
          current_step: for drop path, which grows with it; None for the global step.
        """
        config = config or default_config()
        return build_network(
            images, num_classes, is_training, final_endpoint, config, current_step
        )

    build.__name__ = build.__qualname__ = f"build_nasnet_{size}"
    return build


build_nasnet_mobile = _nasnet(
    "mobile", nasnet_mobile_arg_scope, 224, 7, mobile_imagenet_config
)
build_nasnet_large = _nasnet(
    "large", nasnet_large_arg_scope, 331, 11, large_imagenet_config
)
