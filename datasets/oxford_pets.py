"""The Oxford-IIIT pets: photos of 37 breeds of cats and dogs.

Parkhi et al., Cats and Dogs, 2012, https://www.robots.ox.ac.uk/~vgg/data/pets/.
"""

from datasets import registry

_FILE_PATTERN = "oxford_pets_%s-*.tfrecord"
SPLITS_TO_SIZES = {"train": 3680, "test": 3669}  # `train` is their trainval.
_NUM_CLASSES = 37
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A color image of varying size.",
    "label": "A single integer between 0 and 36",
}

get_split = registry.register(
    "oxford_pets",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="jpeg",
).get_split
