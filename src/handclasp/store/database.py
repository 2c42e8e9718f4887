"""The database on disk: SQLite in WAL mode, one thread that writes, one that reads.

Group commit (D7): whatever was asked for while the last transaction went to the disk goes into the next one
together, so that many writers share one wait for the disk. Each piece of work runs in a savepoint of its own,
so that one that fails undoes nothing of its neighbours; nobody is answered before the COMMIT has returned.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event

from handclasp.store.faults import refusal, unwritable
from handclasp.store.migrate import IMMEDIATE, upgrade

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

_LARGEST_BATCH = 256
_BUSY_TIMEOUT = 5000  # ms
_PRAGMAS = (
    "journal_mode = WAL",
    # FULL: a COMMIT returns when it is on the disk. NORMAL would lose the last ones in a power cut.
    "synchronous = FULL",
    "foreign_keys = ON",
    f"busy_timeout = {_BUSY_TIMEOUT}",
)


def open(path: Path) -> Database:
    """The database at ``path``, made or upgraded as needed; its directory is made too, for the owner only.

    Refused: STATE_UNWRITABLE, STATE_DAMAGED, STATE_NEWER, or STATE_IN_USE if another process holds it for long.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, which would let others read it; its -wal and -shm take the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise unwritable(path, f"{error.strerror}: {error.filename}") from error
    engine = _engine(path)
    try:
        with _refusing(path):
            upgrade(engine, path)
            writer = engine.connect().execution_options(**IMMEDIATE)
            reader = engine.connect()
            reader.exec_driver_sql("PRAGMA query_only = ON")
            reader.rollback()
    except BaseException:
        engine.dispose()
        raise
    return Database(path, engine, writer, reader)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    job: _Job
    result: Any = None
    error: BaseException | None = None


class Database:
    """An open database. Work is a callable that takes the connection; it runs in a thread, so it must be quick
    and touch nothing but the connection and its own arguments."""

    def __init__(self, path: Path, engine: sa.Engine, writer: sa.Connection, reader: sa.Connection) -> None:
        self.path = path
        self._engine = engine
        self._writer = writer
        self._reader = reader
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._open = True
        self._gate = threading.Lock()
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-reader")
        # A daemon: a program that ends without close() must not hang; what is lost was not answered.
        self._writing = threading.Thread(target=self._write_all, name="ledger-writer", daemon=True)
        self._writing.start()

    def __repr__(self) -> str:
        return f"Database({str(self.path)!r})"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def write(self, work: Work[T]) -> T:
        """What ``work`` returns, once it is on the disk; what it raises, with nothing of it written.

        Work is done in the order in which it was asked for. Cancelling the wait does not undo the work.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        with self._gate:
            if not self._open:
                raise RuntimeError(f"{self!r} is closed")
            self._jobs.put(_Job(work, loop, answer))
        return await answer

    async def read(self, work: Work[T]) -> T:
        """What ``work`` returns, run in one snapshot that has every write answered so far. It cannot write."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._read, work)

    def close(self) -> None:
        """Finish what was asked for, then close. Again: nothing."""
        with self._gate:
            if not self._open:
                return
            self._open = False
            self._jobs.put(None)
        self._writing.join()
        self._reading.shutdown()
        self._reader.close()
        self._writer.close()
        self._engine.dispose()

    def _read(self, work: Work[T]) -> T:
        with _refusing(self.path), self._reader.begin():
            return work(self._reader)

    def _write_all(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._next_batch()
            if batch:
                _answer(self._commit(batch))

    def _next_batch(self) -> tuple[list[_Job], bool]:
        """Waits for work, then takes all that is there; the second value is whether more may come."""
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == _LARGEST_BATCH:
                return batch, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[_Job]) -> list[_Outcome]:
        try:
            with self._writer.begin():
                outcomes = [self._try(job) for job in batch]
                assert _in_transaction(self._writer), "the transaction was ended by what ran in it"
            return outcomes
        except Exception as error:
            # The whole transaction is gone (the disk is full, the file is damaged), also for those whose own
            # work succeeded: nothing of it may be answered as done.
            told = refusal(error, self.path) or error
            return [_Outcome(job, error=told) for job in batch]

    def _try(self, job: _Job) -> _Outcome:
        savepoint = self._writer.begin_nested()
        try:
            result = job.work(self._writer)
        except Exception as error:
            if not _in_transaction(self._writer):
                # On some errors SQLite rolls everything back by itself (sqlite.org/lang_transaction.html, 3.1).
                raise
            savepoint.rollback()
            return _Outcome(job, error=refusal(error, self.path) or error)
        savepoint.commit()
        return _Outcome(job, result)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        if (refused := refusal(error, path)) is not None:
            raise refused from error
        raise


def _in_transaction(connection: sa.Connection) -> bool:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw.in_transaction


def _answer(outcomes: list[_Outcome]) -> None:
    """Wakes the callers: one call into each event loop, not one per outcome."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome.job.loop, []).append(outcome)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(partial(_resolve, theirs))
        except RuntimeError:
            # The loop was closed: nobody waits any more.
            continue


def _resolve(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        answer = outcome.job.answer
        if answer.done():
            continue
        if outcome.error is not None:
            answer.set_exception(outcome.error)
        else:
            answer.set_result(outcome.result)


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
