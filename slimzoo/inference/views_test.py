import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimzoo.config.evaluate import EvalConfig
from slimzoo.inference import views
from slimzoo.inference.views import Views
from slimzoo.model import info as model_info

NETWORKS = {
    "inception": "inception_v3",
    "vgg": "vgg_16",
    "lenet": "lenet",
    "cifarnet": "cifarnet",
}


def info(recipe, height=20, width=20):
    made = model_info.settle(EvalConfig(model_name=NETWORKS[recipe]), {})
    return dataclasses.replace(made, image_size=(height, width))


def shown(recipe, pixels, asked, height=20, width=20):
    with tf.Graph().as_default(), tf.Session() as session:
        picture = tf.placeholder(tf.uint8, [None, None, None])
        prepared = views.preprocessing(info(recipe, height, width), asked)(picture)
        return session.run(prepared, {picture: pixels})


def ramps(height, width):
    """Each pixel's place from 0 to 200: of its row in red, of its column in green."""
    rows = np.linspace(0, 200, height)[:, None] + np.zeros((1, width))
    columns = np.linspace(0, 200, width)[None] + np.zeros((height, 1))
    return np.rint(np.stack([rows, columns, 0 * rows], -1)).astype(np.uint8)


def places(recipe, view):
    """Mean row and column of a view of `ramps`, as shares of the picture."""
    means = view[..., :2].mean(axis=(0, 1))
    if recipe == "inception":
        return (means + 1) * 127.5 / 200
    return (means + np.array([123.68, 116.78])) / 200


RECIPES = ("inception", "vgg")
SIZES = [(20, 20), (20, 30), (30, 20), (21, 13)]


# The options


@pytest.mark.parametrize(
    ("options", "expected", "count"),
    [
        ({}, Views(), 1),
        ({"flip": True}, Views(flip=True), 2),
        ({"crops": 5}, Views(crops=5), 5),
        ({"crops": 5, "flip": True}, Views(crops=5, flip=True), 10),
        ({"central_fraction": 1.0}, Views(1.0), 1),
        ({"central_fraction": 0.01}, Views(0.01), 1),
    ],
)
def test_views_are_as_asked_for(options, expected, count):
    found = views.of(EvalConfig(**options))
    assert found == expected
    assert found.count == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"central_fraction": 0.0}, "--central_fraction=0.0"),
        ({"central_fraction": -0.5}, "--central_fraction=-0.5"),
        ({"central_fraction": 1.01}, "--central_fraction=1.01"),
        ({"central_fraction": float("nan")}, "--central_fraction=nan"),
        ({"crops": 2}, "--crops=2 should be 1 or 5"),
        ({"crops": 10}, "--crops=10"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        views.of(EvalConfig(**options))


# One view


@pytest.mark.parametrize("recipe", NETWORKS)
@pytest.mark.parametrize("pixels", [ramps(40, 30), ramps(300, 400)])
def test_without_options_it_is_what_the_recipe_makes(recipe, pixels):
    with tf.Graph().as_default(), tf.Session() as session:
        expected = session.run(info(recipe).preprocessing()(tf.constant(pixels)))
    values = shown(recipe, pixels, Views())
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected[np.newaxis])


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("size", [(20, 20), (40, 40)])
def test_central_fraction_is_what_is_seen(recipe, fraction, size):
    pixels = ramps(80, 80)
    [view] = shown(recipe, pixels, Views(fraction), *size)
    assert view.shape == (*size, 3)
    assert places(recipe, view) == pytest.approx(0.5, abs=0.04)
    first, last = places(recipe, view[:1, :1]), places(recipe, view[-1:, -1:])
    # From the middle of the first pixel to that of the last.
    expected = fraction * (1 - 1 / size[0])
    assert last - first == pytest.approx(expected, abs=0.05)


def test_central_fraction_keeps_proportions_where_the_recipe_does():
    """Of the shorter side, here the height."""
    [view] = shown("vgg", ramps(100, 200), Views(0.5), 20, 20)
    first, last = places("vgg", view[:1, :1]), places("vgg", view[-1:, -1:])
    assert last - first == pytest.approx([0.5, 0.25], abs=0.05)


@pytest.mark.parametrize("options", [{"central_fraction": 0.875}, {"crops": 5}])
def test_vgg_takes_large_sizes_with_a_central_fraction(options):
    asked = dataclasses.replace(Views(), **options)
    pixels = ramps(50, 60)
    values = shown("vgg", pixels, asked, 299, 299)
    assert values.shape == (asked.count, 299, 299, 3)
    with pytest.raises(UserError, match="299"):
        shown("vgg", pixels, Views(), 299, 299)


