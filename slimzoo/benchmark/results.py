"""Results: a row for each contender of a contest, made of all its turns."""

import dataclasses
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slimzoo.benchmark.clock import Answer
from slimzoo.benchmark.plan import OURS, Contest
from slimzoo.config.benchmark import BenchmarkConfig

_EXCEPTION = re.compile(r"[\w.]+(Error|Exception)\b.*:")

# A step of training takes three times the products of inference: forward, and the
# gradients of inputs and of weights.
_PASSES = {"train": 3, "inference": 1}


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median, the least and the most of some values."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """The spread of `values`; None if there are no values, or if one is unknown."""
        values = list(values)
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls(statistics.median(known), min(known), max(known))


@dataclasses.dataclass(frozen=True)
class ResultRow:
    """What was measured of one contender in one contest.

    Attributes:
      contest: the contest.
      contender: the contender's name.
      precision: precision of the computation.
      turns: answers of the contender's processes, in order.
      error: why there are no more turns; empty if all went well.
      multiply_adds: multiply-adds for one image; None where unknown.
      peak_gflops: speed of matrix products in this precision; None where unknown.
      ratios: our images/s over those of each other contender, in pairs of turns; only
        our rows have them.
      cpu_ratios: our images per processor second over those of each other contender.
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
        """The spread of a value over the turns."""
        return Spread.of(map(value, self.turns))

    @property
    def computes(self) -> tuple[str, int | None]:
        """Precision and number of threads, which the peak depends on."""
        return self.precision, self.contest.threads

    @property
    def gflops(self) -> float | None:
        """The achieved speed, by the median.

        A multiply-add counts as two operations, a training step as three passes.
        """
        speed = self.spread(images_per_second)
        passes = _PASSES.get(self.contest.mode, 0)
        if speed is None or not passes or not self.multiply_adds:
            return None
        return speed.median * passes * 2 * self.multiply_adds / 1e9

    @property
    def peak_share(self) -> float | None:
        """The achieved share of `peak_gflops`."""
        if not self.gflops or not self.peak_gflops:
            return None
        return self.gflops / self.peak_gflops


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of a whole run.

    Attributes:
      machine: what `machine.describe` returns.
      peaks: GFLOP/s of matrix products by precision and threads.
      config: the options.
      rows: rows in the order of the contests.
    """

    machine: dict[str, Any]
    peaks: dict[tuple[str, int | None], float]
    config: BenchmarkConfig
    rows: Sequence[ResultRow]

    @property
    def errors(self) -> list[ResultRow]:
        """The rows in which something failed."""
        return [row for row in self.rows if row.error]


def images_per_second(turn: Answer) -> float | None:
    """A turn's images per second; None where a turn has no images."""
    return turn["images"] / turn["seconds"] if turn["images"] else None


def images_per_cpu_second(turn: Answer) -> float | None:
    """A turn's images per second that cores were busy, added over all cores."""
    return turn["images"] / turn["cpu_seconds"] if turn["images"] else None


def ms_per_step(turn: Answer) -> float:
    """A turn's milliseconds per step."""
    return turn["seconds"] / turn["steps"] * 1e3


def in_short(error: str) -> str:
    """The most helpful line of an error: that of the exception, or else the last."""
    lines = error.strip().splitlines()
    return next(filter(_EXCEPTION.match, reversed(lines)), lines[-1])


def compare(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Adds the ratios of our speed to each other contender's to a contest's rows.

    Turns of the same number, which were close in time, are compared. A contender
    without a row in our precision is compared by the row that it has.
    """
    compared = []
    for row in rows:
        others = _opponents(row, rows) if row.contender == OURS else {}
        compared.append(
            dataclasses.replace(
                row,
                ratios=_ratios(row, others, images_per_second),
                cpu_ratios=_ratios(row, others, images_per_cpu_second),
            )
        )
    return compared


def _opponents(row: ResultRow, rows: Sequence[ResultRow]) -> dict[str, ResultRow]:
    found: dict[str, ResultRow] = {}
    for other in rows:
        is_better = other.precision == row.precision or other.contender not in found
        if other.contender != OURS and is_better:
            found[other.contender] = other
    return found


def _ratios(
    row: ResultRow,
    others: dict[str, ResultRow],
    speed: Callable[[Answer], float | None],
) -> dict[str, Spread]:
    ratios = {}
    for name, other in others.items():
        # A contender that failed may have had fewer turns.
        pairs = zip(row.turns, other.turns, strict=False)
        speeds = [(speed(ours), speed(theirs)) for ours, theirs in pairs]
        spread = Spread.of(a / b if a and b else None for a, b in speeds)
        if spread:
            ratios[name] = spread
    return ratios
