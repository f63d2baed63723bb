import numpy as np
import pytest
from PIL import Image

from slimbase import testing
from slimbase.pictures import colors

_TO_XYZ = np.array(testing.PROFILES["sRGB"][:3]).T


def _by_formula(pixels, name):
    """sRGB of pixels in [0, 255] by IEC 61966-2-1, from a power of a profile."""
    *primaries, gamma = testing.PROFILES[name]
    linear = (pixels / 255) ** gamma
    linear = linear @ np.array(primaries) @ np.linalg.inv(_TO_XYZ).T
    linear = np.clip(linear, 0, 1)
    low, high = 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    return 255 * np.where(linear <= 0.0031308, low, high)


@pytest.mark.parametrize("name", ["Adobe RGB", "ProPhoto RGB"])
def test_to_srgb(name):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    profile = testing.color_profile(name)
    converted = np.asarray(colors.to_srgb(Image.fromarray(pixels), profile))
    # The matrices are of four digits.
    assert np.abs(converted - _by_formula(pixels, name)).max() < 4


def test_srgb_is_known():
    assert colors.is_srgb(testing.color_profile("sRGB"))
    for name in ("Adobe RGB", "ProPhoto RGB", "Display P3"):
        assert not colors.is_srgb(testing.color_profile(name))
        assert colors.mode_of(testing.color_profile(name)) == "RGB"


@pytest.mark.parametrize("profile", [b"nonsense", bytes(500)])
def test_what_is_no_profile(profile):
    assert colors.mode_of(profile) is None
    assert colors.is_srgb(profile)


def test_a_profile_that_is_cut_short():
    profile = testing.color_profile("Adobe RGB")
    for length in range(0, len(profile), 7):
        assert colors.is_srgb(profile[:length]) in (True, False)
