"""MNIST: handwritten digits (http://yann.lecun.com/exdb/mnist/)."""

from datasets import registry

_FILE_PATTERN = "mnist_%s.tfrecord"
_SPLITS_TO_SIZES = {"train": 60000, "test": 10000}
SPLITS_TO_SIZES = _SPLITS_TO_SIZES
_NUM_CLASSES = 10
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A [28 x 28 x 1] grayscale image.",
    "label": "A single integer between 0 and 9",
}

get_split = registry.register(
    "mnist",
    splits_to_sizes=_SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="raw",
    image_shape=(28, 28, 1),
    missing_label=(0,),
).get_split
