import dataclasses
import logging
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import lenet
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.train import TrainConfig
from slimzoo.model import info as model_info
from slimzoo.training import warm_start

INFO = model_info.settle(TrainConfig(model_name="lenet"), {}, None)
NAMES = [
    f"LeNet/{layer}/{kind}"
    for layer in ("conv1", "conv2", "fc3", "fc4")
    for kind in ("weights", "biases")
]
TRAINED = 0.75  # Every value in a checkpoint.


def build(num_classes=5):
    return lenet.lenet(tf.zeros([1, 8, 8, 1]), num_classes)[0]


@pytest.fixture
def graph():
    """A graph with a small LeNet of five classes."""
    with classic_graph() as graph:
        build()
        yield graph


@pytest.fixture
def write_network(write_checkpoint):
    """`f(without=(), num_classes=5, more={}, ...)` writes one of such a LeNet."""

    def write(without=(), num_classes=5, more=None, **arguments):
        with classic_graph():
            build(num_classes)
            values = {
                v.op.name: np.full(v.shape.as_list(), TRAINED)
                for v in tf.global_variables()
            }
        for name in without:
            del values[name]
        return write_checkpoint(values | (more or {}), **arguments)

    return write


@pytest.fixture
def log(caplog):
    """The messages that were logged."""
    caplog.set_level(logging.INFO, "absl")
    return caplog


# Which checkpoint


def test_training_starts_anew_where_there_is_no_checkpoint():
    assert warm_start.starting_checkpoint(TrainConfig(), None) is None


def test_training_starts_from_the_given_checkpoint(write_network):
    prefix = write_network(path="published/lenet.ckpt")
    for path in (prefix, str(pathlib.Path(prefix).parent)):
        config = TrainConfig(checkpoint_path=path)
        assert warm_start.starting_checkpoint(config, None) == prefix


def test_given_checkpoint_that_is_not_there_is_told(tmp_path):
    config = TrainConfig(checkpoint_path=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"there is no checkpoint .*none"):
        warm_start.starting_checkpoint(config, None)


def test_own_checkpoint_is_gone_on_from(write_network, log):
    own = write_network(step=120)
    config = TrainConfig(train_dir=str(pathlib.Path(own).parent))
    assert warm_start.starting_checkpoint(config, own) is None
    [record] = log.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == f"Resuming from {own}, step 120"


@pytest.mark.parametrize("exists", [True, False])
def test_own_checkpoint_wins_with_a_warning(write_network, log, tmp_path, exists):
    own = write_network(step=120)
    given = str(tmp_path / "published.ckpt")
    if exists:
        write_network(path="published.ckpt", write_state=False)
    train_dir = str(pathlib.Path(own).parent)
    config = TrainConfig(train_dir=train_dir, checkpoint_path=given)
    assert warm_start.starting_checkpoint(config, own) is None
    [record] = log.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert f"--checkpoint_path={given} is ignored" in message
    assert f"{train_dir} already holds a checkpoint" in message
    assert "at step 120" in message


# What is restored


def restored(config, checkpoint):
    """The variables that a session starts with as they are in the checkpoint."""
    plan = warm_start.plan(config, INFO, checkpoint)
    creator = tf.train.ChiefSessionCreator(tf.train.Scaffold(init_fn=plan.init_fn))
    variables = {v.op.name: v for v in tf.global_variables()}
    with tf.train.MonitoredSession(creator) as session:
        values = session.run(variables)
    same = {name: value == TRAINED for name, value in values.items()}
    assert all(equal.all() or not equal.any() for equal in same.values())
    names = [name for name, equal in same.items() if equal.all()]
    assert plan.restored == names
    assert sorted([*plan.restored, *plan.new]) == sorted(variables)
    return names


@pytest.mark.parametrize("version", [tf.train.SaverDef.V1, tf.train.SaverDef.V2])
def test_all_variables_are_restored(graph, write_network, version):
    checkpoint = write_network(write_version=version)
    assert restored(TrainConfig(), checkpoint) == NAMES


