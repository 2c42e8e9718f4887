"""The credentials for hosts, as the database has them: the keys sealed, and nothing here that could open them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from handclasp.authority.ports import Stale
from handclasp.authority.records import Event
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import upsert
from handclasp.store.schema import credentials


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """One row. ``pattern`` is in its one spelling, ``chain`` and ``ca`` are PEM (the leaf first; None: no authorities
    of its own), ``sealed`` is the private key as ``app.sealing`` seals it, ``identity`` that of our own authority where
    it is one of ours. ``not_after`` is the leaf's."""

    name: str
    pattern: str
    chain: bytes
    sealed: bytes | None = field(repr=False)
    ca: bytes | None
    identity: str | None
    created_at: datetime
    not_after: datetime


_FIELDS = tuple(one.name for one in fields(StoredCredential))
_COLUMNS = tuple(credentials.c[name] for name in _FIELDS)


class CredentialStore(LedgerPart):
    """The table of credentials. Each writing method is one transaction with its audit event."""

    async def put(self, new: StoredCredential, event: Event, *, instead_of: StoredCredential | None = None) -> None:
        """Add one, in the place of another that is there exactly so.

        Raises Stale, with nothing written, if that one is not there any more as it was, or if the name or the pattern
        of the new one belongs to yet another.
        """
        row = {name: getattr(new, name) for name in _FIELDS}

        def work(connection: sa.Connection) -> None:
            if instead_of is not None and connection.execute(_exactly(instead_of)).rowcount != 1:
                raise Stale(f"the credential {instead_of.name} was changed")
            if connection.execute(upsert(connection, credentials).on_conflict_do_nothing(), row).rowcount != 1:
                raise Stale(f"there is another credential {new.name} or one for {new.pattern}")
            self._append(connection, event)

        await self._database.write(work)

    async def remove(self, old: StoredCredential, event: Event) -> None:
        """Forget one. Raises Stale if it is not there any more as it was."""

        def work(connection: sa.Connection) -> None:
            if connection.execute(_exactly(old)).rowcount != 1:
                raise Stale(f"the credential {old.name} was changed")
            self._append(connection, event)

        await self._database.write(work)

    async def all(self) -> tuple[StoredCredential, ...]:
        """Every one, by name."""
        return await self._found()

    async def named(self, name: str) -> StoredCredential | None:
        """The one of that name."""
        found = await self._found(credentials.c.name == name)
        return found[0] if found else None

    async def for_patterns(self, patterns: Collection[str]) -> Mapping[str, StoredCredential]:
        """Those that have one of these patterns, by pattern."""
        found = await self._found(credentials.c.pattern.in_(sorted(patterns)))
        return {one.pattern: one for one in found}

    async def patterns(self) -> frozenset[str]:
        """Every pattern that there is, and nothing else of them."""

        def work(connection: sa.Connection) -> frozenset[str]:
            return frozenset(connection.scalars(sa.select(credentials.c.pattern)))

        return await self._database.read(work)

    async def _found(self, *where: sa.ColumnElement[bool]) -> tuple[StoredCredential, ...]:
        query = sa.select(*_COLUMNS).where(*where).order_by(credentials.c.name)

        def work(connection: sa.Connection) -> tuple[StoredCredential, ...]:
            return tuple(_stored(row) for row in connection.execute(query).mappings())

        return await self._database.read(work)


def _exactly(old: StoredCredential) -> sa.Delete:
    # A key is sealed under a new nonce every time, so what is sealed tells every version from every other.
    same = credentials.c.sealed.is_(None) if old.sealed is None else credentials.c.sealed == old.sealed
    return credentials.delete().where(credentials.c.name == old.name, credentials.c.pattern == old.pattern, same)


def _stored(row: Mapping[Any, Any]) -> StoredCredential:
    return StoredCredential(**{name: row[name] for name in _FIELDS})
