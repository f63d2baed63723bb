"""Converts CIFAR-100 to TFRecords of PNG pictures, 32 x 32 x 3."""

import os

from datasets.converting import cifar_batches, sources
from datasets.dataset_factory import datasets_map

_DATA_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
_CLASS_NAMES = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle",
    "bicycle", "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can",
    "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud",
    "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant",
    "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree",
    "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate",
    "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
]  # fmt: skip


def run(
    dataset_dir: str | os.PathLike[str],
    source_dir: str | os.PathLike[str] | None = None,
    mirror: str | None = None,
) -> None:
    """Writes `cifar100_train.tfrecord`, `cifar100_test.tfrecord` and labels.txt.

    Labels are those of the hundred classes, which are published as `fine_labels`.

    Args:
      dataset_dir: where; does nothing if they are there already.
      source_dir: holds `cifar-100-python.tar.gz` or the unpacked
        `cifar-100-python`, or is the latter; without it the archive is downloaded.
      mirror: where to download it instead.

    Raises:
      UserError: naming the file that is missing, damaged or not what it should be.
    """
    layout = cifar_batches.Layout(
        published=sources.Published(_DATA_URL, md5=_MD5),
        folder="cifar-100-python",
        splits_to_filenames={"train": ["train"], "test": ["test"]},
        label_key=b"fine_labels",
        class_names=_CLASS_NAMES,
    )
    dataset = datasets_map["cifar100"]
    cifar_batches.run(dataset, layout, dataset_dir, source_dir, mirror)
