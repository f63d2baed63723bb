"""Every recorded model of timm, by names, shapes and logits; without PyTorch."""

import json
import pathlib
import sys
import zipfile

import numpy as np
import pytest

from nets.nets_factory import NETWORKS
from slimbase.errors import UserError
from slimzoo.config.evaluate import EvalConfig
from slimzoo.inference import predictor
from slimzoo.model import info as model_info
from slimzoo.zoo.ports import port, targets, timm_files, timm_models, timm_values
from slimzoo.zoo.ports.timm_weights import of_tensors

RECORD = json.loads(
    pathlib.Path(__file__).with_name("timm_record.json").read_text("utf-8")
)["models"]
SMALLEST = "tf_mobilenetv3_small_minimal_100"
NAME = "mobilenet_v3_small_minimalistic"


def ours(architecture):
    return next(
        name
        for name, model in timm_models.MODELS.items()
        if architecture in model.architectures
    )


def values(architecture, **changed):
    record = RECORD[architecture]
    shapes = timm_values.unpacked(record["shapes"])
    return {**timm_values.values(shapes, record["scaled"]), **changed}


def config(architecture, **changed):
    size = changed.pop("size", RECORD[architecture]["image_size"])
    normal = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, size, size]}
    record = {"architecture": architecture, "num_classes": 1000}
    return {**record, "pretrained_cfg": normal, **changed}


def save(directory, tensors, record):
    """Writes what timm publishes. `record` None: without a configuration."""
    library = pytest.importorskip(
        "safetensors.numpy", reason="the extra safetensors is not installed"
    )
    directory.mkdir()
    library.save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    if record is not None:
        (directory / "config.json").write_text(json.dumps(record), "utf-8")
    return directory


def logits_of(checkpoint, size):
    info = model_info.settle(EvalConfig(), model_info.beside(checkpoint))
    with predictor.from_checkpoint(info, checkpoint) as network:
        return network.logits(timm_values.pictures(size))[0]


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=() if name == SMALLEST else pytest.mark.slow)
        for name in RECORD
    ],
)
def test_every_name_has_its_place(architecture):
    network = NETWORKS[ours(architecture)]
    variables = targets.own_variables(network, 1000)
    model = timm_models.MODELS[network.name]
    shapes = timm_values.unpacked(RECORD[architecture]["shapes"])
    # Of one number each, as only names and shapes matter.
    tensors = {n: np.broadcast_to(np.float32(1), shape) for n, shape in shapes.items()}
    found, notes = of_tensors(tensors, model, variables)
    auxiliary = network.classifier_scopes[1:]
    lacking = [name for name in variables if name not in found]
    assert all(name.startswith(auxiliary) for name in lacking)
    assert list(found.keys() - set(variables)) == []
    if "075" not in architecture:
        for name, value in found.items():
            assert np.prod(value.shape) == np.prod(variables[name]), name
            assert value.shape[-1] == variables[name][-1], name
    assert any("num_batches_tracked are left out" in note for note in notes)


TOLERANCE = 2e-5  # Of the greatest logit.
LARGEST = ("nasnetalarge", "pnasnet5large")


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(
            name,
            marks=pytest.mark.release if name in LARGEST else pytest.mark.slow,
        )
        for name in RECORD
    ],
)
def test_logits(tmp_path, architecture):
    record = RECORD[architecture]
    source = save(tmp_path / "there", values(architecture), config(architecture))
    path = port.import_weights(source, ours(architecture), tmp_path / "here")
    facts = model_info.beside(path)
    assert (facts["num_classes"], facts["labels_offset"]) == (1000, 1)
    assert facts["image_size"] == (record["image_size"],) * 2
    found = logits_of(path, record["image_size"])[timm_values.RECORDED_CLASSES]
    as_here, as_timm = np.array(record["logits_as_here"]), np.array(record["logits"])
    most = TOLERANCE * abs(as_here).max()
    assert abs(found - as_here).max() <= most
    # Where timm computes otherwise, a note says so.
    differs = abs(as_timm - as_here).max() > most
    assert differs == bool(timm_models.MODELS[ours(architecture)].differences)


# What is refused, and what is reported.


