"""Makes pictures of photos' size, to measure with where the user gives none."""

import io
import pathlib

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from datasets import dataset_utils
from datasets.dataset_factory import DATASETS

FOLDER = "pictures"
HEIGHT, WIDTH = 375, 500
QUALITY = 90
_SHARDS = 8
_FOLDERS = 5
# Lengths of waves, in pixels, and their strengths. Files come to some 65 kB, as photos
# of this size do.
_WAVES = ((125, 60), (31, 30), (8, 14), (2, 14))


def picture(generator: np.random.Generator) -> bytes:
    """Smooth noise in colours as a JPEG file of `HEIGHT` x `WIDTH` pixels."""
    pixels = np.full((HEIGHT, WIDTH, 3), 128, np.float32)
    for length, strength in _WAVES:
        small = (HEIGHT // length + 2, WIDTH // length + 2)
        for channel in range(3):
            noise = generator.normal(0, strength, small).astype(np.float32)
            wave = Image.fromarray(noise).resize(
                (WIDTH, HEIGHT), Image.Resampling.BICUBIC
            )
            pixels[..., channel] += np.asarray(wave)
    content = io.BytesIO()
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def write(directory: pathlib.Path, dataset_name: str, count: int, seed: int) -> None:
    """Writes made pictures as records of all splits of a data set, and as files.

    Args:
      directory: gets the records, and `FOLDER` with folders of JPEG files.
      dataset_name: a known data set, whose file names are used.
      count: number of pictures; all splits have the same ones.
      seed: seed of the pictures' contents.
    """
    generator = np.random.default_rng(seed)
    descriptor = DATASETS[dataset_name]
    shards = min(_SHARDS, count)
    records: list[list[bytes]] = [[] for _ in range(shards)]
    for number in range(count):
        content = picture(generator)
        folder = directory / FOLDER / f"class_{number % _FOLDERS}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(content)
        label = int(generator.integers(descriptor.num_classes))
        example = dataset_utils.image_to_tfexample(
            content, b"jpeg", HEIGHT, WIDTH, label
        )
        records[number % shards].append(example.SerializeToString())
    for split in descriptor.splits_to_sizes:
        names = descriptor.shard_names(split, shards)
        for name, content in zip(names, records, strict=True):
            with tf.io.TFRecordWriter(str(directory / name)) as writer:
                for record in content:
                    writer.write(record)
