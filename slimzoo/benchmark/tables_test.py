import csv
import io
import json

import pytest

from slimzoo.benchmark import results, tables
from slimzoo.config.benchmark import BenchmarkConfig

MACHINE = {
    "cpu": "A processor",
    "family": "1, model 2",
    "cores": 2,
    "flags": ["avx2"],
    "lacks": ["amx_bf16"],
    "tensorflow": "2.21.0",
    "python": "3.11.7",
    "system": "Linux",
}


@pytest.fixture
def found(row):
    rows = results.compare(
        [
            row("ours", "float32", [100, 120, 1400], multiply_adds=10**9),
            row("classic", "float32", [50, 50, 50]),
            row("keras", "float32", [], error="Traceback\nValueError: no such thing"),
        ]
    )
    config = BenchmarkConfig(repeats=3)
    return results.Results(MACHINE, {("float32", None): 150.0}, config, rows)


def test_text(found):
    lines = tables.text(found).splitlines()
    assert lines[0].startswith("A processor (family 1, model 2), 2 cores; has avx2")
    assert "matrix products in float32: 150 GFLOP/s" in lines
    heading = lines.index("train, mobilenet_v1, 224x224, batch 32")
    titles, ours, classic = lines[heading - 1], *lines[heading + 1 : heading + 3]
    assert titles.split()[0] == "images/s"
    assert "file" not in titles  # No row has any.
    assert "120 (100 to 1,400)" in ours
    assert "50.0 (50.0 to 50.0)" in classic
    assert len({len(titles), len(ours), len(classic)}) == 1
    [ratio] = [line for line in lines if "  classic  " in line and "batch" in line]
    assert "2.40 (2.00 to 28.0)" in ratio
    contest = "train, mobilenet_v1, 224x224, batch 32"
    assert lines[-1] == f"failed: {contest}, keras, float32: ValueError: no such thing"


def test_csv(found):
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(found))))
    assert [row["contender"] for row in rows] == ["ours", "classic", "keras"]
    ours, classic, keras = rows
    assert ours["images_per_second"] == "120"
    assert ours["images_per_second_most"] == "1400"
    assert ours["ratio_classic"] == "2.4"
    assert ours["gflops"] == "720"
    assert ours["ms_per_step"] == "2000"
    assert ours["mb_above_base"] == "300"
    assert classic["ratio_classic"] == ""
    assert keras["turns"] == "0"
    assert keras["error"].startswith("Traceback")


def test_json(found):
    content = json.loads(json.dumps(tables.as_json(found)))
    assert content["machine"]["cpu"] == "A processor"
    assert content["options"]["repeats"] == 3
    assert content["matrix_products"] == [
        {"precision": "float32", "threads": None, "gflops": 150.0}
    ]
    assert len(content["rows"][0]["each_turn"]) == 3
    assert content["rows"][0]["ratio_classic_least"] == 2.0


def test_numbers_have_three_digits():
    numbers = (1234.5, 123.45, 12.345, 1.2345, 0.012345, None)
    shown = [tables._number(number) for number in numbers]
    assert shown == ["1,234", "123", "12.3", "1.23", "0.01", "-"]
