"""Fixtures shared by all tests."""

import io
import pathlib

import pytest

from slimbase import testing

SHARED_DATA = pathlib.Path(__file__).resolve().parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The directory of real photos, archives and checkpoints beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data sets in ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """The data set shapes, converted by command."""
    path = tmp_path_factory.mktemp("shapes")
    command = ("download_and_convert_data.py", "--dataset_name=shapes")
    testing.call(*command, f"--dataset_dir={path}")
    return path


@pytest.fixture(scope="session")
def trained(shapes, tmp_path_factory):
    """A directory that three steps of training wrote."""
    path = tmp_path_factory.mktemp("trained")
    testing.run(
        *testing.TRAIN_ON_SHAPES, f"--dataset_dir={shapes}", f"--train_dir={path}"
    )
    return path


@pytest.fixture(scope="session")
def imagenet(shared_data, tmp_path_factory):
    """The 200 ImageNet photos as records of a validation split."""
    import tensorflow.compat.v1 as tf
    from PIL import Image

    from datasets import dataset_utils

    directory = tmp_path_factory.mktemp("imagenet")
    photos = shared_data / "imagenet_samples"
    with tf.io.TFRecordWriter(str(directory / "validation-00000-of-00001")) as writer:
        for row in testing.photo_labels(photos):
            content = (photos / row["file"]).read_bytes()
            width, height = Image.open(io.BytesIO(content)).size
            example = dataset_utils.image_to_tfexample(
                content, b"jpeg", height, width, int(row["label"])
            )
            writer.write(example.SerializeToString())
    return directory


@pytest.fixture(scope="session")
def published(shared_data):
    """The directory of the published MobileNet v1 0.25 checkpoint at 128x128."""
    return shared_data / "checkpoints" / "mobilenet_v1_0.25_128"


@pytest.fixture(scope="session")
def flowers(shared_data, tmp_path_factory):
    """The flower photos at hand, converted by command."""
    path = tmp_path_factory.mktemp("flowers")
    testing.call(
        *("download_and_convert_data.py", "--dataset_name=flowers"),
        *(f"--dataset_dir={path}", f"--source_dir={shared_data}"),
    )
    return path


@pytest.fixture
def graph():
    """A new graph, with a seed."""
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default() as graph:
        tf.set_random_seed(0)
        yield graph


@pytest.fixture(params=[False, True], ids=["reference", "resource"])
def either_variables(request, graph):
    """A graph with variables of either kind."""
    import tensorflow.compat.v1 as tf

    tf.get_variable_scope().set_use_resource(request.param)
