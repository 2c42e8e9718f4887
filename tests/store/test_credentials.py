"""The table of credentials, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handclasp.authority.ports import Stale
from handclasp.authority.records import Event
from handclasp.store import database
from handclasp.store.credentials import CredentialStore, StoredCredential
from handclasp.store.ledger import SqlLedger

if TYPE_CHECKING:
    from handclasp.store.database import Database

NOW = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
EVENT = Event(NOW, "credential.added", "acme", {"by": "operator"})
ACME = StoredCredential(
    "acme", "*.acme.com", b"chain", b"\x01sealed\x00\xff", b"ca", None, NOW, NOW + timedelta(days=30)
)
OURS = StoredCredential(
    "ours", "api.acme.com:8443", b"chain 2", b"\x01other", None, "spiffe://example.org/monitor", NOW, NOW
)
Open = Callable[[], "Database"]


@contextmanager
def sqlite(tmp_path: Path, _: pytest.FixtureRequest) -> Iterator[Open]:
    """A database in a file."""
    yield lambda: database.open(tmp_path / "ledger.db")


@contextmanager
def postgresql(_: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """A database of a server."""
    url: str = request.getfixturevalue("postgres_url")
    yield lambda: database.open(url)


@pytest.fixture(params=[sqlite, postgresql], ids=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the database of this test: again and again the same."""
    with request.param(tmp_path, request) as found:
        yield found


def test_what_is_put_is_found_and_replaced_and_removed(opened: Open) -> None:
    """As it was, also by another process; each change with its event."""

    async def scenario() -> None:
        with opened() as one, opened() as two:
            here, there = CredentialStore(one), CredentialStore(two)
            assert (await here.all(), await here.patterns()) == ((), frozenset())
            await here.put(OURS, EVENT)
            await here.put(ACME, EVENT)
            assert await there.all() == (ACME, OURS)
            assert await there.patterns() == {ACME.pattern, OURS.pattern}
            assert (await there.named("ours"), await there.named("*.acme.com")) == (OURS, None)
            asked = ["*.acme.com", "api.acme.com", "*.acme.com:8443"]
            assert await there.for_patterns(asked) == {ACME.pattern: ACME}
            assert await there.for_patterns([]) == {}
            renamed = replace(ACME, name="acme-2", sealed=b"\x01anew", ca=None)
            await there.put(renamed, replace(EVENT, kind="credential.replaced"), instead_of=ACME)
            assert await here.all() == (renamed, OURS)
            await here.remove(renamed, replace(EVENT, kind="credential.removed"))
            assert await there.all() == (OURS,)
            events = await SqlLedger(one, writer="local").events(subject="acme")
            kinds = [found.event.kind for found in events]
            assert kinds == ["credential.added", "credential.added", "credential.replaced", "credential.removed"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("new", "instead_of"),
    [
        (replace(ACME, pattern="other.example"), None),
        (replace(ACME, name="other"), None),
        (replace(ACME, sealed=b"\x01anew"), replace(ACME, sealed=b"\x01not this")),
        (replace(ACME, sealed=b"\x01anew"), replace(ACME, sealed=None)),
        (replace(ACME, name="ours"), ACME),
        (replace(OURS, name="third"), replace(OURS, name="third")),
    ],
    ids=["name", "pattern", "changed", "no key", "the name of another", "gone"],
)
def test_nothing_is_lost_by_two_at_once(
    tmp_path: Path, new: StoredCredential, instead_of: StoredCredential | None
) -> None:
    """Stale; both are there as they were, and no event says otherwise."""

    async def scenario() -> None:
        with database.open(tmp_path / "ledger.db") as one:
            store = CredentialStore(one)
            await store.put(ACME, EVENT)
            await store.put(OURS, EVENT)
            with pytest.raises(Stale):
                await store.put(new, EVENT, instead_of=instead_of)
            with pytest.raises(Stale):
                await store.remove(replace(ACME, sealed=b"\x01not this"), EVENT)
            assert await store.all() == (ACME, OURS)
            assert len(await SqlLedger(one, writer="local").events()) == 2

    asyncio.run(scenario())


def test_only_one_of_many_wins(opened: Open) -> None:
    """Ten who replace the same one at the same time, over two connections: one does."""

    async def scenario() -> None:
        with opened() as one, opened() as two:
            await CredentialStore(one).put(ACME, EVENT)
            new = [replace(ACME, sealed=b"\x01" + bytes([number])) for number in range(10)]
            done = await asyncio.gather(
                *(
                    CredentialStore((one, two)[number % 2]).put(each, EVENT, instead_of=ACME)
                    for number, each in enumerate(new)
                ),
                return_exceptions=True,
            )
            assert [type(each) for each in done if each is not None] == [Stale] * 9
            assert await CredentialStore(two).all() == (new[done.index(None)],)

    asyncio.run(scenario())


def test_what_is_sealed_is_not_shown() -> None:
    """Not even that, where a row is written somewhere."""
    assert "sealed" not in repr(ACME)
