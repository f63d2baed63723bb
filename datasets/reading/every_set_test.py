"""slim's own way of reading: a descriptor, a DatasetDataProvider, queue runners."""

import hashlib
import importlib
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_factory, dataset_utils, shapes
from datasets.conftest import picture

# The fixture that a converter reads, and the labels by split that come of it.
CONVERTED = {
    "cifar10": ("cifar_source", {"train": [*range(10)] * 5, "test": [*range(10)]}),
    "cifar100": ("cifar100_source", {"train": [*range(100)], "test": [*range(10)]}),
    "fashion_mnist": (
        "mnist_source",
        {"train": [*range(10)] * 3, "test": [*range(10)] * 2},
    ),
    "flowers": ("flowers_source", {"train": [0, 1, 2] * 11, "validation": [0, 1, 2]}),
    "food101": ("food_source", {"train": [0, 0, 2], "test": [2, 2]}),
    "mnist": ("mnist_source", {"train": [*range(10)] * 3, "test": [*range(10)] * 2}),
    "oxford_pets": ("pets_source", {"train": [0, 25, 25], "test": [0, 36]}),
    "shapes": (None, {"train": [*range(10)], "test": [*range(10)]}),
    "visualwakewords": ("coco_source", {"train": [1, 0, 0], "val": [1, 0]}),
}
BOX = ("ymin", "xmin", "ymax", "xmax")


def _original(name):
    """The name of a file and the features of a record, as the original writes them."""
    content = picture("PNG" if name in ("mnist", "cifar10") else "JPEG", (28, 28))
    if name == "cifar10":
        content = picture("PNG", (32, 32))
    features = {
        "image/encoded": [content],
        "image/class/label": [1],
        "image/height": [28],
        "image/width": [28],
    }
    boxes = {
        f"image/object/bbox/{side}": [value, value + 0.25]
        for side, value in zip(BOX, (0.125, 0.25, 0.5, 0.625), strict=True)
    }
    return {
        "cifar10": ("cifar10_test.tfrecord", {"image/format": [b"png"]}),
        "flowers": (
            "flowers_validation_00000-of-00005.tfrecord",
            {"image/format": [b"jpg"]},
        ),
        "imagenet": (
            "validation-00000-of-00128",
            {
                "image/format": [b"JPEG"],
                "image/colorspace": [b"RGB"],
                "image/channels": [3],
                "image/class/synset": [b"n01440764"],
                "image/class/text": [b"tench, Tinca tinca"],
                "image/filename": [b"ILSVRC2012_val_00000293.JPEG"],
                "image/object/bbox/label": [1, 1],
                **boxes,
            },
        ),
        "mnist": ("mnist_test.tfrecord", {"image/format": [b"png"]}),
        "visualwakewords": (
            "val.record-00000-of-00010",
            {
                "image/format": [b"jpeg"],
                "image/filename": [b"COCO_val2014_000000000042.jpg"],
                "image/source_id": [b"42"],
                "image/key/sha256": [hashlib.sha256(content).hexdigest().encode()],
                "image/object/area": [100.5, 80.0],
                **boxes,
            },
        ),
    }[name], features


ORIGINALS = ("cifar10", "flowers", "imagenet", "mnist", "visualwakewords")


def _example(features):
    makers = {
        bytes: dataset_utils.bytes_list_feature,
        int: dataset_utils.int64_feature,
        float: dataset_utils.float_feature,
    }
    made = {key: makers[type(values[0])](values) for key, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made))


def _read(dataset, items, count):
    """The first `count` records in order, each as a list of values."""
    with tf.Graph().as_default(), tf.Session() as session:
        provider = slim.dataset_data_provider.DatasetDataProvider(
            dataset, shuffle=False
        )
        assert provider.num_samples() == dataset.num_samples
        assert set(provider.list_items()) >= set(items)
        tensors = provider.get(items)
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        values = [session.run(tensors) for _ in range(count)]
        coordinator.request_stop()
        coordinator.join(threads, stop_grace_period_secs=10)
    return values


