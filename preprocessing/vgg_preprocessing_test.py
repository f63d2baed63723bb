import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import ops, vgg_preprocessing
from preprocessing.testing import coordinates, picture, run, run_on_seeds
from slimbase.errors import UserError

MEANS = np.array([123.68, 116.78, 103.94])


def test_training_crops_a_rectangle_and_mirrors_half():
    source = coordinates(20, 30)
    results = run_on_seeds(
        lambda seed: vgg_preprocessing.preprocess_for_train(
            tf.constant(source),
            16,
            24,
            resize_side_min=20,
            resize_side_max=20,
            seed=seed,
        ),
        range(200),
    )
    mirrored = 0
    for result in results:
        result = result + MEANS
        top = round(result[0, 0, 0])
        left = round(result[0, :, 1].min())
        step = -1 if result[0, 0, 1] > result[0, 1, 1] else 1
        mirrored += step == -1
        expected = source[top : top + 16, left : left + 24][:, ::step]
        np.testing.assert_allclose(result, expected, atol=1e-4)
    # Four standard deviations of 200 fair coins.
    assert 72 <= mirrored <= 128


def test_training_scales_within_bounds_and_keeps_the_aspect(monkeypatch):
    monkeypatch.setattr(ops, "random_crop", lambda image, *args: image)
    shapes = run_on_seeds(
        lambda seed: tf.shape(
            vgg_preprocessing.preprocess_for_train(
                tf.constant(picture(30, 20, 3)),
                16,
                16,
                resize_side_min=40,
                resize_side_max=42,
                seed=seed,
            )
        ),
        range(60),
    )
    assert {tuple(shape) for shape in shapes} == {(60, 40, 3), (62, 41, 3), (63, 42, 3)}


def test_evaluation_takes_the_middle():
    source = picture(20, 31, 3)
    result = run(
        lambda: vgg_preprocessing.preprocess_for_eval(tf.constant(source), 10, 15, 20)
    )
    np.testing.assert_allclose(result, source[5:15, 8:23] - MEANS, atol=1e-4)


def test_grey_is_centred_as_the_colours_are():
    # A picture of the mean colour is zero either way.
    source = np.broadcast_to(MEANS.astype(np.float32), [20, 20, 3])
    for use_grayscale in (True, False):
        result = run(
            lambda gray=use_grayscale: vgg_preprocessing.preprocess_image(
                tf.constant(source), 20, 20, resize_side_min=20, use_grayscale=gray
            )
        )
        np.testing.assert_allclose(result, 0, atol=1e-4)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_crop_larger_than_the_shorter_side(is_training):
    def preprocess(height, width):
        return run(
            lambda: vgg_preprocessing.preprocess_image(
                tf.constant(picture(300, 400, 3)), height, width, is_training
            )
        )

    with pytest.raises(UserError, match=r"cannot cut 299x299 .* makes 256"):
        preprocess(299, 299)
    # Whether it fits depends on the picture; on this one it can't.
    error = tf.errors.InvalidArgumentError if is_training else UserError
    with pytest.raises(error, match="900x224 pixels does not fit"):
        preprocess(900, 224)
