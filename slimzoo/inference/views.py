"""The views of a picture that a network sees: one, or several to average over."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf

from preprocessing import preprocessing_factory
from slimbase.errors import UserError
from slimzoo.config.shared import Inference
from slimzoo.formats.predictor import softmax
from slimzoo.model.info import ModelInfo

_DEFAULT_FRACTION = 0.875
# The places of five views in a picture: distances from its top and left side, as shares
# of the room that there is (Krizhevsky et al. 2012).
_FIVE = ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1))


@dataclasses.dataclass(frozen=True)
class Views:
    """The views that are averaged over.

    Attributes:
      central_fraction: share of the sides that is seen; None: as the recipe has it.
      crops: 1, or 5: the centre and the corners, each `central_fraction` of the sides.
      flip: whether the mirror image of each is seen, too.
    """

    central_fraction: float | None = None
    crops: int = 1
    flip: bool = False

    @property
    def count(self) -> int:
        """Views per picture."""
        return self.crops * (2 if self.flip else 1)


def of(config: Inference) -> Views:
    """The views that `config` asks for.

    Raises:
      UserError: for a fraction or a number that is out of range.
    """
    fraction = config.central_fraction
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(
            f"--central_fraction={fraction} should be above 0 and at most 1"
        )
    if config.crops not in (1, len(_FIVE)):
        raise UserError(f"--crops={config.crops} should be 1 or {len(_FIVE)}")
    return Views(fraction, config.crops, config.flip)


def preprocessing(info: ModelInfo, views: Views) -> Callable[[tf.Tensor], tf.Tensor]:
    """From a decoded uint8 picture to float32 `[views, height, width, channels]`.

    Raises:
      UserError: when the recipe does not resize, but a fraction or crops are wanted;
        or for mirror images that training has not shown.
    """
    preprocess = info.preprocessing()
    height, width = info.image_size
    fraction = views.central_fraction
    if views.crops > 1:
        fraction = fraction or _DEFAULT_FRACTION
        whole = round(height / fraction), round(width / fraction)
        options = _framing(info, 1.0, *whole)
    else:
        whole = height, width
        options = {} if fraction is None else _framing(info, fraction, *whole)
    if views.flip:
        _check_mirrored(info)

    def prepare(picture: tf.Tensor) -> tf.Tensor:
        image = preprocess(picture, *whole, **options)
        images = [image]
        if views.crops > 1:
            room = whole[0] - height, whole[1] - width
            starts = [(round(y * room[0]), round(x * room[1])) for y, x in _FIVE]
            images = [image[y : y + height, x : x + width] for y, x in starts]
        if views.flip:
            images += [tf.reverse(view, [1]) for view in images]
        return tf.stack(images)

    return prepare


def _check_mirrored(info: ModelInfo) -> None:
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    chosen = info.chosen_distortions
    if not chosen.mirrors("horizontal", recipe.mirrors):
        raise UserError(
            "--flip shows mirror images to the network, and training did not "
            f"({chosen.describe(recipe.mirrors, recipe.distorts_colors)}): leave "
            "--flip out"
        )


def _framing(
    info: ModelInfo, fraction: float, height: int, width: int
) -> dict[str, Any]:
    """Arguments of preprocessing that make a recipe show this share of the sides."""
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    if recipe.central_fraction is None:
        raise UserError(
            f"--central_fraction and --crops need a recipe that resizes pictures, and "
            f"{recipe.name} does not: it has {recipe.framing}"
        )
    return recipe.central_fraction(fraction, height, width)


def average(logits: np.ndarray) -> np.ndarray:
    """Logits `[batch, classes]` of the mean probabilities of `[batch, views, classes]`.

    Logits of a single view stay as they are. If a view has a logit that is not finite,
    the mean is not a number.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    logits = np.where(np.isfinite(logits), logits, np.float32(np.nan))
    probabilities = softmax(logits).mean(axis=1)
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
