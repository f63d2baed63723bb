"""When steps ended, and what they took.

It needs no package, so that timm's process, too, can use it.
"""

import os
import pathlib
import resource
import time
from typing import Any

_STATUS = pathlib.Path("/proc/self/status")


def cores() -> list[int]:
    """The cores that this process may run on; where no one tells, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class EnoughError(Exception):
    """What was to be measured is measured: ends what has no other end."""


class Clock:
    """Measures from the end of the last warm-up step on.

    Attributes:
      base_mb: memory that was taken when the measured code began, in MB.
    """

    def __init__(self, request: dict[str, Any]):
        """Starts nothing yet.

        Args:
          request: `started`, when the process was, as `time.time` has it;
            `warmup_steps`; `steps` to measure, or None for `seconds`.
        """
        self._started = request["started"]
        self._warmup_steps = request["warmup_steps"]
        self._steps, self._seconds = request["steps"], request["seconds"]
        self._count = self._images = self._measured_steps = 0
        self._first = self._begin = self._end = None
        self._aside = 0.0
        self.base_mb = memory_mb("VmRSS")

    def leave_out(self, seconds: float) -> None:
        """Counts `seconds` as no part of the time to the first step."""
        self._aside += seconds

    def note_first(self) -> None:
        """Notes that a step has ended, of which only when the first did counts."""
        if self._first is None:
            self._first = time.time()

    def tick(self, images: int) -> bool:
        """Notes that a step of so many images has ended; whether that is enough."""
        self._count += 1
        self.note_first()
        if self._count < self._warmup_steps:
            return False
        if self._begin is None:
            self.begin()
            return False
        reached, _ = self.end(images)
        if self._steps is not None:
            return self._measured_steps >= self._steps
        return reached - self._begin[0] >= self._seconds

    def begin(self) -> None:
        """Starts measuring now."""
        self.note_first()
        self._begin = _now()

    def end(self, images: int) -> tuple[float, float]:
        """Notes that what was measured, with `images` more, reaches until now.

        Returns:
          Now: seconds of a clock, and of the process on processors.
        """
        self._measured_steps += 1
        self._images += images
        self._end = _now()
        return self._end

    def result(self) -> dict[str, Any] | None:
        """What was measured: seconds, MB and counts; None if it came to nothing."""
        if self._begin is None or self._end is None or self._first is None:
            return None
        wall, cpu = (self._end[i] - self._begin[i] for i in (0, 1))
        return {
            "images": self._images,
            "steps": self._measured_steps,
            "seconds": wall,
            "cpu_seconds": cpu,
            "start_seconds": self._first - self._started - self._aside,
            "peak_mb": memory_mb("VmHWM"),
            "base_mb": self.base_mb,
        }


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def memory_mb(field: str) -> float:
    """Memory of this process in MB: VmRSS that is in use, VmHWM the most ever."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
    # Elsewhere only the most is known, in bytes on macOS, which has no /proc.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
