"""The tables of the ledger, and how its values are spelled in them.

A change here is a new migration: a test compares what the migrations make with these tables.
"""

from __future__ import annotations

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


class Serial(sa.types.TypeDecorator[int]):
    """A serial number as 40 hex digits: 20 octets fit no integer column, and fixed width sorts as the number does."""

    impl = sa.String(_SERIAL_DIGITS)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> str | None:
        """Positive, at most 20 octets."""
        if value is None:
            return None
        if not 0 < value < 1 << 160:
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


metadata = sa.MetaData()

certificates = sa.Table(
    "certificates",
    metadata,
    # The order of recording: it breaks the tie between certificates of the same instant.
    sa.Column("id", sa.Integer, primary_key=True),
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
    # NULL, not empty, before there is one: NULLs do not collide in the unique constraint.
    sa.Column("fingerprint", sa.String(64), unique=True),
    sa.Column("tbs", sa.LargeBinary, nullable=False),
    sa.Column("der", sa.LargeBinary, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.Column("reason", sa.String),
    sa.UniqueConstraint("issuer_key_id", "serial", name="certificates_issuer_serial"),
    sa.CheckConstraint("state IN ('intended', 'issued', 'revoked')", name="certificates_state"),
    sa.Index("certificates_identity", "identity", "issued_at"),
    sa.Index("certificates_profile", "profile", "issued_at"),
    sa.Index("certificates_revoked", "issuer_key_id", "revoked_at"),
)

crl_numbers = sa.Table(
    "crl_numbers",
    metadata,
    sa.Column("issuer_key_id", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("writer", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("prev", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("events_kind", "kind"),
    sa.Index("events_subject", "subject"),
)
