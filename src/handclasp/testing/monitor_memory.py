"""A store of monitoring in memory: small, whole, and held to the same contract as the one on a database.

For tests of what stands above it, and for measuring that without a database. One process only; nothing is kept.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from handclasp.monitor.definition import Monitor, State
from handclasp.monitor.ports import Claim, Delivery, Outcome, Retention, Standing
from handclasp.monitor.results import Change, CheckResult, Hour

T = TypeVar("T")


@dataclass(slots=True)
class _Row:
    monitor: Monitor
    due: datetime
    state: State = State.PENDING
    since: datetime | None = None
    last: CheckResult | None = None
    token: int = 0
    leased_until: datetime | None = None

    def standing(self) -> Standing:
        return Standing(self.monitor, self.state, self.since, self.last, self.due)


@dataclass(slots=True)
class _Waiting:
    """A delivery and when it may be tried."""

    delivery: Delivery
    at: datetime
    leased_until: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class MemoryMonitorStore:
    """Implements MonitorStore. ``claims`` counts every claim by name, for tests."""

    claims: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _rows: dict[str, _Row] = field(default_factory=dict)
    _queue: list[tuple[datetime, int, str]] = field(default_factory=list)
    _results: dict[str, list[CheckResult]] = field(default_factory=lambda: defaultdict(list))
    _hours: dict[tuple[str, datetime], Hour] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)
    _deliveries: list[_Waiting] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def sync(
        self, monitors: Sequence[Monitor], now: datetime, first_due: Mapping[str, datetime]
    ) -> tuple[str, ...]:
        names = {monitor.name for monitor in monitors}
        gone = [name for name, row in self._rows.items() if row.monitor.origin == "file" and name not in names]
        for name in gone:
            del self._rows[name]  # its history stays, in case that it comes back
        for monitor in monitors:
            self._set(replace(monitor, origin="file"), first_due[monitor.name])
        return tuple(sorted(gone))

    async def put(self, monitor: Monitor, first_due: datetime) -> bool:
        row = self._rows.get(monitor.name)
        if row is not None and row.monitor.origin == "file":
            return False
        self._set(replace(monitor, origin="api"), first_due)
        return True

    async def remove(self, name: str) -> bool:
        row = self._rows.get(name)
        if row is None or row.monitor.origin == "file":
            return False
        self._forget(name)
        return True

    async def standings(self, names: Sequence[str] | None = None) -> tuple[Standing, ...]:
        chosen = sorted(self._rows) if names is None else [name for name in sorted(set(names)) if name in self._rows]
        return tuple(self._rows[name].standing() for name in chosen)

    async def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        claims: list[Claim] = []
        while self._queue and len(claims) < limit and self._queue[0][0] <= now:
            at, _, name = heapq.heappop(self._queue)
            row = self._rows.get(name)
            if row is None or row.monitor.paused or at != (row.leased_until or row.due):
                continue  # an entry of before
            row.token = next(self._numbers)
            row.leased_until = now + lease
            self._enqueue(row)
            self.claims[name] += 1
            claims.append(Claim(row.standing(), row.token, row.due))
        return tuple(claims)

    async def release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            row = self._rows.get(claim.standing.monitor.name)
            if row is not None and row.token == claim.token and row.leased_until is not None:
                row.leased_until = None
                self._enqueue(row)

    async def complete(self, outcomes: Sequence[Outcome], receivers: Mapping[str, Sequence[str]]) -> tuple[bool, ...]:
        return tuple(self._complete(outcome, receivers) for outcome in outcomes)

    async def next_due(self) -> datetime | None:
        dues = [row.due for row in self._rows.values() if row.leased_until is None and not row.monitor.paused]
        return min(dues, default=None)

    async def results(
        self, name: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> tuple[CheckResult, ...]:
        chosen = (
            one
            for one in reversed(self._results[name])
            if (since is None or one.at >= since) and (before is None or one.at < before)
        )
        return _first(chosen, limit)

    async def hours(self, name: str, *, since: datetime) -> tuple[Hour, ...]:
        return tuple(
            hour for (monitor, start), hour in sorted(self._hours.items()) if monitor == name and start >= since
        )

    async def changes(
        self, name: str | None = None, *, since: datetime | None = None, limit: int = 100
    ) -> tuple[Change, ...]:
        chosen = (
            one
            for one in reversed(self._changes)
            if (name is None or one.monitor == name) and (since is None or one.at >= since)
        )
        return _first(chosen, limit)

    async def claim_deliveries(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Delivery, ...]:
        taken: list[Delivery] = []
        before: set[tuple[str, str]] = set()
        for waiting in self._deliveries:
            lane = waiting.delivery.transition.monitor, waiting.delivery.receiver
            leased = waiting.leased_until is not None and waiting.leased_until > now
            if lane not in before and not leased and waiting.at <= now and len(taken) < limit:
                waiting.leased_until = now + lease
                waiting.delivery = replace(waiting.delivery, token=next(self._numbers))
                taken.append(waiting.delivery)
            before.add(lane)
        return tuple(taken)

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        waiting = self._held(delivery)
        if waiting is not None:
            self._deliveries.remove(waiting)
        return waiting is not None

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> bool:
        waiting = self._held(delivery)
        if waiting is None:
            return False
        if again_at is None:
            self._deliveries.remove(waiting)
        else:
            waiting.at, waiting.leased_until, waiting.why = again_at, None, why
            waiting.delivery = replace(delivery, tries=delivery.tries + 1)
        return True

    async def prune(self, now: datetime, retention: Retention) -> int:
        gone = 0
        for name, results in self._results.items():
            kept = [one for one in results if one.at >= now - retention.results]
            gone += len(results) - len(kept)
            self._results[name] = kept
        oldest = now - retention.history
        for key in [key for key in self._hours if key[1] < oldest]:
            del self._hours[key]
            gone += 1
        changes = [one for one in self._changes if one.at >= oldest]
        gone += len(self._changes) - len(changes)
        self._changes = changes
        return gone

    def _set(self, monitor: Monitor, first_due: datetime) -> None:
        row = self._rows.get(monitor.name)
        if row is None:
            row = self._rows[monitor.name] = _Row(monitor, first_due)
        else:
            old, row.monitor = row.monitor, monitor
            if (old.target, old.kind, old.every, old.paused) != (
                monitor.target,
                monitor.kind,
                monitor.every,
                monitor.paused,
            ):
                row.due = first_due
        if row.leased_until is None:
            self._enqueue(row)

    def _forget(self, name: str) -> None:
        del self._rows[name]
        self._results.pop(name, None)
        self._hours = {key: hour for key, hour in self._hours.items() if key[0] != name}
        self._changes = [one for one in self._changes if one.monitor != name]
        self._deliveries = [one for one in self._deliveries if one.delivery.transition.monitor != name]

    def _enqueue(self, row: _Row) -> None:
        heapq.heappush(self._queue, (row.leased_until or row.due, next(self._numbers), row.monitor.name))

    def _complete(self, outcome: Outcome, receivers: Mapping[str, Sequence[str]]) -> bool:
        result = outcome.result
        row = self._rows.get(result.monitor)
        if row is None or row.token != outcome.claim.token or row.leased_until is None:
            return False
        if result.state is not row.state:
            row.state, row.since = result.state, result.at
        row.last, row.due, row.leased_until = result, outcome.next_due, None
        self._enqueue(row)
        self._results[result.monitor].append(result)
        self._changes += outcome.changes
        self._roll_up(result)
        if outcome.transition is not None:
            for receiver in receivers.get(result.monitor, ()):
                delivery = Delivery(next(self._numbers), 0, receiver, outcome.transition, 0)
                self._deliveries.append(_Waiting(delivery, result.at))
        return True

    def _roll_up(self, result: CheckResult) -> None:
        start = result.at.replace(minute=0, second=0, microsecond=0)
        hour = self._hours.get((result.monitor, start)) or Hour(
            result.monitor, start, checks=0, ok=0, warning=0, critical=0, seconds_min=None, seconds_mean=None,
            seconds_max=None,
        )  # fmt: skip
        known = [one.seconds for one in self._results[result.monitor] if one.at >= start and one.seconds is not None]
        self._hours[result.monitor, start] = replace(
            hour,
            checks=hour.checks + 1,
            ok=hour.ok + (result.state is State.OK),
            warning=hour.warning + (result.state is State.WARNING),
            critical=hour.critical + (result.state is State.CRITICAL),
            seconds_min=min(known, default=None),
            seconds_mean=sum(known) / len(known) if known else None,
            seconds_max=max(known, default=None),
        )

    def _held(self, delivery: Delivery) -> _Waiting | None:
        return next(
            (
                one
                for one in self._deliveries
                if one.delivery.id == delivery.id
                and one.delivery.token == delivery.token
                and one.leased_until is not None
            ),
            None,
        )


def _first(values: Iterable[T], limit: int) -> tuple[T, ...]:
    return tuple(value for _, value in zip(range(limit), values, strict=False))
