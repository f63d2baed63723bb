"""Contests and turns as examples."""

import pytest

from slimzoo.benchmark.plan import Contest
from slimzoo.benchmark.results import ResultRow


@pytest.fixture
def contest():
    """`f(**attributes)` gives a contest of training."""

    def make(**attributes):
        usual = {
            "mode": "train",
            "model_name": "mobilenet_v1",
            "image_size": (224, 224),
            "batch_size": 32,
            "threads": None,
            "num_clones": 1,
            "format": "",
            "contestants": (),
        }
        return Contest(**usual | attributes)

    return make


@pytest.fixture
def turn():
    """`f(images per second, ...)` gives the answer of a turn of ten seconds."""

    def make(speed, cpu_seconds=20.0):
        return {
            "images": speed * 10,
            "steps": 5,
            "seconds": 10.0,
            "cpu_seconds": cpu_seconds,
            "start_seconds": 4.0,
            "peak_mb": 900.0,
            "base_mb": 600.0,
        }

    return make


@pytest.fixture
def row(contest, turn):
    """`f(contender, precision, speeds)` gives a row."""

    def make(contender, precision, speeds, **attributes):
        turns = tuple(map(turn, speeds))
        return ResultRow(contest(), contender, precision, turns, **attributes)

    return make
