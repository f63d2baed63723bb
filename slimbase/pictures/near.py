"""Finds pictures that are nearly the same: resized, encoded anew or of another format.

A picture is compared by a thumbnail of 16x16 pixels. Two are near copies if these
correlate, and if their colours differ little.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import simplejpeg
from PIL import Image

from slimbase.pictures import decode, exif
from slimbase.pictures.errors import PictureError

SIDE = 16  # Of a thumbnail, in pixels.

_LEAST_SIDE = 4 * SIDE  # Below, libjpeg does not make a JPEG smaller.
# Of 600 photos of flowers no two correlated by more than 0.91. Of copies that were made
# half or a quarter as large, or 224x224, and encoded as JPEG of quality 30 to 95 or as
# PNG, none did by less than 0.989, with differences up to 6; without a hundredth on
# each side, 95 % did by 0.989.
_LEAST_CORRELATION = 0.98
_MOST_DIFFERENCE = 8.0  # Mean over the thumbnails, of 255.
_LEAST_CONTRAST = 6.0  # Standard deviation of the luma, of 255; below, all look alike.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Up to so many pictures each is compared with each. Of more, those are compared that
# are on the same side of 12 random planes, for 12 such sets: of pairs that correlate by
# 0.98, one in 1,500 is missed.
_ALL_WITH_ALL = 20_000
_SETS, _PLANES = 12, 12
_BLOCK = 2048


def thumbnail(content: bytes) -> np.ndarray | None:
    """What a picture is compared by: uint8 `[16, 16, 3]`, upright.

    May be called from several threads. A JPEG that plainly is sound takes a fraction of
    the time of decoding it.

    Returns:
      None for a picture with a side below 32 pixels, of which many look alike.

    Raises:
      PictureError: for what cannot be decoded.
    """
    header = decode.look(content)
    if min(header.height, header.width) < 2 * SIDE:
        return None
    if not header.is_sound:
        return _small(decode.decode(content))
    try:
        pixels = simplejpeg.decode_jpeg(
            content,
            "RGB",
            fastdct=True,
            fastupsample=True,
            min_height=min(_LEAST_SIDE, header.height),
            min_width=min(_LEAST_SIDE, header.width),
        )
    except (ValueError, RuntimeError) as error:
        raise PictureError("is damaged") from error
    pixels = _small(decode.in_srgb(pixels, header).pixels)
    if header.orientation != exif.UPRIGHT:
        pixels = decode.upright(pixels, header.orientation)
    return pixels


def _small(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def pairs(thumbnails: Sequence[np.ndarray | None]) -> Iterator[tuple[int, int]]:
    """The near copies among some pictures: pairs of indices, the smaller one first.

    Pictures of nearly one colour are near copies of none.

    Args:
      thumbnails: of the pictures, as `thumbnail` gives them.
    """
    known = {i: each for i, each in enumerate(thumbnails) if each is not None}
    if not known:
        return
    colors = np.stack(list(known.values())).astype(np.float32)
    luma = (colors @ _LUMA).reshape(len(known), -1)
    luma -= luma.mean(1, keepdims=True)
    has_contrast = luma.std(1) >= _LEAST_CONTRAST
    numbers = np.array(list(known))[has_contrast]
    colors, luma = colors[has_contrast], luma[has_contrast]
    luma /= np.linalg.norm(luma, axis=1, keepdims=True)
    seen = set()
    for some in _comparable(luma):
        for start in range(0, len(some), _BLOCK):
            block = some[start : start + _BLOCK]
            alike = luma[block] @ luma[some].T >= _LEAST_CORRELATION
            for row, column in np.argwhere(alike).tolist():
                one, other = int(block[row]), int(some[column])
                if one >= other or (one, other) in seen:
                    continue
                seen.add((one, other))
                if np.abs(colors[one] - colors[other]).mean() <= _MOST_DIFFERENCE:
                    yield int(numbers[one]), int(numbers[other])


def _comparable(luma: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of pictures that are compared with each other."""
    if len(luma) <= _ALL_WITH_ALL:
        yield np.arange(len(luma))
        return
    random = np.random.default_rng(0)
    for _ in range(_SETS):
        planes = random.standard_normal((luma.shape[1], _PLANES), np.float32)
        keys = (luma @ planes > 0) @ (1 << np.arange(_PLANES))
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        yield from (some for some in np.split(order, ends) if len(some) > 1)


def groups(size: int, found: Iterator[tuple[int, int]]) -> list[list[int]]:
    """Joins pairs into sets of two or more, each in order, by their first picture.

    Args:
      size: number of the pictures.
      found: pairs of indices below `size`.
    """
    parents = list(range(size))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    members: dict[int, list[int]] = {}
    joined = set()
    for one, other in found:
        joined |= {one, other}
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    for index in sorted(joined):
        members.setdefault(root(index), []).append(index)
    return list(members.values())
