import json
import os
import socket
import subprocess
import sys

import pytest

from slimzoo.model import training_state


def write(directory, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / "training.json").write_text(text)
    return str(directory)


@pytest.fixture
def dead():
    """The number of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.kill()
    process.communicate()
    return process.pid


def test_training_runs_until_its_block_ends(tmp_path):
    directory = str(tmp_path / "new")
    assert not training_state.has_ended(directory)
    with training_state.running(directory):
        assert not training_state.has_ended(directory)
    assert training_state.has_ended(directory)
    with training_state.running(directory):  # Again, with more steps.
        assert not training_state.has_ended(directory)
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "training.json"]


def test_training_that_failed_has_ended(tmp_path):
    with pytest.raises(KeyboardInterrupt), training_state.running(str(tmp_path)):
        raise KeyboardInterrupt
    assert training_state.has_ended(str(tmp_path))


@pytest.mark.parametrize(
    ("host", "ended"), [(socket.gethostname(), True), ("elsewhere", False)]
)
def test_killed_process_is_seen_on_its_host(tmp_path, dead, host, ended):
    state = {"host": host, "process": dead, "running": True}
    assert training_state.has_ended(write(tmp_path, state)) is ended


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_training_that_said_so_has_ended_wherever_it_ran(tmp_path, host):
    state = {"host": host, "process": os.getpid(), "running": False}
    assert training_state.has_ended(write(tmp_path, state))


def test_process_of_somebody_else_runs(tmp_path, monkeypatch):
    def refuse(process, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    state = {"host": socket.gethostname(), "process": 1, "running": True}
    assert not training_state.has_ended(write(tmp_path, state))


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "3", '"text"', "{}", '{"running": true}'),
        {"running": True, "host": socket.gethostname(), "process": "1"},
        {"running": True, "host": socket.gethostname(), "process": 10**30},
    ],
)
def test_unreadable_file_ends_nothing(tmp_path, content):
    assert training_state.has_ended(write(tmp_path, content)) is False
