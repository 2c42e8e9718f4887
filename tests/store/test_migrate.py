"""The tables and their revisions."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from handclasp.findings import Code, Refused
from handclasp.store import database
from handclasp.store.migrate import HEAD
from handclasp.store.postgres_session import PostgresSession
from handclasp.store.schema import metadata


def _tables(path: Path) -> list[str]:
    raw = sqlite3.connect(path)
    found = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    raw.close()
    return [name for (name,) in found]


def test_head_is_the_newest_migration() -> None:
    """The constant that spares the import of Alembic is the newest revision in the folder."""
    config = Config()
    config.set_main_option("script_location", "handclasp.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    """Tables, columns, indexes and constraints of the migrations are those of schema.py."""
    path = tmp_path / "ledger.db"
    database.open(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = _differences(connection)
    engine.dispose()
    assert differences == []


def test_the_migrations_make_the_schema_on_postgresql(postgres_url: str) -> None:
    """The same there."""
    database.open(postgres_url).close()
    session = PostgresSession(postgres_url, "it")
    try:
        assert session.run(_differences) == []
    finally:
        session.close()


def _differences(connection: sa.Connection) -> object:
    def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        # The index of names: FTS5 keeps it in tables of its own. On PostgreSQL it is an index over an expression class.
        return not (name or "").startswith(("certificate_names", "certificate_blocks")) and name != "certificates_names"

    context = MigrationContext.configure(connection, opts={"include_object": ours})
    return compare_metadata(context, metadata)


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    """A revision that this version does not know: Refused(STATE_NEWER) naming it, nothing changed."""
    path = tmp_path / "ledger.db"
    database.open(path).close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.execute("DROP TABLE events")
    raw.commit()
    raw.close()
    before = path.read_bytes()
    with pytest.raises(Refused) as caught:
        database.open(path)
    assert caught.value.code is Code.STATE_NEWER
    assert "9999" in caught.value.why
    assert path.read_bytes() == before


def test_a_failing_migration_leaves_nothing(tmp_path: Path) -> None:
    """All steps are one transaction: one that cannot be finished leaves the file without any table."""
    path = tmp_path / "ledger.db"
    other = sqlite3.connect(path)
    other.execute("CREATE VIEW monitor_deliveries AS SELECT 1")  # stands where the last table of the migration goes
    other.close()
    with pytest.raises(sa.exc.OperationalError):
        database.open(path)
    assert _tables(path) == []


def test_an_up_to_date_database_opens_without_alembic(tmp_path: Path) -> None:
    """Start-up does not pay for Alembic (nor the ORM) once the tables are there."""
    path = tmp_path / "ledger.db"
    database.open(path).close()
    program = (
        "import json, sys; from pathlib import Path; from handclasp.store import database, ledger, keyfiles;"
        "database.open(Path(sys.argv[1])).close();"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules} | "
        "{name for name in sys.modules if name == 'sqlalchemy.orm'})))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True)
    assert {"alembic", "mako", "sqlalchemy.orm"} & set(json.loads(done.stdout)) == set()
