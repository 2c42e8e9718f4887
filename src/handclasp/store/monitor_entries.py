"""The single results of one monitor in one hour, packed: 16 octets each, little-endian, in the order of writing.

    0   time within the hour, in microseconds
    4   latency in microseconds plus one; 0: there was none
    8   attempts (at most 63) + 64 x state (0 ok, 1 warning, 2 critical, 3 pending) + 256 x number of the evidence

All else of a result is its evidence, which most results share with those before them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from handclasp.monitor.definition import State

HOUR = 3_600_000_000
"""In microseconds."""

_ENTRY = struct.Struct("<IIQ")
_LONGEST = (1 << 32) - 2
_STATES = (State.OK, State.WARNING, State.CRITICAL, State.PENDING)
_NUMBERS = {state: number for number, state in enumerate(_STATES)}


@dataclass(frozen=True, slots=True)
class Entry:
    """``at`` in microseconds since 1970, ``latency`` in microseconds."""

    at: int
    latency: int | None
    attempts: int
    state: State
    evidence_id: int


@dataclass(frozen=True, slots=True)
class RollUp:
    """What an hour's entries come to. ``timed`` of them had a latency; the three are in microseconds."""

    checks: int
    ok: int
    warning: int
    critical: int
    timed: int
    latency_sum: int
    latency_min: int | None
    latency_max: int | None


def hour_of(at: int) -> int:
    """The beginning of the hour."""
    return at - at % HOUR


def latency_of(seconds: float | None) -> int | None:
    """As it is kept: to the microsecond, at most 71 minutes."""
    return None if seconds is None else min(max(round(seconds * 1_000_000), 0), _LONGEST)


def pack(entry: Entry) -> bytes:
    """The sixteen octets."""
    latency = 0 if entry.latency is None else entry.latency + 1
    what = min(entry.attempts, 63) | _NUMBERS[entry.state] << 6 | entry.evidence_id << 8
    return _ENTRY.pack(entry.at % HOUR, latency, what)


def unpack(hour: int, entries: bytes) -> list[Entry]:
    """All of them, the oldest first."""
    found = [
        Entry(hour + at, latency - 1 if latency else None, what & 63, _STATES[what >> 6 & 3], what >> 8)
        for at, latency, what in _ENTRY.iter_unpack(entries)
    ]
    return sorted(found, key=lambda entry: entry.at)


def count(entries: bytes) -> int:
    """How many there are."""
    return len(entries) // _ENTRY.size


def roll_up(entries: Iterable[Entry]) -> RollUp:
    """Counted and summed."""
    states = [0, 0, 0, 0]
    latencies = []
    for entry in entries:
        states[_NUMBERS[entry.state]] += 1
        if entry.latency is not None:
            latencies.append(entry.latency)
    return RollUp(
        checks=sum(states),
        ok=states[0],
        warning=states[1],
        critical=states[2],
        timed=len(latencies),
        latency_sum=sum(latencies),
        latency_min=min(latencies, default=None),
        latency_max=max(latencies, default=None),
    )


def together(one: RollUp, other: RollUp) -> RollUp:
    """Of both."""
    lowest = [value for value in (one.latency_min, other.latency_min) if value is not None]
    highest = [value for value in (one.latency_max, other.latency_max) if value is not None]
    return RollUp(
        checks=one.checks + other.checks,
        ok=one.ok + other.ok,
        warning=one.warning + other.warning,
        critical=one.critical + other.critical,
        timed=one.timed + other.timed,
        latency_sum=one.latency_sum + other.latency_sum,
        latency_min=min(lowest, default=None),
        latency_max=max(highest, default=None),
    )
