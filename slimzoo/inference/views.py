"""What a network is shown of a picture: one view, or several to average over."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf

from preprocessing import preprocessing_factory
from slimbase.errors import UserError
from slimzoo.config.shared import Inference
from slimzoo.model.info import ModelInfo

_DEFAULT_FRACTION = 0.875
# Where five views lie in what is left of a picture: from its top and left side, as
# shares of the room there is (Krizhevsky et al. 2012).
_FIVE = ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1))


@dataclasses.dataclass(frozen=True)
class Views:
    """The views that are averaged over.

    Attributes:
      central_fraction: share of the sides that is shown; None: as the recipe has it.
      crops: 1, or 5: the centre and the corners, each `central_fraction` of the sides.
      flip: whether each is shown in a mirror, too.
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
      UserError: for a fraction or a number that cannot be.
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
      UserError: when the recipe does not resize, but a fraction or crops are wanted.
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

    def prepare(image):
        picture = preprocess(image, *whole, **options)
        shown = [picture]
        if views.crops > 1:
            room = whole[0] - height, whole[1] - width
            starts = [(round(y * room[0]), round(x * room[1])) for y, x in _FIVE]
            shown = [picture[y : y + height, x : x + width] for y, x in starts]
        if views.flip:
            shown += [tf.reverse(view, [1]) for view in shown]
        return tf.stack(shown)

    return prepare


def _framing(info, fraction, height, width):
    recipe = preprocessing_factory.get_recipe(info.preprocessing_name)
    if recipe.central_fraction is None:
        raise UserError(
            f"--central_fraction and --crops need a recipe that resizes pictures, and "
            f"{recipe.name} does not: it has {recipe.framing}"
        )
    return recipe.central_fraction(fraction, height, width)


def average(logits: np.ndarray) -> np.ndarray:
    """Logits `[batch, classes]` of the mean probabilities of `[batch, views, classes]`.

    Those of a single view are left as they are. Where a view has one that is not
    finite, the mean is not a number.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    logits = np.where(np.isfinite(logits), logits, np.float32(np.nan))
    peak = logits.max(axis=-1, keepdims=True)
    log_sums = np.log(np.exp(logits - peak).sum(axis=-1, keepdims=True)) + peak
    probabilities = np.exp(logits - log_sums).mean(axis=1)
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
