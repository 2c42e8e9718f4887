"""When a monitor is due: every period once, at an offset of its own, so that many monitors are spread evenly.

The offset follows from the name alone. Every process computes the same times, nothing drifts, and a restart moves
nothing.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from handclasp.monitor.definition import Monitor

SOON: Final = timedelta(minutes=1)
"""By when a new monitor is checked for the first time, whatever its period."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def offset(name: str, every: timedelta) -> timedelta:
    """The monitor's place within the period: at least zero, shorter than ``every``, uniform over the names."""
    return timedelta(microseconds=_number(name) % (every // _MICROSECOND))


def next_due(monitor: Monitor, after: datetime) -> datetime:
    """The first of the monitor's times (offset + k x every since 1970) that is later than ``after``.

    After a check, ``after`` is the later of now and when it was due: a clock that is behind another process's then
    never makes two checks in one period, and what was missed is not made up for.
    """
    every = monitor.every // _MICROSECOND
    elapsed = (after - _EPOCH) // _MICROSECOND
    place = _number(monitor.name) % every
    return _EPOCH + timedelta(microseconds=place + ((elapsed - place) // every + 1) * every)


def first_due(monitor: Monitor, now: datetime) -> datetime:
    """When a monitor is checked that is new, or whose schedule changed: within SOON, and not all at once."""
    return now + offset(monitor.name, min(monitor.every, SOON))


def patience(monitor: Monitor) -> timedelta:
    """The longest that a check with all its retries may take."""
    return (monitor.retries + 1) * monitor.timeout + monitor.retries * monitor.retry_after


@lru_cache(maxsize=1 << 18)
def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=b"schedule").digest())
