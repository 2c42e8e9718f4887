"""Monitoring: credentials for hosts, monitors and how they stand, what was found, and the alerts that go out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the new tables; the old ones stay as they are."""
    op.create_table(
        "credentials",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("pattern", sa.String, nullable=False, unique=True),
        sa.Column("chain", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("ca", sa.LargeBinary),
        sa.Column("identity", sa.String),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "monitors",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("origin", sa.String, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
    )
    op.create_table(
        "monitor_standings",
        sa.Column("monitor_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("since", sa.BigInteger),
        sa.Column("evidence_id", sa.BigInteger),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_latency", sa.BigInteger),
        sa.Column("last_attempts", sa.Integer, nullable=False),
        postgresql_with={"fillfactor": 50, "autovacuum_vacuum_scale_factor": 0.05},
    )
    _partial_index("monitor_standings_due", "monitor_standings", ["due"], "NOT paused")
    op.create_table(
        "monitor_evidence",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("last_used", sa.BigInteger, nullable=False),
    )
    op.create_index("monitor_evidence_last_used", "monitor_evidence", ["last_used"])
    op.create_table(
        "monitor_results",
        sa.Column("monitor_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        postgresql_with={"fillfactor": 15, "autovacuum_vacuum_scale_factor": 0.05},
    )
    op.create_index("monitor_results_hour", "monitor_results", ["hour"])
    op.create_table(
        "monitor_hours",
        sa.Column("monitor_id", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("ok", sa.Integer, nullable=False),
        sa.Column("warning", sa.Integer, nullable=False),
        sa.Column("critical", sa.Integer, nullable=False),
        sa.Column("timed", sa.Integer, nullable=False),
        sa.Column("latency_sum", sa.BigInteger, nullable=False),
        sa.Column("latency_min", sa.BigInteger),
        sa.Column("latency_max", sa.BigInteger),
    )
    op.create_index("monitor_hours_hour", "monitor_hours", ["hour"])
    op.create_table(
        "monitor_changes",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("monitor_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
    )
    op.create_index("monitor_changes_monitor", "monitor_changes", ["monitor_id", "at"])
    op.create_index("monitor_changes_at", "monitor_changes", ["at"])
    op.create_table(
        "monitor_transitions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("monitor_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("monitor_transitions_monitor", "monitor_transitions", ["monitor_id"])
    op.create_index("monitor_transitions_at", "monitor_transitions", ["at"])
    op.create_table(
        "monitor_deliveries",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("transition_id", sa.String, nullable=False),
        sa.Column("monitor_id", sa.BigInteger, nullable=False),
        sa.Column("receiver", sa.String, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("sent_at", sa.BigInteger),
    )
    op.create_index("monitor_deliveries_transition", "monitor_deliveries", ["transition_id"])
    _partial_index("monitor_deliveries_open", "monitor_deliveries", ["monitor_id", "receiver", "id"], "state = 'open'")
    _partial_index("monitor_deliveries_due", "monitor_deliveries", ["due"], "state = 'open'")


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
