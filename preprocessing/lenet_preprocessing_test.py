import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import lenet_preprocessing
from preprocessing.testing import picture, run


@pytest.mark.parametrize("is_training", [True, False])
def test_crops_and_pads_each_side_on_its_own(is_training):
    source = picture(30, 20, 1)
    result = run(
        lambda: lenet_preprocessing.preprocess_image(
            tf.constant(source), 24, 28, is_training
        )
    )
    expected = np.pad(source[3:27], [(0, 0), (4, 4), (0, 0)])
    np.testing.assert_allclose(result, (expected - 128.0) / 128.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_keeps_the_channels(channels):
    source = picture(28, 28, channels)
    result = run(
        lambda: lenet_preprocessing.preprocess_image(tf.constant(source), 28, 28, False)
    )
    np.testing.assert_allclose(result, (source - 128.0) / 128.0)
