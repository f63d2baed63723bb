import itertools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import inception_preprocessing, recoloring
from preprocessing.testing import coordinates, picture, run, run_on_seeds

WHOLE = [[[0.0, 0.0, 1.0, 1.0]]]


def crops(bbox=WHOLE, count=150, **kwargs):
    """Random crops of a picture of 60x90 as (top, left, height, width), and boxes."""
    source = coordinates(60, 90)
    found = []
    for crop, box in run_on_seeds(
        lambda seed: inception_preprocessing.distorted_bounding_box_crop(
            tf.constant(source), tf.constant(bbox), seed=seed, **kwargs
        ),
        range(count),
    ):
        (top, left), (height, width) = crop[0, 0, :2].astype(int), crop.shape[:2]
        np.testing.assert_array_equal(
            crop, source[top : top + height, left : left + width]
        )
        np.testing.assert_allclose(
            box, [[[top / 60, left / 90, (top + height) / 60, (left + width) / 90]]]
        )
        found.append((top, left, height, width))
    return found


@pytest.mark.parametrize(
    "aspect, area", [((0.75, 1.33), (0.05, 1.0)), ((1.5, 2.0), (0.2, 0.3))]
)
def test_crops_keep_within_aspect_and_area(aspect, area):
    sizes = np.array(
        crops(min_object_covered=0.01, aspect_ratio_range=aspect, area_range=area)
    )[:, 2:]
    aspects, areas = sizes[:, 1] / sizes[:, 0], sizes.prod(1) / (60 * 90)
    # Sides are whole pixels: the bounds hold for some sides less than a pixel away.
    small, large = sizes - 1, sizes + 1
    assert np.all(small[:, 1] / large[:, 0] <= aspect[1])
    assert np.all(large[:, 1] / small[:, 0] >= aspect[0])
    assert np.all(small.prod(1) <= area[1] * 60 * 90)
    assert np.all(large.prod(1) >= area[0] * 60 * 90)
    # And they are various: in this picture, a crop as high as wide has 2/3 at most.
    assert np.ptp(aspects) > 0.8 * (aspect[1] - aspect[0])
    assert np.ptp(areas) > 0.8 * (min(area[1], 2 / 3) - area[0])


def test_crops_cover_a_tenth_of_the_whole_picture():
    sizes = np.array(crops())[:, 2:]
    assert 0.09 < sizes.prod(1).min() / (60 * 90) < 0.12


def test_crops_cover_what_is_asked_of_a_box():
    bbox = [[[0.25, 0.5, 0.5, 0.75]]]
    for top, left, height, width in crops(bbox, min_object_covered=1.0):
        assert top <= 15 and left <= 45
        assert top + height >= 30 and left + width >= 67
    uncovered = [c for c in crops(bbox) if c[0] > 15 or c[0] + c[2] < 30]
    assert uncovered


def test_crops_without_a_box():
    assert len(set(crops(np.zeros([1, 0, 4], np.float32), count=20))) > 10


def test_color_orderings():
    source = picture(20, 20, 3) / np.float32(255)
    for seed in range(3):
        slow, fast = (
            run(
                lambda fast_mode=fast_mode, seed=seed: [
                    inception_preprocessing.distort_color(
                        tf.constant(source), ordering, fast_mode, seed=[seed, 1]
                    )
                    for ordering in range(4)
                ]
            )
            for fast_mode in (False, True)
        )
        for result in [*slow, *fast]:
            assert result.shape == source.shape
            assert result.min() >= 0
            assert result.max() <= 1
        for first, second in itertools.combinations([*slow, *fast[:2]], 2):
            assert np.abs(first - second).max() > 1e-3
        # Two distortions have but two orders.
        np.testing.assert_array_equal(fast[1], fast[2])
        np.testing.assert_array_equal(fast[1], fast[3])


def test_color_ordering_out_of_range():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="got 4"):
        inception_preprocessing.distort_color(tf.zeros([2, 2, 3]), 4)


