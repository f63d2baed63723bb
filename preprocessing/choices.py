"""What a training may choose to do to its pictures beyond what a recipe does itself."""

import dataclasses
from typing import Any

from slimbase.errors import UserError, unknown

MIRRORS = ("none", "horizontal", "vertical", "both")
AUGMENTS = ("trivial",)


@dataclasses.dataclass(frozen=True)
class Distortions:
    """Choices; None is what the recipe does by itself.

    Attributes:
      mirror: axes that half of the pictures are mirrored along, one of `MIRRORS`; by
        `vertical`, up and down change places.
      distort_colors: whether brightness, saturation and the like are changed.
      min_crop_area: least share of a picture's area that a crop shows, above 0 up to 1.
      rotate: degrees by which pictures are turned at most, either way, about their
        middle; what is uncovered is filled by reflection.
      augment: `trivial` for one operation of TrivialAugment for each picture, in place
        of the recipe's colours.
    """

    mirror: str | None = None
    distort_colors: bool | None = None
    min_crop_area: float | None = None
    rotate: float | None = None
    augment: str | None = None

    def __post_init__(self) -> None:
        if self.mirror is not None and self.mirror not in MIRRORS:
            raise unknown(f"--mirror={self.mirror} is unknown", self.mirror, MIRRORS)
        if self.augment is not None and self.augment not in AUGMENTS:
            message = f"--augment={self.augment} is unknown"
            raise unknown(message, self.augment, AUGMENTS)
        if self.min_crop_area is not None and not 0 < self.min_crop_area <= 1:
            raise UserError(
                f"--min_crop_area={self.min_crop_area} should be above 0 and at most 1:"
                " a share of the picture"
            )
        if self.rotate is not None and not 0 <= self.rotate <= 180:
            raise UserError(
                f"--rotate={self.rotate} should be 0 to 180: degrees, either way"
            )

    def __bool__(self) -> bool:
        """Whether anything is chosen."""
        return self != Distortions()

    def mirrors(self, axis: str, by_recipe: bool = False) -> bool:
        """Whether pictures are mirrored along `horizontal` or `vertical`.

        Args:
          axis: the axis.
          by_recipe: whether the recipe does so by itself.
        """
        return by_recipe if self.mirror is None else self.mirror in (axis, "both")

    def colors(self, by_recipe: bool) -> bool:
        """Whether colours are changed, as the recipe does or otherwise."""
        if self.distort_colors is None:
            return by_recipe and not self.augment
        return self.distort_colors

    def as_record(self) -> dict[str, Any]:
        """What is chosen, for model.json."""
        chosen = dataclasses.asdict(self)
        return {name: value for name, value in chosen.items() if value is not None}

    def describe(self, mirrors: bool, distorts_colors: bool) -> str:
        """The choices in words.

        Args:
          mirrors: whether the recipe mirrors by itself.
          distorts_colors: whether the recipe changes colours by itself.
        """
        axes = [
            axis
            for axis, by_recipe in (("horizontal", mirrors), ("vertical", False))
            if self.mirrors(axis, by_recipe)
        ]
        texts = [f"mirror {' and '.join(axes) or 'none'}"]
        texts.append(f"colours {'' if self.colors(distorts_colors) else 'not '}changed")
        if self.min_crop_area is not None:
            texts.append(f"crops of at least {self.min_crop_area:.0%}")
        if self.rotate:
            texts.append(f"turned by up to {self.rotate:g} degrees")
        if self.augment:
            texts.append(f"{self.augment} augmentation")
        return ", ".join(texts)


NONE = Distortions()
