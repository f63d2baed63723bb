import logging
import math
import signal
import sys
import types

import pytest
import tensorflow.compat.v1 as tf

from slimbase.errors import UserError
from slimbase.graph import classic_graph
from slimzoo.model.history import History
from slimzoo.training import hooks

SECONDS_PER_STEP = 0.25
SHOWN = ", accuracy 50.0%, 32.0 images/s, data wait 20%, learning rate 0.0125"


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    clock = types.SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(hooks, "time", clock)
    return clock


@pytest.fixture
def log(caplog):
    """The messages logged so far."""
    caplog.set_level(logging.INFO, "absl")
    return lambda: [record.getMessage() for record in caplog.records]


def progress(clock, steps, *, start=0, every_n_steps=10, last_step=None, history=None):
    """Runs steps of 8 pictures with a Progress hook; the loss is 1 / step.

    A fifth of each step is spent waiting for pictures.
    """
    with classic_graph():
        step = tf.train.create_global_step()
        loss = 1 / tf.cast(step, tf.float32)
        hook = hooks.Progress(
            step.read_value(),
            {
                "loss": loss,
                "accuracy": tf.constant(0.5),
                "learning_rate": tf.constant(0.0125),
                "data_wait": tf.constant(SECONDS_PER_STEP / 5),
            },
            images_per_step=8,
            every_n_steps=every_n_steps,
            last_step=last_step,
            history=history,
        )
        reach = tf.placeholder(tf.int64, [])
        advance = step.assign(reach)
        scaffold = tf.train.Scaffold(
            init_fn=lambda scaffold, session: session.run(advance, {reach: start})
        )
        train = tf.no_op()
        with tf.train.SingularMonitoredSession([hook], scaffold) as session:
            for number in range(start + 1, start + steps + 1):
                # On its own, so that the hook surely sees this step.
                session.raw_session().run(advance, {reach: number})
                clock.now += SECONDS_PER_STEP
                session.run(train)
    return hook


def test_progress_is_logged_every_so_many_steps(clock, log):
    progress(clock, 25)
    assert log() == [
        "step 10: loss 0.1000" + SHOWN,
        "step 20: loss 0.0500" + SHOWN,
    ]


def test_a_step_seen_twice_is_logged_once(clock, log):
    """The step of two workers is read twice."""
    with classic_graph():
        step = tf.train.create_global_step()
        names = ["loss", "accuracy", "learning_rate", "data_wait"]
        scalars = {name: tf.constant(0.5) for name in names}
        hook = hooks.Progress(
            step, scalars, images_per_step=8, every_n_steps=1, last_step=None
        )
        advance = step.assign_add(1)
        with tf.train.SingularMonitoredSession([hook]) as session:
            clock.now += 1
            session.raw_session().run(advance)
            session.run(scalars["loss"])
            session.run(scalars["loss"])
    assert len(log()) == 1


def test_progress_shows_the_last_step_if_there_is_one(clock, log):
    progress(clock, 8, every_n_steps=4, last_step=8)
    assert [line.split(":")[0] for line in log()] == ["step 4/8", "step 8/8"]
    assert [line.split(", ")[-1] for line in log()] == ["00:01 left", "00:00 left"]


def test_progress_counts_from_the_step_that_a_session_starts_from(clock, log):
    progress(clock, 10, start=1003)
    assert log() == ["step 1013: loss 0.0010" + SHOWN]


def test_speed_is_that_since_the_last_line(clock, log, monkeypatch):
    progress(clock, 10)
    monkeypatch.setattr(sys.modules[__name__], "SECONDS_PER_STEP", 0.5)
    progress(clock, 10)
    assert [line.split(", ")[2] for line in log()] == ["32.0 images/s", "16.0 images/s"]


def test_every_step_may_be_told(clock, log):
    progress(clock, 3, every_n_steps=1)
    assert len(log()) == 3


