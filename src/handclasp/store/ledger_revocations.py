"""Certificates taken back, and the lists that say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from handclasp.authority.records import CertificateRecord, CertificateState, CrlRecord, Event, Revocation
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import SELECT_COLUMNS, Statement, instant, microseconds, record_of, serial_text
from handclasp.store.schema import crls, is_serial, revocation_marks

_ON_LISTS = frozenset({CertificateState.REVOKED, CertificateState.HELD})

_add_mark = Statement(
    "INSERT INTO revocation_marks (issuer_key_id, shard, mark) VALUES (?, ?, 1) "
    "ON CONFLICT (issuer_key_id, shard) DO UPDATE SET mark = revocation_marks.mark + 1"
)
# One statement, so that the row is locked from reading to writing wherever several processes count.
_count_up = Statement(
    "INSERT INTO crl_numbers (issuer_key_id, number) VALUES (?, ?) ON CONFLICT (issuer_key_id) DO UPDATE SET "
    "number = CASE WHEN crl_numbers.number >= excluded.number THEN crl_numbers.number + 1 ELSE excluded.number END "
    "RETURNING number"
)
_put_crl = Statement(
    "INSERT INTO crls (issuer_key_id, shard, number, mark, this_update, next_update, der) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (issuer_key_id, shard) DO UPDATE SET number = excluded.number, mark = excluded.mark, "
    "this_update = excluded.this_update, next_update = excluded.next_update, der = excluded.der "
    "WHERE excluded.number >= crls.number AND excluded.mark >= crls.mark"
)
_to_revoke = Statement(
    "SELECT id FROM certificates WHERE identity = ? AND state <> 'revoked' AND not_after > ? ORDER BY issued_at, id"
)
_REVOKED = (
    "SELECT serial, fingerprint, revoked_at, reason FROM certificates "
    "WHERE issuer_key_id = ? AND revoked_at IS NOT NULL"
)


class Revocations(LedgerPart):
    """Revoke, hold, release; revocation lists."""

    async def revoke(
        self,
        identity: str,
        *,
        expires_after: datetime,
        at: datetime,
        reason: str,
        event_of: Callable[[CertificateRecord], Event],
    ) -> tuple[CertificateRecord, ...]:
        """As Ledger says."""
        those = (identity, microseconds(expires_after))
        values = (CertificateState.REVOKED.value, microseconds(at), reason)

        def work(connection: sa.Connection) -> tuple[CertificateRecord, ...]:
            ids = [row[0] for row in _to_revoke.rows(connection, those)]
            changed = (
                self._change(connection, "id = ? AND state <> 'revoked'", (one,), values, event_of) for one in ids
            )
            # None where another process was first.
            return tuple([record for record in changed if record is not None])

        return await self._database.write(work)

    async def change_state(
        self,
        issuer_key_id: str,
        serial: int,
        *,
        allowed_from: frozenset[CertificateState],
        to: CertificateState,
        at: datetime | None,
        reason: str | None,
        event_of: Callable[[CertificateRecord], Event],
    ) -> CertificateRecord | None:
        """As Ledger says."""
        if (to in _ON_LISTS) != (at is not None and reason is not None):
            raise ValueError("what is revoked or held has a time and a reason, and nothing else has")
        if not is_serial(serial) or not allowed_from:
            return None
        states = sorted(state.value for state in allowed_from)
        where = f"serial = ? AND issuer_key_id = ? AND state IN ({', '.join('?' * len(states))})"
        which = (serial_text(serial), issuer_key_id, *states)
        values = (to.value, None if at is None else microseconds(at), reason)
        return await self._database.write(lambda connection: self._change(connection, where, which, values, event_of))

    async def revocations(
        self,
        issuer_key_id: str,
        *,
        expires_after: datetime | None = None,
        since: datetime | None = None,
        shard: int | None = None,
    ) -> tuple[Revocation, ...]:
        """As Ledger says."""
        text, values = _REVOKED, list[object]([issuer_key_id])
        if shard is not None:
            text, values = f"{text} AND shard = ?", [*values, shard]
        if since is not None:
            text, values = f"{text} AND revoked_at > ?", [*values, microseconds(since)]
        if expires_after is not None:
            text, values = f"{text} AND not_after > ?", [*values, microseconds(expires_after)]
        statement = Statement(f"{text} ORDER BY serial")

        def work(connection: sa.Connection) -> tuple[Revocation, ...]:
            return tuple(
                [
                    Revocation(int(serial, 16), fingerprint or "", instant(revoked_at), reason)
                    for serial, fingerprint, revoked_at, reason in statement.rows(connection, values)
                ]
            )

        return await self._database.read(work)

    async def revocation_mark(self, issuer_key_id: str, shard: int | None) -> int:
        """As Ledger says. Every mark only grows, so their sum does for all shards together."""
        c = revocation_marks.c
        query = sa.select(sa.func.sum(c.mark)).where(c.issuer_key_id == issuer_key_id)
        if shard is not None:
            query = query.where(c.shard == shard)
        return await self._database.read(lambda connection: int(connection.scalar(query) or 0))

    async def next_crl_number(self, issuer_key_id: str, now: datetime) -> int:
        """As Ledger says."""
        values = (issuer_key_id, microseconds(now) // 1_000_000)
        return await self._database.write(lambda connection: int(_count_up.rows(connection, values)[0][0]))

    async def record_crl(self, crl: CrlRecord) -> bool:
        """As Ledger says."""
        values = (
            crl.issuer_key_id,
            crl.shard,
            crl.number,
            crl.mark,
            microseconds(crl.this_update),
            microseconds(crl.next_update),
            crl.der,
        )
        return await self._database.write(lambda connection: _put_crl.count(connection, values) == 1)

    async def latest_crl(self, issuer_key_id: str, shard: int) -> CrlRecord | None:
        """As Ledger says."""
        query = sa.select(crls).where(crls.c.issuer_key_id == issuer_key_id, crls.c.shard == shard)

        def work(connection: sa.Connection) -> CrlRecord | None:
            row = connection.execute(query).first()
            return None if row is None else CrlRecord(**row._mapping)

        return await self._database.read(work)

    def _change(
        self,
        connection: sa.Connection,
        where: str,
        which: tuple[object, ...],
        values: tuple[object, ...],
        event_of: Callable[[CertificateRecord], Event],
    ) -> CertificateRecord | None:
        """One certificate to another state, time and reason, with its event, and the mark of its list one up."""
        text = f"UPDATE certificates SET state = ?, revoked_at = ?, reason = ? WHERE {where} RETURNING {SELECT_COLUMNS}"  # noqa: S608
        changed = Statement(text).rows(connection, (*values, *which))
        if not changed:
            return None
        record = record_of(changed[0])
        self._append(connection, event_of(record))
        _add_mark.count(connection, (record.issuer_key_id, record.shard))
        return record
