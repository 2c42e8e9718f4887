"""Copying a ledger from one database to another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from handclasp.authority.audit import verify
from handclasp.authority.records import CertificateState, Checkpoint, Confirmation, CrlRecord, PendingRequest, Search
from handclasp.findings import Code, Refused
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Claim, Outcome, Retention
from handclasp.monitor.results import Change
from handclasp.store import database
from handclasp.store.database import Database
from handclasp.store.ledger import SqlLedger
from handclasp.store.monitors import SqlMonitors
from handclasp.store.schema import credentials, metadata
from handclasp.store.transfer import copy
from handclasp.testing import monitor_contract_scenes as monitoring
from handclasp.testing.ledger_scenes import ALICE, ISSUER, NOON, authority, change, happened, intended, issued, put
from handclasp.testing.monitor_contract_scenes import bad, check, claimed, good, moved, outcome, watch, watched

Opener = Callable[[str], Database]


@pytest.fixture
def opener(tmp_path: Path, postgres_url: str) -> Opener:
    """Opens the SQLite file or the PostgreSQL of this test."""
    return lambda kind: database.open(postgres_url if kind == "postgresql" else tmp_path / f"{kind}.db")


async def _fill(ledger: SqlLedger) -> None:
    """Something in every table."""
    many = [issued(intended(n, identity=f"{ALICE}/{n}")) for n in range(1, 1201)]
    await asyncio.gather(*(put(ledger, one) for one in many))
    await put(ledger, intended(2000))
    await put(ledger, issued(replace(intended((1 << 159) - 1, identity=None), request_id="order/1", is_authority=True)))
    await change(ledger, 7, CertificateState.REVOKED)
    await ledger.put_authorities([(None, authority("root")), (None, authority("issuing"))], [happened("made")])
    await ledger.confirm(Confirmation("gateway/main", frozenset({"root"}), NOON))
    await ledger.add_request(
        PendingRequest("order/2", "server", b"csr", None, (), ("::1",), None, "operator", NOON), happened("asked")
    )
    number = await ledger.next_crl_number(ISSUER, NOON)
    await ledger.record_crl(CrlRecord(ISSUER, 0, number, 1, NOON, NOON + timedelta(days=1), b"list"))
    heads = await ledger.heads()
    await ledger.add_checkpoint(Checkpoint(1, NOON, heads, "ab" * 32, "cd" * 20, b"signed"))


async def _fill_monitoring(opened: Database) -> None:
    """Something in every table of monitoring, and more than one piece of results."""
    store = SqlMonitors(opened)
    names = [f"m{number}" for number in range(700)]
    await watch(store, *(watched(name) for name in names))
    claims = await store.claim("worker", monitoring.NOON, monitoring.LEASE, 1000)
    results = [good(claim.standing.monitor.name, monitoring.NOON) for claim in claims]
    await store.complete([outcome(claim, result) for claim, result in zip(claims, results, strict=True)], {})
    await store.prune(monitoring.NOON + timedelta(days=8), Retention(history=timedelta(days=9)))
    claims = await store.claim("worker", monitoring.NOON + monitoring.MINUTE, monitoring.LEASE, 690)
    await store.complete([_failed(claim) for claim in claims], {claims[0].standing.monitor.name: ["mail"]})
    credential = {"name": "partner", "pattern": "*.partner.example", "chain": b"PEM", "created_at": NOON}
    await opened.write(
        lambda connection: connection.execute(credentials.insert(), credential | {"not_after": NOON}).close()
    )


def _failed(claim: Claim) -> Outcome:
    name = claim.standing.monitor.name
    result = bad(name, claim.due)
    change = Change(name, claim.due, "state", "ok", "critical")
    return outcome(claim, result, changes=(change,), transition=moved(result, State.OK))


async def _rows(opened: Database) -> dict[str, list[tuple[object, ...]]]:
    def work(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in metadata.sorted_tables
        }

    return await opened.read(work)


@pytest.mark.parametrize(
    "way",
    [("one", "two"), ("one", "postgresql"), ("one", "postgresql", "two")],
    ids=["sqlite-to-sqlite", "sqlite-to-postgresql", "and-back"],
)
def test_copies_everything(opener: Opener, way: tuple[str, ...]) -> None:
    """Every row of every table is there, the log verifies, the search finds, and the ledger goes on."""

    async def scene() -> None:
        with opener(way[0]) as first:
            await _fill(SqlLedger(first))
            await _fill_monitoring(first)
            before = await _rows(first)
        for one, other in pairwise(way):
            with opener(one) as source, opener(other) as target:
                counts = await copy(source, target)
                assert counts == {name: len(rows) for name, rows in before.items()}
                assert min(counts.values()) > 0
        with opener(way[-1]) as last:
            ledger = SqlLedger(last)
            assert await _rows(last) == before
            heads = verify(await ledger.events())
            assert {writer: (head.count, head.hash) for writer, head in heads.items()} == await ledger.heads()
            found = await ledger.search(Search(name_contains="alice/77", limit=50))
            assert sorted(record.serial for record in found.records) == [77, *range(770, 780)]
            await put(ledger, issued(intended(3000)))
            assert (await ledger.search(Search(limit=1))).records == (issued(intended(3000)),)
            await ledger.put_authorities([(None, authority("issuing-2"))], [happened("made")])
            verify(await ledger.events())
            await _goes_on(SqlMonitors(last))

    asyncio.run(scene())


async def _goes_on(store: SqlMonitors) -> None:
    """Monitoring, where it was copied to: what is new gets numbers that nothing has yet."""
    await store.put(watched("new"), monitoring.NOON)
    assert list(await claimed(store)) == ["new"]
    assert len(await store.standings()) == 701
    result = bad("m1", monitoring.NOON + timedelta(hours=1))
    await check(store, result, before=State.OK, receivers=["pager"])
    assert (await store.results("m1"))[0] == result
    deliveries = await store.claim_deliveries("worker", result.at, monitoring.LEASE, 10)
    assert sorted(one.receiver for one in deliveries) == ["mail", "pager"]


@pytest.mark.parametrize("kind", ["two", "postgresql"])
def test_only_into_an_empty_one(opener: Opener, kind: str) -> None:
    """Refused(BACKUP_UNUSABLE), and what is there stays as it was."""

    async def scene() -> None:
        with opener("one") as source, opener(kind) as target:
            await _fill(SqlLedger(source))
            await SqlLedger(target).append(happened("noted"))
            before = await _rows(target)
            with pytest.raises(Refused) as caught:
                await copy(source, target)
            assert caught.value.code is Code.BACKUP_UNUSABLE
            assert await _rows(target) == before
            await SqlLedger(source).append(happened("goes on"))

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["two", "postgresql"])
def test_all_or_nothing(opener: Opener, kind: str) -> None:
    """If the source cannot be read to its end, nothing is in the target."""

    async def scene() -> None:
        with opener("one") as source, opener(kind) as target:
            await _fill(SqlLedger(source))
            await source.write(lambda connection: connection.exec_driver_sql("DROP TABLE revocation_marks"))
            with pytest.raises(sa.exc.OperationalError):
                await copy(source, target)
            assert set(map(len, (await _rows(target)).values())) == {0}

    asyncio.run(scene())


def test_a_source_in_use_is_copied_as_it_was(opener: Opener) -> None:
    """What is written while it is copied is not in the copy, and the copy's log verifies."""

    async def scene() -> None:
        with opener("one") as source, opener("two") as target:
            ledger = SqlLedger(source)
            await _fill(ledger)
            copying = asyncio.ensure_future(copy(source, target))
            while not copying.done():
                await ledger.append(happened("meanwhile"))
            await copying
            log = await SqlLedger(target).events()
            verify(log)
            assert log == (await ledger.events())[: len(log)]

    asyncio.run(scene())
