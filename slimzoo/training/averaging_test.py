import dataclasses
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from slimbase import testing
from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.config.average import AverageConfig
from slimzoo.model import checkpoints
from slimzoo.model.info import ModelInfo
from slimzoo.training import averaging

LENET = ModelInfo(
    model_name="lenet",
    labels_offset=0,
    image_size=(28, 28),
    channels=3,
    preprocessing_name="lenet",
    use_grayscale=False,
    dataset_name="shapes",
    num_classes=10,
)
NAME = "LeNet/fc4/weights"


@pytest.fixture
def train_dir(tmp_path):
    """`f(info, count)` writes checkpoints of values at random, each at its step."""

    def write(info=LENET, count=3, decay=None):
        directory = tmp_path / "train"
        dataclasses.replace(info, moving_average_decay=decay).write(str(directory))
        for step in range(1, count + 1):
            with classic_graph(seed=step), tf.Session() as session:
                global_step = tf.train.create_global_step()
                info.network_fn()(tf.placeholder(tf.float32, [1, *info.image_size, 3]))
                if decay:
                    average = tf.train.ExponentialMovingAverage(decay)
                    average.apply(slim.get_model_variables())
                session.run(tf.global_variables_initializer())
                global_step.load(step, session)
                if decay:
                    session.run([v.assign(0 * v) for v in slim.get_model_variables()])
                path = str(directory / "model.ckpt")
                saver = tf.train.Saver(max_to_keep=None)
                saver.save(session, path, step, write_meta_graph=False)
        return directory

    return write


def average(train_dir, shapes, tmp_path, **options: Any):
    return averaging.average(
        AverageConfig(
            **{
                "checkpoint_path": str(train_dir),
                "dataset_dir": str(shapes),
                "output_dir": str(tmp_path / "averages"),
                "num_checkpoints": 2,
                "seed": 1,
                "statistics_batches": 2,
                "batch_size": 4,
                **options,
            }
        )
    )


def value(path, name=NAME):
    return tf.train.load_checkpoint(str(path)).get_tensor(name)


