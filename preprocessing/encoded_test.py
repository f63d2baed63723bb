import io
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from preprocessing import encoded, inception_preprocessing, vgg_preprocessing
from preprocessing.preprocessing_factory import RECIPES, get_preprocessing
from preprocessing.testing import picture, run_on_seeds

SEEDS = range(5)


def file(height, width, kind="JPEG", mode="RGB", **options):
    """An encoded picture."""
    content = io.BytesIO()
    image = Image.fromarray(picture(height, width, 3)).convert(mode)
    image.save(content, kind, **options)
    return content.getvalue()


FILES = {
    "jpeg": file(90, 121),
    "without subsampling": file(90, 121, subsampling=0),
    "half subsampled": file(90, 121, subsampling=1),
    "progressive": file(90, 121, progressive=True),
    "grey": file(90, 121, mode="L"),
    "cmyk": file(90, 121, mode="CMYK"),
    "one pixel": file(1, 1),
    "a line": file(3, 500),
    "something after its end": file(90, 121) + b"\0\0",
    "png": file(90, 121, "PNG"),
    "png of one channel": file(90, 121, "PNG", "L"),
    "bmp": file(90, 121, "BMP"),
    "gif": file(90, 121, "GIF"),
}
TRUNCATED = {
    share: file(90, 121)[: int(len(file(90, 121)) * share)]
    for share in (0.01, 0.3, 0.6, 0.9, 0.99)
}


def windows(content, seeds, least=None):
    """Random windows (begin, size, pixels), and the whole picture."""

    def build(seed):
        def choose(size):
            lot = tf.random.stateless_uniform([4], seed)
            extent = 1 + tf.cast(tf.cast(size, tf.float32) * lot[:2] * 0.999, tf.int32)
            room = tf.cast(size - extent + 1, tf.float32)
            begin = tf.cast(room * lot[2:] * 0.999, tf.int32)
            return begin, extent, tf.concat([begin, extent], 0)

        pixels, place = encoded.crop(tf.constant(content), choose, least)
        return place, pixels, encoded.decode(tf.constant(content))

    return run_on_seeds(build, seeds)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_window_has_the_pixels_of_the_whole(content):
    sizes = set()
    for (top, left, height, width), pixels, whole in windows(content, range(25)):
        expected = whole[top : top + height, left : left + width]
        np.testing.assert_array_equal(pixels, expected)
        sizes.add((height, width))
    assert len(sizes) > 10 or whole.shape[0] <= 3


@pytest.mark.parametrize("name", ["jpeg", "grey", "cmyk", "without subsampling"])
def test_a_large_window_is_made_smaller_as_far_as_it_may(name):
    shrinks = set()
    for place, pixels, whole in windows(FILES[name], range(40), (9, 11)):
        top, left, height, width = place
        shrink = max(
            n for n in (1, 2, 4, 8) if n == 1 or (height >= 9 * n and width >= 11 * n)
        )
        assert pixels.shape == (height // shrink, width // shrink, 3)
        shrinks.add(shrink)
        if shrink == 1:
            continue
        # About the mean of the pixels that each stands for.
        top, left = top // shrink * shrink, left // shrink * shrink
        height, width = pixels.shape[0] * shrink, pixels.shape[1] * shrink
        area = whole[top : top + height, left : left + width].astype(float)
        means = area.reshape(pixels.shape[0], shrink, pixels.shape[1], shrink, 3)
        assert np.abs(means.mean(axis=(1, 3)) - pixels).mean() < 3
    assert shrinks == {1, 2, 4, 8}


@pytest.mark.parametrize("content", TRUNCATED.values(), ids=TRUNCATED)
@pytest.mark.parametrize("recipe", [inception_preprocessing, vgg_preprocessing])
def test_what_is_cut_short_fails_wherever_the_crop_is(recipe, content):
    with tf.Graph().as_default(), tf.Session() as session:
        seed = tf.placeholder(tf.int32, [2])
        image = recipe.preprocess_for_train(
            tf.constant(content), 8, 8, **BOX[recipe], seed=seed
        )
        for number in SEEDS:
            with pytest.raises(tf.errors.InvalidArgumentError):
                session.run(image, {seed: [number, 1]})


BOX = {inception_preprocessing: {"bbox": None}, vgg_preprocessing: {}}


def train(name, content, size, **options):
    """What the recipe makes of the encoded and of the decoded picture."""
    function = get_preprocessing(name, is_training=True, **options)

    def both(seed):
        contents = tf.constant(content)
        one, other = (
            function(image, size, size, seed=seed)
            for image in (contents, encoded.decode(contents))
        )
        assert one.shape == other.shape == [size, size, 1 if options else 3]
        return one, other

    return run_on_seeds(both, SEEDS)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_inception_training_is_the_same_encoded(content):
    # Larger than half of any crop, so that none is decoded smaller.
    for options in ({}, {"use_grayscale": True})[: 1 + (content == FILES["jpeg"])]:
        for one, other in train("inception", content, 61, **options):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_vgg_training_shows_the_same_but_for_a_pixel(content):
    if content in (FILES["one pixel"], FILES["a line"]):
        [(one, _), *_] = train("vgg", content, 64)
        assert np.isfinite(one).all()
        return
    for one, other in train("vgg", content, 224):
        # The pictures' noise has a deviation of 12; a shift of half a pixel shows it.
        assert np.abs(one - other).mean() < 8
        np.testing.assert_allclose(one.mean((0, 1)), other.mean((0, 1)), atol=3)


def test_vgg_training_of_a_smooth_picture_is_the_same_encoded():
    rows, columns = np.mgrid[:180, :240]
    smooth = np.stack([rows, columns, rows // 2 + columns // 2], -1).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(smooth).save(content, "PNG")
    for one, other in train("vgg", content.getvalue(), 224):
        # A value per pixel: half a pixel of shift, and at the far end half of size, and
        # of an enlarged window, whose last pixel is repeated.
        assert np.abs(one - other)[..., :2].max() <= 1.6


@pytest.mark.parametrize("name", ["inception", "vgg"])
def test_large_pictures_are_about_the_same_encoded(name):
    content = io.BytesIO()
    y, x, c = np.ogrid[:1500, :2000, :3]
    waves = 127 + 100 * np.sin(x / (70 + 5 * c)) * np.cos(y / (93 - 4 * c))
    Image.fromarray(waves.astype(np.uint8)).save(content, "JPEG", quality=90)
    scale = {"inception": 127.5, "vgg": 1}[name]
    for one, other in train(name, content.getvalue(), 64):
        assert np.abs(one - other).mean() * scale < 3


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_encoded_pictures(name, is_training):
    function = get_preprocessing(name, is_training, height=24, width=24)
    [image] = run_on_seeds(
        lambda seed: (
            function(tf.constant(file(30, 28, "PNG")), seed=seed)
            if is_training
            else function(tf.constant(file(30, 28, "PNG")))
        ),
        [3],
    )
    assert image.shape == (24, 24, 3)


def test_someones_own_recipe_is_given_pixels(monkeypatch):
    seen = []

    def preprocess_image(image, height, width, is_training, use_grayscale):
        seen.append((image.dtype, image.shape.as_list()))
        return image

    own = types.SimpleNamespace(
        preprocess_image=preprocess_image, trains_on_encoded=False
    )
    monkeypatch.setitem(RECIPES, "own", own)
    with tf.Graph().as_default():
        get_preprocessing("own", is_training=True)(tf.constant(FILES["jpeg"]), 8, 8)
    assert seen == [(tf.uint8, [None, None, 3])]
