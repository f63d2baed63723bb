import csv
import json

import pytest

from slimbase.testing import call, fails, run

TINY = (
    "--num_pictures=12",
    *("--batch_size=2", "--steps=2", "--warmup_steps=1", "--repeats=1"),
)


def test_help_and_mistakes():
    result = run("benchmark.py", "--help", check=False)
    assert "--against" in result.stdout
    assert "Did you mean mobilenet" in fails("benchmark.py", "--model_name=mobilnet*")


@pytest.mark.slow
def test_failures_are_reported_in_their_rows(tmp_path):
    """A size that the one recipe cannot make, and the other can."""
    files = [f"--csv={tmp_path}/rows.csv", f"--json={tmp_path}/all.json"]
    result = call(
        *("benchmark.py", "--mode=input", "--model_name=vgg_16,mobilenet_v1"),
        *("--image_size=300", *TINY, *files),
        check=False,
    )
    assert result.returncode == 1
    assert "failed: input, vgg_16" in result.stdout
    assert "turn 1 of 1, ours: " in result.stderr
    rows = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    by_model = {row["model"]: row for row in rows}
    assert "cannot cut 300x300 pixels" in by_model["vgg_16"]["error"]
    assert by_model["vgg_16"]["images_per_second"] == ""
    assert float(by_model["mobilenet_v1"]["images_per_second"]) > 0
    assert not by_model["mobilenet_v1"]["error"]
    content = json.loads((tmp_path / "all.json").read_text())
    assert [len(row["each_turn"]) for row in content["rows"]] == [1, 0]
    assert {"cpu", "cores", "flags", "tensorflow"} <= set(content["machine"])


@pytest.mark.slow  # Six processes; worker_test.py has their work.
def test_training_with_its_ratio_and_share_of_the_peak(tmp_path):
    result = call(
        *("benchmark.py", "--mode=train", "--model_name=lenet", "--against=classic"),
        *("--threads=1", *TINY, f"--json={tmp_path}/all.json"),
    )
    assert "matrix products in float32 on 1 thread:" in result.stdout
    content = json.loads((tmp_path / "all.json").read_text())
    ours, classic = content["rows"]
    assert (ours["contender"], classic["contender"]) == ("ours", "classic")
    speeds = [row["images_per_second"] for row in (ours, classic)]
    assert ours["ratio_classic"] == speeds[0] / speeds[1]
    assert 0 < ours["peak_share"] < 1