@pytest.fixture
def convert(request, tmp_path, monkeypatch):
    """`f(name)` converts a small source of a data set and gives the directory."""

    def run(name):
        fixture, _ = CONVERTED[name]
        for split in shapes.SPLITS_TO_SIZES:
            monkeypatch.setitem(shapes.SPLITS_TO_SIZES, split, 10)
        converter = importlib.import_module(f"datasets.download_and_convert_{name}")
        source = request.getfixturevalue(fixture) if fixture else None
        converter.run(tmp_path / name, source_dir=source)
        return str(tmp_path / name)

    return run


def test_every_set_is_tested_here():
    assert {*CONVERTED, *ORIGINALS} == set(dataset_factory.datasets_map)


@pytest.mark.parametrize("name", CONVERTED)
def test_provider_reads_all_items_of_what_was_converted(convert, name):
    directory = convert(name)
    shape = dataset_factory.datasets_map[name].image_shape or (None, None, 3)
    _, splits = CONVERTED[name]
    assert splits.keys() == dataset_factory.datasets_map[name].splits_to_sizes.keys()
    for split, labels in splits.items():
        dataset = dataset_factory.get_dataset(name, split, directory)
        assert dataset.num_samples == len(labels)
        assert dataset.num_classes == len(dataset.labels_to_names)
        items = dataset.decoder.list_items()
        assert set(items) == set(dataset.items_to_descriptions)
        records = [
            dict(zip(items, values, strict=True))
            for values in _read(dataset, items, len(labels))
        ]
        assert sorted(int(record["label"]) for record in records) == sorted(labels)
        assert {int(r["label"]) for r in records} <= dataset.labels_to_names.keys()
        assert len({record["image"].tobytes() for record in records}) == len(labels)
        for record in records:
            assert record["label"].shape == ()
            image = record["image"]
            assert image.dtype == np.uint8
            expected = [e or s for e, s in zip(shape, image.shape, strict=True)]
            assert list(image.shape) == expected
            if "object/bbox" in record:
                assert record["object/bbox"].shape == (record["label"], 4)


@pytest.mark.parametrize("name", ORIGINALS)
def test_provider_reads_records_of_the_original(tmp_path, name):
    (file, more), features = _original(name)
    with tf.io.TFRecordWriter(str(tmp_path / file)) as writer:
        writer.write(_example(features | more).SerializeToString())
        writer.write(b"")  # A record that holds nothing has the defaults.
    descriptor = dataset_factory.datasets_map[name]
    dataset = dataset_factory.get_dataset(
        name, descriptor.evaluation_split, str(tmp_path)
    )
    assert dataset.num_samples == 2
    items = sorted(dataset.decoder.list_items())
    [values] = _read(dataset, items, 1)
    record = dict(zip(items, values, strict=True))
    assert record["image"].shape == (descriptor.image_shape or (28, 28, 3))
    assert record["label"] == 1
    if "object/bbox" in record:
        expected = [[0.125, 0.25, 0.5, 0.625], [0.375, 0.5, 0.75, 0.875]]
        np.testing.assert_array_equal(record["object/bbox"], expected)
    if "label_text" in record:
        assert record["label_text"] == b"tench, Tinca tinca"
    others = [item for item in items if item != "image"]
    _, values = _read(dataset, others, 2)
    record = dict(zip(others, values, strict=True))
    assert record["label"] == (-1 if "object/bbox" in record else 0)
    assert record.get("label_text", b"") == b""
    assert record.get("object/bbox", np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("name", sorted({*CONVERTED} & {*ORIGINALS}))
def test_records_have_what_the_original_reads_and_writes(convert, read_features, name):
    directory = pathlib.Path(convert(name))
    pattern = dataset_factory.datasets_map[name].file_pattern.replace("%s", "*")
    records = [r for path in directory.glob(pattern) for r in read_features(path)]
    (_, more), features = _original(name)
    assert len(records) == sum(len(labels) for labels in CONVERTED[name][1].values())
    for record in records:
        assert record.keys() == (features | more).keys() | {"image/filename"}
        for key, values in (features | more).items():
            if record[key]:
                assert type(record[key][0]) is type(values[0]), key
            assert record[key] or key.startswith("image/object/")
        assert record["image/format"] == more["image/format"]
