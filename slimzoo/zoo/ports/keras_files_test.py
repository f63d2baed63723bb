import json
import zipfile

import h5py
import keras
import pytest

from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimzoo.zoo.ports import keras_files

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

NETWORK = NETWORKS["mobilenet_v1_025"]


def read(path, network=NETWORK):
    return keras_files.read(path, network, 0.25)


@pytest.fixture
def small(save):
    """`f(name)` saves a small model that is no application."""
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv1")]
    return lambda name: save(keras.Sequential(layers), name)


def with_config(path, change):
    """Changes the configuration of a `.keras` file in place."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config["config"]["layers"])
    content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_code_of_a_lambda_is_not_run(save, tmp_path, name):
    ran = tmp_path / "ran"
    source = f"lambda x: (__import__('pathlib').Path({str(ran)!r}).touch(), x)[1]"
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(eval(source))]
    path = save(keras.Sequential(layers), name)
    ran.unlink()  # Making the model ran it.
    with pytest.raises(UserError, match=r"has a Lambda.* code from files is not run"):
        read(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "part",
    [
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "keras.config", "class_name": "enable_unsafe_deserialization"},
        {"module": "keras.utils", "class_name": "get_file", "config": {}},
        {"module": "keras_evil.layers", "class_name": "Dense"},
        {"module": "builtins", "class_name": "function", "config": "exec"},
    ],
)
def test_what_keras_would_import_for_a_file_is_refused(small, part):
    path = with_config(small("a.keras"), lambda layers: layers.append(part))
    with pytest.raises(
        UserError, match=f"has a {part['class_name']} of {part['module']}"
    ):
        read(path)


def test_files_that_are_no_such_application_are_refused(small):
    with pytest.raises(UserError, match=r"has not the weights of MobileNet"):
        read(small("a.weights.h5"))
    with pytest.raises(UserError, match="inception_v4 has no namesake in Keras"):
        read(small("a.keras"), NETWORKS["inception_v4"])


def test_damaged_files_are_refused(small):
    path = small("a.keras")
    with_config(path, lambda layers: layers.clear())
    with pytest.raises(UserError, match="Keras cannot load"):
        read(path)
    path = small("a.h5")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="is damaged"):
        read(path)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{"
    with pytest.raises(UserError, match="is damaged"):
        read(path)
