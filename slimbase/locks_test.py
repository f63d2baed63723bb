import importlib
import subprocess
import sys
import threading

import pytest

from slimbase import locks
from slimbase.errors import UserError


def _try(directory):
    """Starts a thread that locks `directory`; gives it and an event for success."""
    entered = threading.Event()

    def enter():
        with locks.locked(directory):
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    return thread, entered


def test_one_at_a_time(tmp_path, caplog):
    caplog.set_level("INFO", "absl")
    directory = tmp_path / "made" / "here"
    with locks.locked(directory):
        thread, entered = _try(directory)
        assert not entered.wait(0.2)
        with locks.locked(tmp_path / "other"):
            pass
    assert entered.wait(5)
    thread.join()
    assert f"Waiting for another process to leave {directory}" in caplog.text


def test_a_failure_unlocks(tmp_path):
    with pytest.raises(KeyError), locks.locked(tmp_path):
        raise KeyError
    thread, entered = _try(tmp_path)
    assert entered.wait(5)
    thread.join()


def test_a_killed_process_holds_no_lock(tmp_path):
    program = (
        "import sys, time\n"
        "from slimbase import locks\n"
        "with locks.locked(sys.argv[1]):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"locked\n"
        thread, entered = _try(tmp_path)
        assert not entered.wait(0.2)
        process.kill()
    assert entered.wait(5)
    thread.join()


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_directory_that_cannot_be_made_is_told(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"cannot write to .*{path}"):
        with locks.locked(tmp_path / path):
            raise AssertionError


def test_without_locks_of_the_system_nobody_waits(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)  # As on Windows.
        importlib.reload(locks)
        with locks.locked(tmp_path / "made"):
            with locks.locked(tmp_path / "made"):
                assert (tmp_path / "made").is_dir()
    importlib.reload(locks)
    assert locks.fcntl
