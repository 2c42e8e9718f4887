"""The tables of the ledger, and how its values are spelled in them, in SQLite and PostgreSQL alike.

A change here is a new migration: a test compares what the migrations make with these tables.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SERIAL_DIGITS = 40


class Instant(sa.types.TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 UTC: exact, sorted by the index, readable by every tool."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Aware datetimes only: a naive one has no point in time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Back to an aware datetime in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


def is_serial(value: int) -> bool:
    """Positive, at most 20 octets (RFC 5280 §4.1.2.2)."""
    return 0 < value < 1 << 160


class Serial(sa.types.TypeDecorator[int]):
    """A serial number as 40 hex digits: 20 octets fit no integer column, and fixed width sorts as the number does."""

    impl = sa.String(_SERIAL_DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> str | None:
        """Positive, at most 20 octets."""
        if value is None:
            return None
        if not is_serial(value):
            raise ValueError("a serial number is positive and at most 20 octets long")
        return f"{value:0{_SERIAL_DIGITS}x}"

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> int | None:
        """Back to the number."""
        return None if value is None else int(value, 16)


class Texts(sa.types.TypeDecorator[tuple[str, ...]]):
    """A tuple of strings as a JSON array."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: sa.Dialect) -> str | None:
        """In the order given."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> tuple[str, ...] | None:
        """Back to the tuple."""
        return None if value is None else tuple(json.loads(value))


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index over those rows only of which ``where`` holds."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class Ders(sa.types.TypeDecorator[tuple[bytes, ...]]):
    """A tuple of byte strings as a JSON array of base64."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[bytes, ...] | None, dialect: sa.Dialect) -> str | None:
        """In the order given."""
        return None if value is None else json.dumps([base64.b64encode(one).decode() for one in value])

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> tuple[bytes, ...] | None:
        """Back to the tuple."""
        return None if value is None else tuple(base64.b64decode(one) for one in json.loads(value))


Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database counts up. (SQLite does so for a primary key that is called INTEGER only.)"""

metadata = sa.MetaData()

certificates = sa.Table(
    "certificates",
    metadata,
    # The order of recording: the newest has the highest.
    sa.Column("id", Number, primary_key=True),
    sa.Column("issuer_key_id", sa.String, nullable=False),
    sa.Column("serial", Serial, nullable=False),
    sa.Column("profile", sa.String, nullable=False),
    sa.Column("identity", sa.String),
    sa.Column("dns", Texts, nullable=False),
    sa.Column("ips", Texts, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("not_before", Instant, nullable=False),
    sa.Column("not_after", Instant, nullable=False),
    sa.Column("spki_sha256", sa.String(64), nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("issued_at", Instant, nullable=False),
    # NULL, not empty, before there is one.
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("tbs", sa.LargeBinary, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.Column("reason", sa.String),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String),
    sa.Column("is_authority", sa.Boolean, nullable=False),
    # All that a search by name looks at, as rows.names_of spells it.
    sa.Column("names", sa.Text, nullable=False),
    # The serial first, so that a search for a serial alone finds it.
    sa.Index("certificates_by_serial", "serial", "issuer_key_id", unique=True),
    sa.CheckConstraint("state IN ('intended', 'issued', 'held', 'revoked')", name="certificates_state"),
    sa.Index("certificates_identity", "identity", "id"),
    sa.Index("certificates_spki", "spki_sha256", "id"),
    sa.Index("certificates_profile", "profile", "id"),
    sa.Index("certificates_issuer", "issuer_key_id", "id"),
    sa.Index("certificates_expiry", "not_after", "state", "id"),
    partial_index("certificates_fingerprint", "fingerprint", where="fingerprint IS NOT NULL", unique=True),
    partial_index("certificates_request", "request_id", where="request_id IS NOT NULL", unique=True),
    # Nearly all are issued, and an index over them would cost every issuance and find nothing sooner.
    partial_index(
        "certificates_not_issued", "state", "id", "profile", "issuer_key_id", "not_after", where="state <> 'issued'"
    ),
    # All that a revocation list is made of, so that it is read from here alone.
    partial_index(
        "certificates_revoked",
        "issuer_key_id",
        "shard",
        "revoked_at",
        "not_after",
        "serial",
        "fingerprint",
        "reason",
        where="revoked_at IS NOT NULL",
    ),
    sa.Index("certificates_names", "names", postgresql_using="gin", postgresql_ops={"names": "gin_trgm_ops"}).ddl_if(
        dialect="postgresql"
    ),
)

authorities = sa.Table(
    "authorities",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("spki_sha256", sa.String(64), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("certificates", Ders, nullable=False),
    sa.Column("above", Ders, nullable=False),
    sa.Column("parent", sa.String),
    sa.Index("authorities_spki", "spki_sha256"),
)

confirmations = sa.Table(
    "confirmations",
    metadata,
    sa.Column("point", sa.String, primary_key=True),
    sa.Column("authorities", Texts, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("profile", sa.String, nullable=False),
    sa.Column("csr", sa.LargeBinary, nullable=False),
    sa.Column("identity", sa.String),
    sa.Column("dns", Texts, nullable=False),
    sa.Column("ips", Texts, nullable=False),
    sa.Column("lifetime_seconds", sa.BigInteger),
    sa.Column("principal", sa.String, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("decided_by", sa.String),
    sa.Index("requests_state", "state", "at"),
)

crl_numbers = sa.Table(
    "crl_numbers",
    metadata,
    sa.Column("issuer_key_id", sa.String, primary_key=True),
    # In seconds since 1970 at least, which four octets hold until 2038 only.
    sa.Column("number", Number, nullable=False),
)

crls = sa.Table(
    "crls",
    metadata,
    sa.Column("issuer_key_id", sa.String, primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("this_update", Instant, nullable=False),
    sa.Column("next_update", Instant, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
)

revocation_marks = sa.Table(
    "revocation_marks",
    metadata,
    sa.Column("issuer_key_id", sa.String, primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("writer", sa.String, primary_key=True),
    sa.Column("seq", Number, primary_key=True, autoincrement=False),
    sa.Column("prev", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("events_kind", "kind"),
    sa.Index("events_subject", "subject"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("heads", sa.Text, nullable=False),
    sa.Column("prev", sa.String(64), nullable=False),
    sa.Column("key_id", sa.String, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)
