"""What the store of monitoring does beyond the contract: clocks, versions, what it keeps and forgets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from handclasp.findings import Code, Refused
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Retention, Standing
from handclasp.monitor.records_json import FORMAT, evidence_to_json
from handclasp.store import database
from handclasp.store.database import Database
from handclasp.store.monitors import SqlMonitors
from handclasp.store.rows import microseconds
from handclasp.store.schema import (
    metadata,
    monitor_deliveries,
    monitor_evidence,
    monitor_hours,
    monitor_results,
    monitor_standings,
    monitor_transitions,
    monitors,
)
from handclasp.testing.monitor_contract_scenes import (
    HOSTILE,
    LEASE,
    MINUTE,
    NOON,
    OVER,
    bad,
    check,
    claimed,
    good,
    outcome,
    standing,
    watch,
    watched,
)
from handclasp.testing.postgres import Postgres

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LATER = NOON + HOUR
DATABASE = "monitoring_sql"
TABLES = [name for name in metadata.tables if name.startswith("monitor")]

Play = Callable[[Callable[[SqlMonitors, Database], Awaitable[None]]], None]


def _url(server: Postgres) -> str:
    if server.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
        server.sql(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY", database=DATABASE)
    else:
        server.create(DATABASE, template="with_tables")
    return server.url(DATABASE)


@pytest.fixture(params=["sqlite", "postgresql"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Runs a scenario on a store with nothing in it."""
    target: Path | str = tmp_path / "ledger.db"
    if request.param == "postgresql":
        target = _url(request.getfixturevalue("postgres_server"))

    def run(scenario: Callable[[SqlMonitors, Database], Awaitable[None]]) -> None:
        async def scene() -> None:
            with database.open(target) as opened:
                await scenario(SqlMonitors(opened), opened)

        asyncio.run(scene())

    return run


async def _count(opened: Database, table: sa.Table) -> int:
    return await opened.read(lambda c: int(c.scalar(sa.select(sa.func.count()).select_from(table)) or 0))


async def _execute(opened: Database, statement: sa.Executable) -> None:
    await opened.write(lambda connection: connection.execute(statement).close())


def test_the_same_evidence_is_kept_once(play: Play) -> None:
    """A thousand results that found the same are one row of evidence, and one of results for each hour."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"))
        for number in range(100):
            await check(store, good("a", NOON + number * MINUTE, seconds=number / 1000))
        await check(store, bad("a", NOON + 100 * MINUTE))
        assert await _count(opened, monitor_evidence) == 2
        assert await _count(opened, monitor_results) == 2
        assert len(await store.results("a", limit=1000)) == 101

    play(scenario)


def test_evidence_goes_when_nothing_refers_to_it(play: Play) -> None:
    """Not before, however old it is; and that of the last result stays for as long as the monitor is there."""
    story = [good("a", NOON + day * DAY) if day < 6 else bad("a", NOON + day * DAY) for day in range(18)]

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"), watched("b"))
        last = replace(good("b", NOON), summary="The only one.")
        await check(store, last)
        for day, result in enumerate(story):
            await check(store, result)
            await store.prune(result.at, Retention())
            # Of 7 days and a whole hour, since an hour is forgotten as one.
            assert await store.results("a", limit=1000) == tuple(reversed(story[max(day - 7, 0) : day + 1]))
        assert (await standing(store, "b")).last == last
        bodies = await opened.read(lambda c: c.scalars(sa.select(monitor_evidence.c.body)).all())
        # Each failure has evidence of its own, with the time when the endpoint was last seen; all were good before.
        assert set(bodies) == {evidence_to_json(one) for one in (last, *story[8:])}

    play(scenario)


def test_a_late_result_joins_the_hour_that_was_rolled_up(play: Play) -> None:
    """A worker that was stopped for days writes what it found then, if nobody else has."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"), watched("b"))
        for name, seconds in (("a", 0.5), ("b", None)):
            await check(store, good(name, NOON, seconds=seconds))
        await store.prune(NOON + 8 * DAY, Retention())
        for name, seconds in (("a", None), ("b", 0.25)):
            await check(store, good(name, NOON + MINUTE, seconds=seconds))
            await store.prune(NOON + 8 * DAY, Retention())
            assert await store.results(name) == ()
            (hour,) = await store.hours(name, since=NOON)
            only = 0.5 if name == "a" else 0.25
            assert (hour.checks, hour.seconds_min, hour.seconds_mean, hour.seconds_max) == (2, only, only, only)

    play(scenario)


