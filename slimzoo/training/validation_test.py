import contextlib
import itertools
import pathlib

import numpy as np
import pytest

from datasets.dataset_factory import DATASETS
from datasets.storage.manifests import read_manifest
from slimbase.errors import UserError
from slimzoo.config.train import TrainConfig
from slimzoo.evaluation.metrics import Metrics
from slimzoo.model import checkpoints
from slimzoo.model import info as model_info
from slimzoo.model.history import History
from slimzoo.training import validation

INFO = model_info.settle(
    TrainConfig(model_name="lenet", dataset_name="shapes"), {"num_classes": 10}, None
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eval_every_steps": 2, "eval_every_epochs": 1.0}, "not both"),
        ({"eval_every_epochs": 0.0}, "above zero"),
        ({"stop_after_evaluations": 2}, "needs --eval_every_steps"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, message):
    with pytest.raises(UserError, match=message):
        validation.check(TrainConfig(**options))


@pytest.fixture
def evaluate(tmp_path, write_checkpoint, monkeypatch):
    """Evaluates a checkpoint per top-1 given; yields what each call returned."""

    def run(top_1s, losses=(), **options):
        config = TrainConfig(
            train_dir=str(tmp_path),
            dataset_dir=str(tmp_path),
            dataset_name="shapes",
            batch_size=40,
            **options,
        )
        (tmp_path / "labels.txt").write_text("".join(f"{i}:{i}\n" for i in range(10)))
        trained_on = DATASETS["shapes"].find_split("train", read_manifest(tmp_path))
        evaluation = validation.CheckpointEvaluator(
            config, INFO, trained_on, History(tmp_path)
        )
        losses = itertools.chain(losses, itertools.repeat(50.0))
        for step, top_1 in enumerate(top_1s, 1):
            metrics = Metrics(10)
            metrics.count = metrics.top_5_hits = 100
            metrics.top_1_hits, metrics.loss_sum = round(100 * top_1), next(losses)
            checkpoint = str(tmp_path / f"model.ckpt-{step}")
            for part in ("index", "data-00000-of-00001"):
                pathlib.Path(f"{checkpoint}.{part}").write_text(f"{step}")
            monkeypatch.setattr(checkpoints, "latest", lambda _, path=checkpoint: path)
            monkeypatch.setattr(
                validation.predictor,
                "from_checkpoint",
                lambda *_: contextlib.nullcontext(),
            )
            monkeypatch.setattr(
                validation.evaluate, "measure", lambda *_, found=metrics, **__: found
            )
            yield evaluation(step)

    return run


def best(directory):
    names = {path.stem for path in (directory / "best").glob("model.ckpt-*")}
    assert len(names) == 1
    return names.pop()


def test_the_best_is_kept_and_nothing_else(evaluate, tmp_path):
    kept = []
    for is_enough in evaluate([0.2, 0.5, 0.5, 0.4, 0.6], eval_every_steps=1):
        assert not is_enough
        kept.append(best(tmp_path))
    assert kept == [f"model.ckpt-{step}" for step in (1, 2, 2, 2, 5)]
    assert (tmp_path / "best" / "model.json").exists()
    assert "model.ckpt-5" in (tmp_path / "best" / "checkpoint").read_text()
    accuracies = [float(row["accuracy"]) for row in History(tmp_path).rows()]
    np.testing.assert_allclose(accuracies, [0.2, 0.5, 0.5, 0.4, 0.6])


def test_of_equals_the_one_with_the_least_loss_is_kept(evaluate, tmp_path):
    losses = [50.0, 40.0, 45.0]
    kept = []
    for _ in evaluate([0.5, 0.5, 0.5], losses=losses, eval_every_steps=1):
        kept.append(best(tmp_path))
    assert kept == [f"model.ckpt-{step}" for step in (1, 2, 2)]


def test_training_ends_when_the_best_is_old(evaluate):
    options = {"eval_every_steps": 1, "stop_after_evaluations": 2}
    answers = list(evaluate([0.2, 0.5, 0.5, 0.4], **options))
    assert answers == [False, False, False, True]


def test_what_was_best_before_a_restart_counts(evaluate, tmp_path):
    assert list(evaluate([0.5], eval_every_steps=1)) == [False]
    options = {"eval_every_steps": 1, "stop_after_evaluations": 1}
    assert list(evaluate([0.4], **options)) == [True]


def test_epochs_are_counted_in_global_batches(tmp_path):
    config = TrainConfig(
        dataset_name="shapes",
        dataset_dir=str(tmp_path),
        batch_size=40,
        num_clones=2,
        accumulate_gradients=5,
        eval_every_epochs=0.5,
    )
    trained_on = DATASETS["shapes"].find_split("train", read_manifest(tmp_path))
    assert trained_on.num_samples == 4000
    evaluation = validation.CheckpointEvaluator(
        config, INFO, trained_on, History(tmp_path)
    )
    assert evaluation.every_steps == 5  # Of 4,000 pictures, 400 at a time.
