"""The models of timm that are networks here: a row each."""

import dataclasses
from collections.abc import Mapping, Sequence

from slimzoo.zoo.ports import timm_names
from slimzoo.zoo.ports.timm_names import Rules


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of timm.

    Attributes:
      architectures: its names in `timm.create_model`, of all widths.
      rules: from names of its layers to our scopes.
      differences: sentences on what it computes otherwise with the same weights.
    """

    architectures: Sequence[str]
    rules: Rules
    differences: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The first of its names, for messages."""
        return self.architectures[0]


_ALL_POOLS = (
    "timm counts the zeros that it pads with in the average pools of Inception v3; "
    "here they are not counted, as in slim, from which the weights of tf_in1k were "
    "ported. Logits differ from timm's."
)
_REDUCTION_POOLS = (
    "timm counts the zeros that it pads with in the average pools of NASNet's stem and "
    "reduction cells; here they are not counted, as in slim, from which the weights "
    "were ported. Logits differ from timm's."
)
_GATES = (
    "the gates of squeeze-and-excitation are a sixth of relu6 in timm and 0.16667 of "
    "it here: their values differ by 2e-5 of themselves."
)


def _mobilenet_v3(name: str, *differences: str) -> Model:
    architectures = [f"tf_mobilenetv3_{name}_100"]
    if "minimal" not in name:
        architectures.append(f"tf_mobilenetv3_{name}_075")
    return Model(architectures, timm_names.MOBILENET_V3, differences)


# By the names of our networks.
MODELS: Mapping[str, Model] = {
    "inception_v3": Model(["inception_v3"], timm_names.INCEPTION_V3, (_ALL_POOLS,)),
    "inception_v4": Model(["inception_v4"], timm_names.INCEPTION_V4),
    "inception_resnet_v2": Model(
        ["inception_resnet_v2"], timm_names.INCEPTION_RESNET_V2
    ),
    "nasnet_large": Model(["nasnetalarge"], timm_names.NASNET, (_REDUCTION_POOLS,)),
    "pnasnet_large": Model(["pnasnet5large"], timm_names.NASNET),
    "mobilenet_v3_large": _mobilenet_v3("large", _GATES),
    "mobilenet_v3_small": _mobilenet_v3("small", _GATES),
    "mobilenet_v3_large_minimalistic": _mobilenet_v3("large_minimal"),
    "mobilenet_v3_small_minimalistic": _mobilenet_v3("small_minimal"),
}
