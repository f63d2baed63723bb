"""Colour profiles (ICC) of pictures, converted to sRGB by LittleCMS."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

_STEPS = 17  # Along each channel of the colours by which profiles are compared.
# Mean difference, of 255: some programs write the curve of sRGB (IEC 61966-2-1) as a
# power of 2.2. Encoding a JPEG anew changes as much.
_TOLERANCE = 2.0
_ERRORS = (OSError, ValueError, TypeError, ImageCms.PyCMSError)  # Of bad profiles.
# Modes of Pillow for the colour spaces of profiles.
_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}


@functools.lru_cache(64)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile's colours are those of sRGB, as near as makes no difference.

    A profile that cannot be used counts as sRGB, which viewers take it for.
    """
    mode = mode_of(profile)
    if mode is None:
        return True
    if mode == "CMYK":
        return False
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    channels = len(mode)
    grid = np.stack(np.meshgrid(*[levels] * channels), -1).reshape(1, -1, channels)
    pixels = grid[..., 0] if mode == "L" else grid
    try:
        converted = to_srgb(Image.fromarray(pixels), profile)
    except _ERRORS:
        return True
    difference = np.abs(np.asarray(converted).astype(int) - grid)
    return bool(difference.mean() <= _TOLERANCE)


@functools.lru_cache(64)
def mode_of(profile: bytes) -> str | None:
    """The mode of pictures that a profile describes; None if it cannot be used."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space
    except _ERRORS:
        return None
    return _MODES.get(space.strip())


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A picture of the profile's mode in sRGB: mode `RGB`.

    Raises:
      ValueError: or another error of LittleCMS, for a profile that `is_srgb` takes for
        unusable.
    """
    return _transform(profile, image.mode).apply(image)


@functools.lru_cache(8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.PERCEPTUAL,
    )
