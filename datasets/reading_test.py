"""slim's own way of reading: a descriptor, a DatasetDataProvider, queue runners."""

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from PIL import Image

from datasets import (
    dataset_factory,
    dataset_utils,
    download_and_convert_cifar10,
    download_and_convert_flowers,
    download_and_convert_mnist,
    download_and_convert_shapes,
    imagenet,
    shapes,
)


def _read(dataset, items, count):
    """The first `count` records in order, each as a list of values."""
    with tf.Graph().as_default(), tf.Session() as session:
        provider = slim.dataset_data_provider.DatasetDataProvider(
            dataset, shuffle=False
        )
        assert provider.num_samples() == dataset.num_samples
        tensors = provider.get(items)
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        values = [session.run(tensors) for _ in range(count)]
        coordinator.request_stop()
        coordinator.join(threads, stop_grace_period_secs=10)
    return values


@pytest.mark.parametrize(
    ("name", "split", "shape"),
    [
        ("mnist", "test", (28, 28, 1)),
        ("cifar10", "test", (32, 32, 3)),
        ("flowers", "validation", (None, 30, 3)),
        ("shapes", "test", (64, 64, 3)),
    ],
)
def test_provider_reads_what_was_converted(
    tmp_path,
    monkeypatch,
    mnist_source,
    cifar_source,
    flowers_source,
    name,
    split,
    shape,
):
    for key in shapes.SPLITS_TO_SIZES:
        monkeypatch.setitem(shapes.SPLITS_TO_SIZES, key, 10)
    run, source = {
        "mnist": (download_and_convert_mnist.run, mnist_source),
        "cifar10": (download_and_convert_cifar10.run, cifar_source),
        "flowers": (download_and_convert_flowers.run, flowers_source),
        "shapes": (download_and_convert_shapes.run, None),
    }[name]
    run(tmp_path / name, source)
    dataset = dataset_factory.get_dataset(name, split, str(tmp_path / name))
    records = _read(dataset, ["image", "label"], dataset.num_samples)
    for image, label in records:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        expected = tuple(e or s for e, s in zip(shape, image.shape, strict=True))
        assert image.shape == expected
        assert label.shape == ()
        assert label in dataset.labels_to_names
    assert len({image.tobytes() for image, _ in records}) == dataset.num_samples


def test_provider_reads_imagenet_records_with_boxes(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(content, "JPEG")
    feature = {
        "image/encoded": dataset_utils.bytes_feature(content.getvalue()),
        "image/format": dataset_utils.bytes_feature(b"JPEG"),
        "image/class/label": dataset_utils.int64_feature(1),
        "image/class/text": dataset_utils.bytes_feature(b"tench, Tinca tinca"),
        "image/object/bbox/xmin": dataset_utils.float_feature([0.1, 0.5]),
        "image/object/bbox/ymin": dataset_utils.float_feature([0.2, 0.6]),
        "image/object/bbox/xmax": dataset_utils.float_feature([0.3, 0.7]),
        "image/object/bbox/ymax": dataset_utils.float_feature([0.4, 0.8]),
        "image/object/class/label": dataset_utils.int64_feature([1, 1]),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-01024")) as writer:
        writer.write(example.SerializeToString())
        writer.write(b"")  # A record that holds nothing has the defaults.
    dataset = imagenet.get_split("train", str(tmp_path))
    assert dataset.num_samples == 2
    items = ["image", "label", "label_text", "object/bbox", "object/label"]
    [(image, label, text, boxes, labels)] = _read(dataset, items, 1)
    assert image.shape == (30, 40, 3)
    assert label == 1
    assert text == b"tench, Tinca tinca"
    np.testing.assert_allclose(boxes, [[0.2, 0.1, 0.4, 0.3], [0.6, 0.5, 0.8, 0.7]])
    assert labels.tolist() == [1, 1]
    defaults = _read(dataset, ["label", "label_text", "object/bbox"], 2)[1]
    assert defaults[0] == -1
    assert defaults[1] == b""
    assert defaults[2].shape == (0, 4)
