import dataclasses
import math

import numpy as np
import pytest

from slimzoo.metrics import Metrics


def of(logits, labels):
    metrics = Metrics()
    metrics.add(np.asarray(logits, np.float32), np.asarray(labels))
    return metrics


def in_words(logits, labels):
    """The same sums, one image and one class at a time."""
    top_1 = top_5 = loss = 0
    for row, label in zip(logits.astype(float), labels, strict=True):
        ranking = sorted(range(len(row)), key=lambda i: (-row[i], i))
        top_1 += ranking[0] == label
        top_5 += label in ranking[:5]
        loss -= math.log(math.exp(row[label]) / sum(math.exp(x) for x in row))
    return len(labels), top_1, top_5, pytest.approx(loss)


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 6, 1001])
def test_sums_are_those_of_the_definition(classes):
    random = np.random.default_rng(classes)
    logits = random.normal(0, 3, (40, classes)).astype(np.float32)
    labels = random.integers(0, classes, 40)
    assert dataclasses.astuple(of(logits, labels)) == in_words(logits, labels)


def test_sums_with_many_ties_are_those_of_the_definition():
    random = np.random.default_rng(0)
    logits = random.integers(0, 3, (200, 8)).astype(np.float32)
    labels = random.integers(0, 8, 200)
    assert dataclasses.astuple(of(logits, labels)) == in_words(logits, labels)


@pytest.mark.parametrize("sizes", [[23], [1] * 23, [10, 10, 3], [3, 0, 20]])
def test_any_partition_into_batches_gives_the_same_sums(sizes):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (23, 10)).astype(np.float32)
    labels = random.integers(0, 10, 23)
    metrics = Metrics()
    start = 0
    for size in sizes:
        metrics.add(logits[start : start + size], labels[start : start + size])
        start += size
    expected = in_words(logits, labels)
    assert metrics.count == 23
    assert dataclasses.astuple(metrics) == expected


def test_of_equal_logits_the_first_ranks_first():
    equal = [[2.0] * 7]
    assert of(equal, [0]).top_1 == 1
    assert of(equal, [1]).top_1 == 0
    assert of(equal, [4]).top_5 == 1
    assert of(equal, [5]).top_5 == 0


def test_with_fewer_than_five_classes_all_are_among_the_five_highest():
    metrics = of([[3.0, 2.0, 1.0]] * 3, [0, 1, 2])
    assert (metrics.top_1, metrics.top_5) == (1, 3)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("label", [0, 1])
def test_image_with_a_logit_that_is_no_number_counts_as_wrong(classes, bad, label):
    logits = np.zeros((2, classes))
    logits[:, label] = 9.0
    logits[0, 1] = bad
    metrics = of(logits, [label, label])
    assert (metrics.count, metrics.top_1, metrics.top_5) == (2, 1, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_loss_of_logits_that_are_no_numbers_is_no_number(bad):
    assert math.isnan(of([[bad, 1.0]], [1]).loss)


def test_loss_of_large_logits_does_not_overflow():
    assert of([[1000.0, 0.0]], [1]).loss == pytest.approx(1000)
    assert of([[1000.0, 0.0]], [0]).loss == pytest.approx(0)
    assert of([[-1000.0, -1000.0]], [0]).loss == pytest.approx(math.log(2))


def test_means_are_over_all_images():
    metrics = Metrics()
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