@pytest.mark.parametrize(
    ("scopes", "excluded"),
    [
        ("LeNet/fc4", NAMES[6:]),
        ("LeNet/fc4, LeNet/conv2/weights", [NAMES[2], *NAMES[6:]]),
        ("LeNet/conv", NAMES[:4]),
    ],
)
def test_excluded_scopes_start_anew(graph, write_network, scopes, excluded):
    # As for fine-tuning: the checkpoint has other classes.
    classes = 7 if "fc4" in scopes else 5
    checkpoint = write_network(num_classes=classes)
    config = TrainConfig(checkpoint_exclude_scopes=scopes)
    expected = [name for name in NAMES if name not in excluded]
    assert restored(config, checkpoint) == expected
    new = warm_start.plan(config, INFO, checkpoint).new
    assert new == dict.fromkeys(excluded, "excluded")


def test_what_is_no_variable_of_the_model_is_not_restored(graph, write_network):
    """Neither the step nor an optimizer's variables."""
    step = tf.train.create_global_step()
    loss = tf.add_n([tf.reduce_sum(v) for v in tf.trainable_variables()])
    tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step)
    more = {"LeNet/fc4/biases/Momentum": np.full(5, TRAINED)}
    checkpoint = write_network(more=more, step=120)
    plan = warm_start.plan(TrainConfig(), INFO, checkpoint)
    creator = tf.train.ChiefSessionCreator(tf.train.Scaffold(init_fn=plan.init_fn))
    [slot] = [v for v in tf.global_variables() if v.op.name in more]
    with tf.train.MonitoredSession(creator) as session:
        values = session.run([step, slot])
    assert values[0] == 0
    np.testing.assert_array_equal(values[1], np.zeros(5))


def test_missing_variables_are_an_error_that_names_the_flag(graph, write_network):
    checkpoint = write_network(without=NAMES[2:4])
    with pytest.raises(UserError) as error:
        warm_start.plan(TrainConfig(), INFO, checkpoint)
    message = str(error.value)
    assert message.startswith("2 of 8 variables are not in the checkpoint")
    assert f"first {NAMES[2]};" in message
    assert "--ignore_missing_vars" in message


def test_missing_variables_may_start_anew(graph, write_network):
    checkpoint = write_network(without=NAMES[2:4])
    config = TrainConfig(ignore_missing_vars=True)
    assert restored(config, checkpoint) == NAMES[:2] + NAMES[4:]
    new = warm_start.plan(config, INFO, checkpoint).new
    assert new == dict.fromkeys(NAMES[2:4], "not in the checkpoint")


def test_checkpoint_of_another_network_is_told(graph, write_checkpoint):
    checkpoint = write_checkpoint({"InceptionV3/Logits/biases": np.zeros(5)})
    config = TrainConfig(ignore_missing_vars=True)
    with pytest.raises(UserError, match=r"under InceptionV3.*check --model_name"):
        warm_start.plan(config, INFO, checkpoint)


def test_other_number_of_classes_says_which_flag_to_set(graph, write_network):
    checkpoint = write_network(num_classes=6)
    with pytest.raises(UserError) as error:
        warm_start.plan(TrainConfig(), INFO, checkpoint)
    message = str(error.value)
    assert "The checkpoint has 6 classes, this network 5" in message
    assert "--checkpoint_exclude_scopes=LeNet/fc4;" in message
    assert "--labels_offset=1" in message


def test_nothing_is_restored_without_a_checkpoint(graph):
    plan = warm_start.plan(TrainConfig(), INFO, None)
    assert plan.init_fn is None and not plan.restored


@pytest.mark.parametrize("with_checkpoint", [True, False])
def test_excluded_scope_that_matches_nothing_is_told(
    graph, write_network, with_checkpoint
):
    config = TrainConfig(checkpoint_exclude_scopes="LeNet/fc4,LeNet/fc5")
    with pytest.raises(UserError, match=r"_exclude_scopes: .*'LeNet/fc5'; .*LeNet/fc4"):
        warm_start.plan(config, INFO, write_network() if with_checkpoint else None)


def test_scopes_that_leave_nothing_to_restore_are_told(graph, write_network):
    config = TrainConfig(checkpoint_exclude_scopes="LeNet")
    with pytest.raises(UserError, match="_exclude_scopes=LeNet leaves nothing"):
        warm_start.plan(config, INFO, write_network())


