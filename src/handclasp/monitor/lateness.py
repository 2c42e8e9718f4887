"""What a worker counts of its own work, and how late it is."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds, for a histogram."""


@dataclass(slots=True)
class Statistics:
    """Counts since the worker began. ``checks`` were written, ``attempts`` have retries in them, ``lost`` is what the
    store no longer took. ``late`` has one count for each of BOUNDS (not above it) and one for what is above all, of
    how long after it was due a check began."""

    checks: int = 0
    attempts: int = 0
    lost: int = 0
    store_errors: int = 0
    late: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    late_sum: float = 0.0
    late_most: float = 0.0

    def begun(self, after: timedelta) -> None:
        """A check begins that long after it was due."""
        seconds = max(after.total_seconds(), 0.0)
        self.late[bisect_left(BOUNDS, seconds)] += 1
        self.late_sum += seconds
        self.late_most = max(self.late_most, seconds)

    @property
    def late_mean(self) -> float:
        """Seconds; 0 before the first."""
        count = sum(self.late)
        return self.late_sum / count if count else 0.0

    def late_quantile(self, part: float) -> float:
        """The bound that at least this part of the checks was not later than; infinite above all bounds."""
        wanted, count = part * sum(self.late), 0
        for bound, number in zip((*BOUNDS, float("inf")), self.late, strict=True):
            count += number
            if count >= wanted:
                return bound
        return float("inf")
