"""Search: pages of certificates, newest first, by all that a person may know of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from handclasp.authority.records import CertificateRecord, CertificateState, Page, Search
from handclasp.store.ledger_part import LedgerPart
from handclasp.store.rows import SELECT_COLUMNS, Statement, microseconds, record_of, serial_text
from handclasp.store.schema import is_serial
from handclasp.store.searchable import BLOCK, first_unblocked, index_blocks, index_names, last_indexed

_MOST = 1000
_UNINDEXED = 10_000
"""So many certificates that the index of names does not have yet are read one by one, in some 5 ms."""
_INDEXED_AT_ONCE = 1000
_FEW = 8_000
"""So many certificates, scattered over the table, can be read and looked at for one page."""
_CHEAP = 25
"""So many times as many where the index has all that is asked."""
_WALKED = 2000
_RARE = 1000
_PART = 7
_BLOCKS_AT_ONCE = 50

_Found = list[tuple[int, CertificateRecord]]


@dataclass(frozen=True, slots=True)
class _Condition:
    """A part of a WHERE clause; ``index`` is the one that finds what it holds of, in SQLite."""

    text: str
    values: tuple[Any, ...]
    index: str


class Searching(LedgerPart):
    """Search."""

    async def search(self, search: Search) -> Page:
        """As Ledger says; the newest is the one that was recorded last. ``fingerprint`` may be its beginning.

        ValueError for a limit below 1, a cursor that no page gave, or ``name_contains`` of less than 3 characters.
        """
        limit = min(search.limit, _MOST)
        if limit < 1:
            raise ValueError("a page has at least one certificate")
        before = None if search.after is None else _id(search.after)
        names = _names(search)
        if search.serial is not None and not is_serial(search.serial):
            return Page((), None)
        if any("\0" in text for text in (search.identity or "", *names)):
            return Page((), None)  # no name has one, and PostgreSQL takes none
        # One more than wanted tells whether there is another page.
        query = _Query(_conditions(search), names, before, limit + 1)
        while (found := await self._database.read(query.run)) is None:
            await self._database.write(query.catch_up)
        more = len(found) > limit
        return Page(tuple(record for _, record in found[:limit]), str(found[limit - 1][0]) if more else None)


@dataclass(frozen=True, slots=True)
class _Query:
    """What is asked for, and how each database is made to find it quickly."""

    conditions: list[_Condition]
    names: list[str]
    before: int | None
    limit: int

    def run(self, connection: sa.Connection) -> _Found | None:
        """The newest that match, at most ``limit``; None if ``catch_up`` has to be run first."""
        if connection.dialect.name == "postgresql":
            # Its planner has statistics, and its index of names (GIN) serves LIKE.
            like = [_Condition("names LIKE ?", (f"%{_escaped(name)}%",), "") for name in self.names]
            return self._select(connection, "certificates c", [*self.conditions, *like], self.before)
        return self._run_sqlite(connection)

    def _run_sqlite(self, connection: sa.Connection) -> _Found | None:
        """SQLite has no statistics, so the plan is made here.

        1. The newest certificates are read one by one; most searches fill their page so.
        2. If one condition holds of few certificates, its index finds them, and the rest is asked of each.
        3. Otherwise they are found by the index of names, or among the blocks in which something expires then.
        """
        newest = int(_newest.rows(connection, ())[0][0])
        start = newest + 1 if self.before is None else min(self.before, newest + 1)
        if any(condition.index in _EXACT for condition in self.conditions):
            return replace(self, before=start)._few_or_older(connection, newest)
        found = self._walk(connection, start, start - _WALKED)
        if len(found) == self.limit or start <= _WALKED:
            return found
        rest = replace(self, before=start - _WALKED + 1, limit=self.limit - len(found))
        older = rest._few_or_older(connection, newest)
        return None if older is None else found + older

    def _few_or_older(self, connection: sa.Connection, newest: int) -> _Found | None:
        few = self._few(connection)
        if few is not None:
            return self._select(connection, f"certificates c INDEXED BY {few.index}", self._everything(), self.before)
        known = self._known(connection, newest)
        if known is None:
            return None
        assert self.before is not None
        if known >= self.before - 1:
            return self._older(connection)
        found = self._walk(connection, self.before, known)
        if len(found) == self.limit:
            return found
        return found + replace(self, before=known + 1, limit=self.limit - len(found))._older(connection)

    def _walk(self, connection: sa.Connection, before: int, after: int) -> _Found:
        return self._select(connection, "certificates c NOT INDEXED", [*self._everything(), _after(after)], before)

    def _everything(self) -> list[_Condition]:
        return [*self.conditions, *(_Condition("instr(c.names, ?) > 0", (name,), "") for name in self.names)]

    def catch_up(self, connection: sa.Connection) -> None:
        """Index some more of what this search is for."""
        if self.names:
            index_names(connection, _INDEXED_AT_ONCE)
        else:
            index_blocks(connection, _BLOCKS_AT_ONCE)

    def _known(self, connection: sa.Connection, newest: int) -> int | None:
        """The id of the last certificate that the index for this search has; None if too many follow it."""
        if self.names:
            last, most = last_indexed(connection), _UNINDEXED
        elif self._expiry():
            last, most = first_unblocked(connection) - 1, _FEW
        else:
            return 0
        return None if newest - last > most else last

    def _expiry(self) -> list[_Condition]:
        return [condition for condition in self.conditions if condition.index == _EXPIRY]

    def _older(self, connection: sa.Connection) -> _Found:
        if self.names:
            match = self._rare(connection) or " AND ".join(map(_phrase, self.names))
            before = "" if self.before is None else f"AND n.rowid < {self.before}"
            # CROSS: the index of names gives the newest first, and the certificate of each is looked up.
            return self._ordered(
                connection,
                "certificate_names n CROSS JOIN certificates c ON c.id = n.rowid",
                [_Condition(f"certificate_names MATCH ? {before}", (match,), ""), *self._everything()],
                "n.rowid",
            )
        if not self._expiry():
            # Each of these indexes ends with the id, so it gives the newest first.
            ordered = [condition.index for condition in self.conditions if condition.index]
            source = f"INDEXED BY {ordered[0]}" if ordered else "NOT INDEXED"
            return self._select(connection, f"certificates c {source}", self.conditions, self.before)
        found: _Found = []
        for block in self._blocks(connection):
            inside = [_after(block * BLOCK - 1), *self.conditions]
            end = (block + 1) * BLOCK if self.before is None else min((block + 1) * BLOCK, self.before)
            wanted = replace(self, limit=self.limit - len(found))
            found += wanted._select(connection, "certificates c NOT INDEXED", inside, end)
            if len(found) == self.limit:
                break
        return found

    def _rare(self, connection: sa.Connection) -> str | None:
        """The part of a name that the fewest certificates have, if few have it.

        The index takes long for a long text of which each part is common, and little for its one rare part.
        """
        parts = {name[at : at + _PART] for name in self.names for at in range(0, len(name), _PART)}
        counts = [
            (int(_having.rows(connection, (_phrase(part), _RARE))[0][0]), part) for part in parts if len(part) >= 3
        ]
        count, part = min(counts)
        return _phrase(part) if count < _RARE else None

    def _blocks(self, connection: sa.Connection) -> list[int]:
        """Those in which something may expire when it should, the newest first."""
        overlap = [
            condition.text.replace("c.not_after <", "first_expiry <").replace("c.not_after >", "last_expiry >")
            for condition in self._expiry()
        ]
        values: list[Any] = [value for condition in self._expiry() for value in condition.values]
        if self.before is not None:
            overlap, values = [*overlap, "block <= ?"], [*values, (self.before - 1) // BLOCK]
        text = f"SELECT block FROM certificate_blocks WHERE {' AND '.join(overlap)} ORDER BY block DESC"  # noqa: S608
        return [int(row[0]) for row in Statement(text).rows(connection, values)]

    def _few(self, connection: sa.Connection) -> _Condition | None:
        """The condition that holds of the fewest certificates, if those are few enough to look at each."""
        candidates = [condition for condition in self.conditions if condition.index and condition.index != _EXPIRY]
        if self._expiry():
            # The two ends of a time are one condition.
            text = " AND ".join(condition.text for condition in self._expiry())
            values = tuple(value for condition in self._expiry() for value in condition.values)
            candidates.append(_Condition(text, values, _EXPIRY))
        best, least = None, _FEW
        for condition in candidates:
            count = self._count(connection, condition, least)
            if count < least:
                best, least = condition, count
        return best

    def _count(self, connection: sa.Connection, condition: _Condition, most: int) -> int:
        """How much work it is to look at what the condition holds of, up to ``most``."""
        covered = condition.index == _NOT_ISSUED and not self.names
        text = (
            f"SELECT count(*) FROM (SELECT 1 FROM certificates c INDEXED BY {condition.index} "  # noqa: S608 - constants
            f"WHERE {condition.text} LIMIT {most * _CHEAP if covered else most})"
        )
        count = int(Statement(text).rows(connection, condition.values)[0][0])
        return count // _CHEAP if covered else count

    def _select(
        self, connection: sa.Connection, source: str, conditions: list[_Condition], before: int | None
    ) -> _Found:
        earlier = [] if before is None else [_Condition("c.id < ?", (before,), "")]
        return self._ordered(connection, source, [*conditions, *earlier], "c.id")

    def _ordered(self, connection: sa.Connection, source: str, conditions: list[_Condition], order: str) -> _Found:
        where = " AND ".join(condition.text for condition in conditions) or "1 = 1"
        values = tuple(value for condition in conditions for value in condition.values)
        # The ids first: sorting must not carry the certificates along.
        text = f"SELECT {order} FROM {source} WHERE {where} ORDER BY {order} DESC LIMIT {self.limit}"  # noqa: S608
        ids = [int(row[0]) for row in Statement(text).rows(connection, values)]
        if not ids:
            return []
        marks = ", ".join("?" * len(ids))
        rows = Statement(f"SELECT id, {SELECT_COLUMNS} FROM certificates WHERE id IN ({marks})").rows(  # noqa: S608
            connection, ids
        )
        return sorted(((int(row[0]), record_of(row[1:])) for row in rows), key=lambda one: -one[0])


_EXPIRY = "certificates_expiry"
_NOT_ISSUED = "certificates_not_issued"
_EXACT = {"certificates_by_serial", "certificates_fingerprint", "certificates_spki", "certificates_identity"}
_having = Statement("SELECT count(*) FROM (SELECT 1 FROM certificate_names WHERE certificate_names MATCH ? LIMIT ?)")
_newest = Statement("SELECT coalesce(max(id), 0) FROM certificates")


def _id(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise ValueError(f"{cursor!r} is no cursor")
    return int(cursor)


def _after(id: int) -> _Condition:
    return _Condition("c.id > ?", (id,), "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _phrase(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _names(search: Search) -> list[str]:
    """What must stand in the names of a certificate (rows.names_of)."""
    texts = []
    if search.name_prefix:
        texts.append(f"\n\n{search.name_prefix.lower()}")
    if search.name_contains is not None:
        if len(search.name_contains) < 3:
            raise ValueError("a part of a name has 3 characters or more")
        texts.append(search.name_contains.lower())
    return texts


def _conditions(search: Search) -> list[_Condition]:
    """What must hold."""
    found: list[_Condition] = []

    def add(text: str, value: object, index: str) -> None:
        found.append(_Condition(text, (value,), index))

    if search.serial is not None:
        add("c.serial = ?", serial_text(search.serial), "certificates_by_serial")
    if search.fingerprint is not None:
        # "g" follows the last hex digit.
        bounds = (search.fingerprint, f"{search.fingerprint}g")
        found.append(_Condition("c.fingerprint >= ? AND c.fingerprint < ?", bounds, "certificates_fingerprint"))
    if search.spki_sha256 is not None:
        add("c.spki_sha256 = ?", search.spki_sha256, "certificates_spki")
    if search.identity is not None:
        add("c.identity = ?", search.identity, "certificates_identity")
    if search.state is CertificateState.ISSUED:
        add("c.state = ?", search.state.value, "")
    elif search.state is not None:
        # Said twice, since SQLite must see that the index, which leaves out what is issued, has them all.
        add("c.state = ? AND c.state <> 'issued'", search.state.value, _NOT_ISSUED)
    if search.profile is not None:
        add("c.profile = ?", search.profile, "certificates_profile")
    if search.issuer_key_id is not None:
        add("c.issuer_key_id = ?", search.issuer_key_id, "certificates_issuer")
    if search.expires_before is not None:
        add("c.not_after < ?", microseconds(search.expires_before), _EXPIRY)
    if search.expires_after is not None:
        add("c.not_after > ?", microseconds(search.expires_after), _EXPIRY)
    return found