# Several


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("fraction", [None, 0.5])
def test_five_crops_are_the_centre_and_the_corners(recipe, height, width, fraction):
    asked = Views(fraction, crops=5)
    # The vgg recipe would cut something off pictures that are not square.
    pixels = ramps(120, 120 if recipe == "vgg" else 90)
    values = shown(recipe, pixels, asked, height, width)
    assert values.shape == (5, height, width, 3)
    centre, *corners = (places(recipe, view) for view in values)
    assert centre == pytest.approx(0.5, abs=0.05)
    offsets = np.array(corners) - centre
    signs = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert (np.sign(offsets) == signs).all()
    share = 0.875 if fraction is None else fraction
    sides = np.array([1.0, 1.0])
    if recipe == "vgg":  # It cuts a rectangle out of the square.
        sides = np.array([height, width]) / max(height, width)
    distance = sides * (1 - share) / 2
    assert np.abs(offsets) == pytest.approx(
        np.broadcast_to(distance, (4, 2)), abs=0.035
    )


def test_five_crops_have_the_colours_of_their_corners():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[:30, :30], pixels[:30, 60:], pixels[60:, :30], pixels[60:, 60:] = colours
    pixels[30:60, 30:60] = 128
    values = shown("inception", pixels, Views(1 / 3, crops=5), 10, 10)
    middles = (values[:, 5, 5] + 1) * 127.5
    expected = [[128] * 3, *colours]
    np.testing.assert_allclose(middles, expected, atol=2)


@pytest.mark.parametrize("recipe", [each for each in NETWORKS if each != "lenet"])
def test_flips_are_mirror_images(recipe):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    plain = shown(recipe, pixels, Views())
    both = shown(recipe, pixels, Views(flip=True))
    np.testing.assert_array_equal(both, [plain[0], plain[0][:, ::-1]])


@pytest.mark.parametrize(
    ("recipe", "mirror"),
    [("inception", "none"), ("vgg", "vertical"), ("lenet", None), ("lenet", "none")],
)
def test_flips_are_refused_where_training_showed_none(recipe, mirror):
    known = info(recipe)
    if mirror:
        known = dataclasses.replace(known, distortions={"mirror": mirror})
    with pytest.raises(UserError, match="--flip shows mirror images to the network"):
        views.preprocessing(known, Views(flip=True))


def test_flips_after_a_training_with_them():
    known = dataclasses.replace(info("lenet"), distortions={"mirror": "both"})
    assert callable(views.preprocessing(known, Views(flip=True)))


def test_each_crop_has_its_mirror_image():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    plain = shown("inception", pixels, Views(crops=5))
    both = shown("inception", pixels, Views(crops=5, flip=True))
    np.testing.assert_array_equal(both, [*plain, *plain[:, :, ::-1]])


@pytest.mark.parametrize("recipe", ["lenet", "cifarnet"])
@pytest.mark.parametrize("asked", [Views(0.5), Views(crops=5), Views(0.5, 5, True)])
def test_recipes_that_do_not_resize_are_refused(recipe, asked):
    with pytest.raises(UserError, match=f"that resizes pictures, and {recipe} does"):
        views.preprocessing(info(recipe), asked)


# Averages


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_mean_is_of_probabilities():
    logits = np.random.default_rng(0).normal(0, 4, (6, 10, 7)).astype(np.float32)
    mean = views.average(logits)
    assert mean.shape == (6, 7)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(
        softmax(mean), softmax(logits).mean(axis=1), rtol=1e-4, atol=1e-7
    )
    # Not that of logits, nor moved by what makes no difference to probabilities.
    assert np.abs(softmax(mean) - softmax(logits.mean(axis=1))).max() > 0.01
    moved = logits + np.array([100 * i for i in range(10)], np.float32)[:, np.newaxis]
    np.testing.assert_allclose(views.average(moved), mean, atol=1e-3)


def test_logits_of_one_view_stay_as_they_are():
    logits = np.array([[[1, 2, 3]], [[np.inf, np.nan, -1e30]]], np.float32)
    np.testing.assert_array_equal(views.average(logits), logits[:, 0])


def test_large_logits_have_a_mean():
    mean = views.average(
        np.array([[[1000, 0], [0, 1000]], [[2000, 0], [2000, 0]]], np.float32)
    )
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(softmax(mean), [[0.5, 0.5], [1, 0]], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_mean_with_a_view_that_is_no_number_is_none(bad):
    logits = np.zeros((2, 2, 3), np.float32)
    logits[0, 1, 2] = bad
    mean = views.average(logits)
    assert not np.isfinite(mean[0]).any()
    np.testing.assert_allclose(softmax(mean[1]), 1 / 3)
