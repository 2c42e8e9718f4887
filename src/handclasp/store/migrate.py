"""Brings a database to the tables of this version. Alembic is imported only when there is something to do:

importing it costs more than opening the database.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.store.faults import damaged
from handclasp.store.schema import metadata

HEAD = "0001"
"""The newest revision in migrations/versions (a test compares)."""

IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
"""The connection option for transactions that write: they have the write lock from their start, so that they
cannot fail half-way because somebody else wrote first. (database.py obeys it.)"""

_VERSION_TABLE = "alembic_version"


def upgrade(engine: sa.Engine, path: Path) -> None:
    """Make or upgrade the tables; ``path`` is for the messages.

    All steps and the version number are one transaction, so that a crash leaves the old tables.
    Refused(STATE_NEWER) for a database of a later Handclasp, Refused(STATE_DAMAGED) for one that is not
    Handclasp's or lacks tables.
    """
    with engine.connect() as connection:
        with connection.begin():
            if _is_current(connection, path):
                return
        with connection.execution_options(**IMMEDIATE).begin():
            # Asked again, now that nobody else can be at it.
            if not _is_current(connection, path):
                _run_alembic(connection, path)


def _is_current(connection: sa.Connection, path: Path) -> bool:
    tables = _tables(connection)
    revision = _revision(connection, tables)
    if revision is None and tables - {_VERSION_TABLE}:
        raise damaged(path, "it is a database, but not one that Handclasp made")
    missing = sorted(set(metadata.tables) - tables)
    if revision == HEAD and missing:
        raise damaged(path, f"the table {missing[0]} is missing")
    return revision == HEAD


def _run_alembic(connection: sa.Connection, path: Path) -> None:
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
            f"The ledger {path} was written by a newer Handclasp",
            f"its tables have revision {revision}, and this version knows up to {HEAD}",
            "Use the newer version, or choose another directory with --dir.",
        ) from None
    command.upgrade(config, HEAD)


def _tables(connection: sa.Connection) -> set[str]:
    # Asked of SQLite itself: SQLAlchemy's inspector costs a noticeable part of the start-up.
    rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {str(name) for (name,) in rows}


def _revision(connection: sa.Connection, tables: set[str]) -> str | None:
    if _VERSION_TABLE not in tables:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608 - a constant name
    return None if found is None else str(found)
