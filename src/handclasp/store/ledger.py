"""The authority's ledger in SQL. Each writing method is one transaction with its audit event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from handclasp.authority.audit import EMPTY, Head, chained
from handclasp.authority.ports import (
    CertificateRecord,
    CertificateState,
    ChainedEvent,
    Event,
    NotIntended,
    Revocation,
    SerialInUse,
)
from handclasp.pki.profile import PROFILES
from handclasp.store.database import Database
from handclasp.store.schema import certificates, crl_numbers, events

_AUTHORITY_PROFILES = tuple(name for name, profile in PROFILES.items() if profile.is_ca)
_OLDEST_FIRST = (certificates.c.issued_at, certificates.c.id)
_COLUMNS = tuple(column for column in certificates.c if column.name != "id")

# The statements of every issuance are built once: building one costs more than SQLite takes to run it.
_ADD_CERTIFICATE = certificates.insert()
_ISSUE_CERTIFICATE = (
    certificates.update()
    .where(
        certificates.c.issuer_key_id == sa.bindparam("of_issuer"),
        certificates.c.serial == sa.bindparam("of_serial"),
        certificates.c.state == CertificateState.INTENDED.value,
    )
    .values({column: sa.bindparam(f"new_{column.name}") for column in _COLUMNS})
)
_ADD_EVENT = events.insert()
_HEAD = (
    sa.select(events.c.seq, events.c.hash)
    .where(events.c.writer == sa.bindparam("of_writer"))
    .order_by(events.c.seq.desc())
    .limit(1)
)


class SqlLedger:
    """A Ledger in a database. ``writer`` names this program's chain of audit events (D22)."""

    def __init__(self, database: Database, *, writer: str = "local") -> None:
        self._database = database
        self._writer = writer

    def __repr__(self) -> str:
        return f"SqlLedger({self._database!r}, writer={self._writer!r})"

    async def record_intent(self, record: CertificateRecord, event: Event) -> None:
        """As Ledger says."""
        if record.state is not CertificateState.INTENDED:
            raise ValueError(f"a certificate is first intended, not {record.state}")

        def work(connection: sa.Connection) -> None:
            try:
                connection.execute(_ADD_CERTIFICATE, _row(record))
            except IntegrityError as error:
                raise SerialInUse(
                    f"the issuer {record.issuer_key_id or '(self)'} has a certificate {record.serial:x}"
                ) from error
            self._append(connection, event)

        await self._database.write(work)

    async def record_issued(self, record: CertificateRecord, event: Event) -> None:
        """As Ledger says."""
        if record.state is not CertificateState.ISSUED:
            raise ValueError(f"a certificate that was issued is not {record.state}")

        def work(connection: sa.Connection) -> None:
            of = {"of_issuer": record.issuer_key_id, "of_serial": record.serial}
            changed = connection.execute(
                _ISSUE_CERTIFICATE, {f"new_{name}": value for name, value in _row(record).items()} | of
            )
            if changed.rowcount != 1:
                raise NotIntended(f"no certificate {record.serial:x} is waiting to be issued")
            self._append(connection, event)

        await self._database.write(work)

    async def certificate(self, issuer_key_id: str, serial: int) -> CertificateRecord | None:
        """As Ledger says."""
        found = await self._select(_is(issuer_key_id, serial))
        return found[0] if found else None

    async def certificates(
        self, *, identity: str | None = None, profile: str | None = None, state: CertificateState | None = None
    ) -> tuple[CertificateRecord, ...]:
        """As Ledger says."""
        wanted = (
            (certificates.c.identity, identity),
            (certificates.c.profile, profile),
            (certificates.c.state, None if state is None else state.value),
        )
        return await self._select(*(column == value for column, value in wanted if value is not None))

    async def authorities(self) -> tuple[CertificateRecord, ...]:
        """As Ledger says."""
        return await self._select(
            certificates.c.profile.in_(_AUTHORITY_PROFILES),
            certificates.c.state == CertificateState.ISSUED.value,
        )

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
        those = (
            certificates.c.identity == identity,
            certificates.c.state != CertificateState.REVOKED.value,
            certificates.c.not_after > expires_after,
        )

        def work(connection: sa.Connection) -> tuple[CertificateRecord, ...]:
            ids = connection.scalars(sa.select(certificates.c.id).where(*those).order_by(*_OLDEST_FIRST)).all()
            return tuple(revoke_one(connection, one) for one in ids)

        def revoke_one(connection: sa.Connection, one: int) -> CertificateRecord:
            row = connection.execute(
                certificates.update()
                .where(certificates.c.id == one)
                .values(state=CertificateState.REVOKED.value, revoked_at=at, reason=reason)
                .returning(*_COLUMNS)
            ).one()
            record = _record(row._mapping)
            self._append(connection, event_of(record))
            return record

        return await self._database.write(work)

    async def revocations(
        self, issuer_key_id: str, *, expires_after: datetime | None = None, since: datetime | None = None
    ) -> tuple[Revocation, ...]:
        """As Ledger says."""
        c = certificates.c
        query = (
            sa.select(c.serial, c.fingerprint, c.revoked_at, c.reason)
            .where(c.issuer_key_id == issuer_key_id, c.state == CertificateState.REVOKED.value)
            .order_by(c.serial)
        )
        if expires_after is not None:
            query = query.where(c.not_after > expires_after)
        if since is not None:
            query = query.where(c.revoked_at > since)

        def work(connection: sa.Connection) -> tuple[Revocation, ...]:
            return tuple(
                Revocation(serial, fingerprint or "", revoked_at, reason)
                for serial, fingerprint, revoked_at, reason in connection.execute(query)
            )

        return await self._database.read(work)

    async def next_crl_number(self, issuer_key_id: str) -> int:
        """As Ledger says."""

        def work(connection: sa.Connection) -> int:
            mine = crl_numbers.c.issuer_key_id == issuer_key_id
            last = connection.scalar(sa.select(crl_numbers.c.number).where(mine))
            if last is None:
                connection.execute(crl_numbers.insert().values(issuer_key_id=issuer_key_id, number=1))
                return 1
            number = int(last) + 1
            connection.execute(crl_numbers.update().where(mine).values(number=number))
            return number

        return await self._database.write(work)

    async def append(self, event: Event) -> None:
        """As Ledger says."""
        await self._database.write(lambda connection: self._append(connection, event))

    async def events(self, *, kind: str | None = None, subject: str | None = None) -> tuple[ChainedEvent, ...]:
        """As Ledger says."""
        query = sa.select(events).order_by(events.c.writer, events.c.seq)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        if subject is not None:
            query = query.where(events.c.subject == subject)

        def work(connection: sa.Connection) -> tuple[ChainedEvent, ...]:
            return tuple(_event(row._mapping) for row in connection.execute(query))

        return await self._database.read(work)

    async def _select(self, *where: sa.ColumnElement[bool]) -> tuple[CertificateRecord, ...]:
        query = sa.select(*_COLUMNS).where(*where).order_by(*_OLDEST_FIRST)

        def work(connection: sa.Connection) -> tuple[CertificateRecord, ...]:
            return tuple(_record(row._mapping) for row in connection.execute(query))

        return await self._database.read(work)

    def _append(self, connection: sa.Connection, event: Event) -> None:
        # The head is read in the transaction, never remembered: a rolled-back neighbour must leave no gap.
        last = connection.execute(_HEAD, {"of_writer": self._writer}).first()
        head = EMPTY if last is None else Head(*last)
        link = chained(self._writer, head, event)
        connection.execute(
            _ADD_EVENT,
            {
                "writer": link.writer,
                "seq": link.seq,
                "prev": link.prev,
                "hash": link.hash,
                "at": event.at,
                "kind": event.kind,
                "subject": event.subject,
                "data": json.dumps(dict(event.data), sort_keys=True),
            },
        )


def _is(issuer_key_id: str, serial: int) -> sa.ColumnElement[bool]:
    return sa.and_(certificates.c.issuer_key_id == issuer_key_id, certificates.c.serial == serial)


def _row(record: CertificateRecord) -> dict[str, Any]:
    row = {column.name: getattr(record, column.name) for column in _COLUMNS}
    return row | {"state": record.state.value, "fingerprint": record.fingerprint or None}


def _record(row: Mapping[Any, Any]) -> CertificateRecord:
    values = {column.name: row[column.name] for column in _COLUMNS}
    return CertificateRecord(
        **values | {"state": CertificateState(values["state"]), "fingerprint": values["fingerprint"] or ""}
    )


def _event(row: Mapping[Any, Any]) -> ChainedEvent:
    return ChainedEvent(
        writer=row["writer"],
        seq=row["seq"],
        prev=row["prev"],
        hash=row["hash"],
        event=Event(row["at"], row["kind"], row["subject"], json.loads(row["data"])),
    )
