"""Alerts from the store to those who are told, in one process and in several; and the commands about them."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import icalendar
import pytest

from handclasp.app import ambient
from handclasp.app.alerting import Alerting
from handclasp.app.settings import Settings, parse
from handclasp.app.vault import Vault
from handclasp.app.watch import sync
from handclasp.findings import Code
from handclasp.monitor.alerts.sender import Pace
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Outcome
from handclasp.monitor.results import Transition
from handclasp.store.monitors import SqlMonitors
from handclasp.testing.receiving import Receiving, receiving
from handclasp.testing.watching import AT, a_certificate, a_monitor, a_result

if TYPE_CHECKING:
    from tests.app.conftest import Place

QUICK = Pace(idle=0.05, soon=0.01)
WEEKLY = "  weekly: {{webhook: '{url}/weekly', secret: 'file:{secret}', digest: mon 08:00}}\n"
ALERTS = "  hook: {{webhook: '{url}/x', secret: 'file:{secret}'}}\n"
MONITORS = "monitors:\n  m: {target: a.test}\n"


def settled(place: Place, receiver: Receiving, directory: Path, alerts: str = ALERTS, more: str = MONITORS) -> Settings:
    """Settings with these alerts, to that receiver."""
    secret = directory / "secret"
    secret.write_text("s3cret-" * 8 + "\n")
    secret.chmod(stat.S_IRUSR)
    base = place.text.partition("alerts:\n")[0]
    place.text = f"{base}alerts:\n{alerts.format(url=receiver.url, secret=secret)}{more}"
    return place.settings()


async def checked(store: SqlMonitors, receivers: tuple[str, ...], after: State, at: datetime) -> None:
    """The monitor m is so since then."""
    (claim,) = await store.claim("w", ambient.now() + timedelta(days=1), timedelta(hours=1), 10)
    ends = replace(a_certificate(), not_after=at + timedelta(days=5))
    result = a_result(after, at, certificates=(ends,))
    moved = Transition(f"{after} {at}", "m", at, claim.standing.state, after, at, result)
    assert await store.complete([Outcome(claim, result, (), moved, at)], {"m": receivers}) == (True,)


async def until(done: Callable[[], object]) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.01)


def scene(place: Place, work: Callable[[Vault, SqlMonitors], Awaitable[None]]) -> None:
    """Something done with the store, which has the monitors of the settings."""

    async def do(vault: Vault) -> None:
        store = SqlMonitors(vault.database)
        await sync(vault, store, vault.settings)
        await work(vault, store)

    place.with_vault(do)


async def running(alerting: Alerting, work: Awaitable[None]) -> None:
    """Beside the worker."""
    task = asyncio.create_task(alerting.run())
    try:
        await work
    finally:
        alerting.stop()
        await task


def test_a_change_of_state_is_told(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, by whoever runs; a receiver of settings that came later is told too. No secret is in the log."""
    caplog.set_level(logging.DEBUG)
    with receiving() as receiver, receiving() as second:
        before = settled(place, receiver, tmp_path)
        after = parse(place.text.replace(receiver.url, second.url), "handclasp.yaml")
        assert "s3cret" not in repr(before)

        async def work(vault: Vault, store: SqlMonitors) -> None:
            workers = [Alerting(vault, store, worker=name, pace=QUICK) for name in ("one", "two")]
            told = workers[0].receivers(a_monitor("m"))
            assert told == ("hook",)

            async def changes() -> None:
                await checked(store, told, State.CRITICAL, ambient.now())
                await until(lambda: receiver.posts)
                for one in workers:
                    one.settle(after)
                await checked(store, told, State.OK, ambient.now())
                await until(lambda: second.posts)
                await asyncio.sleep(0.3)

            async with asyncio.TaskGroup() as group:
                both = changes()
                task = group.create_task(workers[1].run())
                await running(workers[0], both)
                workers[1].stop()
                await task

        scene(place, work)
    assert [post.json["data"]["after"] for post in receiver.posts] == ["critical"]
    assert [post.json["data"]["after"] for post in second.posts] == ["ok"]
    assert receiver.posts[0].json["data"]["origin"] == "example.org"
    assert "s3cret" not in caplog.text


def test_who_is_told_of_which_monitor(place: Place, tmp_path: Path) -> None:
    """All who get alerts, or those that it names; also one that is not there, so that this is said."""
    with receiving() as receiver:
        settled(place, receiver, tmp_path, ALERTS + "  chat: {{slack: env:A}}\n" + WEEKLY)

        async def work(vault: Vault, store: SqlMonitors) -> None:
            alerting = Alerting(vault, store, worker="w")
            assert alerting.receivers(a_monitor()) == ("hook", "chat")
            assert alerting.receivers(a_monitor(alerts=("chat", "gone", "weekly"))) == ("chat", "gone")
            alerting.settle(None)
            assert alerting.receivers(a_monitor()) == ()

        scene(place, work)


