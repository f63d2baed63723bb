import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from slimbase.text import number
from slimzoo.evaluation.metrics import CALIBRATION_BINS, Metrics, headline


def of(logits, labels):
    logits = np.asarray(logits, np.float32)
    metrics = Metrics(logits.shape[1])
    metrics.add(logits, np.asarray(labels))
    return metrics


def sums(metrics):
    return metrics.count, metrics.top_1_hits, metrics.top_5_hits, metrics.loss_sum


def in_words(logits, labels):
    """The same sums, one image and one class at a time."""
    top_1 = top_5 = loss = 0
    for row, label in zip(logits.astype(float), labels, strict=True):
        ranking = sorted(range(len(row)), key=lambda i: (-row[i], i))
        top_1 += ranking[0] == label
        top_5 += label in ranking[:5]
        loss -= math.log(math.exp(row[label]) / sum(math.exp(x) for x in row))
    return len(labels), top_1, top_5, pytest.approx(loss)


def test_headline_has_top_5_where_it_can_be_wrong():
    means = {"top_1": 0.5, "top_5": 0.75, "loss": 1.0}
    assert headline(means, 5) == "top-1 50.00%, loss 1.0000"
    assert headline(means, 6) == "top-1 50.00%, top-5 75.00%, loss 1.0000"


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 6, 1001])
def test_sums_are_those_of_the_definition(classes):
    random = np.random.default_rng(classes)
    logits = random.normal(0, 3, (40, classes)).astype(np.float32)
    labels = random.integers(0, classes, 40)
    assert sums(of(logits, labels)) == in_words(logits, labels)


def test_sums_with_many_ties_are_those_of_the_definition():
    random = np.random.default_rng(0)
    logits = random.integers(0, 3, (200, 8)).astype(np.float32)
    labels = random.integers(0, 8, 200)
    assert sums(of(logits, labels)) == in_words(logits, labels)


@pytest.mark.parametrize("sizes", [[23], [1] * 23, [10, 10, 3], [3, 0, 20]])
def test_any_partition_into_batches_gives_the_same_sums(sizes):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (23, 10)).astype(np.float32)
    labels = random.integers(0, 10, 23)
    metrics = Metrics(10)
    start = 0
    for size in sizes:
        metrics.add(logits[start : start + size], labels[start : start + size])
        start += size
    expected = in_words(logits, labels)
    assert metrics.count == 23
    assert sums(metrics) == expected


def test_of_equal_logits_the_first_ranks_first():
    equal = [[2.0] * 7]
    assert of(equal, [0]).top_1_hits == 1
    assert of(equal, [1]).top_1_hits == 0
    assert of(equal, [4]).top_5_hits == 1
    assert of(equal, [5]).top_5_hits == 0


def test_with_fewer_than_five_classes_all_are_among_the_five_highest():
    metrics = of([[3.0, 2.0, 1.0]] * 3, [0, 1, 2])
    assert (metrics.top_1_hits, metrics.top_5_hits) == (1, 3)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("label", [0, 1])
def test_image_with_a_logit_that_is_no_number_counts_as_wrong(classes, bad, label):
    logits = np.zeros((2, classes))
    logits[:, label] = 9.0
    logits[0, 1] = bad
    metrics = of(logits, [label, label])
    assert (metrics.count, metrics.top_1_hits, metrics.top_5_hits) == (2, 1, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_loss_of_logits_that_are_no_numbers_is_no_number(bad):
    assert math.isnan(of([[bad, 1.0]], [1]).loss_sum)


def test_loss_of_large_logits_does_not_overflow():
    assert of([[1000.0, 0.0]], [1]).loss_sum == pytest.approx(1000)
    assert of([[1000.0, 0.0]], [0]).loss_sum == pytest.approx(0)
    assert of([[-1000.0, -1000.0]], [0]).loss_sum == pytest.approx(math.log(2))


def test_means_are_over_all_images():
    metrics = Metrics(2)
    metrics.add(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), np.array([0, 0, 1]))
    metrics.add(np.array([[0.0, 1.0]]), np.array([0]))
    means = metrics.means()
    assert means == {
        "count": 4,
        "top_1": 0.5,
        "top_5": 1.0,
        "loss": pytest.approx(math.log(1 + math.e) - 0.5),
    }
    assert isinstance(means["count"], int)


# Classes, beside scikit-learn