def test_forgets_in_pieces_and_leaves_nothing_behind(play: Play) -> None:
    """More than a piece has, of every table; also monitors that are long gone."""
    names = [f"m{number}" for number in range(1100)]

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, *(watched(name) for name in names))
        claims = await store.claim("worker", NOON, LEASE, 2000)
        done = [outcome(claim, good(claim.standing.monitor.name, NOON)) for claim in claims]
        assert await store.complete(done, {}) == (True,) * 1100
        assert await store.prune(NOON + 8 * DAY, Retention()) == 1100
        assert await _count(opened, monitor_hours) == 1100
        await watch(store, due=NOON + 9 * DAY)
        assert await store.prune(NOON + 401 * DAY, Retention()) == 1100
        assert await _count(opened, monitors) == 1100
        await store.prune(NOON + 410 * DAY, Retention())
        assert {name: await _count(opened, metadata.tables[name]) for name in TABLES} == dict.fromkeys(TABLES, 0)

    play(scenario)


def test_old_alerts_are_forgotten(play: Play) -> None:
    """With their transition, whether they were sent or not."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"))
        await check(store, bad("a", NOON), before=State.PENDING, receivers=["mail", "pager"])
        await check(store, good("a", NOON + 300 * DAY), before=State.CRITICAL, receivers=["mail"])
        await store.prune(NOON + 401 * DAY, Retention())
        assert await _count(opened, monitor_transitions) == 1
        assert await _count(opened, monitor_deliveries) == 1
        (left,) = await store.claim_deliveries("worker", NOON + 401 * DAY, LEASE, 10)
        assert left.transition.result == good("a", NOON + 300 * DAY)

    play(scenario)


def test_why_it_failed_is_kept(play: Play) -> None:
    """Whatever the receiver has answered."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"))
        await check(store, bad("a", NOON), before=State.PENDING, receivers=["mail"])
        (first,) = await store.claim_deliveries("worker", NOON, LEASE, 10)
        await store.failed(first, HOSTILE, None)
        row = await opened.read(lambda connection: connection.execute(sa.select(monitor_deliveries)).one())
        assert (row.state, row.tries, row.error.isascii()) == ("given_up", 1, True)

    play(scenario)


def test_a_newer_definition_is_left_to_newer_processes(play: Play) -> None:
    """While processes are replaced one after another, an old one goes on with what it understands."""
    newer = '{"kind":"tls","name":"a","speed":1,"target":"x"}'

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"), watched("b"))
        await _execute(opened, monitors.update().where(monitors.c.name == "a").values(definition=newer))
        of_a = sa.select(monitors.c.id).where(monitors.c.name == "a").scalar_subquery()
        update = monitor_standings.update().where(monitor_standings.c.monitor_id == of_a)
        await _execute(opened, update.values(format=FORMAT + 1))
        assert list(await claimed(store)) == ["b"]
        with pytest.raises(Refused) as caught:
            await store.standings()
        assert caught.value.code is Code.STATE_NEWER
        assert "speed" in caught.value.why
        assert [one.monitor.name for one in await store.standings(["b"])] == ["b"]
        # An older settings file puts its own in the place.
        await watch(store, watched("a"), watched("b"))
        assert list(await claimed(store)) == ["a"]

    play(scenario)


def test_a_newer_result_is_as_good_as_none(play: Play) -> None:
    """It keeps nobody from checking; who asks for it is told why it is not shown."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"))
        await check(store, bad("a", NOON))
        body = sa.func.replace(monitor_evidence.c.body, Code.TLS_VERSION_MISMATCH.value, "QUIC-TOO-QUICK")
        await _execute(opened, monitor_evidence.update().values(body=body))
        expected = Standing(watched("a"), State.CRITICAL, NOON, None, NOON + MINUTE)
        assert (await claimed(store, NOON + MINUTE))["a"].standing == expected
        with pytest.raises(Refused) as caught:
            await store.results("a")
        assert caught.value.code is Code.STATE_NEWER

    play(scenario)


def test_a_check_of_an_old_definition_is_not_written(play: Play) -> None:
    """It is due again at once, as it is now; of another target there is no last result to compare with."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await watch(store, watched("a"))
        await check(store, bad("a", NOON))
        old = (await claimed(store, NOON + MINUTE))["a"]
        new = replace(watched("a"), target="other.example:443")
        await watch(store, new, due=NOON + MINUTE)
        assert await store.complete([outcome(old, good("a", NOON + MINUTE))], {}) == (False,)
        again = (await claimed(store, NOON + MINUTE))["a"]
        assert again.standing == Standing(new, State.CRITICAL, NOON, None, NOON + MINUTE)
        # Anything else than the target or the kind: the last result stays.
        assert await store.complete([outcome(again, good("a", NOON + MINUTE))], {}) == (True,)
        await watch(store, replace(new, retries=7))
        assert (await standing(store, "a")).last == good("a", NOON + MINUTE)

    play(scenario)


