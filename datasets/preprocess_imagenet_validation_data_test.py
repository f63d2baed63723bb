import pathlib
import subprocess
import sys

import pytest

from datasets import preprocess_imagenet_validation_data as script
from slimbase.errors import UserError
from slimbase.testing import ROOT

SYNSETS = ["n01440764", "n02085620", "n01440764"]


def name(number):
    return f"ILSVRC2012_val_{number:08d}.JPEG"


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "labels.txt").write_text("".join(f"{s}\n" for s in SYNSETS))
    (tmp_path / "validation").mkdir()
    for number in range(1, 4):
        (tmp_path / "validation" / name(number)).write_text(str(number))
    return [str(tmp_path / "validation"), str(tmp_path / "labels.txt")]


def files(arguments):
    root = pathlib.Path(arguments[0])
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}


MOVED = {f"{synset}/{name(i)}": str(i) for i, synset in enumerate(SYNSETS, 1)}


def test_moves(arguments, capsys):
    script.main(arguments)
    assert files(arguments) == MOVED
    assert "Moved 3 pictures; 0 were" in capsys.readouterr().out


def test_again(arguments, capsys):
    script.main(arguments)
    script.main(arguments)
    assert files(arguments) == MOVED
    assert "Moved 0 pictures; 3 were" in capsys.readouterr().out


def test_goes_on_after_an_interruption(arguments, monkeypatch):
    rename, moved = pathlib.Path.rename, []

    def interrupt(self, target):
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(rename(self, target))

    with monkeypatch.context() as patches:
        patches.setattr(pathlib.Path, "rename", interrupt)
        with pytest.raises(KeyboardInterrupt):
            script.main(arguments)
    assert len(files(arguments)) == 3
    script.main(arguments)
    assert files(arguments) == MOVED


def take_one_away(root):
    (root / name(2)).unlink()


def put_one_there_already(root):
    (root / SYNSETS[1]).mkdir()
    (root / SYNSETS[1] / name(2)).write_text("another")


def put_a_file_in_the_way(root):
    (root / SYNSETS[1]).write_text("no folder")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (take_one_away, f"1 of 3 pictures are missing, the first being .*{name(2)}"),
        (put_one_there_already, f"both .*{name(2)} and .*{SYNSETS[1]}.* are there"),
        (put_a_file_in_the_way, f"{SYNSETS[1]} should be a folder"),
    ],
)
def test_nothing_is_moved_if_something_is_wrong(spoil, message, arguments):
    spoil(pathlib.Path(arguments[0]))
    before = files(arguments)
    with pytest.raises(UserError, match=f"{message}.*Nothing was moved"):
        script.main(arguments)
    assert files(arguments) == before


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "has no synsets"),
        (
            "n01440764\n../../elsewhere\nn01440764\n",
            r"has the line '\.\./\.\./elsewhere'",
        ),
        ("n01440764\n" * 2 + "tench", "has the line 'tench'"),
    ],
)
def test_wrong_labels(labels, message, arguments):
    pathlib.Path(arguments[1]).write_text(labels)
    before = files(arguments)
    with pytest.raises(UserError, match=message):
        script.main(arguments)
    assert files(arguments) == before


def test_disk_that_fails_is_told(arguments, monkeypatch):
    def fail(self, target):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(pathlib.Path, "rename", fail)
    with pytest.raises(UserError, match=f"cannot move .*{name(1)}: No space.* again"):
        script.main(arguments)


def test_command(arguments, tmp_path):
    path = ROOT / "datasets" / "preprocess_imagenet_validation_data.py"
    for status, given in [(1, []), (1, ["nowhere", arguments[1]]), (0, arguments)]:
        result = subprocess.run(
            [sys.executable, path, *given],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == status
        assert result.stderr.startswith("error: ") == bool(status)
    assert files(arguments) == MOVED