def test_brightness_keeps_within_bounds():
    # Saturation does not change grey, so that brightness is all there is to see.
    shifts = np.array(
        run_on_seeds(
            lambda seed: (
                inception_preprocessing.distort_color(
                    tf.fill([1, 1, 3], 0.5), seed=seed
                )
                - 0.5
            ),
            range(200),
        )
    )
    assert np.abs(shifts).max() <= 32 / 255 + 1e-6
    assert shifts.min() < -0.1
    assert shifts.max() > 0.1


def test_random_selector():
    ran = run_on_seeds(
        lambda seed: inception_preprocessing.apply_with_random_selector(
            tf.constant(10), lambda x, case: x + case, 4, seed=seed
        ),
        range(200),
    )
    # Four standard deviations about a quarter of 200.
    assert set(ran) == {10, 11, 12, 13}
    assert all(25 <= ran.count(value) <= 75 for value in set(ran))


@pytest.mark.parametrize("fast_mode", [True, False])
def test_training(fast_mode):
    # Dark on the left and bright on the right, whatever happens to the colours.
    source = np.zeros([24, 40, 3], np.uint8)
    source[:, :20], source[:, 20:] = (60, 50, 40), (220, 200, 210)
    results = run_on_seeds(
        lambda seed: inception_preprocessing.preprocess_for_train(
            tf.constant(source), 16, 16, None, fast_mode, random_crop=False, seed=seed
        ),
        range(200),
    )
    mirrored = 0
    for result in results:
        assert result.shape == (16, 16, 3)
        assert result.min() >= -1
        assert result.max() <= 1
        mirrored += result[:, :4].mean() > result[:, -4:].mean()
    # Four standard deviations of 200 fair coins.
    assert 72 <= mirrored <= 128
    assert len({result.tobytes() for result in results}) == 200


def test_fast_training_is_the_crop_resized_when_nothing_else_happens(monkeypatch):
    monkeypatch.setattr(
        recoloring, "brighten_and_saturate", lambda image, *_, **__: image * 2 - 1
    )
    source = coordinates(60, 90) / [[[60, 90, 1]]]
    corners = set()
    for result in run_on_seeds(
        lambda seed: inception_preprocessing.preprocess_for_train(
            tf.constant(source, tf.float32), 12, 12, None, seed=seed
        ),
        range(20),
    ):
        rows, columns, ones = np.moveaxis(result / 2 + 0.5, -1, 0)
        np.testing.assert_allclose(ones, 1, atol=1e-6)
        # Rows and columns go on evenly, columns in either direction.
        assert np.ptp(rows, axis=1).max() < 1e-5
        assert np.ptp(columns, axis=0).max() < 1e-5
        assert np.all(np.diff(rows, axis=0) >= 0)
        assert len(np.unique(np.sign(np.round(np.diff(columns), 5)))) <= 2
        assert rows.min() >= 0 and rows.max() < 1
        assert columns.min() >= 0 and columns.max() < 1
        corners.add((rows.min(), columns.min()))
    assert len(corners) > 10


def test_evaluation_without_crop_or_size():
    source = picture(16, 24, 3)
    whole, half = run(
        lambda: [
            inception_preprocessing.preprocess_for_eval(
                tf.constant(source), None, None, central_crop=False
            ),
            inception_preprocessing.preprocess_for_eval(
                tf.constant(source), None, None, central_fraction=0.5
            ),
        ]
    )
    expected = source / 127.5 - 1
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(half, expected[4:12, 6:18], atol=1e-6)


def test_summaries_are_optional():
    def tags(**kwargs):
        with tf.Graph().as_default():
            inception_preprocessing.preprocess_image(
                tf.constant(picture(30, 30, 3)), 16, 16, is_training=True, **kwargs
            )
            return len(tf.get_collection(tf.GraphKeys.SUMMARIES))

    assert tags() == 4
    assert tags(crop_image=False) == 3
    assert tags(add_image_summaries=False) == 0
