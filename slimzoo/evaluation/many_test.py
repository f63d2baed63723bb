import csv
import dataclasses
import json
import math
import re

import pytest

from slimbase.errors import UserError
from slimzoo.config.evaluate import EvalConfig
from slimzoo.evaluation import many
from slimzoo.model import training_state


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Most configs here have no data set."""
    monkeypatch.setattr(many, "check", lambda config: None)


@pytest.fixture
def evaluated(monkeypatch):
    """The configs that were evaluated, in place of evaluating them."""
    configs = []

    def evaluate(config):
        configs.append(config)
        return {
            "count": 10,
            "top_1": 0.5,
            "top_5": 1.0,
            "loss": len(configs) / 4,
            "dataset_name": "shapes",
            "dataset_split_name": "test",
            "model_name": config.model_name,
            "checkpoint": config.checkpoint_path,
            "global_step": 7,
            "moving_averages": False,
            "something": "else",
        }

    monkeypatch.setattr(many, "evaluate", evaluate)
    return configs


def run(**options):
    return list(many.evaluate_all(EvalConfig(**options)))


# One


def test_config_for_one_network_is_evaluated_as_it_is(evaluated):
    config = EvalConfig(model_name="lenet", checkpoint_path="x")
    [results] = many.evaluate_all(config)
    assert evaluated == [config]
    assert results["loss"] == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "g", "watch": True}, "--graph and --watch do"),
        ({"graph": "g", "all_checkpoints": True}, "--graph and --all_checkpoints do"),
        (
            {"watch": True, "all_checkpoints": True},
            "--all_checkpoints and --watch do",
        ),
        (
            {"graph": "g", "watch": True, "model_name": "a,b"},
            "--graph and --watch and several models in --model_name do",
        ),
    ],
)
def test_ways_that_do_not_go_together_are_refused(evaluated, options, message):
    with pytest.raises(UserError, match=f"{message} not go together"):
        run(**options)
    assert not evaluated


# All checkpoints


def test_all_checkpoints_come_in_the_order_of_steps(evaluated, write_checkpoint):
    written = [
        write_checkpoint({"a": 1.0}, step, max_to_keep=None) for step in (100, 9, 20)
    ]
    without = write_checkpoint({"a": 1.0}, path="train/start.ckpt")
    directory = written[0].rpartition("/")[0]
    config = EvalConfig(checkpoint_path=directory, all_checkpoints=True, batch_size=3)
    list(many.evaluate_all(config))
    expected = [without, written[1], written[2], written[0]]
    assert evaluated == [
        dataclasses.replace(config, checkpoint_path=path) for path in expected
    ]


def test_checkpoints_of_one_step_come_by_name(evaluated, write_checkpoint):
    paths = [write_checkpoint({"a": 1.0}, path=f"train/{name}") for name in "cabd"]
    run(checkpoint_path=paths[0].rpartition("/")[0], all_checkpoints=True)
    assert [config.checkpoint_path for config in evaluated] == sorted(paths)


def test_directory_without_checkpoints_is_reported(evaluated, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=rf"no checkpoint in {tmp_path}: .*notes\.txt"):
        run(checkpoint_path=str(tmp_path), all_checkpoints=True)


def test_all_checkpoints_of_no_directory_are_refused(evaluated, tmp_path):
    with pytest.raises(UserError, match=r"need a directory of .*none is none"):
        run(checkpoint_path=str(tmp_path / "none"), all_checkpoints=True)


# Watching


class Training:
    """What is on disk while somebody watches; sleeping takes the next event."""

    def __init__(self, *events):
        self.events = list(events)
        self.now = 0.0
        self.saved, self.ended = None, False

    def sleep(self, seconds):
        assert self.events, "waits although nothing more will happen"
        self.now += seconds
        self.happen(self.events.pop(0))

    def happen(self, event):
        if event == "end":
            self.ended = True
        elif event and event != "wait":
            self.saved = event


@pytest.fixture
def watch(monkeypatch, evaluated):
    """`f(*events)` watches a training; gives what was evaluated and when it ended."""

    def of(*events, timeout=5, slow=()):
        training = Training(*events)
        monkeypatch.setattr(many.time, "sleep", training.sleep)
        monkeypatch.setattr(many.time, "monotonic", lambda: training.now)
        monkeypatch.setattr(many.checkpoints, "latest", lambda _: training.saved)
        monkeypatch.setattr(many.checkpoints, "is_there", lambda path: path != "train")
        monkeypatch.setattr(training_state, "has_ended", lambda _: training.ended)
        config = EvalConfig(
            checkpoint_path="train", watch=True, watch_timeout_secs=timeout
        )
        for _ in many.evaluate_all(config):
            for event in dict(slow).get(evaluated[-1].checkpoint_path, ()):
                training.happen(event)
                training.now += 100
        return [config.checkpoint_path for config in evaluated], training

    return of


def test_watching_follows_training_to_its_end(watch):
    seen, training = watch("wait", "a", "wait", "b", "c", "wait", "end", "never")
    assert seen == ["a", "b", "c"]
    assert training.events == ["never"]


def test_last_checkpoint_is_seen_even_if_training_ended_meanwhile(watch):
    seen, _ = watch("a", slow={"a": ["b", "end"]})
    assert seen == ["a", "b"]


def test_checkpoint_of_a_training_that_has_ended_is_seen(watch, monkeypatch):
    monkeypatch.setattr(Training, "__init__", _ended)
    assert watch()[0] == ["a"]


def _ended(self):
    self.events, self.now, self.saved, self.ended = [], 0.0, "a", True


@pytest.mark.parametrize("timeout", [1, 5])
def test_watching_ends_when_nothing_comes(watch, timeout, caplog):
    seen, training = watch(*["wait"] * 20, timeout=timeout)
    assert seen == []
    assert timeout < training.now <= timeout + 2
    assert f"for {timeout} seconds: not waiting any longer" in caplog.text


def test_waiting_begins_anew_after_each_checkpoint(watch):
    seen, training = watch(
        *(["wait"] * 4 + ["a"] + ["wait"] * 4 + ["b"] + ["wait"] * 20),
        slow={"a": ["wait"]},  # Evaluation itself takes longer than the wait.
    )
    assert seen == ["a", "b"]
    assert 115 < training.now <= 118


def test_watching_reads_what_training_writes(evaluated, write_checkpoint, tmp_path):
    with training_state.running(str(tmp_path / "train")):
        checkpoint = write_checkpoint({"a": 1.0}, 3)
    run(checkpoint_path=str(tmp_path / "train"), watch=True)
    assert [config.checkpoint_path for config in evaluated] == [checkpoint]


# Models


@pytest.fixture
def models(write_checkpoint, tmp_path):
    """A directory of models: some with a record, some named after their network."""

    def add(directory, model_name=None):
        write_checkpoint({"a": 1.0}, path=f"models/{directory}/model.ckpt")
        if model_name:
            record = tmp_path / "models" / directory / "model.json"
            record.write_text(json.dumps({"model_name": model_name}))

    add("first", "lenet")
    add("second", "resnet_v1_50")
    add("resnet_v2_50")
    add("cifarnet", "resnet_v1_101")
    add("unknown")
    (tmp_path / "models" / "mobilenet_v1").mkdir()  # Holds no checkpoint.
    (tmp_path / "models" / "lenet").touch()
    return str(tmp_path / "models")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("lenet,resnet_v2_50", {"first": "lenet", "resnet_v2_50": "resnet_v2_50"}),
        (" lenet , resnet_v1_50,", {"first": "lenet", "second": "resnet_v1_50"}),
        ("resnet_v1_*", {"cifarnet": "resnet_v1_101", "second": "resnet_v1_50"}),
        ("resnet_v?_50", {"resnet_v2_50": "resnet_v2_50", "second": "resnet_v1_50"}),
        ("resnet_v[2]_50,lenet", {"first": "lenet", "resnet_v2_50": "resnet_v2_50"}),
        ("mobilenet_*,lenet", {"first": "lenet"}),
        ("lenet,lenet,len*", {"first": "lenet"}),
        (
            "*",
            {
                "cifarnet": "resnet_v1_101",
                "first": "lenet",
                "resnet_v2_50": "resnet_v2_50",
                "second": "resnet_v1_50",
            },
        ),
    ],
)
def test_models_are_those_whose_network_is_named(evaluated, models, names, expected):
    config = EvalConfig(model_name=names, checkpoint_path=models, eval_dir="out")
    list(many.evaluate_all(config))
    assert evaluated == [
        dataclasses.replace(
            config,
            model_name=network,
            checkpoint_path=f"{models}/{directory}",
            eval_dir=f"out/{directory}",
        )
        for directory, network in expected.items()
    ]


@pytest.mark.parametrize("names", ["lenet,resnet_v1_5", "resnet_v1_5,*"])
def test_unknown_network_in_a_list_suggests(evaluated, models, names):
    with pytest.raises(UserError, match=r"resnet_v1_5.*Did you mean resnet_v1_50"):
        run(model_name=names, checkpoint_path=models)
    assert not evaluated


def test_pattern_of_no_network_is_reported(evaluated, models):
    with pytest.raises(UserError, match=r"nonet_\*"):
        run(model_name="nonet_*", checkpoint_path=models)


def test_no_fitting_model_is_reported(evaluated, models):
    with pytest.raises(UserError) as error:
        run(model_name="vgg_*", checkpoint_path=models)
    message = str(error.value)
    assert "--model_name=vgg_*" in message
    assert f"{models} holds cifarnet" in message
    assert "model.json" in message


@pytest.mark.parametrize("place", ["none", "lenet"])
def test_models_of_no_directory_are_refused(evaluated, models, place):
    with pytest.raises(UserError, match=f"{place} is not a directory of models"):
        run(model_name="*", checkpoint_path=f"{models}/{place}")


# The table


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_are_appended_under_one_header(evaluated, models, tmp_path):
    table = tmp_path / "new" / "results.csv"
    for names in ("resnet_v1_*", "lenet"):
        options = {"checkpoint_path": models} if "*" in names else {}
        run(model_name=names, results_csv=str(table), **options)
    assert len(re.findall("model_name", table.read_text())) == 1
    assert [row["model_name"] for row in rows(table)] == [
        *("resnet_v1_101", "resnet_v1_50", "lenet")
    ]
    row = rows(table)[1]
    assert {k: row[k] for k in ("count", "top_1", "loss", "global_step")} == {
        **{"count": "10", "top_1": "0.5", "loss": "0.5", "global_step": "7"}
    }
    assert row["checkpoint"] == f"{models}/second"
    assert "something" not in row
    assert None not in row


def test_row_is_there_as_soon_as_its_result(evaluated, models, tmp_path):
    table = tmp_path / "results.csv"
    config = EvalConfig(
        model_name="resnet_v1_*", checkpoint_path=models, results_csv=str(table)
    )
    for i, results in enumerate(many.evaluate_all(config), 1):
        assert len(rows(table)) == i
        assert rows(table)[-1]["loss"] == str(results["loss"])


def test_loss_that_is_no_number_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(many, "evaluate", lambda _: {"loss": math.nan})
    table = tmp_path / "results.csv"
    run(results_csv=str(table))
    assert rows(table)[0]["loss"] == "nan"


def test_table_that_cannot_be_written_is_reported(evaluated, tmp_path):
    with pytest.raises(UserError, match=f"--results_csv: cannot write {tmp_path}"):
        run(results_csv=str(tmp_path))
