import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import cifarnet_preprocessing
from preprocessing.testing import coordinates, picture, run, run_on_seeds


def standardized(image):
    return (image - image.mean()) / image.std()


def test_evaluation_crops_and_pads_each_side_on_its_own():
    source = picture(40, 20, 3)
    result = run(
        lambda: cifarnet_preprocessing.preprocess_for_eval(tf.constant(source), 32, 28)
    )
    expected = np.pad(source[4:36], [(0, 0), (4, 4), (0, 0)])
    np.testing.assert_allclose(result, standardized(expected), atol=1e-4)


@pytest.fixture
def without_color(monkeypatch):
    """Leaves the crop and the mirroring."""
    image = cifarnet_preprocessing.tf2.image
    for name in ("stateless_random_brightness", "stateless_random_contrast"):
        monkeypatch.setattr(image, name, lambda image, *args: image)
    monkeypatch.setattr(
        cifarnet_preprocessing.tf.image,
        "per_image_standardization",
        lambda image: image,
    )


def test_training_shifts_within_the_padding_and_mirrors(without_color):
    source = coordinates(8, 10)
    padded = np.pad(source, [(4, 4), (4, 4), (0, 0)])
    windows = {
        padded[top : top + 8, left : left + 10][:, ::step].tobytes(): (top, left, step)
        for top in range(9)
        for left in range(9)
        for step in (1, -1)
    }
    results = run_on_seeds(
        lambda seed: cifarnet_preprocessing.preprocess_for_train(
            tf.constant(source), 8, 10, seed=seed
        ),
        range(200),
    )
    tops, lefts, steps = zip(
        *(windows[np.ascontiguousarray(result).tobytes()] for result in results),
        strict=True,
    )
    assert set(tops) == set(lefts) == set(range(9))
    # Four standard deviations of 200 fair coins.
    assert 72 <= steps.count(-1) <= 128


def test_training_standardizes():
    source = picture(32, 32, 3)
    results = run_on_seeds(
        lambda seed: cifarnet_preprocessing.preprocess_for_train(
            tf.constant(source), 32, 32, seed=seed
        ),
        range(5),
    )
    for result in results:
        assert abs(result.mean()) < 1e-4
        assert abs(result.std() - 1) < 1e-3


def test_summaries_are_optional():
    def count(add_image_summaries, is_training):
        with tf.Graph().as_default():
            cifarnet_preprocessing.preprocess_image(
                tf.constant(picture(32, 32, 3)),
                32,
                32,
                is_training=is_training,
                add_image_summaries=add_image_summaries,
            )
            return len(tf.get_collection(tf.GraphKeys.SUMMARIES))

    for is_training in (True, False):
        assert count(True, is_training) == 2
        assert count(False, is_training) == 0
