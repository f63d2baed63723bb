import dataclasses
import json
import logging

import pytest

from datasets import testing
from datasets.dataset_factory import DATASETS
from datasets.storage import manifests
from slimzoo.config.evaluate import EvalConfig
from slimzoo.config.train import TrainConfig
from slimzoo.evaluation import evaluate
from slimzoo.training import train


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A directory of two splits in two shards each, with a manifest of both."""
    splits = ("train", "test")
    tiny = dataclasses.replace(testing.TINY, splits_to_sizes=dict.fromkeys(splits, 0))
    monkeypatch.setitem(DATASETS, "tiny", tiny)
    directory = tmp_path / "data"
    directory.mkdir()
    for split in splits:
        testing.write(directory, range(5), range(5), name=f"tiny_{split}")
        for number in range(2):
            written = directory / f"tiny_{split}-{number:02}-of-02"
            written.rename(directory / f"tiny_{split}-{number:05}-of-00002")
    listed = {"count": 10, "per_class": [2] * 5}
    manifest = {"dataset": "tiny", "splits": dict.fromkeys(splits, listed)}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


@pytest.fixture
def opened(monkeypatch):
    """The paths of the manifests that are opened."""
    paths = []
    read = manifests._content
    monkeypatch.setattr(
        manifests, "_content", lambda path: paths.append(path) or read(path)
    )
    return paths


def run_training(stored, tmp_path, **options):
    config = TrainConfig(
        model_name="lenet",
        dataset_dir=str(stored),
        train_dir=str(tmp_path / "run"),
        max_number_of_steps=2,
        batch_size=5,
        **options,
    )
    train.train(config)


def run_evaluation(stored, tmp_path, **options):
    config = EvalConfig(
        dataset_dir=str(stored),
        checkpoint_path=str(tmp_path / "run"),
        eval_dir=str(tmp_path / "eval"),
        **options,
    )
    return evaluate.evaluate(config)


@pytest.mark.slow
def test_a_run_opens_the_manifest_once_and_reports_a_lost_shard_once(
    stored, tmp_path, opened, caplog
):
    options = {"eval_every_steps": 1, "class_weights": "balanced"}
    run_training(stored, tmp_path, **options)
    assert opened == [str(stored / "manifest.json")]

    opened.clear()
    assert run_evaluation(stored, tmp_path)["count"] == 10
    assert opened == [str(stored / "manifest.json")]

    (stored / "tiny_test-00001-of-00002").unlink()
    with caplog.at_level(logging.WARNING, "absl"):
        results = run_evaluation(stored, tmp_path, skip_bad_records=True)
    assert results["count"] == 5
    assert sum("1 of 2 files is missing" in text for text in caplog.messages) == 1
