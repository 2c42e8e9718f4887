"""What monitoring needs of the world: a store that remembers and shares out the work, and a way to examine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from handclasp.monitor.definition import Monitor, State
from handclasp.monitor.results import Change, CheckResult, Hour, Transition


@dataclass(frozen=True, slots=True)
class Standing:
    """How a monitor stands in the store: its last result (None: never checked), the state it counts as, since when, and
    the failures in a row."""

    monitor: Monitor
    state: State
    since: datetime | None
    last: CheckResult | None
    next_due: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A monitor that this worker is to check now. ``token`` goes back with the outcome: only the holder of the newest
    one may write, so that a worker that was slow or dead changes nothing. ``due`` is when it was due."""

    standing: Standing
    token: int
    due: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim: the result, what changed, the transition if the state did, and when it is due again."""

    claim: Claim
    result: CheckResult
    changes: tuple[Change, ...]
    transition: Transition | None
    next_due: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert that is to be sent: one transition to one receiver (its name in ``alerts:``). ``token`` as for
    claims."""

    id: int
    token: int
    receiver: str
    transition: Transition
    tries: int


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept: single results, and everything rolled up or changed."""

    results: timedelta = timedelta(days=7)
    history: timedelta = timedelta(days=400)


class MonitorStore(Protocol):
    """The memory of monitoring. Writing methods are one transaction each. Any number of processes may use it at once
    where the database allows that (PostgreSQL); none checks what another has claimed until its lease is over."""

    async def sync(
        self, monitors: Sequence[Monitor], now: datetime, first_due: Mapping[str, datetime]
    ) -> tuple[str, ...]:
        """The monitors of the settings file, all of them: add, change, remove those of origin ``file``; the names of
        those that were removed.

        What is new, or whose definition changed in target, kind or schedule, is due at ``first_due[name]``; history is
        kept by name.
        """

    async def put(self, monitor: Monitor, first_due: datetime) -> bool:
        """Add or change a monitor of origin ``api``. False, and nothing written, where the name is one of the
        file's."""

    async def remove(self, name: str) -> bool:
        """Forget a monitor of origin ``api`` with its history; False where there is none."""

    async def standings(self, names: Sequence[str] | None = None) -> tuple[Standing, ...]:
        """All monitors, or those, by name."""

    async def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        """Take up to ``limit`` monitors that are due (not paused, not leased by another), longest due first, until now
        + lease."""

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was not begun, due as before."""

    async def complete(self, outcomes: Sequence[Outcome], receivers: Mapping[str, Sequence[str]]) -> tuple[bool, ...]:
        """Write results, changes, transitions, roll-ups and next due times; True for each whose claim still held.

        ``receivers`` maps a monitor's name to the receivers that a transition of it is to be sent to: the deliveries
        are written in the same transaction.
        """

    async def next_due(self) -> datetime | None:
        """When the next monitor is due that nobody has claimed."""

    async def results(
        self, name: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> tuple[CheckResult, ...]:
        """Newest first."""

    async def hours(self, name: str, *, since: datetime) -> tuple[Hour, ...]:
        """Oldest first."""

    async def changes(
        self, name: str | None = None, *, since: datetime | None = None, limit: int = 100
    ) -> tuple[Change, ...]:
        """Newest first."""

    async def claim_deliveries(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Delivery, ...]:
        """Alerts that are to be sent now; those of one monitor and receiver in their order."""

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        """It was sent. False where the claim was lost meanwhile."""

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> bool:
        """It was not; try again then, or never (None: given up)."""

    async def prune(self, now: datetime, retention: Retention) -> int:
        """Forget what is older than that; how many rows went."""
