"""Fashion-MNIST: clothes in MNIST's form.

Xiao et al., Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms, 2017, https://arxiv.org/abs/1708.07747.
"""

from datasets import registry

_FILE_PATTERN = "fashion_mnist_%s.tfrecord"
SPLITS_TO_SIZES = {"train": 60000, "test": 10000}
_NUM_CLASSES = 10
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A [28 x 28 x 1] grayscale image.",
    "label": "A single integer between 0 and 9",
}

get_split = registry.register(
    "fashion_mnist",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="png",
    image_shape=(28, 28, 1),
).get_split
