"""Fixtures shared by all tests."""

import gc
import io
import os
import pathlib
import shutil
from unittest import mock

import pytest

from slimbase import locks, testing

SHARED_DATA = pathlib.Path(__file__).resolve().parent.parent / "shared" / "data"


def pytest_collection_finish():
    """What is there by now stays: looking for garbage among it only takes time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The directory of real photos, archives and checkpoints beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`f(name, make)`: a directory that `make(path)` fills.

    All processes of pytest-xdist share it: the first one makes it, the others wait.
    """
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def directory(name, make):
        path, lock = root / name, root / f"{name}.lock"
        with locks.locked(lock):
            if not (lock / "made").exists():
                shutil.rmtree(path, ignore_errors=True)  # Of one that failed.
                path.mkdir()
                make(path)
                (lock / "made").touch()
        return path

    return directory


@pytest.fixture(scope="session")
def shapes(made_once):
    """The data set shapes, converted by command."""
    command = ("download_and_convert_data.py", "--dataset_name=shapes")
    return made_once(
        "shapes", lambda path: testing.call(*command, f"--dataset_dir={path}")
    )


@pytest.fixture(scope="session")
def temporary_of_training(made_once):
    """What the training of `trained` has for its temporary directory."""
    return made_once("temporary", lambda path: None)


@pytest.fixture(scope="session")
def trained(shapes, made_once, temporary_of_training):
    """A directory that three steps of training wrote, in a process of their own."""

    def train(path):
        with mock.patch.dict(os.environ, TMPDIR=str(temporary_of_training)):
            testing.run(
                *testing.TRAIN_ON_SHAPES,
                *(f"--dataset_dir={shapes}", f"--train_dir={path}"),
            )

    return made_once("trained", train)


@pytest.fixture(scope="session")
def imagenet(shared_data, made_once):
    """The 200 ImageNet photos as records of a validation split."""
    photos = shared_data / "imagenet_samples"
    return made_once("imagenet", lambda path: _write_records(photos, path))


def _write_records(photos, directory):
    import tensorflow.compat.v1 as tf
    from PIL import Image

    from datasets import dataset_utils

    with tf.io.TFRecordWriter(str(directory / "validation-00000-of-00001")) as writer:
        for row in testing.photo_labels(photos):
            content = (photos / row["file"]).read_bytes()
            width, height = Image.open(io.BytesIO(content)).size
            example = dataset_utils.image_to_tfexample(
                content, b"jpeg", height, width, int(row["label"])
            )
            writer.write(example.SerializeToString())


@pytest.fixture(scope="session")
def published(shared_data):
    """The directory of the published MobileNet v1 0.25 checkpoint at 128x128."""
    return shared_data / "checkpoints" / "mobilenet_v1_0.25_128"


@pytest.fixture(scope="session")
def flowers(shared_data, made_once):
    """The flower photos at hand, converted by command."""
    command = ("download_and_convert_data.py", "--dataset_name=flowers")
    source = f"--source_dir={shared_data}"
    return made_once(
        "flowers", lambda path: testing.call(*command, f"--dataset_dir={path}", source)
    )


@pytest.fixture
def graph():
    """A new graph, with a seed."""
    import tensorflow.compat.v1 as tf

    from slimbase.graph import quick_variables

    with tf.Graph().as_default() as graph, quick_variables():
        tf.set_random_seed(0)
        yield graph


@pytest.fixture(params=[False, True], ids=["reference", "resource"])
def either_variables(request, graph):
    """A graph with variables of either kind."""
    import tensorflow.compat.v1 as tf

    tf.get_variable_scope().set_use_resource(request.param)
