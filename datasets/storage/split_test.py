import logging
import re

import pytest

from datasets import testing
from datasets.storage.manifests import read_manifest
from slimbase.errors import UserError


def open_split(directory):
    return testing.TINY.open_split("train", read_manifest(directory))


def test_unfinished_conversion_is_reported(tmp_path):
    (tmp_path / ".incomplete").mkdir()
    with pytest.raises(UserError, match="has not ended") as error:
        open_split(tmp_path)
    assert "download_and_convert_data.py again" in str(error.value)


@pytest.mark.parametrize(
    ("names", "warning"),
    [
        (["00000-of-00002", "00001-of-00002"], None),
        (["00000-of-00001.tfrecord"], None),
        (["a"], None),
        (["00001-of-00003"], "2 of 3 files are missing, .*train-00000-of-00003"),
        (["00000-of-00002.x"], "1 of 2 files is missing: .*train-00001-of-00002.x"),
    ],
)
def test_missing_shards_are_reported_once(tmp_path, caplog, names, warning):
    paths = [tmp_path / f"tiny_train-{name}" for name in names]
    for path in paths:
        path.touch()
    with caplog.at_level(logging.WARNING, "absl"):
        split = open_split(tmp_path)
    assert split.record_files == list(map(str, paths))
    if warning:
        assert len(caplog.messages) == 1
        assert re.search(warning, caplog.text)
    else:
        assert not caplog.messages
