"""Requests that wait for approval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from handclasp.authority.records import Event, PendingRequest, RequestState
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import upsert
from handclasp.store.schema import requests

_FIELDS = tuple(field.name for field in fields(PendingRequest))
_COLUMNS = tuple(requests.c[name] for name in _FIELDS)


class Requests(LedgerPart):
    """Requests and decisions."""

    async def add_request(self, request: PendingRequest, event: Event) -> None:
        """As Ledger says."""
        row = {name: getattr(request, name) for name in _FIELDS} | {"state": request.state.value}

        def work(connection: sa.Connection) -> None:
            if connection.execute(upsert(connection, requests).on_conflict_do_nothing(), row).rowcount == 1:
                self._append(connection, event)

        await self._database.write(work)

    async def pending_request(self, id: str) -> PendingRequest | None:
        """As Ledger says."""
        found = await self._requests(requests.c.id == id)
        return found[0] if found else None

    async def pending_requests(self, state: RequestState | None = None) -> tuple[PendingRequest, ...]:
        """As Ledger says."""
        return await self._requests(*([] if state is None else [requests.c.state == state.value]))

    async def decide_request(
        self, id: str, *, allowed_from: frozenset[RequestState], to: RequestState, by: str, event: Event
    ) -> PendingRequest | None:
        """As Ledger says."""
        decide = (
            requests.update()
            .where(requests.c.id == id, requests.c.state.in_(sorted(state.value for state in allowed_from)))
            .values(state=to.value, decided_by=by)
            .returning(*_COLUMNS)
        )

        def work(connection: sa.Connection) -> PendingRequest | None:
            changed = connection.execute(decide).first()
            if changed is None:
                return None
            self._append(connection, event)
            return _request(changed._mapping)

        return await self._database.write(work)

    async def _requests(self, *where: sa.ColumnElement[bool]) -> tuple[PendingRequest, ...]:
        query = sa.select(*_COLUMNS).where(*where).order_by(requests.c.at, requests.c.number)

        def work(connection: sa.Connection) -> tuple[PendingRequest, ...]:
            return tuple(_request(row) for row in connection.execute(query).mappings())

        return await self._database.read(work)


def _request(row: Mapping[Any, Any]) -> PendingRequest:
    values = {name: row[name] for name in _FIELDS}
    return PendingRequest(**values | {"state": RequestState(values["state"])})
