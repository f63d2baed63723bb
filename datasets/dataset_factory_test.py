import importlib
import sys

import pytest
import tensorflow.compat.v1 as tf

import datasets
from datasets import (
    cifar10,
    dataset_factory,
    flowers,
    imagenet,
    mnist,
    shapes,
    visualwakewords,
)
from datasets.registry import DATASETS

# Facts of the original, and of our own `shapes`:
# splits, classes, pattern, format, label's shape and default, image's shape.
FACTS = {
    "cifar10": (
        {"train": 50000, "test": 10000},
        10,
        "cifar10_%s.tfrecord",
        ("png", [], 0),
        cifar10,
    ),
    "flowers": (
        {"train": 3320, "validation": 350},
        5,
        "flowers_%s_*.tfrecord",
        ("png", [], 0),
        flowers,
    ),
    "imagenet": (
        {"train": 1281167, "validation": 50000},
        1001,
        "%s-*",
        ("jpeg", [], -1),
        imagenet,
    ),
    "mnist": (
        {"train": 60000, "test": 10000},
        10,
        "mnist_%s.tfrecord",
        ("raw", [1], (0,)),
        mnist,
    ),
    "shapes": (
        {"train": 4000, "test": 1000},
        10,
        "shapes_%s-*.tfrecord",
        ("jpeg", [], 0),
        shapes,
    ),
    "visualwakewords": (
        {"train": 82783, "val": 40504},
        2,
        "%s.record-*",
        ("jpeg", [], -1),
        visualwakewords,
    ),
}
BOXES = {
    "image/object/bbox/xmin": tf.VarLenFeature(tf.float32),
    "image/object/bbox/ymin": tf.VarLenFeature(tf.float32),
    "image/object/bbox/xmax": tf.VarLenFeature(tf.float32),
    "image/object/bbox/ymax": tf.VarLenFeature(tf.float32),
}
MORE_FEATURES = {
    "imagenet": {
        "image/class/text": tf.FixedLenFeature([], tf.string, default_value=""),
        "image/object/class/label": tf.VarLenFeature(tf.int64),
        **BOXES,
    },
    "visualwakewords": BOXES,
}
MORE_ITEMS = {
    "imagenet": {"label_text", "object/bbox", "object/label"},
    "visualwakewords": {"object/bbox"},
}


def test_all_sets_are_known():
    assert set(dataset_factory.datasets_map) >= set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_the_originals(name):
    sizes, num_classes, pattern, (image_format, shape, default), module = FACTS[name]
    assert sizes == module.SPLITS_TO_SIZES
    for split, size in sizes.items():
        dataset = dataset_factory.get_dataset(name, split, "dir")
        assert dataset.num_samples == size
        assert dataset.num_classes == num_classes
        assert dataset.data_sources == f"dir/{pattern % split}"
        assert dataset.reader is tf.TFRecordReader
        items = {"image", "label"} | MORE_ITEMS.get(name, set())
        assert set(dataset.decoder.list_items()) == items
        assert set(dataset.items_to_descriptions) == items
        features = {
            "image/encoded": tf.FixedLenFeature((), tf.string, default_value=""),
            "image/format": tf.FixedLenFeature(
                (), tf.string, default_value=image_format
            ),
            "image/class/label": tf.FixedLenFeature(
                shape, tf.int64, default_value=default
            ),
        }
        assert DATASETS[name].features() == features | MORE_FEATURES.get(name, {})


@pytest.mark.parametrize("name", FACTS)
def test_modules_and_the_map_have_get_split(name):
    split = next(iter(FACTS[name][0]))
    for place in (FACTS[name][-1], dataset_factory.datasets_map[name]):
        dataset = place.get_split(split, "dir", file_pattern="mine-%s")
        assert dataset.data_sources == f"dir/mine-{split}"


def test_unknown_name_suggests_close_ones():
    with pytest.raises(ValueError, match=r"Name of dataset unknown flower.*flowers"):
        dataset_factory.get_dataset("flower", "train", "dir")


def test_a_set_is_added_by_a_file_and_converters_are_not_imported(
    tmp_path, monkeypatch
):
    (tmp_path / "toy_pets.py").write_text(
        "from datasets import registry\n"
        "get_split = registry.register('toy_pets', splits_to_sizes={'train': 3},\n"
        "    num_classes=2, file_pattern='%s', items_to_descriptions={},\n"
        "    image_format='png').get_split\n"
    )
    (tmp_path / "download_and_convert_toy_pets.py").write_text("raise SystemExit\n")
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    try:
        importlib.reload(dataset_factory)
        dataset = dataset_factory.get_dataset("toy_pets", "train", "dir")
        assert dataset.num_samples == 3
    finally:
        DATASETS.pop("toy_pets", None)
        sys.modules.pop("datasets.toy_pets", None)
