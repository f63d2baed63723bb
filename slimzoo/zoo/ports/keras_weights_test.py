import itertools

import keras
import numpy as np
import pytest

from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.zoo.ports import keras_models, port
from slimzoo.zoo.ports.port_test import values

# Of how Keras converts its variables, when it saves them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

NAME = "mobilenet_v1_025"
FORMATS = (".h5", ".weights.h5", ".keras")
# Greatest difference of logits, as a share of their standard deviation. Gates of
# MobileNet v3 differ by 2e-5 of themselves.
TOLERANCE = 1e-5
TOLERANCES = {"mobilenet_v3_large": 3e-5, "mobilenet_v3_small": 3e-5}


def output(model, pictures):
    return np.asarray(model(pictures, training=False).numpy())


def check(found, expected, name):
    assert expected.std() > 0.01
    difference = np.abs(found - expected).max() / expected.std()
    assert difference < TOLERANCES.get(name, TOLERANCE)


def random_pictures(size, count=2):
    shape = count, size, size, 3
    return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


def as_keras_takes_them(name, pictures):
    if name.startswith("vgg"):
        return pictures[..., ::-1]
    return (pictures + 1) * 127.5 if name.startswith("mobilenet_v3") else pictures


def padded_as_here(model):
    """`model` with pools that are padded SAME in place of zeros before them."""
    if not model.name.startswith(("resnet", "nasnet", "NASNet")):
        return model
    pools = ("pool1_pool", "reduction_left2", "reduction_left3", "reduction_right5")

    def clone(layer):
        config = layer.get_config()
        if layer.name.startswith(("pool1_pad", "reduction_pad_1")):
            config["padding"] = 0
        if layer.name.startswith(pools):
            config["padding"] = "same"
        return type(layer).from_config(config)

    cloned = keras.models.clone_model(model, clone_function=clone)
    cloned.set_weights(model.get_weights())
    return cloned


def _row(place, name):
    """A test of a network: of the large ones, in one format each."""
    is_small = name.startswith("mobilenet")
    formats = FORMATS if is_small else FORMATS[place % 3 :][:1]
    tier = pytest.mark.release if name in LARGEST else pytest.mark.slow
    return pytest.param(name, formats, marks=tier, id=name)


LARGEST = ("nasnet_large", "resnet_v2_101", "resnet_v2_152", "vgg_19")


@pytest.mark.parametrize(
    ("name", "formats"), list(itertools.starmap(_row, enumerate(keras_models.FAMILIES)))
)
def test_every_application_in_every_format(
    tmp_path, save, randomize, logits_of, name, formats
):
    """With values at random, the logits are those of Keras."""
    family = keras_models.FAMILIES[name]
    keras.utils.set_random_seed(0)
    width = NETWORKS[name].width
    model = randomize(keras_models.build(family, width, classes=1000))
    found = []
    for ending in formats:
        path = save(model, f"model{ending}")
        found.append(port.import_weights(path, name, tmp_path / f"of{ending}"))
        path.unlink()
    first, *others = map(values, found)
    for other in others:
        assert other.keys() == first.keys()
        assert all(np.array_equal(other[key], first[key]) for key in first)
    record = model_info.beside(found[0])
    assert (record["num_classes"], record["labels_offset"]) == (1000, 1)
    assert record["image_size"] == (family.image_size,) * 2
    pictures = random_pictures(family.image_size)
    theirs = as_keras_takes_them(name, pictures)
    expected = output(padded_as_here(model), theirs)
    check(logits_of(found[0], pictures), expected, name)


WIDTHS = [
    *(("mobilenet_v2", width) for width in (0.5, 0.75, 1.3)),
    *(("mobilenet_v3_large", 0.75), ("mobilenet_v3_small", 0.75)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), WIDTHS)
def test_widths_without_a_name(tmp_path, save, randomize, logits_of, name, width):
    """Nothing but the shapes says which."""
    model = randomize(keras_models.build(keras_models.FAMILIES[name], width, 1000))
    path = port.import_weights(save(model, "a.weights.h5"), name, tmp_path / "it")
    arguments = model_info.beside(path)["network_arguments"]
    assert arguments["depth_multiplier"] == width
    pictures = random_pictures(224)
    expected = output(model, as_keras_takes_them(name, pictures))
    check(logits_of(path, pictures), expected, name)


# Models that people make


def base(size=64, **arguments):
    return keras.applications.MobileNet(
        **{"alpha": 0.25, "weights": None, "include_top": False, **arguments},
        input_shape=(size, size, 3),
    )


