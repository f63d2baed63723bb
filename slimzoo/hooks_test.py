import logging
import math
import sys
import types

import pytest
import tensorflow.compat.v1 as tf

from slimzoo import hooks
from slimzoo.errors import UserError
from slimzoo.graph import classic_graph

SECONDS_PER_STEP = 0.25


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


def progress(clock, steps, *, start=0, every_n_steps=10, last_step=None):
    """Runs steps of 8 pictures with a Progress hook; the loss is 1 / step."""
    with classic_graph():
        step = tf.train.create_global_step()
        loss = 1 / tf.cast(step, tf.float32)
        hook = hooks.Progress(
            step.read_value(),
            loss,
            tf.constant(0.0125),
            pictures_per_step=8,
            every_n_steps=every_n_steps,
            last_step=last_step,
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
                session.run(train)  # Sees the same step, as workers side by side may.
    return hook


def test_progress_is_told_every_so_many_steps(clock, log):
    progress(clock, 25)
    assert log() == [
        "step 10: loss 0.1000, 32.0 images/s, learning rate 0.0125",
        "step 20: loss 0.0500, 32.0 images/s, learning rate 0.0125",
    ]


def test_progress_tells_the_last_step_if_there_is_one(clock, log):
    progress(clock, 8, every_n_steps=4, last_step=8)
    assert [line.split(":")[0] for line in log()] == ["step 4/8", "step 8/8"]


def test_progress_counts_from_the_step_that_a_session_starts_from(clock, log):
    progress(clock, 10, start=1003)
    assert log() == ["step 1013: loss 0.0010, 32.0 images/s, learning rate 0.0125"]


def test_speed_is_that_since_the_last_line(clock, log, monkeypatch):
    progress(clock, 10)
    monkeypatch.setattr(sys.modules[__name__], "SECONDS_PER_STEP", 0.5)
    progress(clock, 10)
    assert [line.split(", ")[1] for line in log()] == ["32.0 images/s", "16.0 images/s"]


@pytest.mark.parametrize("every_n_steps", [0, 1])
def test_every_step_may_be_told(clock, log, every_n_steps):
    progress(clock, 3, every_n_steps=every_n_steps)
    assert len(log()) == 3


def test_on_a_terminal_progress_is_a_bar(clock, log, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    hook = progress(clock, 20, start=5, last_step=25)
    shown = capsys.readouterr().err
    assert not log()
    assert "| 5/25 [" in shown
    assert "| 25/25 [" in shown
    assert "loss 0.0400, 32.0 images/s, learning rate 0.0125" in shown
    assert shown.endswith("\n")  # The bar is closed,
    del hook  # as it would be in any case when nothing knows of it any more.


def test_loss_that_is_no_number_stops_training():
    with classic_graph():
        loss = tf.placeholder(tf.float32, [])
        hook = hooks.StopOnNan(loss)
        with pytest.raises(UserError, match=r"not a number any more.*--learning_rate"):
            with tf.train.SingularMonitoredSession([hook]) as session:
                losses = [
                    session.run(loss, {loss: value}) for value in (1, math.inf, 0)
                ]
                session.run(loss, {loss: math.nan})
        assert losses == [1, math.inf, 0]
