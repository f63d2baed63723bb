from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import affine, preprocessing_factory
from preprocessing.choices import Distortions
from preprocessing.registry import RECIPES
from slimbase.errors import UserError

SEEDS = range(24)


def picture(height=72, width=60):
    """A smooth picture whose quarters differ: dark to bright downwards and across."""
    rows, columns = np.mgrid[:height, :width]
    channels = [2 * rows, 3 * columns, 40 + rows + columns]
    return np.stack(channels, -1).clip(0, 255).astype(np.uint8)


def made(name, size=48, image=None, **options):
    """What training makes of a picture, for several seeds."""
    function = preprocessing_factory.get_preprocessing(
        name, is_training=True, distortions=Distortions(**options)
    )
    image = picture() if image is None else image
    return [function(image, size, size, seed=[seed, 3]).numpy() for seed in SEEDS]


def _falls(image, axis):
    """Whether values fall along an axis, in the channel that grows along it."""
    channel = image[..., axis]
    halves = np.array_split(channel, 2, axis=axis)
    return halves[0].mean() > halves[1].mean()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("mirror", "across", "down"),
    [
        ("none", False, False),
        ("horizontal", True, False),
        ("vertical", False, True),
        ("both", True, True),
    ],
)
def test_mirror(name, mirror, across, down):
    images = made(name, mirror=mirror, distort_colors=False)
    for axis, mirrors in ((1, across), (0, down)):
        fallen = sum(_falls(image, axis) for image in images)
        if mirrors:
            assert len(SEEDS) / 5 < fallen < len(SEEDS) * 4 / 5
        else:
            assert fallen == 0


@pytest.mark.parametrize("name", RECIPES)
def test_colors(name):
    # Of one colour, so that crops do not matter.
    flat = np.full((80, 80, 3), (200, 120, 60), np.uint8)
    plain = made(name, image=flat, distort_colors=False, mirror="none")
    changed = made(name, image=flat, distort_colors=True, mirror="none")
    center = [image[20:28, 20:28].mean((0, 1)) for image in plain]
    varied = [image[20:28, 20:28].mean((0, 1)) for image in changed]
    if name == "cifarnet":  # Whose deviation is made one, with the padding.
        assert not np.allclose(center, varied, atol=0.02)
        return
    np.testing.assert_allclose(center, center[:1] * len(SEEDS), atol=0.02)
    assert np.std(varied, axis=0).max() > 0.03


@pytest.mark.parametrize("name", RECIPES)
def test_min_crop_area(name):
    """Of the whole picture, the darkest and the brightest corner are seen."""

    def seen(image):
        return np.ptp(image[..., 0].mean(1)) / np.ptp(picture()[..., 0].mean(1))

    options = {"mirror": "none", "distort_colors": False}
    shown = [seen(image) for image in made(name, min_crop_area=0.999, **options)]
    if name == "inception":
        less = [seen(image) for image in made(name, min_crop_area=0.05, **options)]
        assert min(shown) > 0.95 / 127.5
        assert min(less) < 0.6 * min(shown)
    else:
        assert min(shown) > 0.6 * max(shown)


@pytest.mark.parametrize("name", RECIPES)
def test_rotate(name):
    options: dict[str, Any] = {"mirror": "none", "distort_colors": False}
    options["min_crop_area"] = 0.9
    straight, turned = made(name, **options), made(name, rotate=40.0, **options)

    def slopes(images):
        """How much the channel that grows downwards grows across."""
        red = [image[10:-10, :, 0] for image in images]
        return [abs(each[:, :24].mean() - each[:, 24:].mean()) for each in red]

    assert max(slopes(turned)) > 3 * max(slopes(straight)) + 0.02


@pytest.mark.parametrize("name", RECIPES)
def test_trivial(name):
    plain = made(name, mirror="none", distort_colors=False)
    augmented = made(name, augment="trivial", mirror="none")
    assert all(image.shape == (48, 48, 3) for image in augmented)
    assert np.isfinite(augmented).all()
    low = min(image.min() for image in plain)
    high = max(image.max() for image in plain)
    if name == "inception":
        assert -1.001 <= np.min(augmented) <= np.max(augmented) <= 1.001
    elif name != "cifarnet":
        assert np.min(augmented) >= low - 130
        assert np.max(augmented) <= high + 260
    assert len({image.tobytes() for image in augmented}) > 15


def test_encoded_pictures_are_distorted_alike():
    content = tf.io.encode_png(picture()).numpy()
    choices: list[dict[str, Any]] = [
        {"mirror": "none"},
        {"rotate": 20.0},
        {"augment": "trivial"},
    ]
    for options in choices:
        pixels = made("inception", **options)
        encoded = made("inception", image=content, **options)
        for one, other in zip(pixels, encoded, strict=True):
            np.testing.assert_allclose(one, other, atol=0.02)


@pytest.mark.parametrize("name", RECIPES)
def test_without_choices_nothing_changes(name):
    function = preprocessing_factory.get_preprocessing(name, is_training=True)
    expected = [function(picture(), 48, 48, seed=[seed, 3]).numpy() for seed in SEEDS]
    np.testing.assert_array_equal(made(name), expected)


@pytest.mark.parametrize("name", RECIPES)
def test_evaluation_does_not_change(name):
    plain = preprocessing_factory.get_preprocessing(name)
    chosen = preprocessing_factory.get_preprocessing(
        name, distortions=Distortions(mirror="both", augment="trivial", rotate=30.0)
    )
    np.testing.assert_array_equal(
        plain(picture(), 48, 48).numpy(), chosen(picture(), 48, 48).numpy()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mirror": "left"}, "--mirror=left is unknown.*horizontal"),
        ({"augment": "auto"}, "--augment=auto is unknown.*trivial"),
        ({"min_crop_area": 0.0}, "--min_crop_area=0.0 should be above 0"),
        ({"min_crop_area": 1.5}, "--min_crop_area=1.5 should be above 0"),
        ({"rotate": -1.0}, "--rotate=-1.0 should be 0 to 180"),
        ({"rotate": 200.0}, "--rotate=200.0 should be 0 to 180"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        Distortions(**options)


def test_a_recipe_that_takes_none(monkeypatch):
    from preprocessing.registry import Recipe

    def preprocess_image(image, height, width, is_training=False):
        return image

    facts = {"framing": "", "value_range": "", "mean": 0, "scale": 1, "source": ""}
    monkeypatch.setitem(RECIPES, "own", Recipe("own", preprocess_image, **facts))
    with pytest.raises(UserError, match="recipe own does not take --mirror, --rotate"):
        made("own", mirror="none", rotate=3.0)


def test_rotation_by_a_quarter():
    image = tf.constant(np.arange(75.0).reshape(5, 5, 3), tf.float32)
    turned = affine.rotate(image, tf.constant(90.0)).numpy()
    np.testing.assert_allclose(turned, np.rot90(image.numpy()), atol=1e-3)
