"""Everything in one database, copied to another: backup, restore, and the move from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.store.database import Database
from handclasp.store.schema import metadata

T = TypeVar("T")

_AT_ONCE = 500
_AHEAD = 4
_LOOK = 0.1  # seconds

_Rows = Sequence[Mapping[str, Any]]
_Batch = tuple[sa.Table, _Rows]


async def copy(source: Database, target: Database) -> dict[str, int]:
    """Copy every row of every table, and return how many each table has.

    The source is read in one snapshot, so that it may be in use; the target is written in one transaction, so that it
    has all or nothing. Rows stay as they are, the audit log's hashes too. Refused(BACKUP_UNUSABLE) if the target is
    not empty.
    """
    pipe = _Pipe()
    written, _ = await asyncio.gather(
        target.write(lambda connection: pipe.guarded(lambda: _take(connection, pipe, target.name))),
        source.read(lambda connection: pipe.guarded(lambda: _send(connection, pipe))),
    )
    return written


class _Pipe:
    """From the thread that reads to the thread that writes. When one fails, the other fails with the same error."""

    def __init__(self) -> None:
        self._queue: queue.Queue[_Batch | None] = queue.Queue(_AHEAD)
        self._error: BaseException | None = None

    def guarded(self, work: Callable[[], T]) -> T:
        """Run one of the two sides. It is not run a second time: what it took out of the pipe is gone."""
        try:
            self._look()
            return work()
        except BaseException as error:
            self._error = error
            raise

    def put(self, batch: _Batch | None) -> None:
        """Pass it on; None says that nothing follows."""
        while True:
            self._look()
            try:
                return self._queue.put(batch, timeout=_LOOK)
            except queue.Full:
                continue

    def get(self) -> _Batch | None:
        """The next one."""
        while True:
            self._look()
            try:
                return self._queue.get(timeout=_LOOK)
            except queue.Empty:
                continue

    def _look(self) -> None:
        if self._error is not None:
            raise self._error


def _send(connection: sa.Connection, pipe: _Pipe) -> None:
    """Every table, piece by piece, from the one snapshot that a read is."""
    for table in metadata.sorted_tables:
        for rows in _pieces(connection, table):
            pipe.put((table, rows))
    pipe.put(None)


def _take(connection: sa.Connection, pipe: _Pipe, name: str) -> dict[str, int]:
    _check_empty(connection, name)
    sent = dict.fromkeys(metadata.tables, 0)
    while (batch := pipe.get()) is not None:
        table, rows = batch
        connection.execute(table.insert(), list(rows))
        sent[table.name] += len(rows)
    if connection.dialect.name == "postgresql":
        _set_sequences(connection)
    written = {table.name: _count(connection, table) for table in metadata.sorted_tables}
    if written != sent:
        raise Refused(
            Code.BACKUP_UNUSABLE,
            f"{name} does not hold all of it",
            f"{sum(sent.values())} rows were sent and {sum(written.values())} are there",
            "Empty it, and copy again.",
        )
    return written


def _pieces(connection: sa.Connection, table: sa.Table) -> Iterator[_Rows]:
    key = table.primary_key.columns.values()
    query = sa.select(table).order_by(*key).limit(_AT_ONCE)
    rows = connection.execute(query).mappings().all()
    while rows:
        yield [dict(row) for row in rows]
        last = tuple(rows[-1][column] for column in key)
        rows = connection.execute(query.where(sa.tuple_(*key) > last)).mappings().all()


def _check_empty(connection: sa.Connection, name: str) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise Refused(
                Code.BACKUP_UNUSABLE,
                f"{name} cannot be filled",
                f"it is not empty: there is something in its table {table.name}",
                "Give an empty database, or a directory where there is none.",
            )


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def _set_sequences(connection: sa.Connection) -> None:
    """What PostgreSQL counts up itself goes on after what was copied."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            name = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            connection.exec_driver_sql(
                f"SELECT setval({name}, coalesce(max({column.name}), 0) + 1, false) FROM {table.name}"  # noqa: S608
            )
