"""Each operation against Pillow's, on a real photo."""

import collections

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image, ImageEnhance, ImageOps

from preprocessing import trivial

SIZE = (140, 100)  # Width and height.


@pytest.fixture(scope="module")
def photo(shared_data):
    path = sorted((shared_data / "imagenet_samples").glob("*.JPEG"))[3]
    return Image.open(path).convert("RGB").resize(SIZE)


def _shear(x, y):
    return lambda image, m: image.transform(
        image.size, Image.Transform.AFFINE, (1, x * m, 0, y * m, 1, 0), Image.BILINEAR
    )


def _shift(x, y):
    return lambda image, m: image.transform(
        image.size, Image.Transform.AFFINE, (1, 0, round(x * m), 0, 1, round(y * m))
    )


def _enhanced(kind):
    return lambda image, m: kind(image).enhance(1 + 0.99 * m)


PILLOWS = {
    "identity": lambda image, m: image,
    "shear x": _shear(0.99, 0),
    "shear y": _shear(0, 0.99),
    "translate x": _shift(32, 0),
    "translate y": _shift(0, 32),
    "rotate": lambda image, m: image.rotate(135 * m, Image.BILINEAR),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "color": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "posterize": lambda image, m: ImageOps.posterize(image, 8 - round(6 * abs(m))),
    "solarize": lambda image, m: ImageOps.solarize(image, 255 * (1 - abs(m))),
    "auto contrast": lambda image, m: ImageOps.autocontrast(image),
    "equalize": lambda image, m: ImageOps.equalize(image),
}


@pytest.mark.parametrize("name", trivial.OPERATIONS)
@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.1, 1.0])
def test_operation(photo, name, strength):
    expected = np.asarray(PILLOWS[name](photo, strength)).astype(int)
    image = tf.constant(np.asarray(photo), tf.float32)
    made = trivial.OPERATIONS[name](
        image, tf.constant(abs(strength)), tf.constant(np.float32(np.sign(strength)))
    )
    assert made.shape == image.shape
    difference = np.abs(made.numpy() - expected)
    assert difference.mean() < 1.0
    # At the border of what is uncovered, one of them mixes with black.
    assert (difference > 3).mean() < 0.03


def test_all_operations_and_strengths_are_drawn(photo, monkeypatch):
    drawn = collections.Counter()
    strengths = set()

    def operation(name):
        def record(image, strength, sign):
            drawn[name] += 1
            strengths.add(round(float(strength * sign) * 30))
            return image

        return record

    monkeypatch.setattr(
        trivial, "OPERATIONS", {name: operation(name) for name in PILLOWS}
    )
    image = tf.constant(np.asarray(photo), tf.float32)
    for number in range(600):
        trivial.augment(image, [number, 7])
    assert drawn.keys() == PILLOWS.keys()
    assert min(drawn.values()) > 20
    assert len(strengths) > 55


def test_a_seed_fixes_the_result(photo):
    image = tf.constant(np.asarray(photo), tf.float32)
    made = [trivial.augment(image, [number, 1]).numpy() for number in range(20)]
    again = [trivial.augment(image, [number, 1]).numpy() for number in range(20)]
    np.testing.assert_array_equal(made, again)
    assert len({each.tobytes() for each in made}) > 10


@pytest.mark.parametrize("name", trivial.OPERATIONS)
def test_gray(photo, name):
    image = tf.constant(np.asarray(photo.convert("L"))[..., np.newaxis], tf.float32)
    made = trivial.OPERATIONS[name](image, tf.constant(0.5), tf.constant(1.0)).numpy()
    assert made.shape == image.shape
    assert 0 <= made.min() <= made.max() <= 255
