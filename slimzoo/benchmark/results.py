"""What came out: a row for each contender of a contest, from all of its turns."""

import dataclasses
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slimzoo.benchmark.plan import OURS, Contest
from slimzoo.config.benchmark import BenchmarkConfig

Answer = dict[str, Any]

_EXCEPTION = re.compile(r"[\w.]+(Error|Exception)\b.*:")

# A step of training takes three times the products of inference: forward, and the
# gradients of inputs and of weights.
_PASSES = {"train": 3, "inference": 1}


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some values, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """That of `values`; None without any, or if one is unknown."""
        values = list(values)
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls(statistics.median(known), min(known), max(known))


@dataclasses.dataclass(frozen=True)
class Row:
    """What one contender came to in one contest.

    Attributes:
      contest: which one.
      contender: who.
      precision: of the computation.
      turns: answers of its processes, in order.
      error: why there are no more of them; empty if all went well.
      multiply_adds: of a picture; None where nobody knows.
      peak_gflops: of matrix products in this precision; likewise.
      ratios: our images/s over those of each other contender, in pairs of turns; of
        our rows alone.
      cpu_ratios: the same for images per processor second.
    """

    contest: Contest
    contender: str
    precision: str
    turns: tuple[Answer, ...]
    error: str = ""
    multiply_adds: int | None = None
    peak_gflops: float | None = None
    ratios: dict[str, Spread] = dataclasses.field(default_factory=dict)
    cpu_ratios: dict[str, Spread] = dataclasses.field(default_factory=dict)

    def spread(self, value: Callable[[Answer], float | None]) -> Spread | None:
        """That of a value of each turn."""
        return Spread.of(map(value, self.turns))

    @property
    def computes(self) -> tuple[str, int | None]:
        """Precision and threads, which the peak depends on."""
        return self.precision, self.contest.threads

    @property
    def gflops(self) -> float | None:
        """Achieved, by the median: two per multiply-add, three passes in training."""
        speed = self.spread(images_per_second)
        passes = _PASSES.get(self.contest.mode, 0)
        if speed is None or not passes or not self.multiply_adds:
            return None
        return speed.median * passes * 2 * self.multiply_adds / 1e9

    @property
    def peak_share(self) -> float | None:
        """Share of `peak_gflops` that is achieved."""
        if not self.gflops or not self.peak_gflops:
            return None
        return self.gflops / self.peak_gflops


@dataclasses.dataclass(frozen=True)
class Results:
    """All of a run.

    Attributes:
      machine: as `machine.describe` tells.
      peaks: GFLOP/s of matrix products by precision and threads.
      config: what was asked for.
      rows: in the order of the contests.
    """

    machine: dict[str, Any]
    peaks: dict[tuple[str, int | None], float]
    config: BenchmarkConfig
    rows: Sequence[Row]

    @property
    def errors(self) -> list[Row]:
        """The rows that something went wrong in."""
        return [row for row in self.rows if row.error]


def images_per_second(turn: Answer) -> float | None:
    """Of a turn; None where images are not what it is about."""
    return turn["images"] / turn["seconds"] if turn["images"] else None


def images_per_cpu_second(turn: Answer) -> float | None:
    """Of a turn, by the time that all cores together were busy for it."""
    return turn["images"] / turn["cpu_seconds"] if turn["images"] else None


def ms_per_step(turn: Answer) -> float:
    """Of a turn."""
    return turn["seconds"] / turn["steps"] * 1e3


def in_short(error: str) -> str:
    """The line of an error that says most: that of the exception, or the last."""
    lines = error.strip().splitlines()
    return next(filter(_EXCEPTION.match, reversed(lines)), lines[-1])


def compare(rows: Sequence[Row]) -> list[Row]:
    """The rows of a contest with ratios of ours to each other contender's.

    Turns are compared with those of the same number, which were close in time. A
    contender that did not compute in a precision is compared by the one it has.
    """
    told = []
    for row in rows:
        others = _opponents(row, rows) if row.contender == OURS else {}
        told.append(
            dataclasses.replace(
                row,
                ratios=_ratios(row, others, images_per_second),
                cpu_ratios=_ratios(row, others, images_per_cpu_second),
            )
        )
    return told


def _opponents(row: Row, rows: Sequence[Row]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for other in rows:
        is_better = other.precision == row.precision or other.contender not in found
        if other.contender != OURS and is_better:
            found[other.contender] = other
    return found


def _ratios(
    row: Row, others: dict[str, Row], speed: Callable[[Answer], float | None]
) -> dict[str, Spread]:
    ratios = {}
    for name, other in others.items():
        # One that failed may have had fewer turns.
        pairs = zip(row.turns, other.turns, strict=False)
        speeds = [(speed(ours), speed(theirs)) for ours, theirs in pairs]
        spread = Spread.of(a / b if a and b else None for a, b in speeds)
        if spread:
            ratios[name] = spread
    return ratios
