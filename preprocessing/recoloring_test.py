import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import recoloring
from preprocessing.testing import picture, run

GREY = np.broadcast_to(np.linspace(0, 1, 8, dtype=np.float32)[:, None, None], (8, 5, 3))
PICTURES = {
    "photo": picture(24, 16, 3) / np.float32(255),
    "odd": picture(13, 7, 3) / np.float32(255),  # 91 pixels: no even rows of products.
    "one": np.array([[[0.9, 0.1, 0.4]]], np.float32),
    "grey": GREY,
    "extremes": np.float32(np.stack(np.meshgrid(*[[0, 1]] * 3), -1)).reshape(2, 4, 3),
}


@pytest.mark.parametrize("source", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("brightness", [-0.125, 0.0, 0.1])
@pytest.mark.parametrize("saturation", [0.5, 1.0, 1.5])
def test_as_tensorflow_does_it(source, brightness, saturation):
    def both():
        image = tf.image.adjust_brightness(tf.constant(source), brightness)
        image = tf.image.adjust_saturation(image, saturation)
        ours = recoloring.brighten_and_saturate(
            tf.constant(source * 255), brightness, saturation, 255.0, (-1.0, 1.0)
        )
        assert ours.shape == source.shape
        return tf.clip_by_value(image, 0.0, 1.0), ours

    expected, ours = run(both)
    np.testing.assert_allclose(ours, expected * 2 - 1, atol=1e-5)
