"""PostgreSQL: what is said when it cannot be used, and that it is used again when it can."""

from __future__ import annotations

import asyncio
import socket
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.store.postgres_session import shown
from handclasp.testing.ledger_scenes import happened
from handclasp.testing.postgres import Postgres

SECRET = "s3cr3t-Pa55"


def _refused(url: str) -> Refused:
    with pytest.raises(Refused) as caught:
        database.open(url)
    return caught.value


def _everything_told(refused: Refused) -> str:
    return "".join(traceback.format_exception(refused)) + refused.what + refused.why + refused.fix


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"postgresql://ca:{SECRET}@db.example.org:5433/ledger", "postgresql://ca@db.example.org:5433/ledger"),
        (f"postgresql://ca:{SECRET}@[2001:db8::1]/ledger?sslmode=verify-full", "postgresql://ca@[2001:db8::1]/ledger"),
        (f"postgresql:///ledger?host=/run/postgresql&user=ca&password={SECRET}", "postgresql:///ledger"),
        ("postgres://db.example.org/ledger", "postgresql://db.example.org/ledger"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, expected: str) -> None:
    """User, host, port and database are shown, a password never, wherever it stands."""
    assert shown(url) == expected


@pytest.mark.parametrize("between", ["/", "?", "#", "/1:", "@", ":", "%", "/?#@"])
def test_a_password_that_breaks_the_url_is_not_shown(between: str) -> None:
    """A password with characters that should have been escaped is in no message and no traceback of ours."""
    refused = _refused(f"postgresql://ca:{SECRET}{between}{SECRET}@127.0.0.1:{_closed_port()}/ledger")
    assert refused.code is Code.DATABASE_UNREACHABLE
    assert SECRET not in _everything_told(refused)


def test_nobody_answers() -> None:
    """Refused(DATABASE_UNREACHABLE) names the place, not the password."""
    port = _closed_port()
    refused = _refused(f"postgresql://ca:{SECRET}@127.0.0.1:{port}/ledger")
    assert refused.code is Code.DATABASE_UNREACHABLE
    assert f"postgresql://ca@127.0.0.1:{port}/ledger" in refused.what
    assert SECRET not in _everything_told(refused)


def test_no_such_socket(tmp_path: Path) -> None:
    """The same for a socket that is not there."""
    assert _refused(f"postgresql://ca@/ledger?host={tmp_path}").code is Code.DATABASE_UNREACHABLE


def test_no_such_database(postgres_server: Postgres) -> None:
    """Refused(DATABASE_UNSUITABLE) says how to make it."""
    refused = _refused(postgres_server.url("nowhere"))
    assert (refused.code, refused.fix) == (Code.DATABASE_UNSUITABLE, "Make it: CREATE DATABASE.")


def test_no_such_user(postgres_server: Postgres) -> None:
    """Refused(DATABASE_UNREACHABLE)."""
    assert _refused(postgres_server.url("postgres", user="nobody_here")).code is Code.DATABASE_UNREACHABLE


def test_a_user_without_rights(postgres_server: Postgres, postgres_url: str) -> None:
    """Without the right to make the extension: Refused(DATABASE_UNSUITABLE) with the command; with the extension there
    but no right to make tables: the same code; with both it opens."""
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
    user = f"plain_{name}"
    postgres_server.sql(f"CREATE ROLE {user} LOGIN")
    try:
        url = postgres_server.url(name, user=user)
        refused = _refused(url)
        assert refused.code is Code.DATABASE_UNSUITABLE
        assert "CREATE EXTENSION pg_trgm" in refused.fix
        postgres_server.sql("CREATE EXTENSION pg_trgm", database=name)
        assert _refused(url).code is Code.DATABASE_UNSUITABLE
        postgres_server.sql(f"GRANT CREATE ON SCHEMA public TO {user}", database=name)
        database.open(url).close()
    finally:
        postgres_server.sql(f"DROP OWNED BY {user}; DROP ROLE {user}", database=name)


def test_a_database_of_others_is_left_alone(postgres_server: Postgres, postgres_url: str) -> None:
    """Tables that are not ours: Refused(DATABASE_UNSUITABLE), nothing added."""
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
    postgres_server.sql("CREATE TABLE bookmarks (url text)", database=name)
    assert _refused(postgres_url).code is Code.DATABASE_UNSUITABLE
    assert postgres_server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=name) == "1"


def test_another_encoding(postgres_server: Postgres) -> None:
    """Names can have any character, so the database must be able to keep them."""
    postgres_server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    refused = _refused(postgres_server.url("latin"))
    assert (refused.code, refused.why) == (Code.DATABASE_UNSUITABLE, "its encoding is LATIN1")


def test_a_lost_connection_is_made_again(postgres_server: Postgres, postgres_url: str) -> None:
    """When the server ended the connections between two calls, the next call does not notice."""
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]

    async def scene() -> None:
        with database.open(postgres_url) as opened:
            ledger = SqlLedger(opened)
            await ledger.append(happened("before"))
            await ledger.heads()
            postgres_server.sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'", database="postgres"
            )
            await ledger.append(happened("after"))
            assert [found.event.kind for found in await ledger.events()] == ["before", "after"]

    asyncio.run(scene())


def test_deadlocks_are_tried_again(postgres_url: str) -> None:
    """Two processes that lock the same rows the other way round: both end with what they wanted."""

    def add(first: str, second: str) -> object:
        def work(connection: sa.Connection) -> None:
            for name in (first, second):
                connection.execute(
                    sa.text("UPDATE crl_numbers SET number = number + 1 WHERE issuer_key_id = :name"), {"name": name}
                )
                connection.exec_driver_sql("SELECT pg_sleep(0.3)")

        return work

    async def scene() -> list[int]:
        with database.open(postgres_url) as one, database.open(postgres_url) as two:
            await one.write(lambda c: c.exec_driver_sql("INSERT INTO crl_numbers VALUES ('a', 0), ('b', 0)").close())
            await asyncio.gather(one.write(add("a", "b")), two.write(add("b", "a")))  # type: ignore[arg-type]
            return list(await one.read(lambda c: c.scalars(sa.text("SELECT number FROM crl_numbers")).all()))

    assert asyncio.run(scene()) == [2, 2]


def test_readers_cannot_write(postgres_url: str) -> None:
    """A read runs in a transaction that refuses to change anything."""

    async def scene() -> None:
        with database.open(postgres_url) as opened, pytest.raises(Refused):
            await opened.read(lambda c: c.exec_driver_sql("DELETE FROM events"))

    asyncio.run(scene())


def test_repr_shows_no_password(postgres_url: str) -> None:
    """Neither the database nor the ledger shows more than its name."""
    url = f"{postgres_url}&password={SECRET}"
    with database.open(url) as opened:
        assert repr(SqlLedger(opened)) == f"SqlLedger(PostgresDatabase({shown(url)!r}), writer='local')"
        assert SECRET not in repr(opened)
