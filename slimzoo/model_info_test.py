import dataclasses
import json
import types

import pytest
import tensorflow.compat.v1 as tf

from nets.registry import NETWORKS
from slimzoo import model_info
from slimzoo.config import ClassifyConfig, EvalConfig, ExportConfig
from slimzoo.errors import UserError
from slimzoo.model_info import ModelInfo
from slimzoo.train_config import TrainConfig

FULL = ModelInfo(
    model_name="lenet",
    num_classes=3,
    labels_offset=1,
    image_size=29,
    channels=3,
    preprocessing_name="inception",
    use_grayscale=True,
    moving_average_decay=0.5,
    dataset_name="flowers",
    labels=("rose", "tulip", "Löwenzahn"),
    network_arguments={"dropout_keep_prob": 0.25},
)
RECORD = dataclasses.asdict(FULL)
CONFIGS = (TrainConfig, EvalConfig, ExportConfig, ClassifyConfig)

# The file


def test_what_is_written_is_read(tmp_path):
    FULL.write(str(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.json"]
    assert model_info.read(str(tmp_path / "new")) == RECORD


def test_file_says_everything_under_plain_names(tmp_path):
    FULL.write(str(tmp_path))
    facts = json.loads((tmp_path / "model.json").read_text("utf-8"))
    assert facts == RECORD | {"labels": ["rose", "tulip", "Löwenzahn"]}


def test_what_nobody_knows_stays_unknown(tmp_path):
    info = dataclasses.replace(
        FULL, num_classes=None, labels=None, moving_average_decay=None
    )
    info.write(str(tmp_path))
    record = model_info.read(str(tmp_path))
    assert model_info.settle(ExportConfig(), record, None) == info


def test_nothing_is_known_without_a_file(tmp_path):
    assert model_info.read(str(tmp_path)) == {}
    assert model_info.read(str(tmp_path / "none")) == {}


def test_other_facts_in_the_file_are_ignored(tmp_path):
    (tmp_path / "model.json").write_text('{"model_name": "lenet", "mood": "good"}')
    assert model_info.read(str(tmp_path)) == {"model_name": "lenet"}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"model_name"', b"[]", b"3", b'{"labels": 3}', b"\xff\xfe"),
        b'{"network_arguments": 0.75}',
    ],
)
def test_damaged_file_is_told_with_its_path(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"cannot read {path}: .*Mend it"):
        model_info.read(str(tmp_path))


def test_file_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "model.json").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*Is a directory"):
        model_info.read(str(tmp_path))


# Precedence


@pytest.mark.parametrize("config_class", CONFIGS)
def test_record_wins_over_defaults_and_the_registry(config_class):
    assert model_info.settle(config_class(), RECORD, None) == FULL


@pytest.mark.parametrize("config_class", CONFIGS)
def test_what_is_given_wins_over_the_record(config_class):
    given = {
        "model_name": "mobilenet_v1",
        "labels_offset": 0,
        "preprocessing_name": "vgg",
        "use_grayscale": False,
    }
    info = model_info.settle(config_class(**given), RECORD, 96)
    # Arguments of another network are of no use.
    given["network_arguments"] = None
    assert info == dataclasses.replace(FULL, image_size=96, **given)


def test_given_data_set_and_moving_averages_win_over_the_record():
    given = {"dataset_name": "mnist", "moving_average_decay": 0.25}
    info = model_info.settle(EvalConfig(**given), RECORD, None)
    assert info == dataclasses.replace(FULL, **given)


@pytest.mark.parametrize("name", ["lenet", "inception_v3", "mobilenet_v1_025"])
def test_registry_tells_what_nobody_else_does(name):
    info = model_info.settle(EvalConfig(model_name=name), {}, None)
    network = NETWORKS[name]
    assert info == ModelInfo(
        model_name=name,
        labels_offset=0,
        image_size=network.image_size,
        channels=network.channels,
        preprocessing_name=network.preprocessing,
        use_grayscale=False,
        dataset_name="imagenet",
    )


def test_registry_is_asked_about_the_recorded_network():
    info = model_info.settle(EvalConfig(), {"model_name": "lenet"}, None)
    assert (info.image_size, info.channels) == (28, 1)


def test_without_a_record_the_defaults_of_the_flags_hold():
    info = model_info.settle(ClassifyConfig(), {}, None)
    assert info.model_name == "inception_v3"
    assert info.labels_offset == 0
    assert info.use_grayscale is False
    assert info.dataset_name == ""  # Classification has no such flag.
    assert info.num_classes is None


def test_record_is_not_changed():
    record = {"model_name": "lenet"}
    model_info.settle(EvalConfig(labels_offset=1), record, 32)
    assert record == {"model_name": "lenet"}


@pytest.mark.parametrize(
    ("given", "recorded"), [("lenett", "lenet"), (None, "lenett"), ("lenett", None)]
)
def test_unknown_network_suggests(given, recorded):
    config = EvalConfig(model_name=given)
    with pytest.raises(UserError, match=r"unknown lenett\. Did you mean lenet"):
        model_info.settle(config, {"model_name": recorded}, None)


# The network


def test_network_is_called_with_its_arguments():
    arguments = {"depth_multiplier": 0.5, "global_pool": True}
    info = dataclasses.replace(
        FULL, model_name="mobilenet_v1_025", network_arguments=arguments
    )
    with tf.Graph().as_default():
        logits, end_points = info.network_fn(is_training=True)(tf.zeros([1, 40, 40, 3]))
    assert logits.shape == [1, 3]
    assert end_points["Conv2d_13_pointwise"].shape[-1] == 512
    assert "global_pool" in end_points
    plain = dataclasses.replace(info, network_arguments=None)
    with tf.Graph().as_default():
        _, end_points = plain.network_fn()(tf.zeros([1, 224, 224, 3]))
    assert end_points["Conv2d_13_pointwise"].shape[-1] == 256


# Classes


def with_classes(offset, num_classes, names):
    info = dataclasses.replace(FULL, labels_offset=offset)
    dataset = types.SimpleNamespace(num_classes=num_classes, labels_to_names=names)
    changed = model_info.with_classes(info, dataset)
    assert changed == dataclasses.replace(
        info, num_classes=changed.num_classes, labels=changed.labels
    )
    return changed.num_classes, changed.labels


@pytest.mark.parametrize(
    ("offset", "labels"),
    [
        (0, ("background", "ant", "bee")),
        (1, ("ant", "bee")),
        (-1, ("-1", "background", "ant", "bee")),
    ],
)
def test_classes_are_those_of_the_data_set_less_the_offset(offset, labels):
    names = {0: "background", 1: "ant", 2: "bee"}
    assert with_classes(offset, 3, names) == (len(labels), labels)


def test_gaps_between_names_are_filled_with_numbers():
    names = {0: "ant", 3: "bee"}
    assert with_classes(0, 5, names) == (5, ("ant", "1", "2", "bee", "4"))


@pytest.mark.parametrize("names", [None, {}])
def test_without_names_there_are_no_labels(names):
    assert with_classes(1, 10, names) == (9, None)
