"""SQLite in WAL mode: one thread that writes, one that reads."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from handclasp.store.faults import refusal, unwritable
from handclasp.store.group_commit import GroupCommit, Job, Outcome, Work
from handclasp.store.migrate import IMMEDIATE, is_current, upgrade
from handclasp.store.rows import HEADS
from handclasp.store.searchable import index_blocks, index_names

T = TypeVar("T")
_Run = Callable[[Job, sqlite3.Connection], Outcome | None]

_BUSY_TIMEOUT = 5000  # ms
_PRAGMAS = (
    "journal_mode = WAL",
    # FULL: a COMMIT returns when it is on the disk. NORMAL would lose the last ones in a power cut.
    "synchronous = FULL",
    "foreign_keys = ON",
    f"busy_timeout = {_BUSY_TIMEOUT}",
)
_INDEXED_AT_ONCE = 200
"""Certificates: few enough that whoever asks meanwhile waits some 20 ms."""


def open_sqlite(path: Path) -> SqliteDatabase:
    """The database at ``path``, made or upgraded as needed; its directory is made too, for the owner only."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, which would let others read it; its -wal and -shm take the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise unwritable(path, f"{error.strerror}: {error.filename}") from error
    engine = _engine(path)
    try:
        with _refusing(path):
            _upgrade(engine, path)
            writer = engine.connect().execution_options(**IMMEDIATE)
            reader = engine.connect()
            reader.exec_driver_sql("PRAGMA query_only = ON")
            reader.rollback()
    except BaseException:
        engine.dispose()
        raise
    return SqliteDatabase(path, engine, writer, reader)


class SqliteDatabase:
    """An open database file. What is asked for at once is one transaction; if a part fails half-way, it is run again,
    each part in a savepoint, so that one that fails undoes nothing of its neighbours."""

    dialect = "sqlite"

    def __init__(self, path: Path, engine: sa.Engine, writer: sa.Connection, reader: sa.Connection) -> None:
        self.path = path
        self.name = str(path)
        self._engine = engine
        self._writer = writer
        self._reader = reader
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-reader")
        self._writing = GroupCommit(self._commit, self._index)

    def __repr__(self) -> str:
        return f"SqliteDatabase({self.name!r})"

    def __enter__(self) -> SqliteDatabase:
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
        self._reader.close()
        self._writer.close()
        self._engine.dispose()

    def _read(self, work: Work[T]) -> T:
        with _refusing(self.path), self._reader.begin():
            return work(self._reader)

    def _commit(self, batch: list[Job]) -> list[Outcome]:
        try:
            outcomes = self._transaction(batch, self._plain) or self._transaction(batch, self._undoable)
        except Exception as error:
            # The whole transaction is gone (the disk is full, the file is damaged), also for those whose own
            # work succeeded: nothing of it may be answered as done.
            told = refusal(error, self.path) or error
            return [Outcome(job, error=told) for job in batch]
        assert outcomes is not None
        return outcomes

    def _transaction(self, batch: list[Job], run: _Run) -> list[Outcome] | None:
        """The whole batch; None, and everything undone, if it must be run again with savepoints."""
        with self._writer.begin() as transaction:
            self._writer.info[HEADS] = {}
            raw = _raw(self._writer)
            outcomes: list[Outcome] = []
            for job in batch:
                outcome = run(job, raw)
                if outcome is None:
                    transaction.rollback()
                    return None
                outcomes.append(outcome)
            assert raw.in_transaction, "the transaction was ended by what ran in it"
        return outcomes

    def _plain(self, job: Job, raw: sqlite3.Connection) -> Outcome | None:
        """Without a savepoint, which would cost as much as what is done in it; None if that does not do."""
        before = raw.total_changes
        try:
            return Outcome(job, job.work(self._writer))
        except Exception as error:
            if not raw.in_transaction:
                # On some errors SQLite rolls everything back by itself (sqlite.org/lang_transaction.html, 3.1).
                raise
            # What failed before it wrote anything (most do: a serial in use, a barred key) left nothing to undo.
            return self._failed(job, error) if raw.total_changes == before else None

    def _undoable(self, job: Job, raw: sqlite3.Connection) -> Outcome:
        raw.execute("SAVEPOINT work")
        try:
            result = job.work(self._writer)
        except Exception as error:
            if not raw.in_transaction:
                raise
            self._writer.info[HEADS] = {}
            raw.execute("ROLLBACK TO work")
            raw.execute("RELEASE work")
            return self._failed(job, error)
        raw.execute("RELEASE work")
        return Outcome(job, result)

    def _failed(self, job: Job, error: Exception) -> Outcome:
        return Outcome(job, error=refusal(error, self.path) or error)

    def _index(self) -> bool:
        try:
            with self._writer.begin():
                more = index_names(self._writer, _INDEXED_AT_ONCE)
                return index_blocks(self._writer, 1) or more
        except (sqlite3.Error, sa.exc.DBAPIError):
            # Only a search is slower; what is wrong will be said to the next one who writes.
            return False


def _upgrade(engine: sa.Engine, path: Path) -> None:
    with engine.connect() as connection:
        with connection.begin():
            if is_current(connection, str(path)):
                return
        with connection.execution_options(**IMMEDIATE).begin():
            upgrade(connection, str(path))


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        if (refused := refusal(error, path)) is not None:
            raise refused from error
        raise


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun by `begin` below and by nothing else: sqlite3's own ones leave out DDL and SELECT.
        raw.isolation_level = None
        for pragma in _PRAGMAS:
            raw.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine
