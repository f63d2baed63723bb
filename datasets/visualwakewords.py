"""Visual Wake Words: is there a person in a COCO photo, or another thing of interest.

Chowdhery et al., Visual Wake Words Dataset, 2019, https://arxiv.org/abs/1906.05721.
Class 0 is background; class 1 has the thing, large enough to count.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from datasets import dataset_utils, registry

LABELS_FILENAME = dataset_utils.LABELS_FILENAME

_FILE_PATTERN = "%s.record-*"
_SPLITS_TO_SIZES = {"train": 82783, "val": 40504}
SPLITS_TO_SIZES = _SPLITS_TO_SIZES
_NUM_CLASSES = 2
_ITEMS_TO_DESCRIPTIONS = {
    "image": "A color image of varying height and width.",
    "label": "The class number of the image, 0 or 1",
    "object/bbox": "Boxes around objects, as fractions [ymin, xmin, ymax, xmax].",
}
_SIDES = ("ymin", "xmin", "ymax", "xmax")

get_split = registry.register(
    "visualwakewords",
    splits_to_sizes=_SPLITS_TO_SIZES,
    num_classes=_NUM_CLASSES,
    file_pattern=_FILE_PATTERN,
    items_to_descriptions=_ITEMS_TO_DESCRIPTIONS,
    image_format="jpeg",
    missing_label=-1,
    more_features={
        f"image/object/bbox/{side}": tf.VarLenFeature(tf.float32) for side in _SIDES
    },
    more_items={
        "object/bbox": slim.tfexample_decoder.BoundingBox(
            list(_SIDES), "image/object/bbox/"
        ),
    },
).get_split
