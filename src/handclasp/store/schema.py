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

credentials = sa.Table(
    "credentials",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("pattern", sa.String, nullable=False, unique=True),
    # PEM, the leaf first.
    sa.Column("chain", sa.LargeBinary, nullable=False),
    # The key, sealed; NULL for an identity of our own authority.
    sa.Column("sealed", sa.LargeBinary),
    # PEM: whom to believe there.
    sa.Column("ca", sa.LargeBinary),
    sa.Column("identity", sa.String),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("not_after", Instant, nullable=False),
)

monitors = sa.Table(
    "monitors",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    # Gone from the settings file; its history is still there, and it has no standing.
    sa.Column("removed_at", Instant),
)

# What every check changes, and nothing else: a row that is written twice a check has to be small. On PostgreSQL half of
# each page is left for the next versions of its rows, which then need no entry in an index for a claim.
monitor_standings = sa.Table(
    "monitor_standings",
    metadata,
    sa.Column("monitor_id", Number, primary_key=True, autoincrement=False),
    # Of the definition (monitor/records_json.py): an older program leaves alone what it does not understand.
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String),
    sa.Column("lease_until", Instant),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("since", Instant),
    # The last result: NULL before there is one.
    sa.Column("evidence_id", sa.BigInteger),
    sa.Column("last_at", Instant),
    sa.Column("last_latency", sa.BigInteger),  # in microseconds
    sa.Column("last_attempts", sa.Integer, nullable=False),
    partial_index("monitor_standings_due", "due", where="NOT paused"),
    postgresql_with={"fillfactor": 50, "autovacuum_vacuum_scale_factor": 0.05},
)

# All of a result but its time and latency, once for all results that found the same.
monitor_evidence = sa.Table(
    "monitor_evidence",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),
    # To the day or so; what no result can refer to any more goes by it.
    sa.Column("last_used", Instant, nullable=False),
    sa.Index("monitor_evidence_last_used", "last_used"),
)

# The single results of a monitor in an hour, 16 octets each (store/monitor_entries.py): with a row for each there would
# be sixty times as many, and each would weigh eight times as much. Rows grow, so their pages begin nearly empty.
monitor_results = sa.Table(
    "monitor_results",
    metadata,
    sa.Column("monitor_id", Number, primary_key=True, autoincrement=False),
    sa.Column("hour", Instant, primary_key=True, autoincrement=False),
    sa.Column("entries", sa.LargeBinary, nullable=False),
    sa.Index("monitor_results_hour", "hour"),
    postgresql_with={"fillfactor": 15, "autovacuum_vacuum_scale_factor": 0.05},
)

# What remains of them: written when the single results are forgotten.
monitor_hours = sa.Table(
    "monitor_hours",
    metadata,
    sa.Column("monitor_id", Number, primary_key=True, autoincrement=False),
    sa.Column("hour", Instant, primary_key=True, autoincrement=False),
    sa.Column("checks", sa.Integer, nullable=False),
    sa.Column("ok", sa.Integer, nullable=False),
    sa.Column("warning", sa.Integer, nullable=False),
    sa.Column("critical", sa.Integer, nullable=False),
    # Of those that had a latency; in microseconds.
    sa.Column("timed", sa.Integer, nullable=False),
    sa.Column("latency_sum", sa.BigInteger, nullable=False),
    sa.Column("latency_min", sa.BigInteger),
    sa.Column("latency_max", sa.BigInteger),
    sa.Index("monitor_hours_hour", "hour"),
)

monitor_changes = sa.Table(
    "monitor_changes",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("monitor_id", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Index("monitor_changes_monitor", "monitor_id", "at"),
    sa.Index("monitor_changes_at", "at"),
)

monitor_transitions = sa.Table(
    "monitor_transitions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("monitor_id", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("monitor_transitions_monitor", "monitor_id"),
    sa.Index("monitor_transitions_at", "at"),
)

# The alerts that are to be sent (open), and that were (sent, given_up).
monitor_deliveries = sa.Table(
    "monitor_deliveries",
    metadata,
    sa.Column("id", Number, primary_key=True),
    sa.Column("transition_id", sa.String, nullable=False),
    sa.Column("monitor_id", sa.BigInteger, nullable=False),
    sa.Column("receiver", sa.String, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String),
    sa.Column("lease_until", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Index("monitor_deliveries_transition", "transition_id"),
    partial_index("monitor_deliveries_open", "monitor_id", "receiver", "id", where="state = 'open'"),
    partial_index("monitor_deliveries_due", "due", where="state = 'open'"),
)