def random_answers(images, classes, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (images, classes)).astype(np.float32)
    labels = random.integers(0, classes, images)
    logits[np.arange(images), labels] += 1
    return logits, labels


def sharp(labels_and_answers, classes):
    """Logits by which such labels are given such answers."""
    labels, answers = (np.array(part) for part in zip(*labels_and_answers, strict=True))
    # Without ties, which scikit-learn ranks the other way round.
    falling = np.linspace(0, -1, classes, dtype=np.float32)
    return np.eye(classes, dtype=np.float32)[answers] * 5 + falling, labels


CASES = {
    "random": random_answers(300, 7),
    "many classes": random_answers(50, 1001),
    "two classes": random_answers(40, 2),
    "one class": random_answers(10, 1),
    "one image": random_answers(1, 5),
    "all right": sharp([(i % 4, i % 4) for i in range(12)], 4),
    "all wrong": sharp([(i % 4, (i + 1) % 4) for i in range(12)], 4),
    "never there": sharp([(0, 0), (0, 1), (1, 2), (3, 0), (3, 3)], 4),
    "never given": sharp([(0, 0), (1, 0), (2, 2), (2, 0)], 3),
    "neither": sharp([(0, 0), (2, 0), (2, 2), (0, 4)], 6),
    "one label": sharp([(2, 2), (2, 1), (2, 0)], 3),
    "one answer": sharp([(0, 2), (1, 2), (2, 2)], 3),
    "ties": (np.zeros((9, 3), np.float32), np.arange(9) % 3),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.mark.filterwarnings("ignore:A single label was found")
def test_confusion_and_shares_are_those_of_scikit_learn(case):
    logits, labels = case
    answers, classes = logits.argmax(axis=1), range(logits.shape[1])
    metrics = of(logits, labels)
    np.testing.assert_array_equal(
        metrics.confusion,
        sklearn_metrics.confusion_matrix(labels, answers, labels=list(classes)),
    )
    options: dict[str, Any] = {"labels": list(classes), "zero_division": np.nan}
    expected: Any = sklearn_metrics.precision_recall_fscore_support(
        labels, answers, **options
    )
    found = metrics.per_class()
    values = found.precision, found.recall, found.f1, found.support
    for value, other in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-12)


@pytest.mark.parametrize("kind", ["macro", "weighted"])
def test_averages_are_those_of_scikit_learn(case, kind):
    logits, labels = case
    options: dict[str, Any] = {"average": kind, "zero_division": 0}
    *expected, _ = sklearn_metrics.precision_recall_fscore_support(
        labels, logits.argmax(axis=1), **options
    )
    averages = of(logits, labels).per_class().averages()
    assert set(averages) == {"macro", "weighted"}
    found = [averages[kind][name] for name in ("precision", "recall", "f1")]
    assert found == pytest.approx(expected, rel=1e-12)


def test_top_k_and_loss_are_those_of_scikit_learn(case):
    logits, labels = case
    means, classes = of(logits, labels).means(), np.arange(logits.shape[1])
    answers = logits.argmax(axis=1)
    assert means["top_1"] == sklearn_metrics.accuracy_score(labels, answers)
    logits = logits.astype(float)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    if len(classes) > 5:
        top_5 = sklearn_metrics.top_k_accuracy_score(
            labels, logits, k=5, labels=classes
        )
        assert means["top_5"] == pytest.approx(top_5)
    else:
        assert means["top_5"] == 1
    if len(classes) > 1:
        loss = sklearn_metrics.log_loss(labels, probabilities, labels=classes)
        assert means["loss"] == pytest.approx(loss, rel=1e-6, abs=1e-9)


def test_probabilities_are_those_of_the_softmax():
    logits, labels = random_answers(20, 6)
    probabilities = Metrics(6).add(logits, labels)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    ratios = np.log(probabilities / probabilities[:, :1])
    np.testing.assert_allclose(ratios, logits - logits[:, :1], atol=1e-5)


def test_images_without_numbers_have_no_answer():
    logits, labels = random_answers(20, 6)
    logits[3, 2], logits[7, 0] = np.nan, np.inf
    metrics = Metrics(6)
    probabilities = metrics.add(logits, labels)
    assert np.isnan(probabilities[[3, 7]]).all()
    assert np.isfinite(np.delete(probabilities, [3, 7], axis=0)).all()
    others = of(np.delete(logits, [3, 7], axis=0), np.delete(labels, [3, 7]))
    np.testing.assert_array_equal(metrics.confusion, others.confusion)
    assert metrics.calibration().as_dict() == others.calibration().as_dict()
    assert (metrics.count, metrics.top_1_hits) == (20, others.top_1_hits)


