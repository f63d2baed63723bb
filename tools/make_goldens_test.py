import gzip
import json

import pytest

from nets import testing
from slimbase.errors import UserError
from tools import make_goldens


def _compare(fresh, golden, where=""):
    """Numbers but nearly, as they were computed by another implementation."""
    assert type(fresh) is type(golden), where
    if isinstance(golden, dict):
        assert list(fresh) == list(golden), where
        for key, value in golden.items():
            _compare(fresh[key], value, f"{where}/{key}")
    elif isinstance(golden, list):
        assert len(fresh) == len(golden), where
        for number, value in enumerate(golden):
            _compare(fresh[number], value, f"{where}/{number}")
    elif isinstance(golden, float):
        assert fresh == pytest.approx(golden, rel=1e-3, abs=1e-4), where
    else:
        assert fresh == golden, where


@pytest.mark.parametrize(
    "name",
    ["lenet", "cifarnet", pytest.param("mobilenet_v1_025", marks=pytest.mark.slow)],
)
def test_a_network_has_the_record_that_another_implementation_has_written(name):
    golden = testing.read_golden(make_goldens.GOLDENS / f"{name}.json.gz")
    _compare(make_goldens.record(name), golden)


def test_records_are_written_once(tmp_path, capsys):
    make_goldens.main(["--output_dir", str(tmp_path), "lenet"])
    assert "lenet.json.gz" in capsys.readouterr().out
    path = tmp_path / "lenet.json.gz"
    assert testing.read_golden(path)["infer"]["parameters"] == 3_274_634
    with pytest.raises(UserError, match="delete the file"):
        make_goldens.main(["--output_dir", str(tmp_path), "lenet"])


def test_records_of_others_are_packed_as_they_are(tmp_path):
    (tmp_path / "mine.json").write_text('{"value": [1, 0.123456789]}')
    directory = str(tmp_path)
    for _ in range(2):  # What others have written may replace what is there.
        make_goldens.main(
            ["--records_dir", directory, "--output_dir", directory, "mine"]
        )
    packed = (tmp_path / "mine.json.gz").read_bytes()
    assert json.loads(gzip.decompress(packed)) == {"value": [1, 0.1234568]}
