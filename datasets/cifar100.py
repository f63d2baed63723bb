"""CIFAR-100: tiny colour pictures of a hundred classes, five to a superclass.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf.
"""

from datasets import registry

_FILE_PATTERN = "cifar100_%s.tfrecord"
SPLITS_TO_SIZES = {"train": 50000, "test": 10000}
_NUM_CLASSES = 100
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A [32 x 32 x 3] color image.",
    "label": "A single integer between 0 and 99",
}

get_split = registry.register(
    "cifar100",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="png",
    image_shape=(32, 32, 3),
).get_split
