"""Certificates and events as rows: the few statements of every issuance, by hand, and records from rows.

SQLAlchemy costs ten times of what SQLite takes for one of these statements, so on SQLite they go to the driver as
they are. Values are spelled as the types of schema.py spell them.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from handclasp.authority.audit import EMPTY, Head, chained
from handclasp.authority.records import CertificateRecord, CertificateState, ChainedEvent, Event
from handclasp.store.schema import certificates, is_serial

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_FIELDS = tuple(column.name for column in certificates.c if column.name not in {"id", "names"})
SELECT_COLUMNS = ", ".join(_FIELDS)
"""What a record is made of."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAMES = (*_FIELDS, "names")
ADD_CERTIFICATE = (
    f"INSERT INTO certificates ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))}) "  # noqa: S608 - constants
    "ON CONFLICT DO NOTHING"
)
_ADD_EVENT = "INSERT INTO events (writer, seq, prev, hash, at, kind, subject, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_DATA = json.JSONEncoder(sort_keys=True)
_HEAD = "SELECT seq, hash FROM events WHERE writer = ? ORDER BY seq DESC LIMIT 1"


HEADS = "heads of the audit log"
"""The key in ``connection.info`` of the heads that the present transaction has read or written. A database that keeps
them empties them whenever a transaction begins and whenever anything is undone: else there would be gaps."""


class Statement:
    """A statement with ``?`` for each value, run by the driver itself."""

    def __init__(self, text: str) -> None:
        self._text = text
        numbers = iter(range(1, text.count("?") + 1))
        self._numbered = re.sub(r"\?", lambda _: f"${next(numbers)}", text)

    def rows(self, connection: sa.Connection, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """All rows that it gives."""
        raw = connection.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            return raw.execute(self._text, values).fetchall()
        return connection.exec_driver_sql(self._numbered, tuple(values)).all()

    def count(self, connection: sa.Connection, values: Sequence[Any]) -> int:
        """How many rows it wrote."""
        raw = connection.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            return raw.execute(self._text, values).rowcount
        return connection.exec_driver_sql(self._numbered, tuple(values)).rowcount


_add_certificate = Statement(ADD_CERTIFICATE)
_add_event = Statement(_ADD_EVENT)
_head = Statement(_HEAD)


def upsert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT into the table that can be told what to do if the row is there."""
    if connection.dialect.name != "postgresql":
        return sqlite.insert(table)
    # Not before it is needed: it takes a noticeable part of the time to start.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def add_certificate(connection: sa.Connection, record: CertificateRecord) -> bool:
    """Insert it; False if its serial, request id or fingerprint is there already."""
    return _add_certificate.count(connection, certificate_values(record)) == 1


def certificate_values(record: CertificateRecord) -> tuple[Any, ...]:
    """The values of ADD_CERTIFICATE."""
    return (
        record.issuer_key_id,
        serial_text(record.serial),
        record.profile,
        record.identity,
        json.dumps(record.dns),
        json.dumps(record.ips),
        record.subject,
        microseconds(record.not_before),
        microseconds(record.not_after),
        record.spki_sha256,
        record.state.value,
        microseconds(record.issued_at),
        record.fingerprint or None,
        record.tbs,
        record.der,
        None if record.revoked_at is None else microseconds(record.revoked_at),
        record.reason,
        record.shard,
        record.request_id,
        record.is_authority,
        names_of(record),
    )


def add_event(connection: sa.Connection, writer: str, event: Event) -> None:
    """The event as the next one of the writer's chain."""
    head = connection.info.get(HEADS, {}).get(writer)
    if head is None:
        last = _head.rows(connection, (writer,))
        head = Head(*last[0]) if last else EMPTY
    link = chained(writer, head, event)
    if HEADS in connection.info:
        connection.info[HEADS][writer] = Head(link.seq, link.hash)
    data = _DATA.encode(dict(event.data))
    values = (writer, link.seq, link.prev, link.hash, microseconds(event.at), event.kind, event.subject, data)
    _add_event.count(connection, values)


def names_of(record: CertificateRecord) -> str:
    """What a search by name looks at, lower-case: two line ends, then a name, for each of its names.

    So a prefix is a text that follows two line ends, and has three characters with them, which is what an index of
    trigrams needs.
    """
    names: list[str] = []
    if record.identity:
        names = [record.identity, *record.identity.split("/", 3)[3:]]
    names += [*record.dns, *record.ips, record.subject]
    return "".join([f"\n\n{name}" for name in names if name]).lower()


def microseconds(at: datetime) -> int:
    """Since 1970."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    return (at - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """Back from microseconds."""
    return _EPOCH + timedelta(microseconds=value)


def serial_text(serial: int) -> str:
    """As Serial spells it."""
    if not is_serial(serial):
        raise ValueError("a serial number is positive and at most 20 octets long")
    return f"{serial:040x}"


def record_of(row: Sequence[Any]) -> CertificateRecord:
    """The record of a row of SELECT_COLUMNS."""
    (issuer, serial, profile, identity, dns, ips, subject, not_before, not_after, spki, state, issued_at) = row[:12]
    (fingerprint, tbs, der, revoked_at, reason, shard, request_id, is_authority) = row[12:]
    return CertificateRecord(
        serial=int(serial, 16),
        issuer_key_id=issuer,
        profile=profile,
        identity=identity,
        dns=tuple(json.loads(dns)),
        ips=tuple(json.loads(ips)),
        subject=subject,
        not_before=instant(not_before),
        not_after=instant(not_after),
        spki_sha256=spki,
        state=CertificateState(state),
        issued_at=instant(issued_at),
        tbs=tbs,
        der=der,
        fingerprint=fingerprint or "",
        revoked_at=None if revoked_at is None else instant(revoked_at),
        reason=reason,
        shard=shard,
        request_id=request_id,
        is_authority=bool(is_authority),
    )


def event_of(row: Mapping[Any, Any]) -> ChainedEvent:
    """The event of a row of the table of events."""
    return ChainedEvent(
        writer=row["writer"],
        seq=row["seq"],
        prev=row["prev"],
        hash=row["hash"],
        event=Event(row["at"], row["kind"], row["subject"], json.loads(row["data"])),
    )
