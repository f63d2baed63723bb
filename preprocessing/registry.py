"""The registry of recipes; each is registered beside its definition."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from slimbase.registry import Registry

PreprocessFunction = TypeVar("PreprocessFunction", bound=Callable[..., Any])

UNKNOWN = "Preprocessing name [%s] was not recognized"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A preprocessing recipe and its properties.

    Attributes:
      name: what `--preprocessing_name` takes.
      preprocess_image: `f(image, height, width, is_training=, use_grayscale=,
        seed=, ...)` of one decoded picture `[height, width, channels]`.
      framing: description of how evaluation makes a picture of the wanted size.
      value_range: range of the result, in words.
      mean: value that is subtracted from a pixel of 0 to 255, for all channels or for
        red, green and blue; None where every picture has its own.
      scale: divisor of the difference; None as with `mean`.
      source: the publication that the recipe follows.
      central_fraction: `f(fraction, height, width)`, the keyword arguments with which
        evaluation shows the central `fraction` of each side (of the shorter one, where
        pictures keep their proportions); None where pictures are not resized.
      trains_on_encoded: whether `preprocess_image` takes encoded pictures too, string
        scalars, with `is_training`; for others they are decoded before.
      mirrors: whether training mirrors half of the pictures horizontally.
      distorts_colors: whether training changes colours.
    """

    name: str
    preprocess_image: Callable[..., Any]
    framing: str
    value_range: str
    mean: float | tuple[float, ...] | None
    scale: float | None
    source: str
    central_fraction: Callable[[float, int, int], dict[str, Any]] | None = None
    trains_on_encoded: bool = False
    mirrors: bool = False
    distorts_colors: bool = False


RECIPES: Registry[Recipe] = Registry(UNKNOWN)


def register(
    name: str, **properties: Any
) -> Callable[[PreprocessFunction], PreprocessFunction]:
    """Decorator that makes a `preprocess_image` function known as `name`.

    Args:
      name: what `--preprocessing_name` takes.
      **properties: the other attributes of `Recipe`.
    """

    def decorate(function: PreprocessFunction) -> PreprocessFunction:
        RECIPES.register(name, Recipe(name, function, **properties))
        return function

    return decorate
