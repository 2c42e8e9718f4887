"""The statements of every check on PostgreSQL: one round trip for many monitors, with arrays as tables.

Hosts that share a database do not share a clock. A lease therefore begins and ends by the server's clock: if it were by
the callers', one whose clock is some minutes ahead would take over what another has just begun. When something is
*due* is by the caller's clock: one that is ahead checks early, and the time that it writes for the next check keeps the
others from doing it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from handclasp.monitor.records_json import FORMAT
from handclasp.store.monitors_hot import STANDING, Finished
from handclasp.store.rows import Statement

_SERVER_CLOCK = "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
_LOCK = 0x6D6F6E69  # any number that only we use for this

# = ANY(ARRAY(...)), and not IN: the planner may run what is in IN more than once, and then more are taken than asked.
_claim = Statement(
    f"WITH s AS (UPDATE monitor_standings SET token = token + 1, owner = ?, lease_until = {_SERVER_CLOCK} + ?::bigint "  # noqa: S608 - constants
    "WHERE monitor_id = ANY(ARRAY(SELECT monitor_id FROM monitor_standings WHERE NOT paused AND due <= ? "
    f"AND (lease_until IS NULL OR lease_until <= {_SERVER_CLOCK}) AND format <= ? "
    "ORDER BY due LIMIT ? FOR UPDATE SKIP LOCKED)) RETURNING *) "
    f"SELECT {STANDING} FROM s JOIN monitors m ON m.id = s.monitor_id "
    "LEFT JOIN monitor_evidence e ON e.id = s.evidence_id ORDER BY s.due, s.monitor_id"
)
_release = Statement(
    "UPDATE monitor_standings s SET owner = NULL, lease_until = NULL, token = s.token + 1 "
    "FROM unnest(?::text[], ?::bigint[]) AS v(name, token) JOIN monitors m ON m.name = v.name "
    "WHERE s.monitor_id = m.id AND s.token = v.token"
)
_known = Statement("SELECT sha256, id FROM monitor_evidence WHERE sha256 = ANY(?::text[]) AND last_used >= ?")
# In order, so that two processes that add the same ones do not wait for each other in a circle.
_keep = Statement(
    "INSERT INTO monitor_evidence AS e (sha256, body, last_used) "
    "SELECT v.sha256, v.body, ? FROM unnest(?::text[], ?::text[]) AS v(sha256, body) ORDER BY v.sha256 "
    "ON CONFLICT (sha256) DO UPDATE SET last_used = greatest(e.last_used, excluded.last_used) RETURNING sha256, id"
)
_finish = Statement(
    "UPDATE monitor_standings s SET token = s.token + 1, owner = NULL, lease_until = NULL, due = v.due, "
    "state = v.state, since = v.since, evidence_id = v.evidence_id, last_at = v.at, last_latency = v.latency, "
    "last_attempts = v.attempts "
    "FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], "
    "?::int[]) WITH ORDINALITY AS v(name, token, due, state, since, evidence_id, at, latency, attempts, place) "
    "JOIN monitors m ON m.name = v.name WHERE s.monitor_id = m.id AND s.token = v.token "
    "RETURNING v.place, s.monitor_id"
)
_append = Statement(
    "INSERT INTO monitor_results AS r (monitor_id, hour, entries) "
    "SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bytea[]) "
    "ON CONFLICT (monitor_id, hour) DO UPDATE SET entries = r.entries || excluded.entries"
)
_claim_deliveries = Statement(
    f"WITH d AS (UPDATE monitor_deliveries SET token = token + 1, owner = ?, lease_until = {_SERVER_CLOCK} + ?::bigint "  # noqa: S608 - constants
    "WHERE id = ANY(ARRAY(SELECT o.id FROM monitor_deliveries o WHERE o.state = 'open' AND o.due <= ? "
    f"AND (o.lease_until IS NULL OR o.lease_until <= {_SERVER_CLOCK}) "
    "AND NOT EXISTS (SELECT 1 FROM monitor_deliveries b WHERE b.state = 'open' AND b.monitor_id = o.monitor_id "
    "AND b.receiver = o.receiver AND b.id < o.id) ORDER BY o.due, o.id LIMIT ? FOR UPDATE OF o SKIP LOCKED)) "
    "RETURNING *) SELECT d.id, d.token, d.receiver, d.tries, t.body FROM d "
    "JOIN monitor_transitions t ON t.id = d.transition_id ORDER BY d.id"
)


class OnPostgres:
    """HotPath there."""

    def claim(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """As HotPath says."""
        return _claim.rows(connection, (worker, lease, now, FORMAT, limit))

    def release(self, connection: sa.Connection, claims: Sequence[tuple[str, int]]) -> None:
        """As HotPath says."""
        _release.count(connection, ([name for name, _ in claims], [token for _, token in claims]))

    def known(self, connection: sa.Connection, digests: Sequence[str], used_since: int) -> dict[str, int]:
        """As HotPath says."""
        return dict(_pairs(_known.rows(connection, (list(digests), used_since))))

    def keep(self, connection: sa.Connection, bodies: dict[str, str], at: int) -> dict[str, int]:
        """As HotPath says."""
        rows = _keep.rows(connection, (at, list(bodies), list(bodies.values())))
        return dict(_pairs(rows))

    def finish(self, connection: sa.Connection, rows: Sequence[Finished], evidence: dict[str, int]) -> dict[int, int]:
        """As HotPath says."""
        columns = zip(
            *(
                (r.name, r.token, r.due, r.state, r.since, evidence[r.sha256], r.at, r.latency, r.attempts)
                for r in rows
            ),
            strict=True,
        )
        found = _finish.rows(connection, [list(column) for column in columns])
        return {place - 1: number for place, number in found}

    def append(self, connection: sa.Connection, entries: Sequence[tuple[int, int, bytes]]) -> None:
        """As HotPath says."""
        _append.count(connection, [list(column) for column in zip(*entries, strict=True)])

    def claim_deliveries(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """As HotPath says."""
        return _claim_deliveries.rows(connection, (worker, lease, now, limit))

    def lock(self, connection: sa.Connection) -> None:
        """As HotPath says."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _pairs(rows: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    return [(digest, number) for digest, number in rows]
