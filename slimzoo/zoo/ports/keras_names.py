"""From the names of Keras' layers to our scopes: a table per family.

A row is a regular expression that a layer's whole name fits, and our scope as a
template of its groups. Layers that Keras has numbered itself, `conv2d_7`, stand under
their place among those of their kind, `conv2d:7`, as numbers go on from model to model.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

Row = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclasses.dataclass(frozen=True)
class Rules:
    """How layers are named.

    Attributes:
      rows: of named layers.
      classifier: name of the layer that gives the logits, in the rows too.
      numbered: whether the other convolutions and their batch norms are numbered, in
        the order of ours.
    """

    rows: Sequence[Row]
    classifier: str
    numbered: bool = False

    def scope(self, layer: str, convolutions: Sequence[str] = ()) -> str | None:
        """Our scope for a layer; None if it has none.

        Args:
          layer: its name.
          convolutions: scopes of ours that numbered ones are, in order.
        """
        for pattern, template in self.rows:
            if match := re.fullmatch(pattern, layer):
                return template(match) if callable(template) else match.expand(template)
        kind, _, place = layer.partition(":")
        if self.numbered and place and int(place) < len(convolutions):
            scope = convolutions[int(place)]
            return {"conv2d": scope, "batch_normalization": f"{scope}/BatchNorm"}.get(
                kind
            )
        return None


def canonical(layers: Sequence[str]) -> dict[str, str]:
    """The names that rules have for the layers of a model, by their names in it."""
    found = {name: name for name in layers}
    for kind in ("conv2d", "batch_normalization"):
        numbers = {
            name: int(match[1] or 0)
            for name in layers
            if (match := re.fullmatch(rf"{kind}(?:_(\d+))?", name))
        }
        for place, name in enumerate(sorted(numbers, key=lambda name: numbers[name])):
            found[name] = f"{kind}:{place}"
    # NASNet's batch norm of that name follows two convolutions, or a projection.
    for name in layers:
        cell = name.removeprefix("adjust_conv_projection_")
        if cell != name and f"adjust_bn_{cell}" in found:
            found[f"adjust_bn_{cell}"] = f"adjust_projection_bn_{cell}"
    return found


def _next(match: re.Match[str], group: int, by: int) -> int:
    return int(match[group]) + by


MOBILENET_V1 = Rules(
    (
        ("conv1", "MobilenetV1/Conv2d_0"),
        ("conv1_bn", "MobilenetV1/Conv2d_0/BatchNorm"),
        (r"conv_dw_(\d+)", r"MobilenetV1/Conv2d_\1_depthwise"),
        (r"conv_dw_(\d+)_bn", r"MobilenetV1/Conv2d_\1_depthwise/BatchNorm"),
        (r"conv_pw_(\d+)", r"MobilenetV1/Conv2d_\1_pointwise"),
        (r"conv_pw_(\d+)_bn", r"MobilenetV1/Conv2d_\1_pointwise/BatchNorm"),
        ("conv_preds", "MobilenetV1/Logits/Conv2d_1c_1x1"),
    ),
    classifier="conv_preds",
)

MOBILENET_V2 = Rules(
    (
        ("Conv1", "MobilenetV2/Conv"),
        ("bn_Conv1", "MobilenetV2/Conv/BatchNorm"),
        (r"(expanded_conv)_(depthwise|project)", r"MobilenetV2/\1/\2"),
        (r"(expanded_conv)_(depthwise|project)_BN", r"MobilenetV2/\1/\2/BatchNorm"),
        (
            r"block_(\d+)_(expand|depthwise|project)",
            r"MobilenetV2/expanded_conv_\1/\2",
        ),
        (
            r"block_(\d+)_(expand|depthwise|project)_BN",
            r"MobilenetV2/expanded_conv_\1/\2/BatchNorm",
        ),
        ("Conv_1", "MobilenetV2/Conv_1"),
        ("Conv_1_bn", "MobilenetV2/Conv_1/BatchNorm"),
        ("predictions|Logits", "MobilenetV2/Logits/Conv2d_1c_1x1"),
    ),
    classifier="predictions",
)

_V3_BLOCK = r"(expanded_conv(?:_\d+)?)_"
MOBILENET_V3 = Rules(
    (
        ("conv", "MobilenetV3/Conv"),
        ("conv_bn", "MobilenetV3/Conv/BatchNorm"),
        (_V3_BLOCK + "(expand|depthwise|project)", r"MobilenetV3/\1/\2"),
        (
            _V3_BLOCK + "(expand|depthwise|project)_bn",
            r"MobilenetV3/\1/\2/BatchNorm",
        ),
        (_V3_BLOCK + "squeeze_excite_conv", r"MobilenetV3/\1/squeeze_excite/Conv"),
        (_V3_BLOCK + "squeeze_excite_conv_1", r"MobilenetV3/\1/squeeze_excite/Conv_1"),
        ("conv_1", "MobilenetV3/Conv_1"),
        ("conv_1_bn", "MobilenetV3/Conv_1/BatchNorm"),
        ("conv_2", "MobilenetV3/Conv_2"),
        ("logits", "MobilenetV3/Logits/Conv2d_1c_1x1"),
    ),
    classifier="logits",
)

INCEPTION_V3 = Rules(
    (("predictions", "InceptionV3/Logits/Conv2d_1c_1x1"),),
    classifier="predictions",
    numbered=True,
)

INCEPTION_RESNET_V2 = Rules(
    (
        (r"block35_(\d+)_conv", r"InceptionResnetV2/Repeat/block35_\1/Conv2d_1x1"),
        (r"block17_(\d+)_conv", r"InceptionResnetV2/Repeat_1/block17_\1/Conv2d_1x1"),
        (r"block8_(\d)_conv", r"InceptionResnetV2/Repeat_2/block8_\1/Conv2d_1x1"),
        ("block8_10_conv", "InceptionResnetV2/Block8/Conv2d_1x1"),
        ("conv_7b", "InceptionResnetV2/Conv2d_7b_1x1"),
        ("conv_7b_bn", "InceptionResnetV2/Conv2d_7b_1x1/BatchNorm"),
        ("predictions", "InceptionResnetV2/Logits/Logits"),
    ),
    classifier="predictions",
    numbered=True,
)


def resnet_v2(name: str) -> Rules:
    """Of a ResNet v2: Keras counts the stem as the first of five blocks."""

    def unit(scope: str) -> Callable[[re.Match[str]], str]:
        return lambda match: (
            f"{name}/block{_next(match, 1, -1)}/unit_{match[2]}/bottleneck_v2/"
            + match.expand(scope)
        )

    block = r"conv([2-5])_block(\d+)_"
    return Rules(
        (
            ("conv1_conv", f"{name}/conv1"),
            (block + "preact_bn", unit("preact")),
            (block + "0_conv", unit("shortcut")),
            (block + "([123])_conv", unit(r"conv\3")),
            (block + "([12])_bn", unit(r"conv\3/BatchNorm")),
            ("post_bn", f"{name}/postnorm"),
            ("predictions", f"{name}/logits"),
        ),
        classifier="predictions",
    )


def vgg(name: str) -> Rules:
    """Of VGG."""
    return Rules(
        (
            (r"block(\d)_conv(\d)", rf"{name}/conv\1/conv\1_\2"),
            ("fc1", f"{name}/fc6"),
            ("fc2", f"{name}/fc7"),
            ("predictions", f"{name}/fc8"),
        ),
        classifier="predictions",
    )


def nasnet(cells: int) -> Rules:
    """Of NASNet-A with so many normal cells between two reductions."""

    def cell(identity: str) -> str:
        kind, _, number = identity.rpartition("_")
        if kind == "stem":
            return f"cell_stem_{int(number) - 1}"
        if kind == "reduce":
            return f"reduction_cell_{int(number) // cells - 1}"
        # Keras leaves out the number of the first reduction cell.
        return f"cell_{int(number) - (int(number) > cells)}"

    def of_cell(scope: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"{cell(match['cell'])}/{scope}"

    def separable(match: re.Match[str]) -> str:
        side, place, kind = match["side"], int(match["place"]), match["kind"]
        if kind == "reduction" and (side, place) == ("left", 4):
            place = 5  # sic: what is the fourth in Keras' name is of the fifth pair.
        size = _KERNELS[kind, side, place]
        scope = f"{cell(match['cell'])}/comb_iter_{place - 1}/{side}"
        prefix = "bn_sep" if match["bn"] else "separable"
        return f"{scope}/{prefix}_{size}x{size}_{match['nth']}"

    identity = r"(?P<cell>(?:stem_|reduce_)?\d+)"
    return Rules(
        (
            ("stem_conv1", "conv0"),
            ("stem_bn1", "conv0_bn"),
            (f"(?:normal|reduction)_conv_1_{identity}", of_cell("1x1")),
            (f"(?:normal|reduction)_bn_1_{identity}", of_cell("beginning_bn")),
            (f"adjust_conv_projection_{identity}", of_cell("prev_1x1")),
            (f"adjust_projection_bn_{identity}", of_cell("prev_bn")),
            (f"adjust_conv_1_{identity}", of_cell("path1_conv")),
            (f"adjust_conv_2_{identity}", of_cell("path2_conv")),
            (f"adjust_bn_{identity}", of_cell("final_path_bn")),
            (
                r"separable_conv_(?P<nth>[12])(?P<bn>_bn)?_(?P<kind>normal|reduction)_"
                rf"(?P<side>left|right)(?P<place>\d)_{identity}",
                separable,
            ),
            ("predictions", "final_layer/FC"),
        ),
        classifier="predictions",
    )


# Sizes of kernels by kind of cell, side and place among the five pairs, from 1.
_KERNELS: Mapping[tuple[str, str, int], int] = {
    **{("normal", "left", place): size for place, size in ((1, 5), (2, 5), (5, 3))},
    **{("normal", "right", place): 3 for place in (1, 2)},
    **{("reduction", "left", place): size for place, size in ((1, 5), (5, 3))},
    **{("reduction", "right", place): size for place, size in ((1, 7), (2, 7), (3, 5))},
}
