import numpy as np
import pytest

from slimzoo.formats import predictor


class Fixed(predictor.Predictor):
    """Gives the answers that it is made with."""

    def __init__(self, rows, outputs_probabilities=None):
        self.input_shape, self.num_classes = (None, 1, 1, 1), len(rows[0])
        self.outputs_probabilities = outputs_probabilities
        self._rows = np.asarray(rows, np.float32)

    def ports(self):
        return [], []

    def _run(self, images):
        return (self._rows[: len(images)],)


ONE = np.zeros((1, 1, 1, 1))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.25, 0.75], True),
        ([0.2501, 0.7502], True),
        ([1, 0], True),
        ([1.5, -0.5], False),
        ([0.5, 0.75], False),
        ([3, 1], False),
        ([-1, 2, 0], False),
        ([1 / 256] * 128 + [0.0] * 872, True),  # Rounded, of a thousand classes.
        ([np.nan, 1], False),
    ],
)
def test_values_show_whether_they_are_probabilities(row, expected):
    network = Fixed([row])
    logits = network.logits(ONE)
    assert network.outputs_probabilities is expected
    if not expected:
        np.testing.assert_array_equal(logits, np.array([row], np.float32))


def test_what_the_first_values_are_the_others_are():
    network = Fixed([[0.25, 0.75]])
    network.logits(ONE)
    network._rows = np.array([[0.5, 0.75]], np.float32)
    assert network.logits(ONE) == pytest.approx(np.log([[0.5, 0.75]]))


def test_probability_of_zero_has_a_finite_logit():
    logits = Fixed([[1, 0]], outputs_probabilities=True).logits(ONE)
    assert np.isfinite(logits).all()
    assert logits[0, 0] == pytest.approx(0)


def test_probabilities_are_the_output_itself_or_its_softmax():
    rows = np.array([[0.25, 0.75]], np.float32)
    network = Fixed(rows, outputs_probabilities=True)
    np.testing.assert_array_equal(network.probabilities(ONE), rows)
    network = Fixed(np.log(3 * rows), outputs_probabilities=False)
    np.testing.assert_allclose(network.probabilities(ONE), rows, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_batches_of_a_fixed_size_are_filled_up(size):
    given = []

    def double(batch):
        given.append(len(batch))
        return batch * 2, batch[:, 0]

    values = np.arange(8).reshape(4, 2)
    doubled, first = predictor.in_batches(double, values, size)
    assert set(given) == {size}
    np.testing.assert_array_equal(doubled, values * 2)
    np.testing.assert_array_equal(first, values[:, 0])


def test_texts_are_filled_up_too():
    texts = np.array([b"a", b"bc", b"d"], object)
    [found] = predictor.in_batches(lambda batch: (batch,), texts, 2)
    assert found.tolist() == texts.tolist()
