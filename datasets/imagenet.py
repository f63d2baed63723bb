"""ImageNet's ILSVRC 2012 photos (http://www.image-net.org/challenges/LSVRC/2012/).

Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, 2015,
https://arxiv.org/abs/1409.0575. Class 0 is background, which no photo shows.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import registry
from datasets.ilsvrc.classes import read_classes
from datasets.ilsvrc.published import SIDES, SPLITS_TO_SIZES

# Whether the names shipped here stand in where a directory has no label file.
LOAD_READABLE_NAMES = True

_FILE_PATTERN = "%s-*"
_NUM_CLASSES = 1001
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A color image of varying height and width.",
    "label": "The class number of the image, between 0 (background) and 1000",
    "label_text": "The names of the class.",
    "object/bbox": "Boxes around objects, as fractions [ymin, xmin, ymax, xmax].",
    "object/label": "The class numbers of these objects.",
}


def create_readable_names_for_imagenet_labels() -> dict[int, str]:
    """The names of all 1001 classes by class number, 0 being `background`."""
    return dict(enumerate(read_classes().names))


def readable_names(num_classes: int) -> tuple[str, ...]:
    """The names of the last `num_classes` classes: 1000 of them lack `background`."""
    names = create_readable_names_for_imagenet_labels()
    return tuple(names[i] for i in range(len(names) - num_classes, len(names)))


def _shipped_names() -> dict[int, str] | None:
    return create_readable_names_for_imagenet_labels() if LOAD_READABLE_NAMES else None


get_split = registry.register(
    "imagenet",
    splits_to_sizes=SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="jpeg",
    missing_label=-1,
    more_features={
        "image/class/text": tf.FixedLenFeature([], tf.string, default_value=""),
        "image/object/class/label": tf.VarLenFeature(tf.int64),
    }
    | {f"image/object/bbox/{side}": tf.VarLenFeature(tf.float32) for side in SIDES},
    more_items={
        "label_text": slim.tfexample_decoder.Tensor("image/class/text"),
        "object/bbox": slim.tfexample_decoder.BoundingBox(
            ["ymin", "xmin", "ymax", "xmax"], "image/object/bbox/"
        ),
        "object/label": slim.tfexample_decoder.Tensor("image/object/class/label"),
    },
    class_names=_shipped_names,
).get_split