# Fine-tuning by one word


@pytest.mark.parametrize(
    ("options", "excluded", "trainable"),
    [
        ({"finetune": "head"}, "LeNet/fc4", "LeNet/fc4"),
        ({"finetune": "all"}, "LeNet/fc4", None),
        ({"finetune": "head", "trainable_scopes": "LeNet"}, "LeNet/fc4", "LeNet"),
        (
            {"finetune": "head", "checkpoint_exclude_scopes": "LeNet/fc3"},
            "LeNet/fc3",
            "LeNet/fc4",
        ),
        ({"trainable_scopes": "LeNet"}, None, "LeNet"),
    ],
)
def test_finetune_knows_the_scopes(options, excluded, trainable):
    config = TrainConfig(checkpoint_path="somewhere", **options)
    config = warm_start.with_finetuning(config, INFO)
    assert config.checkpoint_exclude_scopes == excluded
    assert config.trainable_scopes == trainable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"finetune": "tail", "checkpoint_path": "x"}, "finetune=tail.*head or all"),
        ({"finetune": "head"}, "--finetune needs --checkpoint_path"),
    ],
)
def test_mistakes_in_finetune_are_told(options, message):
    with pytest.raises(UserError, match=message):
        warm_start.with_finetuning(TrainConfig(**options), INFO)


def test_a_warm_start_takes_over_the_network_but_not_the_classes(tmp_path):
    published = dataclasses.replace(
        INFO, image_size=(299, 299), preprocessing_name="inception", labels_offset=1
    )
    published.write(str(tmp_path))
    record = warm_start.record_of(str(tmp_path / "model.ckpt"))
    assert record["image_size"] == (299, 299)
    assert record["preprocessing_name"] == "inception"
    assert not {"labels_offset", "num_classes", "labels", "dataset_name"} & set(record)


# What is trained


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (None, NAMES),
        ("LeNet", NAMES),
        ("LeNet/fc4", NAMES[6:]),
        ("LeNet/fc4,LeNet/conv1", NAMES[:2] + NAMES[6:]),
        ("LeNet/conv", NAMES[:4]),
        ("LeNet/fc4/biases", NAMES[7:]),
    ],
)
def test_variables_in_the_scopes_are_trained(graph, scopes, expected):
    tf.get_variable("LeNet/fc4/moving_mean", [5], trainable=False)
    chosen = warm_start.variables_to_train(TrainConfig(trainable_scopes=scopes))
    assert [v.op.name for v in chosen] == expected


@pytest.mark.parametrize("scope", ["fc4", "LeNet/fc4/moving_mean", "lenet"])
def test_trainable_scope_that_matches_nothing_is_told(graph, scope):
    tf.get_variable("LeNet/fc4/moving_mean", [5], trainable=False)
    config = TrainConfig(trainable_scopes=f"LeNet/fc3,{scope}")
    with pytest.raises(UserError, match=rf"--trainable_scopes: .*'{scope}'; there are"):
        warm_start.variables_to_train(config)


# Whether training can go on


def test_own_checkpoint_of_the_same_graph_is_sound(graph, write_network):
    warm_start.check_resume(TrainConfig(), None)
    warm_start.check_resume(TrainConfig(), write_network())


def test_own_checkpoint_of_another_optimizer_is_told(graph, write_network, tmp_path):
    own = write_network(step=3)
    tf.train.create_global_step()
    loss = tf.add_n([tf.reduce_sum(v) for v in tf.trainable_variables()])
    tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    config = TrainConfig(train_dir=str(tmp_path / "train"), ignore_missing_vars=True)
    with pytest.raises(UserError) as error:
        warm_start.check_resume(config, own)
    message = str(error.value)
    assert message.startswith(f"cannot resume in --train_dir={tmp_path}/train: 8 of 17")
    assert "LeNet/conv1/weights/Momentum" in message
    assert "another --train_dir" in message
    assert "--ignore_missing_vars" not in message


def test_own_checkpoint_of_another_data_set_is_told(graph, write_network):
    own = write_network(num_classes=6)
    with pytest.raises(UserError, match=r"cannot resume .*fc4/weights has shape"):
        warm_start.check_resume(TrainConfig(), own)
