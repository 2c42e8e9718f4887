"""What was: single results, hours, and what changed when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from handclasp.monitor.records_json import UnknownRecord
from handclasp.monitor.results import Change, CheckResult, Hour
from handclasp.store.monitor_entries import Entry, RollUp, hour_of, roll_up, together, unpack
from handclasp.store.monitors_part import MonitorsPart, result_of, text_in
from handclasp.store.rows import instant, microseconds
from handclasp.store.schema import monitor_changes, monitor_evidence, monitor_hours, monitor_results, monitors

_HOURS_AT_ONCE = 48
_EVIDENCE_AT_ONCE = 500
_SECOND = 1_000_000


class History(MonitorsPart):
    """By the monitor's name, also of one that is gone from the settings file."""

    async def results(
        self, name: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> tuple[CheckResult, ...]:
        """As MonitorStore says: ``since`` <= time < ``before``. Refused(STATE_NEWER) if a newer version wrote one."""
        earliest = None if since is None else microseconds(since)
        latest = None if before is None else microseconds(before)

        def work(connection: sa.Connection) -> tuple[list[Entry], dict[int, str]]:
            number = _number(connection, name)
            found = [] if number is None else _entries(connection, number, earliest, latest, limit)
            return found, _bodies(connection, {entry.evidence_id for entry in found})

        entries, bodies = await self._database.read(work)
        try:
            return tuple(
                [
                    result_of(bodies[entry.evidence_id], name, entry.at, entry.latency, entry.attempts)
                    for entry in entries
                    if entry.evidence_id in bodies
                ]
            )
        except UnknownRecord as error:
            raise self._newer(error) from error

    async def hours(self, name: str, *, since: datetime) -> tuple[Hour, ...]:
        """As MonitorStore says, those that begin at ``since`` or later. An hour of which there are single results is
        computed from them."""

        def work(connection: sa.Connection) -> dict[int, RollUp]:
            found: dict[int, RollUp] = {}
            number = _number(connection, name)
            if number is not None:
                kept = monitor_hours.c.monitor_id == number, monitor_hours.c.hour >= since
                for row in connection.execute(sa.select(monitor_hours).where(*kept)):
                    found[microseconds(row.hour)] = RollUp(*row[2:])
                single = monitor_results.c.monitor_id == number, monitor_results.c.hour >= since
                for row in connection.execute(sa.select(monitor_results).where(*single)):
                    hour = microseconds(row.hour)
                    counted = roll_up(unpack(hour, row.entries))
                    found[hour] = together(found[hour], counted) if hour in found else counted
            return found

        rolled = await self._database.read(work)
        return tuple(_hour(name, hour, rolled[hour]) for hour in sorted(rolled))

    async def changes(
        self, name: str | None = None, *, since: datetime | None = None, limit: int = 100
    ) -> tuple[Change, ...]:
        """As MonitorStore says; ``since`` is included."""
        query = sa.select(monitors.c.name, monitor_changes).join(
            monitors, monitors.c.id == monitor_changes.c.monitor_id
        )
        if name is not None:
            query = query.where(monitors.c.name == name)
        if since is not None:
            query = query.where(monitor_changes.c.at >= since)
        query = query.order_by(monitor_changes.c.at.desc(), monitor_changes.c.id.desc()).limit(limit)

        def work(connection: sa.Connection) -> tuple[Change, ...]:
            return tuple(
                Change(row.name, row.at, row.what, text_in(row.before), text_in(row.after))
                for row in connection.execute(query)
            )

        return await self._database.read(work)


def _number(connection: sa.Connection, name: str) -> int | None:
    found: int | None = connection.scalar(sa.select(monitors.c.id).where(monitors.c.name == name))
    return found


def _entries(
    connection: sa.Connection, number: int, earliest: int | None, latest: int | None, limit: int
) -> list[Entry]:
    """The newest first, hour by hour until there are enough."""
    table = monitor_results
    query = sa.select(table.c.hour, table.c.entries).where(table.c.monitor_id == number)
    if earliest is not None:
        query = query.where(table.c.hour >= instant(hour_of(earliest)))
    if latest is not None:
        query = query.where(table.c.hour < instant(latest))
    query = query.order_by(table.c.hour.desc()).limit(_HOURS_AT_ONCE)
    found: list[Entry] = []
    rows: Sequence[Any] = connection.execute(query).all()
    while rows and len(found) < limit:
        for row in rows:
            found += [
                entry
                for entry in reversed(unpack(microseconds(row.hour), row.entries))
                if (earliest is None or entry.at >= earliest) and (latest is None or entry.at < latest)
            ]
        rows = connection.execute(query.where(table.c.hour < rows[-1].hour)).all()
    return found[:limit]


def _bodies(connection: sa.Connection, numbers: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    ordered = sorted(numbers)
    for first in range(0, len(ordered), _EVIDENCE_AT_ONCE):
        some = monitor_evidence.c.id.in_(ordered[first : first + _EVIDENCE_AT_ONCE])
        for row in connection.execute(sa.select(monitor_evidence.c.id, monitor_evidence.c.body).where(some)):
            found[row.id] = row.body
    return found


def _hour(name: str, hour: int, found: RollUp) -> Hour:
    timed = found.timed > 0
    return Hour(
        monitor=name,
        start=instant(hour),
        checks=found.checks,
        ok=found.ok,
        warning=found.warning,
        critical=found.critical,
        seconds_min=found.latency_min / _SECOND if found.latency_min is not None else None,
        seconds_mean=found.latency_sum / found.timed / _SECOND if timed else None,
        seconds_max=found.latency_max / _SECOND if found.latency_max is not None else None,
    )
