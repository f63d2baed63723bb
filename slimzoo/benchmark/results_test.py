import pytest

from slimzoo.benchmark import results
from slimzoo.benchmark.results import Spread


def test_spread_is_median_least_and_most():
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)
    assert Spread.of([]) is None
    assert Spread.of([1.0, None]) is None


def test_ratios_are_of_turns_of_the_same_number(row):
    ours, classic = results.compare(
        [row("ours", "float32", [20, 60, 90]), row("classic", "float32", [10, 20, 30])]
    )
    # Of all turns together it would be 3 (60 over 20).
    assert ours.ratios == {"classic": Spread(3.0, 2.0, 3.0)}
    assert classic.ratios == {}


def test_ratio_by_processor_time_is_another(contest, turn):
    def row(who, seconds):
        return results.ResultRow(contest(), who, "float32", (turn(10, seconds),))

    ours, _ = results.compare([row("ours", 5.0), row("classic", 20.0)])
    assert ours.ratios["classic"].median == 1.0
    assert ours.cpu_ratios["classic"].median == 4.0


def test_precisions_are_compared_with_the_same_or_the_only_one(row):
    rows = [
        row("ours", "float32", [10]),
        row("ours", "bfloat16", [40]),
        row("classic", "float32", [5]),
        row("keras", "float32", [2]),
        row("keras", "bfloat16", [20]),
    ]
    full, half, *_ = results.compare(rows)
    medians = {name: ratio.median for name, ratio in full.ratios.items()}
    assert medians == {"classic": 2.0, "keras": 5.0}
    medians = {name: ratio.median for name, ratio in half.ratios.items()}
    assert medians == {"classic": 8.0, "keras": 2.0}


def test_a_contender_without_turns_has_no_ratio(row):
    ours, _ = results.compare(
        [row("ours", "float32", [10]), row("keras", "float32", [], error="gone")]
    )
    assert ours.ratios == {}


@pytest.mark.parametrize(("mode", "passes"), [("train", 3), ("inference", 1)])
def test_operations_are_two_per_multiply_add(contest, turn, mode, passes):
    known = {"multiply_adds": 500_000_000, "peak_gflops": 200.0}
    turns = (turn(20), turn(10), turn(30))
    row = results.ResultRow(contest(mode=mode), "ours", "float32", turns, **known)
    assert row.gflops == pytest.approx(20 * passes)
    assert row.peak_share == pytest.approx(20 * passes / 200)


def test_operations_are_unknown_without_multiply_adds_or_passes(contest, row, turn):
    assert row("ours", "float32", [10]).gflops is None
    input_row = results.ResultRow(
        contest(mode="input"), "ours", "", (turn(1),), multiply_adds=1
    )
    assert input_row.gflops is None
    assert input_row.peak_share is None


def test_errors_in_short_are_the_exception():
    trace = "ended\n  File x\nmodule.SomeError: what it is\n\t [[node]]\nmore"
    assert results.in_short(trace) == "module.SomeError: what it is"
    assert results.in_short("one\ntwo\n") == "two"
