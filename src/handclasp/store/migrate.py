"""Brings a database to the tables of this version. Alembic is imported only when there is something to do:

importing it costs more than opening the database.
"""

from __future__ import annotations

import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.store.faults import damaged, unsuitable
from handclasp.store.schema import metadata

HEAD = "0003"
"""The newest revision in migrations/versions (a test compares)."""

IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""The connection option for transactions that write: they have the write lock from their start, so that they
cannot fail half-way because somebody else wrote first. (sqlite.py obeys it.)"""

_VERSION_TABLE = "alembic_version"
_EMPTY = "Give it a database of its own: an empty one, or the ledger of a Handclasp."
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}


def is_current(connection: sa.Connection, name: str) -> bool:
    """Whether the tables are those of this version; ``name`` is the database's in messages.

    Refused(STATE_DAMAGED; on PostgreSQL DATABASE_UNSUITABLE) for a database that is not Handclasp's or lacks tables.
    """
    tables = _tables(connection)
    revision = _revision(connection, tables)
    if revision is None and tables - {_VERSION_TABLE}:
        raise _not_ours(connection, name, "it is a database, but not one that Handclasp made")
    missing = sorted(set(metadata.tables) - tables)
    if revision == HEAD and missing:
        raise _not_ours(connection, name, f"the table {missing[0]} is missing")
    return revision == HEAD


def upgrade(connection: sa.Connection, name: str) -> None:
    """Make or upgrade the tables, in the transaction that ``connection`` has begun and that nobody else can be in.

    All steps and the version number are one transaction, so that a crash leaves the old tables.
    Refused(STATE_NEWER) for a database of a later Handclasp, else as ``is_current``.
    """
    # Asked again: somebody else may have been first.
    if not is_current(connection, name):
        _run_alembic(connection, name)


def _run_alembic(connection: sa.Connection, name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "handclasp.store:migrations")
    config.attributes["connection"] = connection
    revision = _revision(connection, _tables(connection))
    try:
        ScriptDirectory.from_config(config).get_revision(revision or HEAD)
    except CommandError:
        raise Refused(
            Code.STATE_NEWER,
            f"The ledger {name} was written by a newer Handclasp",
            f"its tables have revision {revision}, and this version knows up to {HEAD}",
            "Use the newer version, or another directory (--dir) or database.",
        ) from None
    command.upgrade(config, HEAD)


def _tables(connection: sa.Connection) -> set[str]:
    # Asked of the database itself: SQLAlchemy's inspector costs a noticeable part of the start-up.
    rows = connection.exec_driver_sql(_TABLES[connection.dialect.name])
    return {str(name) for (name,) in rows}


def _revision(connection: sa.Connection, tables: set[str]) -> str | None:
    if _VERSION_TABLE not in tables:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608 - a constant name
    return None if found is None else str(found)


def _not_ours(connection: sa.Connection, name: str, why: str) -> Refused:
    return unsuitable(name, why, _EMPTY) if connection.dialect.name == "postgresql" else damaged(name, why)
