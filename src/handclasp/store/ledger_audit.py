"""The audit log: chained events, and signed statements about their heads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import sqlalchemy as sa

from handclasp.authority.ports import Stale
from handclasp.authority.records import ChainedEvent, Checkpoint, Event
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import event_of, upsert
from handclasp.store.schema import checkpoints, events

_AT_ONCE = 1000
_IN_ORDER = (events.c.writer, events.c.seq)

# The writers, each found by one step through the primary key, and not by reading every event.
_HEADS = sa.text(
    "WITH RECURSIVE writers(writer) AS (SELECT min(writer) FROM events UNION ALL "
    "SELECT (SELECT min(e.writer) FROM events e WHERE e.writer > w.writer) FROM writers w WHERE w.writer IS NOT NULL) "
    "SELECT e.writer, e.seq, e.hash FROM writers w JOIN events e ON e.writer = w.writer "
    "AND e.seq = (SELECT max(l.seq) FROM events l WHERE l.writer = w.writer)"
)


class AuditLog(LedgerPart):
    """Events, heads and checkpoints."""

    async def append(self, event: Event) -> None:
        """As Ledger says."""
        await self._database.write(lambda connection: self._append(connection, event))

    async def events(self, *, kind: str | None = None, subject: str | None = None) -> tuple[ChainedEvent, ...]:
        """As Ledger says."""
        query = sa.select(events).order_by(*_IN_ORDER)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        if subject is not None:
            query = query.where(events.c.subject == subject)
        return await self._events(query)

    async def all_events(self, *, after: tuple[str, int] | None = None) -> AsyncIterator[ChainedEvent]:
        """As Ledger says."""
        query = sa.select(events).order_by(*_IN_ORDER).limit(_AT_ONCE)
        while found := await self._events(query if after is None else query.where(sa.tuple_(*_IN_ORDER) > after)):
            for one in found:
                yield one
            after = (found[-1].writer, found[-1].seq)

    async def heads(self) -> dict[str, tuple[int, str]]:
        """As Ledger says."""

        def work(connection: sa.Connection) -> dict[str, tuple[int, str]]:
            return {writer: (seq, hash_) for writer, seq, hash_ in connection.execute(_HEADS)}

        return await self._database.read(work)

    async def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """As Ledger says."""
        row = {
            "number": checkpoint.number,
            "at": checkpoint.at,
            "heads": json.dumps(dict(checkpoint.heads), sort_keys=True),
            "prev": checkpoint.prev,
            "key_id": checkpoint.key_id,
            "signature": checkpoint.signature,
        }

        def work(connection: sa.Connection) -> None:
            last = int(connection.scalar(sa.select(sa.func.max(checkpoints.c.number))) or 0)
            insert = upsert(connection, checkpoints).on_conflict_do_nothing()
            if checkpoint.number != last + 1 or connection.execute(insert, row).rowcount != 1:
                raise Stale(f"the next checkpoint is not number {checkpoint.number}")

        await self._database.write(work)

    async def checkpoints(self) -> tuple[Checkpoint, ...]:
        """As Ledger says."""
        query = sa.select(checkpoints).order_by(checkpoints.c.number)

        def work(connection: sa.Connection) -> tuple[Checkpoint, ...]:
            return tuple(
                Checkpoint(row.number, row.at, _heads(row.heads), row.prev, row.key_id, row.signature)
                for row in connection.execute(query)
            )

        return await self._database.read(work)

    async def _events(self, query: sa.Select[tuple[object, ...]]) -> tuple[ChainedEvent, ...]:
        def work(connection: sa.Connection) -> tuple[ChainedEvent, ...]:
            return tuple(event_of(row) for row in connection.execute(query).mappings())

        return await self._database.read(work)


def _heads(text: str) -> dict[str, tuple[int, str]]:
    return {writer: (seq, digest) for writer, (seq, digest) in json.loads(text).items()}
