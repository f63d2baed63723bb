import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from datasets import dataset_factory, dataset_utils
from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info
from slimzoo.training import class_weights

NAMES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
INFO = model_info.settle(
    TrainConfig(model_name="lenet"), {"num_classes": 5, "labels": NAMES}, None
)


@pytest.fixture
def dataset(tmp_path):
    """Records of flowers: class i has 2 ** i of them; their pictures are not read."""
    path = tmp_path / "flowers_train_00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for label in range(5):
            example = dataset_utils.image_to_tfexample(b"", b"jpg", 1, 1, label)
            for _ in range(2**label):
                writer.write(example.SerializeToString())
    return dataset_factory.open_split("flowers", "train", tmp_path)


def test_counting_labels(dataset):
    assert class_weights.count(dataset).tolist() == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("label", "message"),
    [(None, "it has no label in image/class"), (-1, "its label -1 is none of 0 to 4")],
)
def test_labels_that_cannot_be_counted_are_reported(dataset, label, message):
    example = dataset_utils.image_to_tfexample(b"", b"jpg", 1, 1, label or 0)
    if label is None:
        del example.features.feature["image/class/label"]
    with tf.io.TFRecordWriter(dataset.record_files[0]) as writer:
        writer.write(example.SerializeToString())
    with pytest.raises(UserError, match=rf"record 0 of .*: {message}"):
        class_weights.count(dataset)


def test_balanced_weights_make_classes_count_the_same(dataset):
    weights = class_weights.read("balanced", INFO, dataset)
    assert weights is not None
    counts = np.array([1, 2, 4, 8, 16])
    np.testing.assert_allclose(weights * counts, [31 / 5] * 5, rtol=1e-6)
    assert weights.dtype == np.float32


def test_without_weights_there_are_none(dataset):
    assert class_weights.read(None, INFO, dataset) is None


def test_weights_from_a_file_by_name_or_number(dataset, tmp_path):
    path = tmp_path / "weights.txt"
    path.write_text("tulips: 5\ndaisy:1\n1:2\n2:3.5\n\n3 : 4e0\n")
    weights = class_weights.read(str(path), INFO, dataset)
    assert weights is not None
    assert weights.tolist() == [1, 2, 3.5, 4, 5]


def test_names_of_digits_come_before_numbers(dataset, tmp_path):
    info = dataclasses.replace(INFO, labels=tuple("12345"))
    path = tmp_path / "weights.txt"
    path.write_text("1:10\n2:20\n3:30\n4:40\n5:50\n")
    weights = class_weights.read(str(path), info, dataset)
    assert weights is not None
    assert weights.tolist() == [10, 20, 30, 40, 50]
    path.write_text("0:10\n1:20\n2:30\n3:40\n4:50\n")
    with pytest.raises(
        UserError, match=r"line 2: the class 1 has a weight already, by line 1\."
    ):
        class_weights.read(str(path), info, dataset)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("daisy:1\nrose:2\n0:1\n", "Did you mean roses"),
        ("daisy:1\n0:2\n", "the class daisy has a weight already"),
        ("daisy:1\n", "no weight for the class dandelion"),
        ("daisy=1\n", "line 1: expected"),
        ("daisy:-1\n", "line 1: expected"),
        ("daisy:nan\n", "line 1: expected"),
        ("dasy:1\n", "Did you mean daisy"),
    ],
)
def test_mistakes_in_a_file_of_weights_are_told(dataset, tmp_path, text, message):
    path = tmp_path / "weights.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        class_weights.read(str(path), INFO, dataset)


def test_a_missing_file_of_weights_is_told(dataset):
    with pytest.raises(
        UserError, match=r"cannot read --class_weights=balance:.*balanced"
    ):
        class_weights.read("balance", INFO, dataset)
