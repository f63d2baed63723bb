"""Small sources in the published formats, and what reads converted records."""

import gzip
import pathlib
import pickle
import struct
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

MNIST_SIZES = {"train": 30, "t10k": 20}
FLOWER_CLASSES = ("daisy", "rose", "tulip")
FLOWERS_PER_CLASS = 12


def write_idx(path: pathlib.Path, array: np.ndarray) -> None:
    """Writes bytes in MNIST's format, gzipped if the name ends so."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def mnist_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of four files as MNIST's, of 30 and 20 pictures."""
    source = tmp_path / "mnist_source"
    source.mkdir()
    rng = np.random.default_rng(0)
    for split, size in MNIST_SIZES.items():
        images = rng.integers(0, 256, (size, 28, 28))
        write_idx(source / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(source / f"{split}-labels-idx1-ubyte.gz", np.arange(size) % 10)
    return source


@pytest.fixture
def cifar_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with an unpacked `cifar-10-batches-py`, ten pictures a batch."""
    source = tmp_path / "cifar_source"
    folder = source / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {
            b"data": rng.integers(0, 256, (10, 3072), np.uint8),
            b"labels": list(range(10)),
        }
        content = pickle.dumps(batch, protocol=2)
        # The published files know arrays by the name of NumPy 1.
        content = content.replace(b"numpy._core.", b"numpy.core.")
        (folder / name).write_bytes(content)
    return source


@pytest.fixture
def flowers_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with an unpacked `flower_photos`, 12 photos of each of 3 classes."""
    source = tmp_path / "flowers_source"
    rng = np.random.default_rng(0)
    for name in FLOWER_CLASSES:
        folder = source / "flower_photos" / name
        folder.mkdir(parents=True)
        for index in range(FLOWERS_PER_CLASS):
            pixels = rng.integers(0, 256, (20 + index, 30, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.jpg")
    (source / "flower_photos" / "LICENSE.txt").write_text("not a class\n")
    return source


@pytest.fixture
def read_features() -> Callable[[pathlib.Path], list[dict]]:
    """`f(path)` gives each record of a file as a dict of lists."""

    def read(path):
        records = []
        for serialized in tf.io.tf_record_iterator(str(path)):
            features = tf.train.Example.FromString(serialized).features.feature
            records.append(
                {
                    key: list(getattr(value, value.WhichOneof("kind")).value)
                    for key, value in features.items()
                }
            )
        return records

    return read