def imported(tmp_path, tensors, record, name=NAME):
    source = save(tmp_path / "there", tensors, record)
    return port.import_weights(source, name, tmp_path / "here")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": "mobilenetv3_small_100"},
            "of timm's mobilenetv3_small_100, not of tf_mobilenetv3_small_minimal_100.*"
            "it has no port here",
        ),
        (
            {"architecture": "inception_v4"},
            "of timm's inception_v4.*give --model_name=inception_v4",
        ),
        (
            {"pretrained_cfg": {"mean": [0.485, 0.456, 0.406], "std": [0.5] * 3}},
            r"normalized with mean \[0.485, 0.456, 0.406\].*takes them in \[-1, 1\]",
        ),
        ({"num_classes": 5}, "there are 5 logits .*, model.safetensors has 1000"),
        ({"pretrained_cfg": []}, "is not the configuration of a model of timm"),
    ],
)
def test_configurations_of_other_models_are_refused(tmp_path, changes, message):
    bias = {"classifier.bias": np.zeros(1000, np.float32)}
    with pytest.raises(UserError, match=message):
        imported(tmp_path, bias, {**config(SMALLEST), **changes})
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("layer1.0.conv1.weight", "layer1.0. are those of a ResNet of torchvision"),
        (
            "features.0.0.weight",
            "features.0.0. are those of a MobileNet of torchvision",
        ),
        ("conv_stem.running", "1 tensor of 1 are not timm's .*: conv_stem.running"),
    ],
)
def test_other_names_are_refused(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        imported(tmp_path, {name: np.zeros([1, 1], np.float32)}, None)


def test_missing_tensors_are_named(tmp_path):
    tensors = values(SMALLEST)
    del tensors["blocks.1.0.conv_dw.weight"]
    with pytest.raises(UserError, match="expanded_conv_1/depthwise/depthwise_weights"):
        imported(tmp_path, tensors, config(SMALLEST))


def test_networks_without_a_port_are_refused(tmp_path):
    with pytest.raises(UserError, match="no port to PyTorch is known of lenet"):
        imported(tmp_path, {"a": np.zeros(1, np.float32)}, None, "lenet")


def test_without_a_configuration_it_is_said_what_is_assumed(tmp_path):
    source = save(tmp_path / "there", values(SMALLEST), None)
    found = timm_files.read(source / "model.safetensors", NETWORKS[NAME], 1.0)
    assert found.image_size is None
    assert "there is no config.json beside model.safetensors" in found.differences[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "label_offset", "labels_offset"),
    [
        pytest.param(1001, 1, 0, id="ImageNet's, background first"),
        pytest.param(5, 0, 0, id="of somebody's own"),
    ],
)
def test_other_numbers_of_classes(tmp_path, rows, label_offset, labels_offset):
    tensors = values(SMALLEST)
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = np.resize(tensors[name], (rows, *tensors[name].shape[1:]))
    record = {**config(SMALLEST), "num_classes": rows - label_offset}
    record["pretrained_cfg"]["label_offset"] = label_offset
    facts = model_info.beside(imported(tmp_path, tensors, record))
    assert (facts["num_classes"], facts["labels_offset"]) == (rows, labels_offset)
    assert facts["dataset_name"] == ("imagenet" if rows == 1001 else "")


def test_another_epsilon_is_made_up_for(tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    record = {**config(SMALLEST), "model_args": {"bn_eps": 0.002}}
    tensors = values(SMALLEST)
    imported(tmp_path, tensors, record)
    assert "epsilon is 0.002 in timm's tf_mobilenetv3_small_minimal_100" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("size", [107, 299])
def test_an_auxiliary_classifier_needs_large_pictures(tmp_path, size):
    name = "AuxLogits.conv1.conv.weight"
    kernel = np.zeros([768, 128, 5, 5], np.float32)
    record = config("inception_v3", size=size)
    source = save(tmp_path / "there", {name: kernel}, record)
    network = NETWORKS["inception_v3"]
    found = timm_files.read(source / "model.safetensors", network, 1.0)
    is_left_out = "kernel is for pictures of 299x299" in found.differences[-1]
    assert is_left_out == (size == 107)
    assert len(found.tensors) == (size == 299)


def test_scales_that_slim_lacks_are_multiplied_into_the_kernel():
    random = np.random.RandomState(0)
    kernel = random.normal(size=(2, 3, 1, 1)).astype(np.float32)
    tensors = {
        "features.0.conv.weight": kernel,
        "features.0.bn.weight": np.array([2, -3], np.float32),
        "features.0.bn.bias": np.array([0.5, 1], np.float32),
        "features.0.bn.running_mean": np.array([1, 2], np.float32),
        "features.0.bn.running_var": np.array([1, 4], np.float32),
    }
    scope = "InceptionV4/Conv2d_1a_3x3"
    norm = f"{scope}/BatchNorm"
    parts = ("beta", "moving_mean", "moving_variance")
    variables = [f"{scope}/weights", *(f"{norm}/{part}" for part in parts)]
    model = timm_models.MODELS["inception_v4"]
    found, notes = of_tensors(tensors, model, variables)
    assert found.keys() == set(variables)
    x = random.normal(size=3)
    theirs = (kernel[:, :, 0, 0] @ x - [1, 2]) * [2, -3] + [0.5, 1]
    here = x @ found[variables[0]][0, 0] - found[variables[2]] + found[variables[1]]
    np.testing.assert_allclose(here, theirs, rtol=1e-6)
    assert "multiplied into the convolutions" in " ".join(notes)


def test_damaged_files_are_refused(tmp_path):
    pytest.importorskip("safetensors", reason="the extra safetensors is not installed")
    path = tmp_path / "model.safetensors"
    path.write_bytes((20).to_bytes(8, "little") + b'{"a": {"dtype": "F32"' + b"x" * 9)
    with pytest.raises(UserError, match=r"cannot be read as safetensors: .*get it"):
        port.import_weights(path, NAME, tmp_path / "here")


def test_without_the_library_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    path = tmp_path / "model.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(UserError, match="pip install safetensors"):
        port.import_weights(path, NAME, tmp_path / "here")


@pytest.mark.parametrize("zipped", [False, True])
def test_pickles_are_refused_with_a_way_out(tmp_path, zipped):
    path = tmp_path / "pytorch_model.bin"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02.")
    else:
        path.write_bytes(b"\x80\x02.")
    for source in (path, tmp_path):  # A file, and a directory with nothing else.
        with pytest.raises(UserError, match=r"is a pickle.*weights_only=True"):
            port.import_weights(source, NAME, tmp_path / "here")
