"""Small sources in the published formats, and what reads converted records."""

import gzip
import io
import json
import pathlib
import pickle
import struct
import tarfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

MNIST_SIZES = {"train": 30, "t10k": 20}
FLOWER_CLASSES = ("daisy", "rose", "tulip")
FLOWERS_PER_CLASS = 12
PETS = {  # Files, breeds and true kinds.
    "train": [("Abyssinian_1", 1, "JPEG"), ("pug_1", 26, "JPEG"), ("pug_2", 26, "PNG")],
    "test": [("Abyssinian_2", 1, "GIF"), ("yorkshire_terrier_1", 37, "JPEG")],
}
FOOD = {"train": {"apple_pie": [1, 2], "sushi": [3]}, "test": {"sushi": [4, 5]}}
# Some synsets with their labels, and the first validation pictures with theirs.
IMAGENET_SYNSETS = {"n01440764": 1, "n01443537": 2, "n02085620": 152}
IMAGENET_VALIDATION = {"n01751748": 66, "n09193705": 971, "n02105855": 231}
IMAGENET_PER_CLASS = 4


def write_tar(path: pathlib.Path, contents: Mapping[str, bytes]) -> None:
    """Writes a tar archive of these files, compressed if the name ends so."""
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as archive:  # pyright: ignore
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def imagenet_annotation(boxes: Sequence[tuple]) -> bytes:
    """XML of boxes `(name, xmin, ymin, xmax, ymax)` in a picture of 40 x 20 pixels."""
    sides = ("xmin", "ymin", "xmax", "ymax")
    objects = (
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{s}>{n}</{s}>" for s, n in zip(sides, numbers, strict=True))
        + "</bndbox></object>"
        for name, *numbers in boxes
    )
    return (
        "<annotation><filename>%s</filename>"
        "<size><width>40</width><height>20</height></size>"
        f"{''.join(objects)}</annotation>"
    ).encode()


@pytest.fixture(scope="session")
def imagenet_files() -> dict[str, dict[str, bytes]]:
    """Contents by path: of `train`, `validation` and the `boxes` of some."""
    rng = np.random.default_rng(0)

    def picture() -> bytes:
        content = io.BytesIO()
        pixels = rng.integers(0, 256, (20, 40, 3), np.uint8)
        Image.fromarray(pixels).save(content, "JPEG")
        return content.getvalue()

    train = [
        f"{s}/{s}_{i}" for s in IMAGENET_SYNSETS for i in range(IMAGENET_PER_CLASS)
    ]
    validation = [f"ILSVRC2012_val_{i:08d}" for i in (1, 2, 3)]
    return {
        "train": {f"{name}.JPEG": picture() for name in train},
        "validation": {f"{name}.JPEG": picture() for name in validation},
        "boxes": {
            f"{name}.xml": imagenet_annotation([(name[:9], 10, 5, 30, 20)])
            for name in train[::2]
        },
    }


@pytest.fixture
def imagenet_source(
    tmp_path: pathlib.Path, imagenet_files: dict[str, dict[str, bytes]]
) -> pathlib.Path:
    """A directory of archives as ImageNet's, small ones."""
    source = tmp_path / "imagenet_source"
    source.mkdir()
    inner = {}
    for synset in IMAGENET_SYNSETS:
        path = tmp_path / f"{synset}.tar"
        files = imagenet_files["train"].items()
        write_tar(path, {n[10:]: c for n, c in files if n.startswith(synset)})
        inner[path.name] = path.read_bytes()
        path.unlink()
    write_tar(source / "ILSVRC2012_img_train.tar", inner)
    write_tar(source / "ILSVRC2012_img_val.tar", imagenet_files["validation"])
    write_tar(source / "ILSVRC2012_bbox_train_v2.tar.gz", imagenet_files["boxes"])
    return source


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