def test_the_file_takes_over(play: Play) -> None:
    """A name of the API's that the settings file has now is the file's, and keeps its history."""

    async def scenario(store: SqlMonitors, opened: Database) -> None:
        await store.put(watched("a"), NOON)
        assert (await standing(store, "a")).monitor.origin == "api"
        await check(store, good("a", NOON))
        await watch(store, watched("a"))
        assert (await standing(store, "a")).monitor.origin == "file"
        assert await store.results("a") == (good("a", NOON),)
        assert not await store.remove("a")
        # Gone from the file, the name is free for the API again.
        await watch(store)
        assert await store.put(watched("a"), NOON)
        assert await store.results("a") == (good("a", NOON),)

    play(scenario)


def test_hosts_with_different_clocks(postgres_server: Postgres) -> None:
    """On PostgreSQL a lease is by the server's clock: a host that is an hour ahead takes over nothing, and what
    one that is years behind has claimed is free when its lease is over."""
    url = _url(postgres_server)
    short = timedelta(milliseconds=300)

    async def scene() -> None:
        with database.open(url) as one, database.open(url) as other:
            right, wrong = SqlMonitors(one), SqlMonitors(other)
            await watch(right, watched("a"))
            mine = await right.claim("right", NOON, MINUTE, 10)
            assert len(mine) == 1
            assert await wrong.claim("ahead", NOON + HOUR, short, 10) == ()
            await right.release(mine)
            assert len(await wrong.claim("behind", NOON, short, 10)) == 1
            await asyncio.sleep(0.35)
            assert len(await right.claim("right", NOON, short, 10)) == 1

    asyncio.run(scene())


def test_claims_do_not_wait_for_each_other(postgres_server: Postgres) -> None:
    """While one process takes some, in a transaction that is not at its end, another gets the rest at once, and none of
    these: of monitors, and of alerts."""
    url = _url(postgres_server)
    names = ["a", "b", "c"]

    async def scene() -> None:
        with database.open(url) as one, database.open(url) as other:
            slow, quick = SqlMonitors(one), SqlMonitors(other)
            await watch(quick, *(watched(name) for name in names))
            for name in names:
                await check(quick, bad(name, NOON), before=State.PENDING, receivers=["mail"])
            for statement, claim in (
                ("claim", quick.claim),
                ("claim_deliveries", quick.claim_deliveries),
            ):
                taken, go_on = asyncio.Event(), threading.Event()
                loop = asyncio.get_running_loop()

                def work(connection: sa.Connection, statement: str = statement) -> int:
                    take = getattr(slow._hot, statement)
                    found = len(take(connection, "slow", microseconds(LATER), 60_000_000, 2))
                    loop.call_soon_threadsafe(taken.set)  # noqa: B023 - called before the next round
                    assert go_on.wait(20)  # noqa: B023 - called before the next round
                    return found

                taking = asyncio.ensure_future(one.write(work))
                await taken.wait()
                try:
                    async with asyncio.timeout(5):
                        assert len(await claim("quick", LATER, LEASE, 10)) == 1
                        assert await claim("quick", LATER, LEASE, 10) == ()
                finally:
                    go_on.set()
                assert await taking == 2

    asyncio.run(scene())


def test_after_a_crash_on_sqlite(tmp_path: Path) -> None:
    """There leases are by the caller's clock: what the last process held is due when that has come."""

    async def scene() -> None:
        path = tmp_path / "ledger.db"
        with database.open(path) as opened:
            await watch(SqlMonitors(opened), watched("a"))
            await SqlMonitors(opened).claim("before", NOON, MINUTE, 10)
        with database.open(path) as opened:
            store = SqlMonitors(opened)
            assert await store.claim("after", NOON + MINUTE - timedelta(microseconds=1), MINUTE, 10) == ()
            assert len(await store.claim("after", NOON + MINUTE, MINUTE, 10)) == 1

    asyncio.run(scene())


def test_processes_that_start_together(postgres_server: Postgres) -> None:
    """Each says what its file has; there is one of each monitor, and nobody waits in a circle."""
    url = _url(postgres_server)
    ours = [watched(f"m{number}") for number in range(300)]

    async def scene() -> None:
        with database.open(url) as one, database.open(url) as two, database.open(url) as three:
            stores = [SqlMonitors(opened) for opened in (one, two, three)]
            await asyncio.gather(*(watch(store, *ours[shift:], *ours[:shift]) for shift, store in enumerate(stores)))
            assert [one.monitor.name for one in await stores[0].standings()] == sorted(one.name for one in ours)
            slow = await stores[0].claim("slow", NOON, OVER, 300)
            quick = await stores[1].claim("quick", NOON, LEASE, 300)
            late = [outcome(claim, good(claim.standing.monitor.name, NOON)) for claim in slow]
            good_ones = [outcome(claim, good(claim.standing.monitor.name, NOON)) for claim in reversed(quick)]
            lost, held = await asyncio.gather(stores[0].complete(late, {}), stores[1].complete(good_ones, {}))
            assert (lost, held) == ((False,) * 300, (True,) * 300)

    asyncio.run(scene())
