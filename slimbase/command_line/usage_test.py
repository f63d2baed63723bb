import dataclasses
import re

import pytest

from slimbase.command_line import usage
from slimzoo.config.classify import ClassifyConfig
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.train import TrainConfig

ABOUT = "Trains.\n\npython train_image_classifier.py --seed=1"


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_every_option_stands_in_one_group():
    for config_class in (TrainConfig, EvalConfig, ClassifyConfig):
        grouped = [f.name for g in usage.groups(config_class).values() for f in g]
        fields = [field.name for field in dataclasses.fields(config_class)]
        assert sorted(grouped) == sorted(fields)


def test_own_options_come_first_and_equal_titles_are_one_group():
    groups = usage.groups(TrainConfig)
    assert list(groups)[:3] == ["Training", "Network", "Data set"]
    names = [field.name for field in groups["Data set"]]
    assert names == ["dataset_name", "dataset_dir", "skip_bad_records"]
    assert {"gpu_memory_growth", "num_clones"} <= {
        field.name for field in groups["Devices and machines"]
    }


def test_an_option_that_is_described_anew_stays_in_its_group():
    [model_name, *_] = usage.groups(EvalConfig)["Network"]
    assert "patterns" in model_name.metadata["help"]


def test_flags_show_their_defaults():
    text = usage.text("train_image_classifier.py", ABOUT, TrainConfig)
    assert "\n  --batch_size=32             Pictures per clone and step.\n" in text
    assert "\n  --train_image_size=H,W      Height and width" in text
    assert "\n  --max_number_of_steps=INTEGER\n" in text
    assert "\n  --model_name=inception_v3   Network" in text  # Where no record is.
    assert re.search(
        r"--\[no\]grow_batch_norm_decay\n.* On by\n? *default\.", text, re.S
    )
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("program", "example"),
    [
        ("./train_image_classifier.py", "python train_image_classifier.py"),
        ("/bin/train_image_classifier", "train_image_classifier"),
    ],
)
def test_examples_are_of_the_command_that_was_called(program, example):
    text = usage.text(program, ABOUT, TrainConfig, operands="pictures")
    assert f"\n{example} --seed=1\n" in text
    assert f"\nusage: {example} [flags] [pictures ...]\n" in text