def picture(kind: str = "JPEG", size: tuple[int, int] = (30, 20), seed: int = 0):
    """The content of a picture file, as noise of `size`, which is width and height."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def _write_batch(path: pathlib.Path, batch: Mapping[bytes, object]) -> None:
    content = pickle.dumps(batch, protocol=2)
    # The published files know arrays by the name of NumPy 1.
    path.write_bytes(content.replace(b"numpy._core.", b"numpy.core."))


@pytest.fixture
def cifar_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with an unpacked `cifar-10-batches-py`, ten pictures a batch."""
    source = tmp_path / "cifar_source"
    folder = source / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        images = rng.integers(0, 256, (10, 3072), np.uint8)
        _write_batch(folder / name, {b"data": images, b"labels": list(range(10))})
    return source


@pytest.fixture
def cifar100_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with an unpacked `cifar-100-python`, of 100 and 10 pictures."""
    source = tmp_path / "cifar100_source"
    folder = source / "cifar-100-python"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("train", 100), ("test", 10)):
        batch = {
            b"data": rng.integers(0, 256, (count, 3072), np.uint8),
            b"fine_labels": list(range(count)),
            b"coarse_labels": [index // 5 for index in range(count)],
            b"filenames": [b"thing_s_%06d.png" % index for index in range(count)],
        }
        _write_batch(folder / name, batch)
    return source


@pytest.fixture
def pets_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with unpacked `images` and `annotations`, as `PETS` says."""
    source = tmp_path / "pets_source"
    (source / "images").mkdir(parents=True)
    (source / "annotations").mkdir()
    for list_name, pets in zip(("trainval", "test"), PETS.values(), strict=True):
        lines = [f"{name} {breed} 1 1\n" for name, breed, _ in pets]
        (source / "annotations" / f"{list_name}.txt").write_text("".join(lines))
        for name, breed, kind in pets:
            content = picture(kind, seed=breed)
            (source / "images" / f"{name}.jpg").write_bytes(content)
    return source


@pytest.fixture
def food_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with an unpacked `food-101` of the photos in `FOOD`."""
    source = tmp_path / "food_source"
    folder = source / "food-101"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "classes.txt").write_text("apple_pie\nbaklava\nsushi\n")
    for split, photos in FOOD.items():
        stems = {name: [f"{name}/{n}" for n in some] for name, some in photos.items()}
        (folder / "meta" / f"{split}.json").write_text(json.dumps(stems))
        for name, numbers in photos.items():
            (folder / "images" / name).mkdir(parents=True, exist_ok=True)
            for number in numbers:
                path = folder / "images" / name / f"{number}.jpg"
                path.write_bytes(picture(seed=number))
    return source


@pytest.fixture
def coco_source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with COCO unpacked: three photos for training, two others.

    Photos are 30 x 20. The first of training has a person of 25 %, one of 0.5 % and
    a dog; the second a person of 0.5 %; the third nothing.
    """
    source = tmp_path / "coco_source"
    (source / "annotations").mkdir(parents=True)
    things = [
        {"image_id": 1, "category_id": 1, "area": 150.0, "bbox": [3, 5, 15, 10]},
        {"image_id": 1, "category_id": 1, "area": 3, "bbox": [0, 0, 2, 2]},
        {"image_id": 1, "category_id": 18, "area": 60.5, "bbox": [10, 10, 11, 6]},
        {"image_id": 2, "category_id": 1, "area": 3, "bbox": [0, 0, 2, 2]},
    ]
    for split, count in (("train", 3), ("val", 2)):
        folder = source / f"{split}2014"
        folder.mkdir()
        images = []
        for number in range(1, count + 1):
            name = f"COCO_{split}2014_{number:012d}.jpg"
            (folder / name).write_bytes(picture(seed=number))
            images.append({"id": number, "file_name": name, "height": 20, "width": 30})
        annotations = {
            "images": images,
            "annotations": [
                {**t, "id": i, "iscrowd": 0, "segmentation": [[1, 2, 3]]}
                for i, t in enumerate(things)
            ],
            "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        }
        path = source / "annotations" / f"instances_{split}2014.json"
        path.write_text(json.dumps(annotations))
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
