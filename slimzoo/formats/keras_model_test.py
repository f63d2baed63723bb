import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.export import ExportConfig
from slimzoo.exporting.export import export_trained
from slimzoo.formats import writers
from slimzoo.formats.runtimes import Opening
from slimzoo.zoo.ports import keras_models

# Keras' own, with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

EXACT = [name for name, family in keras_models.FAMILIES.items() if family.is_exact]


def trained(tmp_path, name, classes, size, **arguments):
    """A checkpoint whose batch norms, too, have values at random."""
    path = str(tmp_path / "model.ckpt")
    with classic_graph(seed=1), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, size, size, 3])
        nets_factory.get_network_fn(name, classes)(images, **arguments)
        session.run(tf.global_variables_initializer())
        random = np.random.RandomState(0)
        # Values should reach the end, and not grow where nothing bounds them.
        gain = 0.7 if "v3" in name else 1.5
        for v in tf.global_variables():
            shape = v.shape.as_list()
            if v.op.name.endswith("weights"):
                inputs = np.prod(shape[: 2 if "depthwise" in v.op.name else 3])
                value = random.normal(0, gain / np.sqrt(inputs), shape)
            else:
                low = 0.8 if v.op.name.endswith(("gamma", "variance")) else -0.1
                value = random.uniform(low, low + 0.3, shape)
            v.load(value, session)
        tf.train.Saver().save(session, path, write_meta_graph=False)
    record = {"model_name": name, "labels_offset": 0, "network_arguments": arguments}
    (tmp_path / "model.json").write_text(json.dumps(record))
    return path


def export(checkpoint, tmp_path, size, **options: Any):
    path = tmp_path / "net.keras"
    config = ExportConfig(
        checkpoint_path=checkpoint,
        output_file=str(path),
        image_size=(size, size),
        **options,
    )
    return path, export_trained(config)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.release if "inception" in name else pytest.mark.slow
        )
        for name in EXACT
    ],
)
def test_it_answers_as_the_checkpoint(tmp_path, name):
    size = 96 if "mobilenet" in name else 128
    checkpoint = trained(tmp_path, name, 7, size)
    path, record = export(checkpoint, tmp_path, size)
    assert record["format"] == "keras"
    [result] = record["verification"]["results"]
    assert result["difference"] < 1e-3
    assert record["outputs"][0]["shape"] == (None, 7)
    assert record["bytes"] == path.stat().st_size


def test_keras_alone_reads_both_files(tmp_path):
    checkpoint = trained(tmp_path, "mobilenet_v1_025", 5, 64)
    path, _ = export(checkpoint, tmp_path, 64)
    assert sorted(p.name for p in tmp_path.glob("net*")) == [
        *("net.keras", "net.keras.json", "net.weights.h5"),
    ]
    images = np.random.RandomState(0).uniform(-1, 1, [3, 64, 64, 3])
    model: Any = keras.saving.load_model(path)
    expected = model.predict(images, verbose=0)
    options: dict[str, Any] = {"weights": None, "classes": 5}
    again = keras.applications.MobileNet((64, 64, 3), alpha=0.25, **options)
    again.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_allclose(again.predict(images, verbose=0), expected, rtol=1e-5)
    with writers.FORMATS["keras"].open(str(path), Opening()) as network:
        found = network.probabilities(images.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1e-3  # It looks at the images.


@pytest.mark.slow
def test_other_widths(tmp_path):
    arguments = {"depth_multiplier": 0.5, "finegrain_classification_mode": True}
    checkpoint = trained(tmp_path, "mobilenet_v2", 5, 64, **arguments)
    path, _ = export(checkpoint, tmp_path, 64)
    model: Any = keras.saving.load_model(path)
    assert model.get_layer("Conv1").get_weights()[0].shape == (3, 3, 3, 16)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lenet", {}, "Keras has no application that computes what lenet does"),
        ("vgg_16", {}, "computes what vgg_16 does. It has one for inception_resnet_v2"),
        ("mobilenet_v1_025", {"batch_size": 2}, "leave out --batch_size"),
        ("mobilenet_v1_025", {"fold_batch_norm": True}, "and --fold_batch_norm"),
        ("mobilenet_v1_025", {"quantize": True}, "do not simulate 8 bits"),
    ],
)
def test_mistakes(tmp_path, write_checkpoint, name, options, message):
    scopes = {"lenet": "LeNet/fc4", "vgg_16": "vgg_16/fc8"}
    scope = scopes.get(name, "MobilenetV1/Logits/Conv2d_1c_1x1")
    checkpoint = write_checkpoint({f"{scope}/biases": [0.0] * 5})
    with pytest.raises(UserError, match=message):
        export(checkpoint, tmp_path, 96, model_name=name, labels_offset=0, **options)
    assert not list(tmp_path.glob("net*"))


def test_files_that_are_no_models(tmp_path):
    path = tmp_path / "a.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"a\.keras"):
        writers.FORMATS["keras"].open(str(path), Opening())


def test_code_in_files_is_not_run(tmp_path):
    path = tmp_path / "a.keras"
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)]
    keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()]).save(path)
    with pytest.raises(UserError, match=r"has a Lambda.*code from files is not run"):
        writers.FORMATS["keras"].open(str(path), Opening())
