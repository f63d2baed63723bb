"""What tests of the readers share."""

import dataclasses
import io
import pathlib
import random
from collections.abc import Iterable
from typing import Any

import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import dataset_utils, registry
from datasets.storage import manifests
from datasets.storage.split import StoredSplit

NUM_CLASSES = 5
TINY = registry.Descriptor(
    name="tiny",
    splits_to_sizes={"train": 0},
    num_classes=NUM_CLASSES,
    file_pattern="tiny_%s-*",
    items_to_descriptions={},
    image_format="png",
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """`content` with a few bytes changed, cut out, put in, doubled, or cut off."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([1, 1, 2, 4, 16]))
        some = bytes(
            rng.choice([0, 1, 127, 128, 255, *rng.randbytes(3)]) for _ in "123"
        )
        change = rng.choice(["flip", "replace", "cut", "insert", "double", "truncate"])
        if change == "flip" and start < len(data):
            data[start] ^= 1 << rng.randrange(8)
        elif change == "replace":
            data[start:end] = rng.randbytes(end - start)
        elif change == "cut":
            del data[start:end]
        elif change == "insert":
            data[start:start] = some
        elif change == "double":
            data[start:start] = data[start:end]
        elif rng.random() < 0.3:  # Else little would be left to read.
            del data[start:]
    return bytes(data)


def png(number: int, size: tuple[int, int] = (2, 2)) -> bytes:
    """A picture whose pixels all have one value."""
    content = io.BytesIO()
    Image.new("RGB", size, (number, number, number)).save(content, "PNG")
    return content.getvalue()


def record(
    number: int,
    label: int | None = None,
    content: bytes | None = None,
    filename: str | None = None,
) -> bytes:
    """The record of the picture of a number, labelled with its remainder."""
    label = number % NUM_CLASSES if label is None else label
    content = png(number) if content is None else content
    example = dataset_utils.image_to_tfexample(content, b"png", 2, 2, label)
    if filename is not None:
        name = dataset_utils.bytes_feature(filename.encode())
        example.features.feature["image/filename"].CopyFrom(name)
    return example.SerializeToString(deterministic=True)


def write(
    directory: pathlib.Path, *files: Iterable[bytes | int], name: str = "tiny_train"
) -> StoredSplit:
    """Writes files of records, or of numbers that stand for theirs.

    Returns:
      The split that they are.
    """
    for i, contents in enumerate(files):
        path = directory / f"{name}-{i:02}-of-{len(files):02}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for r in contents:
                writer.write(record(r) if isinstance(r, int) else r)
    return open_tiny(directory)


def open_tiny(directory: str | pathlib.Path = "", **changes: Any) -> StoredSplit:
    """What `write` has written; `changes` are attributes of the descriptor."""
    tiny = dataclasses.replace(TINY, **changes)
    return tiny.find_split("train", manifests.read_manifest(directory))


def shard(directory: pathlib.Path, number: int, count: int) -> pathlib.Path:
    """A file that `write` has written."""
    return directory / f"tiny_train-{number:02}-of-{count:02}"


def damage(path: pathlib.Path, offset: int = -10) -> None:
    """Flips a bit; by default in the content of the last record."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
