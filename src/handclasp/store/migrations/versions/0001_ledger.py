"""The ledger: certificates, CRL numbers and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Written out, and not taken from schema.py: a migration never changes once released."""
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, primary_key=True),
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
        sa.Column("fingerprint", sa.String(64), unique=True),
        sa.Column("tbs", sa.LargeBinary, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("reason", sa.String),
        sa.UniqueConstraint("issuer_key_id", "serial", name="certificates_issuer_serial"),
        sa.CheckConstraint("state IN ('intended', 'issued', 'revoked')", name="certificates_state"),
    )
    op.create_index("certificates_identity", "certificates", ["identity", "issued_at"])
    op.create_index("certificates_profile", "certificates", ["profile", "issued_at"])
    op.create_index("certificates_revoked", "certificates", ["issuer_key_id", "revoked_at"])
    op.create_table(
        "crl_numbers",
        sa.Column("issuer_key_id", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("writer", sa.String, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("prev", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("events_kind", "events", ["kind"])
    op.create_index("events_subject", "events", ["subject"])
