"""Forgetting, in pieces: each is a transaction of its own, so that nobody waits long behind it.

Single results become the roll-up of their hour when they are forgotten. Evidence goes when nothing can refer to it any
more, which needs no counting: a check that uses it says so, to the day (Checks._evidence), and it stays for two days
longer than any result could that used it on its last day.
"""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime, timedelta

import sqlalchemy as sa

from handclasp.monitor.ports import Retention
from handclasp.store.database import Database
from handclasp.store.group_commit import Work
from handclasp.store.monitor_entries import HOUR, count, roll_up, unpack
from handclasp.store.monitors_part import MonitorsPart
from handclasp.store.rows import instant, microseconds, upsert
from handclasp.store.schema import (
    monitor_changes,
    monitor_deliveries,
    monitor_evidence,
    monitor_hours,
    monitor_results,
    monitor_standings,
    monitor_transitions,
    monitors,
)

_AT_ONCE = 200
"""Rows: so few that whoever writes meanwhile waits some 30 ms."""
_ROLLED = tuple(column.name for column in monitor_hours.c if column.name not in {"monitor_id", "hour"})


class Pruning(MonitorsPart):
    """May be run by every process, at any time."""

    async def prune(self, now: datetime, retention: Retention) -> int:
        """As MonitorStore says; single results count as one each. An hour goes when all of it is old enough."""
        history = now - retention.history
        results = instant(microseconds(now - retention.results) - HOUR)
        hours = instant(microseconds(history) - HOUR)
        gone = await _all(self._database, lambda connection: _roll_up(connection, results))
        for table, old in (
            (monitor_hours, monitor_hours.c.hour <= hours),
            (monitor_changes, monitor_changes.c.at < history),
            (monitor_transitions, monitor_transitions.c.at < history),
        ):
            gone += await _all(self._database, _forget(table, old))
        await _all(self._database, _forget_deliveries)
        unused = now - retention.results - timedelta(days=2)
        await self._database.write(lambda connection: _touch(connection, unused, now))
        await _all(self._database, _forget(monitor_evidence, monitor_evidence.c.last_used < unused))
        # All that they had is older than they are gone, and has gone with the above.
        await _all(self._database, _forget(monitors, monitors.c.removed_at < min(history, results)))
        return gone


async def _all(database: Database, piece: Work[tuple[int, bool]]) -> int:
    """Until a piece says that there is no more; what they count."""
    total, more = 0, True
    while more:
        number, more = await database.write(piece)
        total += number
    return total


def _some(table: sa.Table, old: sa.ColumnElement[bool]) -> sa.Delete:
    """Delete a piece of what is old, and leave what another process is at."""
    key = table.primary_key.columns.values()
    found = sa.select(*key).where(old).limit(_AT_ONCE).with_for_update(skip_locked=True)
    return table.delete().where(sa.tuple_(*key).in_(found) if len(key) > 1 else key[0].in_(found))


def _forget(table: sa.Table, old: sa.ColumnElement[bool]) -> Work[tuple[int, bool]]:
    def work(connection: sa.Connection) -> tuple[int, bool]:
        number = connection.execute(_some(table, old)).rowcount
        return number, number >= _AT_ONCE

    return work


def _forget_deliveries(connection: sa.Connection) -> tuple[int, bool]:
    there = sa.exists().where(monitor_transitions.c.id == monitor_deliveries.c.transition_id)
    return _forget(monitor_deliveries, ~there)(connection)


def _roll_up(connection: sa.Connection, before: datetime) -> tuple[int, bool]:
    """Delete first, so that a result that is added meanwhile begins anew and is rolled up the next time."""
    delete = _some(monitor_results, monitor_results.c.hour <= before).returning(*monitor_results.c)
    taken = connection.execute(delete).all()
    total, rolled = 0, []
    for row in taken:
        total += count(row.entries)
        counted = roll_up(unpack(microseconds(row.hour), row.entries))
        values = dict(zip(_ROLLED, astuple(counted), strict=True))
        rolled.append({"monitor_id": row.monitor_id, "hour": row.hour, **values})
    if rolled:
        connection.execute(_added(connection), rolled)
    return total, len(taken) >= _AT_ONCE


def _added(connection: sa.Connection) -> sa.Insert:
    """To what is there of the hour already: a result may come late."""
    insert = upsert(connection, monitor_hours)
    old, new = monitor_hours.c, insert.excluded
    postgresql = connection.dialect.name == "postgresql"
    smaller, greater = (sa.func.least, sa.func.greatest) if postgresql else (sa.func.min, sa.func.max)
    summed = {name: old[name] + new[name] for name in _ROLLED if not name.endswith(("_min", "_max"))}
    of_both = {
        name: pick(sa.func.coalesce(old[name], new[name]), sa.func.coalesce(new[name], old[name]))
        for name, pick in (("latency_min", smaller), ("latency_max", greater))
    }
    return insert.on_conflict_do_update(index_elements=["monitor_id", "hour"], set_=summed | of_both)


def _touch(connection: sa.Connection, unused: datetime, now: datetime) -> None:
    """The last result of a monitor that is paused stays with it."""
    last = sa.select(monitor_standings.c.evidence_id).where(monitor_standings.c.evidence_id.is_not(None))
    old = monitor_evidence.c.last_used < unused, monitor_evidence.c.id.in_(last)
    connection.execute(monitor_evidence.update().where(*old).values(last_used=now))
