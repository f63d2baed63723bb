import json

import pytest

from slimbase import files
from slimbase.errors import UserError


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_json_is_written_and_directories_made(tmp_path):
    path = tmp_path / "a" / "b" / "facts.json"
    files.write_json(path, {"name": "Löwenzahn", "none": None, "list": [1, 2.5]})
    text = path.read_text("utf-8")
    assert json.loads(text) == {"name": "Löwenzahn", "none": None, "list": [1, 2.5]}
    assert text.endswith("}\n")
    assert text.count("\n") > 3
    assert names(path.parent) == ["facts.json"]


def test_path_may_be_a_string(tmp_path):
    files.write_json(str(tmp_path / "facts.json"), 1)
    assert (tmp_path / "facts.json").read_text() == "1\n"


def test_file_is_replaced_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("old", ["old", None])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, UserError])
def test_failing_block_changes_nothing_and_leaves_nothing(tmp_path, error, old):
    path = tmp_path / "file"
    if old:
        path.write_text(old)
    with pytest.raises(error, match="in the block"), files.replacing(path) as temporary:
        temporary.write_text("half of the ne")
        raise error("in the block")
    assert names(tmp_path) == (["file"] if old else [])
    assert not old or path.read_text() == old


def test_content_that_is_no_json_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError):
        files.write_json(path, {"thing": object()})
    assert names(tmp_path) == ["file"]
    assert path.read_text() == "old"


def test_directory_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*file/below/x.json: "):
        files.write_json(tmp_path / "file" / "below" / "x.json", {})
    with pytest.raises(UserError, match=r"cannot write .*file/x.json: "):
        files.write_json(tmp_path / "file" / "x.json", {})
    assert (tmp_path / "file").read_text() == "old"


def test_file_that_is_a_directory_is_told_and_nothing_left(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*x.json: Is a directory"):
        files.write_json(tmp_path / "x.json", {})
    assert names(tmp_path) == ["x.json"]


def test_full_disk_is_told_and_nothing_left(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*file: No space left"):
        with files.replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")
    assert names(tmp_path) == []
