"""Measures steps: when they ended, and what time and memory they took.

This module imports no package, so that timm's process can use it too.
"""

import os
import pathlib
import resource
import time
from typing import Any

# What a process is asked to measure, and what it answers: both are sent as JSON.
Request = dict[str, Any]
Answer = dict[str, Any]

_STATUS = pathlib.Path("/proc/self/status")


def cores() -> list[int]:
    """The cores that this process may run on; all cores where this is not known."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class EnoughError(Exception):
    """Ends a loop that has no other end, once enough steps were measured."""


class Clock:
    """Measures from the end of the last warm-up step on.

    Attributes:
      base_mb: memory in use when the measured code began, in MB.
    """

    def __init__(self, request: Request):
        """Starts nothing yet.

        Args:
          request: has `started`, the time when the process was started, as `time.time`
            gives it; `warmup_steps`; `steps` to measure, or None for `seconds`.
        """
        self._started = request["started"]
        self._warmup_steps = request["warmup_steps"]
        self._steps, self._seconds = request["steps"], request["seconds"]
        self._count = self._images = self._measured_steps = 0
        self._first = self._begin = self._end = None
        self._aside = 0.0
        self.base_mb = memory_mb("VmRSS")

    def leave_out(self, seconds: float) -> None:
        """Subtracts `seconds` from the time to the first step."""
        self._aside += seconds

    def note_first(self) -> None:
        """Notes that a step has ended; only the end of the first step is kept."""
        if self._first is None:
            self._first = time.time()

    def tick(self, images: int) -> bool:
        """Notes that a step of `images` images has ended; returns whether to stop."""
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
        """Extends the measured time until now, and the measured work by `images`.

        Returns:
          The time now, by the wall clock and by the process's CPU clock, in seconds.
        """
        self._measured_steps += 1
        self._images += images
        self._end = _now()
        return self._end

    def result(self) -> Answer | None:
        """The measured seconds, MB and counts; None if no step was measured."""
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
    """Memory of this process in MB: VmRSS is the memory in use, VmHWM its peak."""
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
    # Elsewhere only the peak is known; on macOS, which has no /proc, it is in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
