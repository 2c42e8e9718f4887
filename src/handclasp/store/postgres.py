"""PostgreSQL: any number of processes at one database, each with one connection that writes and a few that read.

The same work runs here as on SQLite, so each thread has an event loop of its own for the driver (asyncpg), and
SQLAlchemy lets it wait where it calls the database. Transactions read what is committed; what must not change between
reading and writing is one statement, or in its condition.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa

from handclasp.store.faults import postgres_refusal, sqlstate, unreachable, unsuitable
from handclasp.store.group_commit import GroupCommit, Job, Outcome, Work
from handclasp.store.migrate import is_current, upgrade
from handclasp.store.postgres_session import Disconnected, PostgresSession, shown

T = TypeVar("T")

_READERS = 4
_OLDEST = 130000
"""PostgreSQL 13: the first where pg_trgm needs no superuser."""
_AGAIN = {"40001", "40P01"}
"""Serialization failure and deadlock: the transaction is gone, and may well succeed the next time."""
_TRIES = 10
_PAUSE = 0.02  # seconds
_UPGRADE_LOCK = 0x68616E64  # any number that only we use
_CREATE_TRIGRAMS = "As a superuser of that database run: CREATE EXTENSION pg_trgm;"


def open_postgres(url: str) -> PostgresDatabase:
    """The database at the URL, its tables made or upgraded as needed."""
    name = shown(url)
    _elsewhere(lambda: _prepare(url, name))
    return PostgresDatabase(url, name)


class PostgresDatabase:
    """An open database. What is asked for at once is one transaction; if a part fails, it is run again, each part in
    a savepoint, so that one that fails undoes nothing of its neighbours."""

    dialect = "postgresql"

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self._url = url
        self._writer = PostgresSession(url, name)
        self._local = threading.local()
        self._readers: list[PostgresSession] = []
        self._reading = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="ledger-reader")
        self._writing = GroupCommit(self._commit)

    def __repr__(self) -> str:
        return f"PostgresDatabase({self.name!r})"

    def __enter__(self) -> PostgresDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def write(self, work: Work[T]) -> T:
        """As Database says."""
        return await self._writing.write(work)

    async def read(self, work: Work[T]) -> T:
        """As Database says."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    def close(self) -> None:
        """As Database says."""
        if not self._writing.close():
            return
        self._reading.shutdown()
        _elsewhere(self._close_sessions)

    def _close_sessions(self) -> None:
        for session in (self._writer, *self._readers):
            session.close()

    def _read(self, work: Work[T]) -> T:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = PostgresSession(self._url, self.name, read_only=True)
            self._readers.append(session)
        return self._again(lambda: session.run(work))

    def _commit(self, batch: list[Job]) -> list[Outcome]:
        try:
            try:
                return self._again(lambda: self._writer.run(_all, batch))
            except _OneFailed:
                return self._again(lambda: self._writer.run(_each, batch, self.name))
        except Exception as error:
            return [Outcome(job, error=error) for job in batch]

    def _again(self, transaction: Callable[[], T]) -> T:
        """Repeat what another process made impossible, and what a connection that had died could not do."""
        for tried in range(1, _TRIES + 1):
            try:
                return transaction()
            except Disconnected:
                if tried > 2:
                    raise unreachable(self.name, "the connection was closed") from None
            except sa.exc.DBAPIError as error:
                if sqlstate(error) not in _AGAIN or tried == _TRIES:
                    raise postgres_refusal(error, self.name) or error from None
            time.sleep(_PAUSE * tried)
        raise AssertionError("the last try returns or raises")


class _OneFailed(Exception):
    """One of the batch failed, and everything was rolled back."""


def _elsewhere(work: Callable[[], T]) -> T:
    """Run it in a thread: the caller may be in an event loop, and a session runs one of its own."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(work).result()


def _prepare(url: str, name: str) -> None:
    session = PostgresSession(url, name)
    try:
        session.run(_check, name)
        if not session.run(is_current, name):
            session.run(_upgrade, name)
    except sa.exc.DBAPIError as error:
        raise postgres_refusal(error, name) or error from None
    except Disconnected:
        raise unreachable(name, "the connection was closed") from None
    finally:
        session.close()


def _all(connection: sa.Connection, batch: list[Job]) -> list[Outcome]:
    try:
        return [Outcome(job, job.work(connection)) for job in batch]
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or sqlstate(error) in _AGAIN or not sqlstate(error):
            raise
        raise _OneFailed from error
    except Exception as error:
        raise _OneFailed from error


def _each(connection: sa.Connection, batch: list[Job], name: str) -> list[Outcome]:
    return [_one(connection, job, name) for job in batch]


def _one(connection: sa.Connection, job: Job, name: str) -> Outcome:
    savepoint = connection.begin_nested()
    try:
        result = job.work(connection)
    except Exception as error:
        if isinstance(error, sa.exc.DBAPIError) and (sqlstate(error) in _AGAIN or not sqlstate(error)):
            raise
        savepoint.rollback()
        return Outcome(job, error=postgres_refusal(error, name) or error)
    savepoint.commit()
    return Outcome(job, result)


def _check(connection: sa.Connection, name: str) -> None:
    """Refused(DATABASE_UNSUITABLE) for what would only show later."""
    version = int(str(connection.exec_driver_sql("SHOW server_version_num").scalar()))
    if version < _OLDEST:
        why = f"it is PostgreSQL {version // 10000}, and {_OLDEST // 10000} or newer is needed"
        raise unsuitable(name, why, "Use a newer server.")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise unsuitable(
            name, f"its encoding is {encoding}", "Make another: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0."
        )
    if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
        raise unsuitable(name, "it is a standby and can only be read", "Give the address of the primary server.")


def _upgrade(connection: sa.Connection, name: str) -> None:
    # Of processes that start together one makes the tables; the lock ends with the transaction.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
    if is_current(connection, name):
        return
    _make_trigrams(connection, name)
    upgrade(connection, name)


def _make_trigrams(connection: sa.Connection, name: str) -> None:
    """The extension pg_trgm, for the search by name."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError as error:
        if sqlstate(error) == "42501":
            why = "the extension pg_trgm is not there, and this user may not create it"
            raise unsuitable(name, why, _CREATE_TRIGRAMS) from None
        if sqlstate(error) in {"0A000", "58P01"}:
            why = "the server does not have the extension pg_trgm"
            raise unsuitable(name, why, "Install it there (Debian: postgresql-contrib).") from None
        raise
