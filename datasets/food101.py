"""Food-101: photos of dishes, a thousand of each; labels of training have some noise.

Bossard et al., Food-101 - Mining Discriminative Components with Random Forests, 2014,
https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/.
"""

from datasets import registry

_FILE_PATTERN = "food101_%s-*.tfrecord"
SPLITS_TO_SIZES = {"train": 75750, "test": 25250}
_NUM_CLASSES = 101
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A color image of varying size, at most 512 pixels a side.",
    "label": "A single integer between 0 and 100",
}

get_split = registry.register(
    "food101",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="jpeg",
).get_split
