"""Results as text, as CSV and as JSON."""

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable
from typing import Any

from slimbase import files
from slimbase.text import counted
from slimzoo.benchmark import results
from slimzoo.benchmark.clock import Answer
from slimzoo.benchmark.plan import CONTENDERS, OURS
from slimzoo.benchmark.results import ResultRow, Results, Spread

_NOTHING = "-"


def _number(value: float | None) -> str:
    """`value` with three digits, or with all digits before the point."""
    if value is None:
        return _NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _spread(value: Spread | None) -> str:
    if value is None:
        return _NOTHING
    return f"{_number(value.median)} ({_number(value.least)} to {_number(value.most)})"


def _median(row: ResultRow, value: Callable[[Answer], float | None]) -> str:
    spread = row.spread(value)
    return _number(spread and spread.median)


def _per_image_ms(turn: Answer, seconds: str) -> float | None:
    return turn[seconds] / turn["images"] * 1e3 if turn["images"] else None


def _cpu_ms_per_image(turn: Answer) -> float | None:
    return _per_image_ms(turn, "cpu_seconds")


def _mb_above(turn: Answer) -> float:
    return turn["peak_mb"] - turn["base_mb"]


# Titles of the table's columns, and what the columns show of a row.
_COLUMNS: dict[str, Callable[[ResultRow], str]] = {
    "": lambda row: f"  {row.contender} {row.precision}".rstrip(),
    "images/s (least to most)": lambda row: _spread(
        row.spread(results.images_per_second)
    ),
    "CPU ms/image": lambda row: _median(row, _cpu_ms_per_image),
    "ms/step": lambda row: _median(row, results.ms_per_step),
    "start s": lambda row: _median(row, lambda turn: turn["start_seconds"]),
    "MB": lambda row: _median(row, lambda turn: turn["peak_mb"]),
    "above TF": lambda row: _median(row, _mb_above),
    "file MB": lambda row: _median(row, lambda turn: turn.get("file_mb")),
    "GFLOP/s": lambda row: _number(row.gflops),
    "of peak": lambda row: (
        _NOTHING if row.peak_share is None else f"{row.peak_share:.0%}"
    ),
}


def text(found: Results) -> str:
    """The machine, a table of all rows, the ratios, and the failures."""
    parts = [_machine(found)]
    measured = [row for row in found.rows if row.turns]
    if measured:
        parts.append(_with_headings(measured))
    compared = [
        [_what(row), name, _spread(ratio), _spread(row.cpu_ratios.get(name))]
        for row in found.rows
        for name, ratio in row.ratios.items()
    ]
    if compared:
        titles = ["ours", "against", "times as fast", "by processor time"]
        parts.append("\n".join(_aligned([titles, *compared], left=2)))
    if found.errors:
        failures = [f"{_what(r)}: {results.in_short(r.error)}" for r in found.errors]
        parts.append("\n".join(f"failed: {failure}" for failure in failures))
    return "\n\n".join(parts)


def _with_headings(rows: list[ResultRow]) -> str:
    """A table with each contest's name above the contest's rows."""
    cells = [[show(row) for show in _COLUMNS.values()] for row in rows]
    titles, *lines = _aligned([list(_COLUMNS), *cells], left=1)
    table = [titles]
    for i, line in enumerate(lines):
        if not i or rows[i].contest != rows[i - 1].contest:
            table.append(str(rows[i].contest))
        table.append(line)
    return "\n".join(table)


def _what(row: ResultRow) -> str:
    who = row.contender if row.error else ""
    return ", ".join(filter(None, [str(row.contest), who, row.precision]))


def _machine(found: Results) -> str:
    machine = found.machine
    lines = [
        f"{machine['cpu']} (family {machine['family']}), {machine['cores']} cores; has "
        f"{', '.join(machine['flags']) or 'none of the flags below'}; lacks "
        f"{', '.join(machine['lacks']) or 'none'}",
        f"TensorFlow {machine['tensorflow']}, Python {machine['python']}, "
        f"{machine['system']}",
    ]
    for (precision, threads), gflops in found.peaks.items():
        on = f" on {counted(threads, 'thread')}" if threads else ""
        lines.append(f"matrix products in {precision}{on}: {_number(gflops)} GFLOP/s")
    return "\n".join(lines)


def _aligned(rows: list[list[str]], left: int) -> list[str]:
    """Lines of aligned columns, without the empty ones.

    Args:
      rows: rows of cells, the titles first.
      left: number of columns, from the first on, that are aligned to the left.
    """
    columns = [c for c in zip(*rows, strict=True) if set(c[1:]) - {_NOTHING}]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for cells in zip(*columns, strict=True):
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def records(found: Results) -> list[dict[str, Any]]:
    """A flat dictionary for each row; all have the same keys."""
    return [_record(row) for row in found.rows]


_SPREADS = {
    "images_per_second": results.images_per_second,
    "ms_per_image": lambda turn: _per_image_ms(turn, "seconds"),
    "cpu_ms_per_image": _cpu_ms_per_image,
    "images_per_cpu_second": results.images_per_cpu_second,
    "ms_per_step": results.ms_per_step,
    "start_seconds": lambda turn: turn["start_seconds"],
    "peak_mb": lambda turn: turn["peak_mb"],
    "mb_above_base": _mb_above,
    "file_mb": lambda turn: turn.get("file_mb"),
}


def _record(row: ResultRow) -> dict[str, Any]:
    contest = row.contest
    height, width = contest.image_size or (None, None)
    record: dict[str, Any] = {
        "mode": contest.mode,
        "model": contest.model_name,
        "contender": row.contender,
        "precision": row.precision,
        "height": height,
        "width": width,
        "batch_size": contest.batch_size,
        "threads": contest.threads,
        "num_clones": contest.num_clones,
        "format": contest.format,
        "turns": len(row.turns),
    }
    for name, value in _SPREADS.items():
        record |= _flat(name, row.spread(value))
    record |= {"gflops": row.gflops, "peak_share": row.peak_share}
    for name in (n for n in CONTENDERS if n != OURS):
        record |= _flat(f"ratio_{name}", row.ratios.get(name))
        record |= _flat(f"cpu_ratio_{name}", row.cpu_ratios.get(name))
    return record | {"error": row.error}


def _flat(name: str, spread: Spread | None) -> dict[str, float | None]:
    return {
        name: spread and spread.median,
        f"{name}_least": spread and spread.least,
        f"{name}_most": spread and spread.most,
    }


def as_csv(found: Results) -> str:
    """The titles, and a line for each row."""
    rows = records(found)
    output = io.StringIO()
    writer = csv.DictWriter(output, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    )
    return output.getvalue()


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def as_json(found: Results) -> dict[str, Any]:
    """All results, with each turn."""
    return {
        "machine": found.machine,
        "matrix_products": [
            {"precision": precision, "threads": threads, "gflops": gflops}
            for (precision, threads), gflops in found.peaks.items()
        ],
        "options": dataclasses.asdict(found.config),
        "rows": [
            record | {"each_turn": list(row.turns)}
            for row, record in zip(found.rows, records(found), strict=True)
        ],
    }


def write(found: Results) -> None:
    """Writes the files that `--csv` and `--json` name, whole or not at all.

    Raises:
      UserError: if a file cannot be written.
    """
    if found.config.csv:
        with files.replacing(found.config.csv) as path:
            path.write_text(as_csv(found), "utf-8")
    if found.config.json:
        files.write_json(found.config.json, as_json(found))