def test_rows_are_kept_and_forgotten_where_training_goes_back(clock, tmp_path):
    history = History(tmp_path)
    progress(clock, 30, history=history)
    history.add(step=25, split="test", loss=0.5, accuracy=0.75, top_5=1.0)
    progress(clock, 5, start=20, every_n_steps=5, history=history)
    rows = history.rows()
    assert [row["step"] for row in rows] == ["10", "20", "25"]
    assert rows[2] == {
        "step": "25",
        "split": "",
        "loss": "0.04",
        "accuracy": "0.5",
        "top_5": "",
        "learning_rate": "0.0125",
        "images_per_second": "32",
        "data_wait": "0.2",
    }


def test_on_a_terminal_progress_is_a_bar(clock, log, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    hook = progress(clock, 20, start=5, last_step=25)
    shown = capsys.readouterr().err
    assert not log()
    assert "| 5/25 [" in shown
    assert "| 25/25 [" in shown
    assert "loss 0.0400" + SHOWN in shown
    assert shown.endswith("\n")  # The bar is closed,
    del hook  # as it would be in any case when nothing knows of it any more.


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_no_number_stops_training(value, tmp_path):
    with classic_graph():
        tf.train.create_global_step()
        loss = tf.placeholder(tf.float32, [])
        hook = hooks.StopOnNan(loss, str(tmp_path))
        message = rf"{value} at step 0.*--learning_rate.*None"
        with pytest.raises(UserError, match=message):
            with tf.train.SingularMonitoredSession([hook]) as session:
                losses = [session.run(loss, {loss: value}) for value in (1, 0)]
                session.run(loss, {loss: value})
        assert losses == [1, 0]


def count_to(last, directory, clock=None, *, every_secs=0, **options):
    """Takes steps, each a second, up to `last` under SaveCheckpoints."""
    with classic_graph():
        step = tf.train.create_global_step()
        value = tf.get_variable("value", initializer=0.0)
        advance = tf.group(step.assign_add(1), value.assign_add(1.0))
        saver = tf.train.Saver(save_relative_paths=True, max_to_keep=3)
        hook = hooks.SaveCheckpoints(
            str(directory), saver, every_secs=every_secs, **options
        )
        with tf.train.SingularMonitoredSession(
            [hook, tf.train.StopAtStepHook(last_step=last)],
            tf.train.Scaffold(saver=saver),
            checkpoint_dir=str(directory),
        ) as session:
            while not session.should_stop():
                if clock:
                    clock.now += 1
                session.run(advance)


def saved(directory):
    state = tf.train.get_checkpoint_state(str(directory))
    return [path.rpartition("-")[2] for path in state.all_model_checkpoint_paths]


def test_checkpoints_are_written_at_the_start_and_at_the_end(tmp_path):
    count_to(4, tmp_path)
    assert saved(tmp_path) == ["0", "4"]
    reader = tf.train.load_checkpoint(str(tmp_path))
    assert reader.get_tensor("value") == reader.get_tensor("global_step") == 4


def test_checkpoints_are_written_by_the_clock_and_by_steps(tmp_path, clock):
    count_to(8, tmp_path / "clock", clock, every_secs=3)
    assert saved(tmp_path / "clock") == ["3", "6", "8"]
    heard = []
    count_to(
        7, tmp_path / "steps", every_steps=3, after_save=lambda n: bool(heard.append(n))
    )
    assert saved(tmp_path / "steps") == ["3", "6", "7"]
    assert heard == [3, 6, 7]


def test_who_hears_of_a_checkpoint_can_end_training(tmp_path):
    count_to(100, tmp_path, every_steps=2, after_save=lambda step: step >= 4)
    assert saved(tmp_path) == ["0", "2", "4"]


def test_a_checkpoint_that_is_there_is_not_written_again(tmp_path):
    count_to(3, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*-3.*")}
    count_to(5, tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*-3.*")}
    assert before == after and len(before) == 3
    assert saved(tmp_path) == ["0", "3", "5"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_training_after_the_step(number, tmp_path, log):
    before = signal.getsignal(number)
    with classic_graph(), hooks.stopping_on_signals() as stop:
        one = tf.constant(1)
        with tf.train.SingularMonitoredSession([stop]) as session:
            session.run(one)
            assert not session.should_stop()
            signal.raise_signal(number)
            session.run(one)
            assert session.should_stop()
    assert stop.reason == f"Stopped by {number.name}"
    assert "once more" in log()[-1]
    assert signal.getsignal(number) is before
