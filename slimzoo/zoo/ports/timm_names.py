"""From the names of timm's layers to our scopes: a table per family.

A row is a regular expression that a layer's whole name fits, and our scope, or the
whole name of our variable, as a template of its groups. In what a template gives, `*`
stands for any part of a name without slashes. Layers that give the same take the scopes
that fit, both in order: the convolutions of a branch are not named one by one.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping, Sequence

Row = tuple[str, str | Callable[[re.Match[str]], str]]


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the layers of a family are named.

    Attributes:
      rows: of layers.
      canonical: gives the names that the rows have for the layers.
    """

    rows: Sequence[Row]
    canonical: Callable[[Collection[str]], Mapping[str, str]] = lambda layers: {
        name: name for name in layers
    }

    def targets(
        self, layers: Collection[str], variables: Collection[str]
    ) -> dict[str, str]:
        """Our scopes, or names of variables, by layer; without those that have none.

        Args:
          layers: names of timm's layers.
          variables: names of our variables, in the order of the layers.
        """
        ours = dict.fromkeys(
            (*(name.rpartition("/")[0] for name in variables), *variables)
        )
        by_template: dict[str, list[str]] = {}
        canonical = self.canonical(layers)
        for layer in sorted(layers, key=natural):
            if template := self._template(canonical[layer]):
                by_template.setdefault(template, []).append(layer)
        found = {}
        for template, sharing in by_template.items():
            pattern = re.escape(template).replace(r"\*", "[^/]+")
            fitting = [name for name in ours if re.fullmatch(pattern, name)]
            if "*" not in template:  # What we lack is for `fitting` to report.
                fitting = [template]
            found.update(zip(sharing, fitting, strict=False))
        return found

    def _template(self, layer: str) -> str | None:
        for pattern, template in self.rows:
            if match := re.fullmatch(pattern, layer):
                return template(match) if callable(template) else match.expand(template)
        return None


