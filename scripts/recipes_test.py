"""The recipes as people run them, for a few steps each."""

import os
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.registry import NETWORKS
from slimbase.graph import classic_graph
from slimbase.testing import ROOT, metrics
from slimzoo.model import checkpoints


def run_recipe(name, *flags, **environment):
    result = subprocess.run(
        [ROOT / "scripts" / name, *flags],
        env=os.environ | {"PYTHON": sys.executable} | environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "source", "count"),
    [
        ("train_lenet_on_mnist.sh", "mnist", 10_000),
        ("train_cifarnet_on_cifar10.sh", "", 1_000),
    ],
)
def test_training(name, source, count, shared_data, tmp_path):
    train_dir = tmp_path / "train"
    run_recipe(
        *(name, "--seed=1"),
        STEPS="3",
        SOURCE_DIR=str(shared_data / source),
        DATASET_DIR=str(tmp_path / "data"),
        TRAIN_DIR=str(train_dir),
    )
    assert checkpoints.step_of(checkpoints.find(str(train_dir))) == 3
    results = metrics(train_dir / "eval")
    assert (results["count"], results["global_step"]) == (count, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model_name",
    ["inception_v1", "inception_v3", "inception_resnet_v2", "resnet_v1_50"],
)
def test_fine_tuning(model_name, flowers, tmp_path):
    pretrained = tmp_path / "pretrained" / f"{model_name}.ckpt"
    _write_untrained(model_name, pretrained)
    train_dir = tmp_path / "train"
    run_recipe(
        f"finetune_{model_name}_on_flowers.sh",
        "--train_image_size=128",
        STEPS="1",
        ALL_STEPS="2",
        BATCH_SIZE="2",
        DATASET_DIR=str(flowers),
        TRAIN_DIR=str(train_dir),
        PRETRAINED_CHECKPOINT_DIR=str(pretrained.parent),
    )
    for directory, step in ((train_dir, 1), (train_dir / "all", 2)):
        results = metrics(directory / "eval")
        assert (results["count"], results["global_step"]) == (57, step)


def _write_untrained(model_name, path):
    """A checkpoint as published, but for its values."""
    network = NETWORKS[model_name]
    with classic_graph(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [1, *network.input_shape])
        nets_factory.get_network_fn(model_name, network.classes)(images)
        session.run(tf.global_variables_initializer())
        path.parent.mkdir()
        tf.train.Saver().save(session, str(path), write_meta_graph=False)
