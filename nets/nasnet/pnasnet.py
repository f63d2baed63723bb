"""PNASNet-5, large and mobile, for ImageNet.

Liu, Zoph, Neumann, Shlens, Hua, Li, Fei-Fei, Yuille, Huang, Murphy: Progressive neural
architecture search, 2017, https://arxiv.org/abs/1712.00559.
"""

from tf_slim import arg_scope  # noqa: F401  People import it from here.

from nets import registry
from nets.nasnet import nasnet
from nets.nasnet.nasnet_utils import GenotypeCell, HParams


def large_imagenet_config():
    """Hyperparameters of `build_pnasnet_large`."""
    return HParams(num_cells=12, num_conv_filters=216, drop_path_keep_prob=0.6)


def mobile_imagenet_config():
    """Hyperparameters of `build_pnasnet_mobile`."""
    return HParams(num_cells=9, num_conv_filters=54, stem_multiplier=1.0)


pnasnet_large_arg_scope = pnasnet_mobile_arg_scope = nasnet.nasnet_mobile_arg_scope


class PNasNetNormalCell(GenotypeCell):
    """PNASNet-5's only cell, for a stride of 1 or 2."""

    COMBINATIONS = (
        (("separable_5x5_2", 1), ("max_pool_3x3", 1)),
        (("separable_7x7_2", 0), ("max_pool_3x3", 0)),
        (("separable_5x5_2", 0), ("separable_3x3_2", 0)),
        (("separable_3x3_2", 4), ("max_pool_3x3", 0)),
        (("separable_3x3_2", 1), ("none", 0)),
    )
    used_hiddenstates = (1, 1, 0, 0, 0, 0, 0)


def _pnasnet(size, image_size, aux_cell, default_config):
    paper = "https://arxiv.org/abs/1712.00559"
    facts = nasnet.facts(pnasnet_mobile_arg_scope, image_size, aux_cell, paper=paper)

    @registry.register(f"pnasnet_{size}", **facts)
    def build(images, num_classes, is_training=True, final_endpoint=None, config=None):
        """PNASNet-5 as a classifier; see `nasnet.build_nasnet_mobile`."""
        arguments = images, num_classes, is_training, final_endpoint
        config = config or default_config()
        return nasnet.build_network(*arguments, config, cells=[PNasNetNormalCell])

    build.__name__ = build.__qualname__ = f"build_pnasnet_{size}"
    return build


build_pnasnet_large = _pnasnet("large", 331, 7, large_imagenet_config)
build_pnasnet_mobile = _pnasnet("mobile", 224, 5, mobile_imagenet_config)