def natural(name: str) -> list[tuple[int, str]]:
    """Key that sorts names with numbers in them by these numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _or_norm(scope: str) -> Callable[[re.Match[str]], str]:
    """A template for a convolution, or for the batch norm below its scope."""
    return lambda match: (
        match.expand(scope) + ("/BatchNorm" if match["kind"] == "bn" else "")
    )


_KIND = r"\.(?P<kind>conv|bn)"
# Of timm's names for branches, the number of ours; in some cells they are others.
_V3_BRANCHES = {
    "6a": {"3x3": 0, "3x3dbl": 1},
    "7a": {"3x3": 0, "7x7x3": 1},
    "": {
        **{"1x1": 0, "5x5": 1, "7x7": 1, "3x3": 1},
        **{"3x3dbl": 2, "7x7dbl": 2, "_pool": 3},
    },
}


def _v3_branch(match: re.Match[str]) -> str:
    branches = _V3_BRANCHES.get(match[1], _V3_BRANCHES[""])
    number = branches.get(match[2], "unknown")
    return _or_norm(rf"InceptionV3/Mixed_\1/Branch_{number}/*")(match)


INCEPTION_V3 = Rules(
    (
        (r"(Conv2d_\d\w_\dx\d)" + _KIND, _or_norm(r"InceptionV3/\1")),
        (
            r"Mixed_(\d\w)\.branch(_pool|\dx\d(?:dbl|x3)?)(?:_\d\w?)?" + _KIND,
            _v3_branch,
        ),
        (r"AuxLogits\.conv0" + _KIND, _or_norm("InceptionV3/AuxLogits/Conv2d_1b_1x1")),
        (r"AuxLogits\.conv1" + _KIND, _or_norm("InceptionV3/AuxLogits/Conv2d_2a_5x5")),
        (r"AuxLogits\.fc", "InceptionV3/AuxLogits/Conv2d_2b_1x1"),
        ("fc", "InceptionV3/Logits/Conv2d_1c_1x1"),
    )
)

# By their places among timm's features; a branch that is not numbered, by its number.
_V4_CELLS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"),
    *("Mixed_3a", "Mixed_4a", "Mixed_5a"),
    *(f"Mixed_5{letter}" for letter in "bcde"),
    *(f"Mixed_6{letter}" for letter in "abcdefgh"),
    *(f"Mixed_7{letter}" for letter in "abcd"),
)
_V4_ONLY_BRANCH = {"Mixed_3a": 1, "Mixed_5a": 0}


def _v4(match: re.Match[str]) -> str:
    place = int(match[1])
    cell = _V4_CELLS[place] if place < len(_V4_CELLS) else "unknown"
    scope = f"InceptionV4/{cell}"
    if match["branch"]:
        scope += f"/Branch_{match['branch']}/*"
    elif match["only"]:
        scope += f"/Branch_{_V4_ONLY_BRANCH.get(cell, 'unknown')}/*"
    return _or_norm(scope)(match)


INCEPTION_V4 = Rules(
    (
        (
            r"features\.(\d+)(?:\.branch(?P<branch>\d)(?:[._]\d\w?)?|(?P<only>\.conv))?"
            + _KIND,
            _v4,
        ),
        ("last_linear", "InceptionV4/Logits/Logits"),
    )
)

_RESIDUAL = {"": ("Repeat", 35), "_1": ("Repeat_1", 17), "_2": ("Repeat_2", 8)}


def _residual(scope: str) -> Callable[[re.Match[str]], str]:
    """Of one of the repeated cells, which timm counts from 0."""

    def template(match: re.Match[str]) -> str:
        repeat, size = _RESIDUAL[match[1]]
        cell = f"InceptionResnetV2/{repeat}/block{size}_{int(match[2]) + 1}"
        if "kind" in match.re.groupindex:
            return _or_norm(f"{cell}/{scope}")(match)
        return f"{cell}/{scope}"

    return template


_BRANCH = r"\.branch(\d)(?:\.\d)?" + _KIND
INCEPTION_RESNET_V2 = Rules(
    (
        (r"conv2d_(\d\w)" + _KIND, _or_norm(r"InceptionResnetV2/Conv2d_\1_*")),
        (
            r"mixed_(\d\w)" + _BRANCH,
            _or_norm(r"InceptionResnetV2/Mixed_\1/Branch_\2/*"),
        ),
        (r"repeat(|_1|_2)\.(\d+)" + _BRANCH, _residual(r"Branch_\3/*")),
        (r"repeat(|_1|_2)\.(\d+)\.conv2d", _residual("Conv2d_1x1")),
        ("block8" + _BRANCH, _or_norm(r"InceptionResnetV2/Block8/Branch_\1/*")),
        (r"block8\.conv2d", "InceptionResnetV2/Block8/Conv2d_1x1"),
        ("classif", "InceptionResnetV2/Logits/Logits"),
    )
)

_CELL = r"((?:reduction_)?cell_(?:stem_)?\d+)\."
_PAIR = _CELL + r"comb_iter_(\d)_(left|right)\."
# NASNet-A and PNASNet-5. What is only in one of them has no place in the other.
NASNET = Rules(
    (
        (r"(?:conv0|conv_0)\.conv", "conv0"),
        (r"(?:conv0|conv_0)\.bn", "conv0_bn"),
        (_CELL + r"conv_1x1\.conv", r"\1/1x1"),
        (_CELL + r"conv_1x1\.bn", r"\1/beginning_bn"),
        (_CELL + r"conv_prev_1x1\.conv", r"\1/prev_1x1"),
        (_CELL + r"conv_prev_1x1\.bn", r"\1/prev_bn"),
        (_CELL + r"(?:conv_prev_1x1\.)?path_([12])\.conv", r"\1/path\2_conv"),
        (_CELL + r"(?:conv_prev_1x1\.)?final_path_bn", r"\1/final_path_bn"),
        (
            _PAIR + r"separable_([12])\.(depthwise|pointwise)_conv2d",
            r"\1/comb_iter_\2/\3/separable_*_\4/\5_weights",
        ),
        (_PAIR + r"bn_sep_([12])", r"\1/comb_iter_\2/\3/bn_sep_*_\4"),
        (_PAIR + "conv", r"\1/comb_iter_\2/\3/1x1"),
        (_PAIR + "bn", r"\1/comb_iter_\2/\3/bn_1"),
        ("last_linear", "final_layer/FC"),
    )
)


def _numbered_blocks(layers: Collection[str]) -> dict[str, str]:
    """Numbers blocks through all stages, and puts their kind before them.

    The same names of batch norms follow other convolutions in other kinds: `ir`, an
    inverted residual, `ds`, one without expansion, and `cn`, a convolution.
    """
    matches = {
        name: match
        for name in layers
        if (match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)", name))
    }
    parts: dict[tuple[int, int], set[str]] = {}
    for match in matches.values():
        parts.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    numbers = {block: number for number, block in enumerate(sorted(parts))}
    found = {name: name for name in layers}
    for name, match in matches.items():
        block = int(match[1]), int(match[2])
        kinds = {"conv_pwl": "ir", "conv": "cn"}
        kind = next((k for part, k in kinds.items() if part in parts[block]), "ds")
        found[name] = f"{kind}:{numbers[block]}.{match[3]}"
    return found


def _block(scope: str) -> Callable[[re.Match[str]], str]:
    def template(match: re.Match[str]) -> str:
        number = int(match[1])
        block = f"expanded_conv_{number}" if number else "expanded_conv"
        return f"MobilenetV3/{block}/{scope}"

    return template


MOBILENET_V3 = Rules(
    (
        ("conv_stem", "MobilenetV3/Conv"),
        ("bn1", "MobilenetV3/Conv/BatchNorm"),
        (r"(?:ds|ir):(\d+)\.conv_dw", _block("depthwise/depthwise_weights")),
        (r"ds:(\d+)\.bn1", _block("depthwise/BatchNorm")),
        (r"ds:(\d+)\.conv_pw", _block("project")),
        (r"ds:(\d+)\.bn2", _block("project/BatchNorm")),
        (r"ir:(\d+)\.conv_pw", _block("expand")),
        (r"ir:(\d+)\.bn1", _block("expand/BatchNorm")),
        (r"ir:(\d+)\.bn2", _block("depthwise/BatchNorm")),
        (r"ir:(\d+)\.conv_pwl", _block("project")),
        (r"ir:(\d+)\.bn3", _block("project/BatchNorm")),
        (r"(?:ds|ir):(\d+)\.se\.conv_reduce", _block("squeeze_excite/Conv")),
        (r"(?:ds|ir):(\d+)\.se\.conv_expand", _block("squeeze_excite/Conv_1")),
        (r"cn:\d+\.conv", "MobilenetV3/Conv_1"),
        (r"cn:\d+\.bn1", "MobilenetV3/Conv_1/BatchNorm"),
        ("conv_head", "MobilenetV3/Conv_2"),
        ("classifier", "MobilenetV3/Logits/Conv2d_1c_1x1"),
    ),
    canonical=_numbered_blocks,
)
