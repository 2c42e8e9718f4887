"""What every part of the ledger has."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from handclasp.authority.records import CertificateRecord, Event
from handclasp.store.database import Database
from handclasp.store.rows import SELECT_COLUMNS, Statement, add_event, record_of


class LedgerPart:
    """The database, and the name of the chain of events."""

    def __init__(self, database: Database, *, writer: str = "local") -> None:
        self._database = database
        self._writer = writer

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r}, writer={self._writer!r})"

    def _append(self, connection: sa.Connection, *events: Event) -> None:
        for event in events:
            add_event(connection, self._writer, event)

    async def _select(self, where: str, values: Sequence[object]) -> tuple[CertificateRecord, ...]:
        """The certificates of which that holds, oldest first."""
        text = f"SELECT {SELECT_COLUMNS} FROM certificates WHERE {where} ORDER BY issued_at, id"  # noqa: S608
        statement = Statement(text)

        def work(connection: sa.Connection) -> tuple[CertificateRecord, ...]:
            return tuple([record_of(row) for row in statement.rows(connection, values)])

        return await self._database.read(work)
