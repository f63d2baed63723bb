import pytest

from slimzoo.benchmark import clock
from slimzoo.benchmark.clock import Clock

REQUEST = {"started": 100.0, "warmup_steps": 2, "steps": 3, "seconds": 5.0}


@pytest.fixture
def now(monkeypatch):
    """Sets all clocks: to a time, processors having worked twice as long."""

    def set_clocks(seconds):
        monkeypatch.setattr(clock.time, "time", lambda: 100.0 + seconds)
        monkeypatch.setattr(clock.time, "perf_counter", lambda: seconds)
        monkeypatch.setattr(clock.time, "process_time", lambda: 2 * seconds)

    return set_clocks


def result(measured):
    result = measured.result()
    assert result is not None
    return result


def test_steps_after_warm_up_are_measured(now):
    measured = Clock(REQUEST)
    enough = []
    for seconds in (10, 20, 23, 26, 29):
        now(seconds)
        enough.append(measured.tick(8))
    assert enough == [False] * 4 + [True]
    answer = result(measured)
    assert (answer["images"], answer["steps"]) == (24, 3)
    assert answer["seconds"] == 9
    assert answer["cpu_seconds"] == 18
    assert answer["start_seconds"] == 10
    assert answer["peak_mb"] >= answer["base_mb"] > 1


def test_steps_that_do_not_count_end_the_start_all_the_same(now):
    measured = Clock(REQUEST)
    for seconds in (10, 20):
        now(seconds)
        measured.note_first()
    for seconds in (30, 40, 43):
        now(seconds)
        measured.tick(8)
    answer = result(measured)
    assert answer["start_seconds"] == 10
    assert (answer["steps"], answer["seconds"]) == (1, 3)


def test_seconds_end_with_a_whole_step(now):
    measured = Clock(REQUEST | {"steps": None})
    enough = []
    for seconds in (10, 20, 24, 28):
        now(seconds)
        enough.append(measured.tick(8))
    assert enough == [False, False, False, True]
    assert result(measured)["seconds"] == 8


def test_what_is_left_out_is_no_part_of_the_start(now):
    measured = Clock(REQUEST | {"warmup_steps": 1})
    measured.leave_out(7)
    now(10)
    measured.tick(1)
    now(12)
    measured.tick(1)
    assert result(measured)["start_seconds"] == 3


def test_warm_up_alone_measures_nothing():
    measured = Clock(REQUEST)
    measured.tick(8)
    measured.tick(8)
    assert measured.result() is None
