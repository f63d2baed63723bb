"""Drawn figures of ten classes, the data set that needs no network."""

from datasets import registry

_FILE_PATTERN = "shapes_%s-*.tfrecord"
SPLITS_TO_SIZES = {"train": 4000, "test": 1000}
_NUM_CLASSES = 10
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A [64 x 64 x 3] color image.",
    "label": "A single integer between 0 and 9",
}

get_split = registry.register(
    "shapes",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="jpeg",
    image_shape=(64, 64, 3),
).get_split
