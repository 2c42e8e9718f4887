"""The authorities, and who has confirmed that it trusts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from handclasp.authority.ports import Stale
from handclasp.authority.records import AuthorityRecord, AuthorityState, Confirmation, Event, Role
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import upsert
from handclasp.store.schema import authorities, confirmations

_FIELDS = tuple(field.name for field in fields(AuthorityRecord))
_COLUMNS = tuple(authorities.c[name] for name in _FIELDS)


class Authorities(LedgerPart):
    """Authorities and confirmations."""

    async def authorities(self) -> tuple[AuthorityRecord, ...]:
        """As Ledger says."""
        query = sa.select(*_COLUMNS).order_by(authorities.c.created_at, authorities.c.id)

        def work(connection: sa.Connection) -> tuple[AuthorityRecord, ...]:
            return tuple(_authority(dict(row)) for row in connection.execute(query).mappings())

        return await self._database.read(work)

    async def put_authorities(
        self, changes: Sequence[tuple[AuthorityState | None, AuthorityRecord]], events: Sequence[Event]
    ) -> None:
        """As Ledger says."""

        def work(connection: sa.Connection) -> None:
            for expected, record in changes:
                if not _put(connection, expected, record):
                    raise Stale(f"the authority {record.name} is not {expected or 'new'} any more")
            self._append(connection, *events)

        await self._database.write(work)

    async def confirm(self, confirmation: Confirmation) -> None:
        """As Ledger says."""
        what = {"authorities": tuple(sorted(confirmation.authorities)), "at": confirmation.at}

        def work(connection: sa.Connection) -> None:
            insert = upsert(connection, confirmations).values(point=confirmation.point, **what)
            connection.execute(insert.on_conflict_do_update(index_elements=["point"], set_=what))

        await self._database.write(work)

    async def confirmations(self) -> tuple[Confirmation, ...]:
        """As Ledger says."""

        def work(connection: sa.Connection) -> tuple[Confirmation, ...]:
            found = [
                Confirmation(row.point, frozenset(row.authorities), row.at)
                for row in connection.execute(sa.select(confirmations))
            ]
            # Sorted here: the order of texts in the database is up to its locale.
            return tuple(sorted(found, key=lambda confirmation: confirmation.point))

        return await self._database.read(work)

    async def forget(self, point: str, event: Event) -> bool:
        """As Ledger says."""

        def work(connection: sa.Connection) -> bool:
            gone = connection.execute(confirmations.delete().where(confirmations.c.point == point)).rowcount == 1
            if gone:
                self._append(connection, event)
            return gone

        return await self._database.write(work)


def _put(connection: sa.Connection, expected: AuthorityState | None, record: AuthorityRecord) -> bool:
    row = {name: getattr(record, name) for name in _FIELDS} | {"role": record.role.value, "state": record.state.value}
    if expected is None:
        return connection.execute(upsert(connection, authorities).on_conflict_do_nothing(), row).rowcount == 1
    c = authorities.c
    update = authorities.update().where(c.name == record.name, c.state == expected.value).values(row)
    return connection.execute(update).rowcount == 1


def _authority(row: dict[str, Any]) -> AuthorityRecord:
    return AuthorityRecord(**row | {"role": Role(row["role"]), "state": AuthorityState(row["state"])})
