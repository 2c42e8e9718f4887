"""The work that is shared out: claims, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from handclasp.monitor.ports import Claim, Outcome
from handclasp.monitor.records_json import evidence_to_json, transition_to_json
from handclasp.store.monitor_entries import Entry, hour_of, latency_of, pack
from handclasp.store.monitors_hot import Finished
from handclasp.store.monitors_part import MonitorsPart, text_out
from handclasp.store.rows import Statement, instant, microseconds, upsert
from handclasp.store.schema import monitor_changes, monitor_deliveries, monitor_transitions

DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)

_NEXT_DUE = Statement("SELECT due FROM monitor_standings WHERE NOT paused AND lease_until IS NULL ORDER BY due LIMIT 1")


class Checks(MonitorsPart):
    """From due to done."""

    async def claim(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Claim, ...]:
        """As MonitorStore says. On PostgreSQL the lease is until the server's now + ``lease``, whatever ``now`` is.

        Monitors whose definition a newer version wrote are left to processes of that version.
        """
        times = microseconds(now), lease // _MICROSECOND
        rows = await self._database.write(lambda connection: self._hot.claim(connection, worker, *times, limit))
        return tuple([Claim(self._standing(row), row[1], instant(row[2])) for row in rows])

    async def release(self, claims: Sequence[Claim]) -> None:
        """As MonitorStore says."""
        if claims:
            given = [(claim.standing.monitor.name, claim.token) for claim in claims]
            await self._database.write(lambda connection: self._hot.release(connection, given))

    async def complete(self, outcomes: Sequence[Outcome], receivers: Mapping[str, Sequence[str]]) -> tuple[bool, ...]:
        """As MonitorStore says. The monitor's state becomes that of the result.

        A claim holds until somebody else has the monitor, or its definition has changed, however long ago its lease was
        over. It is used up by this: the same outcome again is False.
        """
        if not outcomes:
            return ()
        rows, bodies = [], {}
        for outcome in outcomes:
            body = evidence_to_json(outcome.result)
            digest = hashlib.sha256(body.encode()).hexdigest()
            bodies[digest] = body
            rows.append(_row(outcome, digest))

        def work(connection: sa.Connection) -> dict[int, int]:
            evidence = self._evidence(connection, bodies, max(row.at for row in rows))
            held = self._hot.finish(connection, rows, evidence)
            if held:
                entries = [_entry(number, rows[place], outcomes[place], evidence) for place, number in held.items()]
                self._hot.append(connection, entries)
                _write_news(connection, [(number, outcomes[place]) for place, number in held.items()], receivers)
            return held

        held = await self._database.write(work)
        return tuple(place in held for place in range(len(outcomes)))

    async def next_due(self) -> datetime | None:
        """As MonitorStore says. What a worker held that died is not counted: a claim gets it when its lease is over."""
        rows = await self._database.read(lambda connection: _NEXT_DUE.rows(connection, ()))
        return instant(rows[0][0]) if rows else None

    def _evidence(self, connection: sa.Connection, bodies: dict[str, str], at: int) -> dict[str, int]:
        """The number of each. What was used within a day cannot be pruned (monitors_prune.py); all else is written."""
        found = self._hot.known(connection, list(bodies), at - DAY // _MICROSECOND)
        missing = {digest: body for digest, body in bodies.items() if digest not in found}
        return found | self._hot.keep(connection, missing, at) if missing else found


def _row(outcome: Outcome, digest: str) -> Finished:
    standing, result = outcome.claim.standing, outcome.result
    since = standing.since
    if since is None or result.state is not standing.state:
        since = result.at
    return Finished(
        name=standing.monitor.name,
        token=outcome.claim.token,
        due=microseconds(outcome.next_due),
        state=result.state.value,
        since=microseconds(since),
        sha256=digest,
        at=microseconds(result.at),
        latency=latency_of(result.seconds),
        attempts=result.attempts,
    )


def _entry(monitor_id: int, row: Finished, outcome: Outcome, evidence: Mapping[str, int]) -> tuple[int, int, bytes]:
    entry = Entry(row.at, row.latency, row.attempts, outcome.result.state, evidence[row.sha256])
    return monitor_id, hour_of(row.at), pack(entry)


def _write_news(
    connection: sa.Connection, held: Sequence[tuple[int, Outcome]], receivers: Mapping[str, Sequence[str]]
) -> None:
    """Most checks find nothing new, and nothing is written here."""
    changes = [
        {
            "monitor_id": number,
            "at": change.at,
            "what": change.what,
            "before": text_out(change.before),
            "after": text_out(change.after),
        }
        for number, outcome in held
        for change in outcome.changes
    ]
    if changes:
        connection.execute(monitor_changes.insert(), changes)
    moved = [(number, outcome.transition) for number, outcome in held if outcome.transition is not None]
    if not moved:
        return
    insert = upsert(connection, monitor_transitions).on_conflict_do_nothing()
    transitions = [
        {"id": one.id, "monitor_id": number, "at": one.at, "body": transition_to_json(one)} for number, one in moved
    ]
    connection.execute(insert, transitions)
    deliveries = [
        {
            **{"transition_id": one.id, "monitor_id": number, "receiver": receiver, "due": one.at},
            **{"token": 0, "tries": 0, "state": "open"},
        }
        for number, one in moved
        for receiver in receivers.get(one.monitor, ())
    ]
    if deliveries:
        connection.execute(monitor_deliveries.insert(), deliveries)
