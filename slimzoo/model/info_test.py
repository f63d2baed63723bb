import dataclasses
import json

import pytest
import tensorflow.compat.v1 as tf

from datasets import testing
from nets.registry import NETWORKS
from slimbase.errors import UserError
from slimzoo.config.classify import ClassifyConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.export import ExportConfig
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info
from slimzoo.model.info import ModelInfo

FULL = ModelInfo(
    model_name="lenet",
    num_classes=3,
    labels_offset=1,
    image_size=(29, 29),
    channels=1,
    preprocessing_name="inception",
    use_grayscale=True,
    moving_average_decay=0.5,
    dataset_name="flowers",
    labels=("rose", "tulip", "Löwenzahn"),
    network_arguments={"dropout_keep_prob": 0.25},
)
RECORD = dataclasses.asdict(FULL)
CONFIGS = (TrainConfig, EvalConfig, ExportConfig, ClassifyConfig)


def with_names(names, num_classes):
    """A split of a data set with these classes."""
    return dataclasses.replace(
        testing.open_tiny(), num_classes=num_classes, labels_to_names=names
    )


# The file


def test_what_is_written_is_read(tmp_path):
    FULL.write(str(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.json"]
    assert model_info.read(str(tmp_path / "new")) == RECORD


def test_file_says_everything_under_plain_names(tmp_path):
    FULL.write(str(tmp_path))
    facts = json.loads((tmp_path / "model.json").read_text("utf-8"))
    lists = {"labels": ["rose", "tulip", "Löwenzahn"], "image_size": [29, 29]}
    assert facts == RECORD | lists


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
def test_damaged_file_is_reported_with_its_path(tmp_path, content):
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
    # Arguments of another network are of no use, nor is what it was shown.
    given |= {"network_arguments": None, "channels": 3}
    assert info == dataclasses.replace(FULL, image_size=(96, 96), **given)


WIDE = {"dropout_keep_prob": 0.5, "depth_multiplier": 1.4}
THIN = {"depth_multiplier": 0.5, "finegrain_classification_mode": True}


@pytest.mark.parametrize(
    ("name", "recorded", "width", "expected"),
    [
        ("mobilenet_v2", None, None, None),
        ("mobilenet_v2", None, 0.5, THIN),
        ("mobilenet_v2", None, 1.4, {"depth_multiplier": 1.4}),
        ("mobilenet_v2", THIN, None, THIN),
        ("mobilenet_v2", THIN, 1.0, None),
        ("mobilenet_v2", WIDE, 0.5, {"dropout_keep_prob": 0.5, **THIN}),
        ("mobilenet_v1_025", None, 0.25, None),
        ("mobilenet_v1_025", None, 0.5, {"depth_multiplier": 0.5}),
        ("inception_v3", None, 0.5, {"depth_multiplier": 0.5}),
    ],
)
def test_width(name, recorded, width, expected):
    record = {"model_name": name, "network_arguments": recorded}
    config = ExportConfig(depth_multiplier=width)
    assert model_info.settle(config, record).network_arguments == expected


def test_width_of_another_network_is_not_taken():
    record = {"model_name": "mobilenet_v2", "network_arguments": THIN}
    config = ExportConfig(model_name="mobilenet_v1", depth_multiplier=0.75)
    arguments = model_info.settle(config, record).network_arguments
    assert arguments == {"depth_multiplier": 0.75}


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("lenet", 0.5, r"=0\.5: lenet has no widths\. These have: .*mobilenet_v1"),
        ("mobilenet_v1", 0.0, "--depth_multiplier=0 should be above 0"),
        ("mobilenet_v1", -1.0, "--depth_multiplier=-1 should be above 0"),
        ("mobilenet_v1", float("nan"), "--depth_multiplier=nan should be above 0"),
    ],
)
def test_impossible_widths(name, width, message):
    with pytest.raises(UserError, match=message):
        model_info.settle(TrainConfig(model_name=name, depth_multiplier=width), {})


def test_published_widths_are_those_of_the_option():
    for name, network in NETWORKS.items():
        for checkpoint in network.checkpoints:
            width = checkpoint.depth_multiplier
            if width is not None:
                config = EvalConfig(model_name=name, depth_multiplier=width)
                arguments = model_info.settle(config, {}).network_arguments
                assert arguments == checkpoint.network_arguments


def test_given_data_set_and_moving_averages_win_over_the_record():
    given = {"dataset_name": "mnist", "moving_average_decay": 0.25}
    info = model_info.settle(EvalConfig(**given), RECORD, None)
    assert info == dataclasses.replace(FULL, **given)


@pytest.mark.parametrize("name", ["lenet", "inception_v3", "mobilenet_v1_025"])
def test_registry_has_what_nothing_else_says(name):
    info = model_info.settle(EvalConfig(model_name=name), {}, None)
    network = NETWORKS[name]
    assert info == ModelInfo(
        model_name=name,
        labels_offset=0,
        image_size=(network.image_size, network.image_size),
        channels=network.channels,
        preprocessing_name=network.preprocessing,
        use_grayscale=False,
        dataset_name="imagenet",
    )


