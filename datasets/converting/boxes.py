"""Boxes around objects that a picture shows."""

import numpy as np

# From a point of a picture as it is stored to the point when it is upright, by EXIF
# orientation; both are fractions of the sides.
_UPRIGHT = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


def upright(sides: np.ndarray, orientation: int) -> np.ndarray:
    """Boxes of a picture as it is stored, where they are when it is upright.

    Args:
      sides: float `[boxes, 4]`: xmin, ymin, xmax, ymax as fractions of the picture's
        sides.
      orientation: of the picture by EXIF, from 1 to 8; for others nothing is turned.
    """
    if orientation not in _UPRIGHT:
        return sides
    x, y = _UPRIGHT[orientation](sides[:, 0::2], sides[:, 1::2])
    return np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1)
