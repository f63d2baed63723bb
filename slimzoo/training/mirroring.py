"""A warning where mirrored pictures may be of another class, by the classes' names."""

import re
from collections.abc import Sequence

from absl import logging

from preprocessing import preprocessing_factory
from slimbase.text import listed
from slimzoo.model.info import ModelInfo

# Words by the axis along which mirroring makes one of the other.
_HORIZONTAL = re.compile(
    "left|right|links|rechts|gauche|droite?|izquierd[ao]|derech[ao]|sinistr[ao]"
    "|destr[ao]|west|east|clockwise|counterclockwise|anticlockwise|cw|ccw"
)
_VERTICAL = re.compile(
    "(up|down)(wards?|side)?|top|bottom|oben|unten|haut|bas|arriba|abajo|north|south"
    "|above|below"
)
_SIDES = {"l", "r"}  # Of hand_l and hand_r.
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")


def warn(info: ModelInfo) -> None:
    """Logs a warning if names of classes speak of sides that mirroring exchanges."""
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    names, chosen = info.labels or (), info.chosen_distortions
    if chosen.mirrors("horizontal", recipe.mirrors):
        sided = _with_words(names, _HORIZONTAL) or _pairs(names)
        signs = [name for name in names if re.fullmatch(r"\w", name)]
        if sided:
            logging.warning(
                f"Half of the pictures are mirrored, so that {listed(sided)} cannot be "
                "told apart by left and right. If they differ by that, give "
                "--mirror=none"
            )
        elif signs:
            logging.warning(
                f"Half of the pictures are mirrored, and the classes {listed(signs)} "
                "look like letters or digits, which are not read mirrored. If they "
                "are, give --mirror=none"
            )
    if chosen.mirrors("vertical") and (sided := _with_words(names, _VERTICAL)):
        logging.warning(
            f"Half of the pictures are turned upside down, so that {listed(sided)} "
            "cannot be told apart by up and down. If they differ by that, give "
            "--mirror=none or --mirror=horizontal"
        )


def _words(name: str) -> list[str]:
    """The words of a name, in lower case: of `turnLeft` and `turn_left` the same."""
    return [word.lower() for word in _WORD.findall(name)]


def _with_words(names: Sequence[str], words: re.Pattern[str]) -> list[str]:
    return [name for name in names if any(map(words.fullmatch, _words(name)))]


def _pairs(names: Sequence[str]) -> list[str]:
    """Names that differ by `l` and `r` alone, in pairs."""
    rests: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = _words(name)
        sides = [word for word in words if word in _SIDES]
        if len(sides) == 1 < len(words):
            rest = tuple(word for word in words if word not in _SIDES)
            rests.setdefault(rest, {})[sides[0]] = name
    return [n for pair in rests.values() if len(pair) == 2 for n in pair.values()]
