import csv
import io

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from datasets.reading.pipeline import EvalBatch
from slimzoo.evaluation import predictions
from slimzoo.evaluation.metrics import Metrics
from slimzoo.evaluation.predictions import Predictions

NAMES = ("ant", "bee, wild", 'the "cat"', "Löwe", "eel", "fox", "gnu")


def batch(labels, start=0, filenames=None, record_file=b"/data/a-00000-of-00002"):
    count = len(labels)
    filenames = [b""] * count if filenames is None else filenames
    return EvalBatch(
        images=None,
        labels=np.asarray(labels, np.int64),
        filenames=np.array(filenames, object),
        record_files=np.array([record_file] * count, object),
        positions=np.arange(start, start + count),
    )


def random_answers(count=200):
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (count, len(NAMES))).astype(np.float32)
    return logits, random.integers(0, len(NAMES), count)


def written(batches, names=NAMES):
    """The rows of the file, as dicts."""
    file = io.StringIO(newline="")
    writer = Predictions(names, file)
    for each, probabilities in batches:
        writer.add(each, np.asarray(probabilities, float))
    file.seek(0)
    return list(csv.DictReader(file))


@pytest.mark.parametrize("sizes", [[200], [7] * 28 + [4]])
def test_file_has_the_same_results_as_the_metrics(sizes):
    logits, labels = random_answers()
    metrics, batches, start = Metrics(len(NAMES)), [], 0
    for size in sizes:
        part = slice(start, start + size)
        probabilities = metrics.add(logits[part], labels[part])
        batches.append((batch(labels[part], start), probabilities))
        start += size
    rows = written(batches)
    read_labels = [int(row["label"]) for row in rows]
    answers = [int(row["class_1"]) for row in rows]
    assert read_labels == labels.tolist()
    assert (
        sklearn_metrics.accuracy_score(read_labels, answers) == metrics.means()["top_1"]
    )
    confusion = sklearn_metrics.confusion_matrix(read_labels, answers)
    np.testing.assert_array_equal(confusion, metrics.confusion)
    five = [[int(row[f"class_{i}"]) for i in range(1, 6)] for row in rows]
    hits = [label in row for label, row in zip(read_labels, five, strict=True)]
    assert np.mean(hits) == metrics.means()["top_5"]
    losses = [-np.log(float(row["label_probability"])) for row in rows]
    assert np.mean(losses) == pytest.approx(metrics.means()["loss"], abs=1e-5)


def test_row_has_the_image_its_label_and_the_best_answers():
    [row] = written(
        [(batch([1], 3, [b"bee.jpg"]), [[0.05, 0.25, 0.4, 0.125, 0.15, 0.02, 0.005]])]
    )
    assert row == {
        **{"image": "bee.jpg", "label": "1", "label_name": "bee, wild"},
        "label_probability": "0.25",
        **{"class_1": "2", "name_1": 'the "cat"', "probability_1": "0.4"},
        **{"class_2": "1", "name_2": "bee, wild", "probability_2": "0.25"},
        **{"class_3": "4", "name_3": "eel", "probability_3": "0.15"},
        **{"class_4": "3", "name_4": "Löwe", "probability_4": "0.125"},
        **{"class_5": "0", "name_5": "ant", "probability_5": "0.05"},
    }


def test_image_without_a_file_name_is_named_by_its_record():
    rows = written([(batch([0, 0], 8), np.eye(7)[:2])])
    assert [row["image"] for row in rows] == [
        *("a-00000-of-00002:8", "a-00000-of-00002:9")
    ]


def test_names_may_be_any_bytes():
    names = ["Löwe, 1.jpg".encode(), b"\xff.jpg", b'a\n"b"']
    rows = written([(batch([0] * 3, 0, names), np.eye(7)[:3])])
    assert [row["image"] for row in rows] == ["Löwe, 1.jpg", "\ufffd.jpg", 'a\n"b"']


@pytest.mark.parametrize("classes", [1, 2, 4, 5])
def test_few_classes_have_few_columns(classes):
    [row] = written([(batch([0]), np.full((1, classes), 1 / classes))], NAMES[:classes])
    assert len(row) == 4 + 3 * classes
    assert None not in row.values()
    assert [row[f"class_{i + 1}"] for i in range(classes)] == [
        str(i) for i in range(classes)
    ]


def test_image_without_probabilities_has_a_label_only():
    answers = [np.full(7, np.nan), np.eye(7)[2]]
    first, second = written([(batch([1, 2]), answers)])
    assert (first["label"], first["label_name"]) == ("1", "bee, wild")
    assert first["label_probability"] is first["class_1"] is None
    assert second["class_1"] == "2"


# Mistakes


def mistakes(answers, labels, sizes, names=NAMES):
    found, start = Predictions(names), 0
    for size in sizes:
        part = slice(start, start + size)
        found.add(batch(labels[part], start), answers[part])
        start += size
    return found.mistakes()


@pytest.mark.parametrize("sizes", [[200], [1] * 200, [50, 0, 150]])
def test_mistakes_are_the_most_confident_ones_in_order(sizes):
    logits, labels = random_answers()
    answers = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = mistakes(answers, labels, sizes)
    wrong = [i for i in range(200) if answers[i].argmax() != labels[i]]
    wrong.sort(key=lambda i: -answers[i].max())
    assert len(wrong) > predictions.MOST_MISTAKES
    assert [mistake.position for mistake in found] == wrong[: predictions.MOST_MISTAKES]
    for mistake in found:
        i = mistake.position
        assert mistake.record_file == "/data/a-00000-of-00002"
        assert mistake.identity == f"a-00000-of-00002:{i}"
        assert (mistake.label, mistake.answer) == (labels[i], answers[i].argmax())
        assert mistake.confidence == answers[i].max()


def test_few_mistakes_are_all_there():
    answers = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [np.nan, np.nan]])
    found = mistakes(answers, [1, 1, 1, 0], [4], NAMES[:2])
    assert [(m.position, m.confidence) for m in found] == [(0, 0.9), (2, 0.6)]


def test_mistakes_of_equal_confidence_are_different_images():
    answers = np.tile([0.9, 0.1], (40, 1))
    found = mistakes(answers, [1] * 40, [40], NAMES[:2])
    assert len({mistake.position for mistake in found}) == predictions.MOST_MISTAKES


# The file


def test_file_is_there_when_all_is_written(tmp_path):
    directory = tmp_path / "new"
    with predictions.writing(NAMES, str(directory)) as found:
        found.add(batch([3]), np.eye(7)[3:4])
        assert not (directory / "predictions.csv").exists()
    content = (directory / "predictions.csv").read_text("utf-8")
    assert "Löwe" in content
    assert len(content.splitlines()) == 2
    assert [path.name for path in directory.iterdir()] == ["predictions.csv"]


def test_failure_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "predictions.csv").write_text("before")
    with pytest.raises(KeyError), predictions.writing(NAMES, str(tmp_path)) as found:
        found.add(batch([3]), np.eye(7)[3:4])
        raise KeyError
    assert (tmp_path / "predictions.csv").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