def test_a_digest_is_sent_once_by_many(place: Place, tmp_path: Path) -> None:
    """At its time, and also after it where nobody ran; not when that was long ago, and not again after a restart."""
    at = AT.replace(hour=8)
    with receiving() as receiver:
        settled(place, receiver, tmp_path, WEEKLY)

        async def work(vault: Vault, store: SqlMonitors) -> None:
            await checked(store, (), State.OK, at - timedelta(hours=1))
            await Alerting(vault, store, worker="early", now=lambda: at - timedelta(minutes=1)).plan()
            await Alerting(vault, store, worker="late", now=lambda: at + timedelta(hours=13)).plan()
            assert await store.claim_deliveries("w", at + timedelta(days=7), timedelta(0), 10) == ()
            workers = [
                Alerting(vault, store, worker=f"w{number}", now=lambda: at + timedelta(hours=3), pace=QUICK)
                for number in range(3)
            ]
            for one in workers:
                await one.plan()
            await running(workers[0], until(lambda: receiver.posts))
            await Alerting(vault, store, worker="later", now=lambda: at + timedelta(hours=4)).plan()
            assert await store.claim_deliveries("w", at + timedelta(days=7), timedelta(0), 10) == ()

        scene(place, work)
    (post,) = receiver.posts
    assert (post.path, post.json["type"]) == ("/weekly", "monitor.digest")
    assert [group["name"] for group in post.json["data"]["groups"]] == ["this_week"]


def test_what_is_firing_is_repeated(place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To Alertmanagers, of the monitors that tell them; that it cannot be is said once."""
    with receiving((500, {}), (500, {}), (200, {})) as receiver:
        settled(place, receiver, tmp_path, "  am: {{alertmanager: '{url}'}}\n" + ALERTS)

        async def work(vault: Vault, store: SqlMonitors) -> None:
            await checked(store, (), State.CRITICAL, ambient.now())
            alerting = Alerting(vault, store, worker="w")
            for _ in range(3):
                await alerting.repeat()

        scene(place, work)
    assert [post.path for post in receiver.posts] == ["/api/v2/alerts"] * 3
    assert [one["labels"]["monitor"] for one in receiver.posts[-1].json] == ["m"]
    assert [record.levelname for record in caplog.records if record.name == "handclasp.alerts"] == ["WARNING"]


def test_the_operations(place: Place, tmp_path: Path) -> None:
    """A test of a receiver, the digest and the calendar, as the commands ask for them."""
    with receiving((200, {}), (200, {}), (403, {})) as receiver:
        settled(place, receiver, tmp_path, ALERTS + WEEKLY)

        async def work(_: Vault, store: SqlMonitors) -> None:
            await checked(store, (), State.OK, ambient.now())

        scene(place, work)
        assert place.do("monitor.test-alert", name="hook") == {"name": "hook", "digest": False}
        assert place.do("monitor.test-alert", name="weekly") == {"name": "weekly", "digest": True}
        refused = place.refused("monitor.test-alert", name="hook")
        assert (refused.code, refused.why) == (
            Code.ALERT_NOT_SENT,
            f"{receiver.url.removeprefix('http://')} answered 403",
        )
        assert place.refused("monitor.test-alert", name="x").why == "handclasp.yaml has hook, weekly below alerts:"
    assert [post.json["type"] for post in receiver.posts] == ["monitor.test", "monitor.digest", "monitor.test"]
    told: dict[str, Any] = place.do("monitor.digest", days=90.0)
    assert told["text"].startswith("Certificates that expire: 1 in 7 days.\n")
    assert [group["name"] for group in told["digest"]["groups"]] == ["this_week"]
    assert place.do("monitor.digest", days=1.0)["digest"]["groups"] == []
    calendar = icalendar.Calendar.from_ical(place.do("monitor.calendar")["calendar"])
    assert len(calendar.walk("VEVENT")) == 1


def test_a_secret_is_read_when_it_is_needed(place: Place, tmp_path: Path) -> None:
    """One that is missing, or that others can read, is no secret."""
    with receiving() as receiver:
        settled(place, receiver, tmp_path)
        (tmp_path / "secret").chmod(0o644)
        assert "can be used by others" in place.refused("monitor.test-alert", name="hook").why
        (tmp_path / "secret").unlink()
        assert "No such file" in place.refused("monitor.test-alert", name="hook").why
    assert receiver.posts == []