def test_registry_is_asked_about_the_recorded_network():
    info = model_info.settle(EvalConfig(), {"model_name": "lenet"}, None)
    assert (info.image_size, info.channels) == ((28, 28), 1)


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
    info = dataclasses.replace(FULL, labels_offset=offset, labels=None)
    dataset = with_names(names, num_classes)
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


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("ant", "bee", "fly"), r"knows 2 classes, the data set has 3 \(new: fly\)"),
        (("ant",), "knows 2 classes, the data set has 1. Take"),
        (("bee", "ant"), "class 0 was 'ant' in training and is 'bee'"),
        (("bee", "Ameise"), "class 0 was 'ant' in training and is 'bee'"),
        (("Ameise", "Biene"), None),
    ],
)
def test_other_classes_than_in_training(names, message):
    info = dataclasses.replace(FULL, labels_offset=0, labels=("ant", "bee"))
    dataset = with_names(dict(enumerate(names)), len(names))
    if message:
        with pytest.raises(UserError, match=message):
            model_info.with_classes(info, dataset)
    else:
        assert model_info.with_classes(info, dataset).labels == names


# Sizes


@pytest.mark.parametrize(
    ("given", "recorded", "expected"),
    [
        (None, None, (28, 28)),
        (None, 32, (32, 32)),
        (None, [32, 48], (32, 48)),
        (64, [32, 48], (64, 64)),
        ((64, 96), 32, (64, 96)),
    ],
)
def test_size_may_be_of_a_rectangle(tmp_path, given, recorded, expected):
    record = {"model_name": "lenet", "image_size": recorded}
    (tmp_path / "model.json").write_text(json.dumps(record))
    info = model_info.settle(EvalConfig(), model_info.read(str(tmp_path)), given)
    assert info.image_size == expected
    assert info.size_text == "{}x{}".format(*expected)


@pytest.mark.parametrize("size", ['"big"', "[1]", "[1, 2, 3]", "{}", '["a", "b"]'])
def test_size_that_is_none_is_told(tmp_path, size):
    (tmp_path / "model.json").write_text(f'{{"image_size": {size}}}')
    with pytest.raises(UserError, match=r"cannot read .*model\.json"):
        model_info.read(str(tmp_path))


def test_preprocessing_makes_pictures_of_the_size():
    info = dataclasses.replace(FULL, image_size=(20, 30), use_grayscale=False)
    with tf.Graph().as_default():
        picture = tf.placeholder(tf.uint8, [None, None, 3])
        assert info.preprocessing()(picture).shape == [20, 30, 3]


# Networks in files

COLOR = dataclasses.replace(FULL, use_grayscale=False, channels=3)


@pytest.mark.parametrize(
    ("shape", "size", "channels"),
    [
        ((None, None, None, None), (29, 29), 3),
        ((1, 20, 30, 3), (20, 30), 3),
        ((None, 20, None, 3), (20, 29), 3),
        ((None, None, 30, 1), (29, 30), 1),
    ],
)
def test_network_in_a_file_says_what_it_takes(shape, size, channels):
    info = model_info.of_input(COLOR, shape, "g.pb")
    assert info == dataclasses.replace(COLOR, image_size=size, channels=channels)


@pytest.mark.parametrize("channels", [None, 1])
def test_network_of_one_channel_takes_gray_pictures(channels):
    info = model_info.of_input(FULL, (None, 8, 8, channels), "g.pb")
    assert info == dataclasses.replace(FULL, image_size=(8, 8))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 8, 8, 3), "g.pb takes pictures of 3 channels, and --use_grayscale"),
        ((None, 8), "g.pb takes an input of 2 dimensions"),
        ((1, 5, 8, 8, 1), "g.pb takes an input of 5 dimensions"),
    ],
)
def test_network_that_takes_something_else_is_told(shape, message):
    with pytest.raises(UserError, match=message):
        model_info.of_input(FULL, shape, "g.pb")


@pytest.mark.parametrize(
    ("first", "classes", "expected"),
    [
        ("background", 2, 1),
        ("background", 3, 0),
        ("background", 1, 0),
        ("background", 4, 0),
        ("background", None, 0),
        ("ant", 2, 0),
        (None, 2, 0),
    ],
)
def test_offset_leaves_out_the_background_where_classes_ask_for_it(
    first, classes, expected
):
    names = {0: first, 1: "bee", 2: "cat"} if first else None
    dataset = with_names(names, 3)
    info = dataclasses.replace(FULL, labels_offset=0)
    found = model_info.with_offset(info, dataset, classes)
    assert found == dataclasses.replace(info, labels_offset=expected)


@pytest.mark.parametrize("offset", [3, 4])
def test_offset_that_leaves_no_class_is_told(offset):
    with pytest.raises(UserError, match=rf"--labels_offset={offset} leaves none .* 3"):
        with_classes(offset, 3, None)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [(("a", "b"), 2, ("a", "b")), (None, 3, ("0", "1", "2")), (None, None, ())],
)
def test_classes_without_names_have_numbers(labels, classes, expected):
    info = dataclasses.replace(FULL, labels=labels, num_classes=classes)
    assert info.labels_or_numbers() == expected
