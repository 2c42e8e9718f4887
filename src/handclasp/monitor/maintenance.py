"""Windows of maintenance: ``sun 02:00-04:00``, ``mon-fri 22:00-06:00``, ``daily 12:00-12:30``, ``sat,sun 00:00-24:00``.
All times are UTC, so that none falls out or comes twice when clocks are put forward or back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Final

from handclasp.findings import InvalidSetting
from handclasp.monitor.definition import Window

ALLOWED: Final = "days and times in UTC, as in sun 02:00-04:00, mon-fri 22:00-06:00 or daily 12:00-12:30"
PATTERN: Final = (
    r"(daily|(mon|tue|wed|thu|fri|sat|sun)([,-](mon|tue|wed|thu|fri|sat|sun))*) "
    r"([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
)

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def parse(text: str) -> Window:
    """Read a window. Raises InvalidSetting."""
    if not re.fullmatch(PATTERN, text):
        raise InvalidSetting("", f"{text!r} is no window of maintenance", ALLOWED)
    days, _, times = text.partition(" ")
    start, _, end = times.partition("-")
    return Window(_days(days, text), time.fromisoformat(start), time.fromisoformat("00:00" if end == "24:00" else end))


def in_maintenance(windows: Iterable[Window], at: datetime) -> bool:
    """Whether that moment is in one of them. The start belongs to a window, the end does not. One that lasts over
    midnight belongs to the day on which it starts; one that ends when it starts lasts a whole day."""
    at = at.astimezone(UTC)
    clock, day = at.time(), at.weekday()
    return any(
        (day in window.days and window.start <= clock < window.end)
        if window.start < window.end
        else (day in window.days and clock >= window.start) or ((day - 1) % 7 in window.days and clock < window.end)
        for window in windows
    )


def _days(text: str, whole: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, *rest = (_DAYS.index(day) for day in part.split("-"))
        if len(rest) > 1:
            raise InvalidSetting("", f"{whole!r} has a range of more than two days", ALLOWED)
        last = rest[0] if rest else first
        found |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return frozenset(found)
