"""TensorFlow's flower photos (https://www.tensorflow.org/datasets/catalog/tf_flowers)."""

from datasets import registry

_FILE_PATTERN = "flowers_%s_*.tfrecord"
SPLITS_TO_SIZES = {"train": 3320, "validation": 350}
_NUM_CLASSES = 5
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A color image of varying size.",
    "label": "A single integer between 0 and 4",
}

get_split = registry.register(
    "flowers",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="png",
).get_split
