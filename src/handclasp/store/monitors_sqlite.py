"""The statements of every check on SQLite: one statement for a claim, and short ones for each monitor after it, since
there is no round trip to spare.

One process has the database (D10), and no other host: leases are by the caller's clock. They matter after a crash only,
when what the process before had begun is due again as soon as its lease is over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from handclasp.monitor.records_json import FORMAT
from handclasp.store.monitors_hot import STANDING, Finished

_CLAIM = (
    "UPDATE monitor_standings SET token = token + 1, owner = ?, lease_until = ? WHERE monitor_id IN "
    "(SELECT monitor_id FROM monitor_standings WHERE NOT paused AND due <= ? "
    "AND (lease_until IS NULL OR lease_until <= ?) AND format <= ? ORDER BY due LIMIT ?) RETURNING due, monitor_id"
)
_CLAIMED = (
    f"SELECT {STANDING} FROM monitor_standings s JOIN monitors m ON m.id = s.monitor_id "  # noqa: S608 - constants
    "LEFT JOIN monitor_evidence e ON e.id = s.evidence_id WHERE s.monitor_id = ?"
)
_RELEASE = (
    "UPDATE monitor_standings SET owner = NULL, lease_until = NULL, token = token + 1 "
    "WHERE monitor_id = (SELECT id FROM monitors WHERE name = ?) AND token = ?"
)
_KNOWN = "SELECT id FROM monitor_evidence WHERE sha256 = ? AND last_used >= ?"
_KEEP = (
    "INSERT INTO monitor_evidence (sha256, body, last_used) VALUES (?, ?, ?) "
    "ON CONFLICT (sha256) DO UPDATE SET last_used = max(last_used, excluded.last_used) RETURNING id"
)
_FINISH = (
    "UPDATE monitor_standings SET token = token + 1, owner = NULL, lease_until = NULL, due = ?, state = ?, since = ?, "
    "evidence_id = ?, last_at = ?, last_latency = ?, last_attempts = ? "
    "WHERE monitor_id = (SELECT id FROM monitors WHERE name = ?) AND token = ? RETURNING monitor_id"
)
# Two blobs that are joined are text to SQLite, octet for octet, until it is told otherwise.
_APPEND = (
    "INSERT INTO monitor_results (monitor_id, hour, entries) VALUES (?, ?, ?) "
    "ON CONFLICT (monitor_id, hour) DO UPDATE SET entries = CAST(entries || excluded.entries AS BLOB)"
)
_CLAIM_DELIVERIES = (
    "UPDATE monitor_deliveries SET token = token + 1, owner = ?, lease_until = ? WHERE id IN "
    "(SELECT o.id FROM monitor_deliveries o WHERE o.state = 'open' AND o.due <= ? "
    "AND (o.lease_until IS NULL OR o.lease_until <= ?) "
    "AND NOT EXISTS (SELECT 1 FROM monitor_deliveries b WHERE b.state = 'open' AND b.monitor_id = o.monitor_id "
    "AND b.receiver = o.receiver AND b.id < o.id) ORDER BY o.due, o.id LIMIT ?) RETURNING id"
)
_CLAIMED_DELIVERY = (
    "SELECT d.id, d.token, d.receiver, d.tries, t.body FROM monitor_deliveries d "
    "JOIN monitor_transitions t ON t.id = d.transition_id WHERE d.id = ?"
)


class OnSqlite:
    """HotPath there."""

    def claim(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """As HotPath says."""
        raw = _raw(connection)
        taken = raw.execute(_CLAIM, (worker, now + lease, now, now, FORMAT, limit)).fetchall()
        return [raw.execute(_CLAIMED, (number,)).fetchone() for _, number in sorted(taken)]

    def release(self, connection: sa.Connection, claims: Sequence[tuple[str, int]]) -> None:
        """As HotPath says."""
        _raw(connection).executemany(_RELEASE, claims)

    def known(self, connection: sa.Connection, digests: Sequence[str], used_since: int) -> dict[str, int]:
        """As HotPath says."""
        raw = _raw(connection)
        found = ((digest, raw.execute(_KNOWN, (digest, used_since)).fetchone()) for digest in digests)
        return {digest: row[0] for digest, row in found if row is not None}

    def keep(self, connection: sa.Connection, bodies: dict[str, str], at: int) -> dict[str, int]:
        """As HotPath says."""
        raw = _raw(connection)
        return {digest: raw.execute(_KEEP, (digest, body, at)).fetchall()[0][0] for digest, body in bodies.items()}

    def finish(self, connection: sa.Connection, rows: Sequence[Finished], evidence: dict[str, int]) -> dict[int, int]:
        """As HotPath says."""
        raw = _raw(connection)
        held = {}
        for place, r in enumerate(rows):
            values = (r.due, r.state, r.since, evidence[r.sha256], r.at, r.latency, r.attempts, r.name, r.token)
            if written := raw.execute(_FINISH, values).fetchall():
                held[place] = written[0][0]
        return held

    def append(self, connection: sa.Connection, entries: Sequence[tuple[int, int, bytes]]) -> None:
        """As HotPath says."""
        _raw(connection).executemany(_APPEND, entries)

    def claim_deliveries(
        self, connection: sa.Connection, worker: str, now: int, lease: int, limit: int
    ) -> Sequence[Sequence[Any]]:
        """As HotPath says."""
        raw = _raw(connection)
        taken = raw.execute(_CLAIM_DELIVERIES, (worker, now + lease, now, now, limit)).fetchall()
        return [raw.execute(_CLAIMED_DELIVERY, row).fetchone() for row in sorted(taken)]

    def lock(self, connection: sa.Connection) -> None:
        """Who writes has the only write lock there is."""


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