def behind(application, *layers):
    """A model that goes on where `application` ends."""
    output = application.output
    for layer in layers:
        output = layer(output)
    return keras.Model(application.input, output)


def around(application, *layers):
    """A model with `application` as a layer."""
    return keras.Sequential(
        [keras.Input(application.input.shape[1:]), application, *layers]
    )


def head(classes=5):
    return (
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(classes, activation="softmax", name="flowers"),
    )


@pytest.mark.parametrize(
    ("assemble", "name"),
    [(around, "a.keras"), (behind, "a.weights.h5")],
)
def test_fine_tuned_models_bring_their_head(
    tmp_path, save, randomize, logits_of, caplog, assemble, name
):
    caplog.set_level("INFO", "absl")
    model = randomize(assemble(base(), *head()))
    path = port.import_weights(save(model, name), NAME, tmp_path / "it")
    record = model_info.beside(path)
    assert (record["num_classes"], record["labels_offset"]) == (5, 0)
    assert (record["labels"], record["dataset_name"]) == (None, "")
    assert "of 5 classes" in caplog.text
    if name == "a.keras":
        assert record["image_size"] == (64, 64)
    pictures = random_pictures(record["image_size"][0])
    if name == "a.keras":  # Weights alone do not say the size.
        check(logits_of(path, pictures), output(model, pictures), NAME)
    assert len(checkpoints.shapes(path)) == 137


@pytest.mark.parametrize("assemble", [around, behind])
@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize(
    ("name", "application", "arguments"),
    [
        pytest.param(name, application, {}, marks=tier)
        for name, application, tier in [
            ("mobilenet_v2", "MobileNetV2", pytest.mark.slow),
            ("inception_v3", "InceptionV3", pytest.mark.slow),
            ("inception_resnet_v2", "InceptionResNetV2", pytest.mark.release),
            ("resnet_v2_50", "ResNet50V2", pytest.mark.slow),
            ("nasnet_mobile", "NASNetMobile", pytest.mark.release),
        ]
    ],
)
def test_fine_tuned_applications(
    tmp_path, save, randomize, logits_of, name, application, arguments, assemble, ending
):
    size = keras_models.FAMILIES[name].image_size
    features = getattr(keras.applications, application)(
        weights=None, include_top=False, input_shape=(size, size, 3), **arguments
    )
    model = randomize(assemble(padded_as_here(features), *head()))
    path = port.import_weights(save(model, f"a{ending}"), name, tmp_path / "it")
    assert model_info.beside(path)["num_classes"] == 5
    pictures = random_pictures(size)
    check(logits_of(path, pictures), output(model, pictures), name)


def test_features_alone_are_for_fine_tuning(tmp_path, save, caplog):
    caplog.set_level("INFO", "absl")
    path = port.import_weights(save(base(), "a.keras"), NAME, tmp_path / "it")
    assert len(checkpoints.shapes(path)) == 135
    assert model_info.beside(path)["num_classes"] is None
    assert "has no classifier: the checkpoint is for fine-tuning" in caplog.text
    assert "--finetune=head or --finetune=all" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "scopes"),
    [
        ("mobilenet_v3_small", 206, "MobilenetV3/Conv_2,MobilenetV3/Logits"),
        ("vgg_16", 26, "vgg_16/fc6,vgg_16/fc7,vgg_16/fc8"),
    ],
)
def test_features_without_layers_before_the_classifier(
    tmp_path, save, caplog, name, count, scopes
):
    caplog.set_level("INFO", "absl")
    model = keras_models.build(keras_models.FAMILIES[name], 1.0, classes=None)
    path = port.import_weights(save(model, "a.weights.h5"), name, tmp_path / "it")
    assert len(checkpoints.shapes(path)) == count
    assert f"--checkpoint_exclude_scopes={scopes}." in caplog.text


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            lambda: (
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(8, name="hidden"),
                keras.layers.Dense(5, name="flowers"),
            ),
            "2 layers with weights have no place in .*: hidden, flowers. It takes",
        ),
        (
            lambda: (keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(5)),
            "takes the greatest features",
        ),
        (
            lambda: (keras.layers.Flatten(), keras.layers.Dense(5)),
            r"has shape \[1024, 5\] in Keras' MobileNet, but \[1, 1, 256, 5\]",
        ),
    ],
)
def test_heads_that_have_no_place_here_are_refused(tmp_path, save, layers, message):
    path = save(around(base(), *layers()), "a.keras")
    with pytest.raises(UserError, match=message):
        port.import_weights(path, NAME, tmp_path / "it")
    assert not (tmp_path / "it").exists()