def test_without_any_answer_nothing_is_a_number():
    metrics = of([[np.nan, 1.0, 2.0]], [1])
    per_class = metrics.per_class()
    assert np.isnan([per_class.precision, per_class.recall, per_class.f1]).all()
    for average in per_class.averages().values():
        assert all(math.isnan(value) for value in average.values())
    content = metrics.calibration().as_dict()
    assert all(each["accuracy"] is None for each in content["bins"])


def test_any_partition_into_batches_has_the_same_classes():
    logits, labels = random_answers(50, 4)
    whole, parts = of(logits, labels), Metrics(4)
    for start in range(0, 50, 7):
        parts.add(logits[start : start + 7], labels[start : start + 7])
    np.testing.assert_array_equal(parts.confusion, whole.confusion)
    np.testing.assert_array_equal(parts.bin_counts, whole.bin_counts)
    np.testing.assert_allclose(parts.bin_confidences, whole.bin_confidences)


# Calibration


def calibration_in_words(logits, labels):
    """Of each bin: count, mean confidence, share of right answers; and the error."""
    bins = [[] for _ in range(CALIBRATION_BINS)]
    for row, label in zip(logits.astype(float), labels, strict=True):
        peak = max(row)
        powers = [math.exp(value - peak) for value in row]
        confidence, answer = max(powers) / sum(powers), powers.index(max(powers))
        for i, images in enumerate(bins):
            lower, upper = i / CALIBRATION_BINS, (i + 1) / CALIBRATION_BINS
            if lower < confidence <= upper:
                images.append((confidence, answer == label))
    rows, error = [], 0
    for images in bins:
        if not images:
            rows.append((0, None, None))
            continue
        confidence = sum(c for c, _ in images) / len(images)
        accuracy = sum(hit for _, hit in images) / len(images)
        rows.append((len(images), confidence, accuracy))
        error += len(images) / len(labels) * abs(confidence - accuracy)
    return rows, error


def test_calibration_is_that_of_the_definition(case, request):
    if "ties" in request.node.name and np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("NumPy 1 rounds probabilities at the edge of a bin otherwise")
    logits, labels = case
    rows, error = calibration_in_words(logits, labels)
    found = of(logits, labels).calibration()
    content = found.as_dict()
    assert content["expected_calibration_error"] == pytest.approx(error, abs=1e-12)
    assert len(content["bins"]) == CALIBRATION_BINS
    for i, (each, row) in enumerate(zip(content["bins"], rows, strict=True)):
        assert each["from"] == pytest.approx(i / CALIBRATION_BINS)
        assert each["to"] == pytest.approx((i + 1) / CALIBRATION_BINS)
        assert each["count"] == row[0]
        assert each["confidence"] == (row[1] and pytest.approx(row[1]))
        assert each["accuracy"] == (row[2] if row[2] is None else pytest.approx(row[2]))
    assert content == json.loads(json.dumps(content, allow_nan=False))


def test_probability_of_one_is_in_the_last_bin():
    metrics = of([[1000.0, 0.0]] * 3 + [[0.0, 1000.0]], [0, 0, 1, 1])
    calibration = metrics.calibration()
    assert calibration.counts.tolist() == [0] * (CALIBRATION_BINS - 1) + [4]
    assert calibration.error == pytest.approx(0.25)


def test_edge_belongs_to_the_bin_below_it():
    metrics = Metrics(2)
    shares = np.array([[0.6 + 1e-6, 0.4 - 1e-6], [0.6 - 1e-6, 0.4 + 1e-6]])
    metrics.add(np.log(shares), np.array([0, 0]))
    assert metrics.bin_counts[8:10].tolist() == [1, 1]
    quarters = of(np.zeros((2, 5)), [0, 1])  # A fifth each: the third edge.
    assert quarters.bin_counts[:4].tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, 0.5), (np.float32(2), 2.0), (np.nan, None), (np.inf, None), (0, 0.0)],
)
def test_number_is_one_of_json(value, expected):
    assert number(value) == expected
    assert type(number(value)) in (float, type(None))