def test_the_last_ones(train_dir, shapes, tmp_path):
    directory = train_dir()
    path = average(directory, shapes, tmp_path)
    assert path == f"{tmp_path}/averages/model.ckpt"
    values = [value(directory / f"model.ckpt-{step}") for step in (2, 3)]
    np.testing.assert_allclose(value(path), np.mean(values, axis=0), atol=1e-7)
    assert checkpoints.step_of(path) == 3
    assert checkpoints.latest(str(tmp_path / "averages")) == path
    record = json.loads((tmp_path / "averages" / "model.json").read_text())
    assert (record["model_name"], record["num_classes"]) == ("lenet", 10)
    names = {p.name for p in (tmp_path / "averages").iterdir()}
    assert names == {
        *("checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"),
        "model.json",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["averages", "train"]


def test_moving_averages_are_averaged(train_dir, shapes, tmp_path):
    directory = train_dir(decay=0.9)
    path = average(directory, shapes, tmp_path, num_checkpoints=3)
    average_name = f"{NAME}/ExponentialMovingAverage"
    values = [value(directory / f"model.ckpt-{i}", average_name) for i in (1, 2, 3)]
    np.testing.assert_allclose(value(path), np.mean(values, axis=0), atol=1e-7)
    record = json.loads((tmp_path / "averages" / "model.json").read_text())
    assert record["moving_average_decay"] is None


@pytest.fixture
def top_1(monkeypatch):
    """`f(share)` has checkpoints evaluated by their weights."""

    def by(share):
        monkeypatch.setattr(
            averaging,
            "evaluate",
            lambda config: {"top_1": share(value(config.checkpoint_path))},
        )

    return by


def test_the_best_ones(train_dir, shapes, tmp_path, top_1):
    directory = train_dir()
    values = [value(directory / f"model.ckpt-{step}") for step in (1, 2, 3)]
    shares = {values[0].tobytes(): 0.8, values[1].tobytes(): 0.1}
    top_1(lambda weights: shares.get(weights.tobytes(), 0.9))
    path = average(directory, shapes, tmp_path, choose="best")
    np.testing.assert_allclose(value(path), (values[0] + values[2]) / 2, atol=1e-7)


def test_greedy_leaves_out_what_makes_it_worse(
    train_dir, shapes, tmp_path, top_1, caplog
):
    caplog.set_level("INFO", "absl")
    directory = train_dir()
    values = [value(directory / f"model.ckpt-{step}") for step in (1, 2, 3)]
    wanted = (values[0] + values[2]) / 2
    top_1(lambda weights: float(np.exp(-np.abs(weights - wanted).mean())))
    options = {"num_checkpoints": 3, "greedy": True}
    path = average(directory, shapes, tmp_path, **options)
    np.testing.assert_allclose(value(path), wanted, atol=1e-7)
    assert "Left out model.ckpt-2" in caplog.text
    assert len(re.findall("Kept model.ckpt-", caplog.text)) == 1


@pytest.mark.slow
def test_statistics_of_batch_norm_are_computed_anew(train_dir, shapes, tmp_path):
    info = dataclasses.replace(
        LENET,
        model_name="mobilenet_v1_025",
        image_size=(32, 32),
        preprocessing_name="inception",
    )
    directory = train_dir(info, 2)
    path = average(directory, shapes, tmp_path, statistics_batches=3)
    again = average(
        directory,
        shapes,
        tmp_path,
        statistics_batches=3,
        output_dir=str(tmp_path / "again"),
    )
    scope = "MobilenetV1/Conv2d_0/BatchNorm"
    variance = value(path, f"{scope}/moving_variance")
    # 0 and 1 in both checkpoints, and thus in their mean.
    assert np.abs(value(path, f"{scope}/moving_mean")).max() > 1e-3
    assert np.abs(variance - 1).min() > 1e-3
    # Not bit for bit: threads decode the pictures of a batch in parallel.
    found = value(again, f"{scope}/moving_variance")
    np.testing.assert_allclose(found, variance, rtol=1e-5)


@pytest.mark.slow
def test_by_command(shapes, tmp_path):
    train_dir = tmp_path / "train"
    testing.run(
        *("train_image_classifier.py", *testing.SMALL_NETWORK, "--batch_size=16"),
        *(f"--dataset_dir={shapes}", f"--train_dir={train_dir}", "--seed=1"),
        *("--max_number_of_steps=6", "--save_interval_secs=0"),
        "--dataset_name=shapes",
    )
    output = tmp_path / "averages"
    result = testing.run(
        *("average_checkpoints.py", f"--checkpoint_path={train_dir}", "--greedy"),
        *(f"--dataset_dir={shapes}", f"--output_dir={output}", "--num_checkpoints=2"),
    )
    assert result.stdout.strip() == f"{output}/model.ckpt"
    assert "The average: model.ckpt, top-1" in result.stderr
    testing.run(
        *("eval_image_classifier.py", f"--checkpoint_path={output}", "--noreport"),
        *(f"--dataset_dir={shapes}", f"--eval_dir={tmp_path / 'eval'}"),
        "--max_num_batches=1",
    )
    message = testing.fails(
        *("average_checkpoints.py", f"--checkpoint_path={train_dir}"),
        *(f"--dataset_dir={shapes}", f"--output_dir={output}"),
    )
    assert "is not empty" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint_path": ""}, "--checkpoint_path is missing"),
        ({"output_dir": ""}, "--output_dir is missing"),
        ({"dataset_dir": ""}, "--dataset_dir is missing"),
        ({"choose": "first"}, "--choose=first is unknown"),
        ({"checkpoint_path": "nowhere"}, "should be the directory of a training"),
        ({"num_checkpoints": 4}, "has 3 checkpoints, fewer than --num_checkpoints=4"),
    ],
)
def test_mistakes(train_dir, shapes, tmp_path, options, message):
    directory = train_dir()
    with pytest.raises(UserError, match=message):
        average(directory, shapes, tmp_path, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train"]


def test_other_trainings(train_dir, shapes, tmp_path):
    directory = train_dir(count=2)
    options = {"num_checkpoints": 2}
    info = dataclasses.replace(LENET, num_classes=7)
    info.write(str(directory))
    with pytest.raises(UserError, match=r"fc4/\w+ has shape \[.*10\] in "):
        average(directory, shapes, tmp_path, **options)
    dataclasses.replace(LENET, quantize=True).write(str(directory))
    with pytest.raises(UserError, match="was trained with --quantize_delay"):
        average(directory, shapes, tmp_path, **options)
    pathlib.Path(directory, "model.json").unlink()
    with pytest.raises(UserError, match=r"has no model\.json"):
        average(directory, shapes, tmp_path, **options)
