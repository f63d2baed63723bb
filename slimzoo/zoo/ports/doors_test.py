"""The published MobileNet v1 0.25 in each format, and the photos it is measured on."""

import tarfile
from typing import Any

import keras
import pytest

from nets.nets_factory import NETWORKS
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.zoo import DownloadConfig
from slimzoo.evaluation.evaluate import evaluate
from slimzoo.zoo import pretrained
from slimzoo.zoo.ports import keras_models, keras_weights
from slimzoo.zoo.ports.port_test import (
    save_for_tensorflow_1,
    save_for_tensorflow_2,
    values,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

NAME = "mobilenet_v1_025"


def checkpoint_of(published):
    [index] = published.glob("*.index")
    return str(index).removesuffix(".index")


def hub_1(checkpoint, path):
    save_for_tensorflow_1(path, 128, checkpoint)
    return path / "module"


def hub_1_archive(checkpoint, path):
    with tarfile.open(path / "module.tar.gz", "w:gz") as archive:
        archive.add(hub_1(checkpoint, path), ".")
    return path / "module.tar.gz"


def hub_2(checkpoint, path):
    save_for_tensorflow_2(path / "module", 128, values(checkpoint))
    return path / "module"


def frozen(checkpoint, path):
    save_for_tensorflow_1(path, 128, checkpoint)
    return path / "frozen.pb"


def keras_h5(checkpoint, path):
    family = keras_models.FAMILIES[NAME]
    arguments: dict[str, Any] = {"weights": None, "classes": 1001, "alpha": 0.25}
    model = keras.applications.MobileNet(input_shape=(128, 128, 3), **arguments)
    ours = values(checkpoint)
    for name, _, weight in keras_weights.names(model, NETWORKS[NAME], family):
        weight.assign(ours[name])
    model.save(path / "model.h5")
    return path / "model.h5"


@pytest.mark.slow
@pytest.mark.parametrize("door", [hub_1, hub_1_archive, hub_2, frozen, keras_h5])
def test_published_accuracy_through_every_door(published, imagenet, tmp_path, door):
    checkpoint = checkpoint_of(published)
    source = door(checkpoint, tmp_path)
    facts = {"model_name": NAME, "image_size": 128, "date": "2018-08-02"}
    path = pretrained.fetch(
        DownloadConfig(
            **facts, source=str(source), checkpoint_dir=str(tmp_path / "there")
        )
    )
    results = evaluate(
        EvalConfig(
            checkpoint_path=path,
            dataset_dir=str(imagenet),
            eval_dir=str(tmp_path / "e"),
        )
    )
    assert (results["count"], results["top_1"], results["top_5"]) == (200, 0.54, 0.755)
