"""The whole authority: its hierarchy, held certificates, names to search by, lists, requests, checkpoints."""

from __future__ import annotations

import base64
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 1000
_KEPT = (
    "id, issuer_key_id, serial, profile, identity, dns, ips, subject, not_before, not_after, spki_sha256, state, "
    "issued_at, fingerprint, tbs, der, revoked_at, reason"
)


def upgrade() -> None:
    """Make the new tables, and fill them from what the old ones say."""
    connection = op.get_bind()
    on_postgresql = connection.dialect.name == "postgresql"
    if on_postgresql:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.alter_column("crl_numbers", "number", type_=sa.BigInteger, existing_nullable=False)
        op.alter_column("events", "seq", type_=sa.BigInteger, existing_nullable=False)
    _replace_certificates(on_postgresql)
    _create_tables()
    _fill_names(connection)
    _fill_authorities(connection)


def _replace_certificates(on_postgresql: bool) -> None:
    """A new table with the old one's rows: SQLite cannot change a CHECK."""
    for index in ("certificates_identity", "certificates_profile", "certificates_revoked"):
        op.drop_index(index, "certificates")
    op.rename_table("certificates", "certificates_0001")
    if on_postgresql:
        op.execute("ALTER TABLE certificates_0001 DROP CONSTRAINT certificates_pkey")
        op.execute("ALTER SEQUENCE certificates_id_seq RENAME TO certificates_0001_id_seq")
    op.create_table(
        "certificates",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("issuer_key_id", sa.String, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("profile", sa.String, nullable=False),
        sa.Column("identity", sa.String),
        sa.Column("dns", sa.Text, nullable=False),
        sa.Column("ips", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("tbs", sa.LargeBinary, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("reason", sa.String),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String),
        sa.Column("is_authority", sa.Boolean, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.CheckConstraint("state IN ('intended', 'issued', 'held', 'revoked')", name="certificates_state"),
    )
    op.execute(
        f"INSERT INTO certificates ({_KEPT}, shard, is_authority, names) "  # noqa: S608 - constants
        f"SELECT {_KEPT}, 0, profile IN ('root', 'issuing'), '' FROM certificates_0001"
    )
    if on_postgresql:
        op.execute(
            "SELECT setval(pg_get_serial_sequence('certificates', 'id'), coalesce(max(id), 0) + 1, false) "
            "FROM certificates"
        )
    op.drop_table("certificates_0001")
    op.create_index("certificates_identity", "certificates", ["identity", "id"])
    op.create_index("certificates_by_serial", "certificates", ["serial", "issuer_key_id"], unique=True)
    op.create_index("certificates_spki", "certificates", ["spki_sha256", "id"])
    op.create_index("certificates_profile", "certificates", ["profile", "id"])
    op.create_index("certificates_issuer", "certificates", ["issuer_key_id", "id"])
    op.create_index("certificates_expiry", "certificates", ["not_after", "state", "id"])
    _partial_index("certificates_fingerprint", ["fingerprint"], "fingerprint IS NOT NULL", unique=True)
    _partial_index("certificates_request", ["request_id"], "request_id IS NOT NULL", unique=True)
    _partial_index(
        "certificates_not_issued", ["state", "id", "profile", "issuer_key_id", "not_after"], "state <> 'issued'"
    )
    _partial_index(
        "certificates_revoked",
        ["issuer_key_id", "shard", "revoked_at", "not_after", "serial", "fingerprint", "reason"],
        "revoked_at IS NOT NULL",
    )
    if on_postgresql:
        op.execute("CREATE INDEX certificates_names ON certificates USING gin (names gin_trgm_ops)")
    else:
        # Filled in idle moments (store/searchable.py); its rowid is the certificate's id.
        op.execute("CREATE VIRTUAL TABLE certificate_names USING fts5(names, content='', tokenize='trigram')")
        op.execute(
            "CREATE TABLE certificate_blocks (block INTEGER PRIMARY KEY, first_expiry BIGINT NOT NULL, "
            "last_expiry BIGINT NOT NULL)"
        )


def _partial_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "certificates", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _create_tables() -> None:
    op.create_table(
        "authorities",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("spki_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("certificates", sa.Text, nullable=False),
        sa.Column("above", sa.Text, nullable=False),
        sa.Column("parent", sa.String),
    )
    op.create_index("authorities_spki", "authorities", ["spki_sha256"])
    op.create_table(
        "confirmations",
        sa.Column("point", sa.String, primary_key=True),
        sa.Column("authorities", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "requests",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("profile", sa.String, nullable=False),
        sa.Column("csr", sa.LargeBinary, nullable=False),
        sa.Column("identity", sa.String),
        sa.Column("dns", sa.Text, nullable=False),
        sa.Column("ips", sa.Text, nullable=False),
        sa.Column("lifetime_seconds", sa.BigInteger),
        sa.Column("principal", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.String),
    )
    op.create_index("requests_state", "requests", ["state", "at"])
    op.create_table(
        "crls",
        sa.Column("issuer_key_id", sa.String, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.Column("this_update", sa.BigInteger, nullable=False),
        sa.Column("next_update", sa.BigInteger, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "revocation_marks",
        sa.Column("issuer_key_id", sa.String, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("mark", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("heads", sa.Text, nullable=False),
        sa.Column("prev", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )


def _fill_names(connection: sa.Connection) -> None:
    some = sa.text("SELECT id, identity, dns, ips, subject FROM certificates WHERE id > :last ORDER BY id LIMIT :count")
    update = sa.text("UPDATE certificates SET names = :names WHERE id = :id")
    last = 0
    while rows := connection.execute(some, {"last": last, "count": _BATCH}).all():
        connection.execute(update, [{"id": row.id, "names": _names(row)} for row in rows])
        last = rows[-1].id


def _names(row: Any) -> str:
    names = [row.identity, row.identity.split("/", 3)[3] if row.identity.count("/") > 2 else ""] if row.identity else []
    names += [*json.loads(row.dns), *json.loads(row.ips), row.subject]
    return "".join(f"\n\n{name}" for name in names if name).lower()


def _fill_authorities(connection: sa.Connection) -> None:
    """There were two: one root, and one that issued. Their keys in custody are called so too."""
    newest = sa.text(
        "SELECT spki_sha256, issued_at, der FROM certificates WHERE profile = :name AND state = 'issued' "
        "ORDER BY issued_at DESC, id DESC LIMIT 1"
    )
    add = sa.text(
        "INSERT INTO authorities "
        "(name, role, state, key_id, spki_sha256, created_at, changed_at, certificates, above, parent) "
        "VALUES (:name, :name, 'active', :key_id, :spki, :at, :at, :certificates, '[]', :parent)"
    )
    for name, parent in (("root", None), ("issuing", "root")):
        row = connection.execute(newest, {"name": name}).first()
        if row is not None:
            connection.execute(
                add,
                {
                    "name": name,
                    "key_id": _key_id(bytes(row.der)),
                    "spki": row.spki_sha256,
                    "at": row.issued_at,
                    "certificates": json.dumps([base64.b64encode(row.der).decode()]),
                    "parent": parent,
                },
            )


def _key_id(der: bytes) -> str:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
