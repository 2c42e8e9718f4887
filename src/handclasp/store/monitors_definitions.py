"""What is watched: the monitors of the settings file and of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from handclasp.monitor.definition import Monitor, State
from handclasp.monitor.ports import Standing
from handclasp.monitor.records_json import FORMAT, UnknownRecord, monitor_from_json, monitor_to_json
from handclasp.store.monitors_hot import STANDING
from handclasp.store.monitors_part import MonitorsPart
from handclasp.store.rows import microseconds, upsert
from handclasp.store.schema import (
    monitor_changes,
    monitor_deliveries,
    monitor_hours,
    monitor_results,
    monitor_standings,
    monitor_transitions,
    monitors,
)

_AT_ONCE = 500
_WITH_MONITOR = (
    monitor_standings,
    monitor_results,
    monitor_hours,
    monitor_changes,
    monitor_transitions,
    monitor_deliveries,
)
_ALL = (
    f"SELECT {STANDING} FROM monitor_standings s JOIN monitors m ON m.id = s.monitor_id "  # noqa: S608 - constants
    "LEFT JOIN monitor_evidence e ON e.id = s.evidence_id"
)
_NO_RESULT = {"evidence_id": None, "last_at": None, "last_latency": None, "last_attempts": 0}
_FREE = {"owner": None, "lease_until": None}


class Definitions(MonitorsPart):
    """Monitors, and how each stands."""

    async def sync(
        self, monitors: Sequence[Monitor], now: datetime, first_due: Mapping[str, datetime]
    ) -> tuple[str, ...]:
        """As MonitorStore says.

        A name of the API's that the file has now becomes the file's. Where processes with different files share a
        database, the last one to come is right. What is removed keeps its history and the alerts that are not sent yet.
        """
        wanted = {one.name: replace(one, origin="file") for one in monitors}
        # Monitors that are checked together lie together in the tables, and cost fewer pages.
        ordered = sorted(wanted.values(), key=lambda one: (first_due[one.name], one.name))
        texts = {one.name: monitor_to_json(one) for one in ordered}

        def work(connection: sa.Connection) -> tuple[str, ...]:
            self._hot.lock(connection)
            there = _there(connection)
            _write(connection, there, [one for one in ordered if _differs(there, one.name, texts)], texts, first_due)
            gone = [row for row in there.values() if row.origin == "file" and row.name not in wanted]
            _retire(connection, [row.id for row in gone], now)
            return tuple(sorted(row.name for row in gone if row.removed_at is None))

        return await self._database.write(work)

    async def put(self, monitor: Monitor, first_due: datetime) -> bool:
        """As MonitorStore says."""
        name = monitor.name
        wanted = replace(monitor, origin="api")
        texts = {name: monitor_to_json(wanted)}

        def work(connection: sa.Connection) -> bool:
            self._hot.lock(connection)
            there = _there(connection, name)
            if name in there and there[name].removed_at is None and there[name].origin == "file":
                return False
            if _differs(there, name, texts):
                _write(connection, there, [wanted], texts, {name: first_due})
            return True

        return await self._database.write(work)

    async def remove(self, name: str) -> bool:
        """As MonitorStore says. Alerts of it that are not sent yet are not sent any more."""

        def work(connection: sa.Connection) -> bool:
            self._hot.lock(connection)
            old = _there(connection, name).get(name)
            if old is None or old.origin != "api":
                return False
            for table in _WITH_MONITOR:
                connection.execute(table.delete().where(table.c.monitor_id == old.id))
            connection.execute(monitors.delete().where(monitors.c.id == old.id))
            return True

        return await self._database.write(work)

    async def free(self) -> None:
        """End every lease: those of a process that was killed. Only for whoever is the one process of the database."""

        def work(connection: sa.Connection) -> None:
            for table in (monitor_standings, monitor_deliveries):
                connection.execute(table.update().where(table.c.lease_until.is_not(None)).values(**_FREE))

        await self._database.write(work)

    async def standings(self, names: Sequence[str] | None = None) -> tuple[Standing, ...]:
        """As MonitorStore says. Refused(STATE_NEWER) if a newer version wrote one of them."""

        def work(connection: sa.Connection) -> list[Sequence[Any]]:
            if names is None:
                return list(connection.exec_driver_sql(_ALL).all())
            found: list[Sequence[Any]] = []
            query = sa.text(f"{_ALL} WHERE m.name IN :names").bindparams(sa.bindparam("names", expanding=True))
            for first in range(0, len(names), _AT_ONCE):
                found += connection.execute(query, {"names": list(names[first : first + _AT_ONCE])}).all()
            return found

        rows = await self._database.read(work)
        return tuple(sorted((self._standing(row) for row in rows), key=lambda standing: standing.monitor.name))


def _there(connection: sa.Connection, name: str | None = None) -> dict[str, Any]:
    query = sa.select(monitors)
    if name is not None:
        query = query.where(monitors.c.name == name)
    return {row.name: row for row in connection.execute(query)}


def _differs(there: Mapping[str, Any], name: str, texts: Mapping[str, str]) -> bool:
    old = there.get(name)
    return old is None or old.removed_at is not None or old.definition != texts[name]


def _write(
    connection: sa.Connection,
    there: Mapping[str, Any],
    changed: Sequence[Monitor],
    texts: Mapping[str, str],
    first_due: Mapping[str, datetime],
) -> None:
    rows = [
        {"name": one.name, "origin": one.origin, "definition": texts[one.name], "removed_at": None} for one in changed
    ]
    if not rows:
        return
    insert = upsert(connection, monitors)
    same = {name: insert.excluded[name] for name in ("origin", "definition", "removed_at")}
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=same), rows)
    numbers = _numbers(connection, [one.name for one in changed])
    old = {name: row.definition for name, row in there.items() if row.removed_at is None}
    new = [_standing_row(numbers[one.name], one, first_due[one.name]) for one in changed if one.name not in old]
    if new:
        connection.execute(monitor_standings.insert(), new)
    by_columns: dict[frozenset[str], list[dict[str, Any]]] = {}
    for one in changed:
        if one.name in old:
            values = _changed(old[one.name], one, first_due[one.name])
            by_columns.setdefault(frozenset(values), []).append({"number": numbers[one.name], **values})
    for columns, rows in by_columns.items():
        update = monitor_standings.update().where(monitor_standings.c.monitor_id == sa.bindparam("number"))
        update = update.values(token=monitor_standings.c.token + 1, **{name: sa.bindparam(name) for name in columns})
        connection.execute(update, rows)


def _numbers(connection: sa.Connection, names: Sequence[str]) -> dict[str, int]:
    query = sa.select(monitors.c.id, monitors.c.name)
    if len(names) <= _AT_ONCE:
        query = query.where(monitors.c.name.in_(names))
    return {row.name: row.id for row in connection.execute(query)}


def _standing_row(number: int, monitor: Monitor, due: datetime) -> dict[str, Any]:
    # Tokens begin with the time, so that a claim of one that was removed and added again holds for nothing.
    return {
        **{"monitor_id": number, "format": FORMAT, "paused": monitor.paused, "due": due, "token": microseconds(due)},
        **{"state": State.PENDING.value, "since": None, **_FREE, **_NO_RESULT},
    }


def _changed(old: str, monitor: Monitor, due: datetime) -> dict[str, Any]:
    """What becomes of the standing. A check of the old definition that is being made loses its claim.

    The state stays as it is, so that an alert that was sent is followed by its end; but a result is compared with the
    one before it only if both are of the same target.
    """
    try:
        before = monitor_from_json(old)
    except UnknownRecord:
        before = None
    values: dict[str, Any] = {"format": FORMAT, "paused": monitor.paused, **_FREE}
    elsewhere = before is None or (before.target, before.kind) != (monitor.target, monitor.kind)
    if elsewhere:
        values |= _NO_RESULT
    if before is None or elsewhere or (before.every, before.paused) != (monitor.every, monitor.paused):
        values["due"] = due
    return values


def _retire(connection: sa.Connection, gone: Sequence[int], now: datetime) -> None:
    for first in range(0, len(gone), _AT_ONCE):
        some = gone[first : first + _AT_ONCE]
        connection.execute(monitor_standings.delete().where(monitor_standings.c.monitor_id.in_(some)))
        update = monitors.update().where(monitors.c.id.in_(some), monitors.c.removed_at.is_(None))
        connection.execute(update.values(removed_at=now))
