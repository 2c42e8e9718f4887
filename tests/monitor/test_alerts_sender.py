"""What becomes of the alerts in the outbox: sent once, in order, for a day, and by one of many."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from handclasp.monitor.alerts.sender import Pace, Sender
from handclasp.monitor.alerts.wire import NotSent
from handclasp.monitor.definition import State
from handclasp.monitor.ports import Outcome
from handclasp.monitor.results import Transition
from handclasp.testing.monitor_memory import MemoryMonitorStore
from handclasp.testing.virtual_time import EPOCH, now, virtual_time
from handclasp.testing.watching import a_monitor, a_result

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


async def put(store: MemoryMonitorStore, name: str, receivers: Sequence[str], *ids: str) -> None:
    """Alerts about one monitor, in this order, all of now."""
    await store.put(a_monitor(name), now())
    for id_ in ids:
        claim = next(one for one in await store.claim("w", now(), HOUR, 1000) if one.standing.monitor.name == name)
        result = replace(a_result(State.CRITICAL, now()), monitor=name)
        moved = Transition(id_, name, now(), State.OK, State.CRITICAL, None, result)
        assert await store.complete([Outcome(claim, result, (), moved, now())], {name: receivers})


@dataclass
class Receivers:
    """Takes everything, unless ``fails`` raises; ``taken`` is what, by whom, after how long."""

    fails: Callable[[str, Transition], None] = lambda *_: None
    slow: float = 0.0
    taken: list[tuple[str, str, timedelta]] = field(default_factory=list)
    tried: list[tuple[str, str, timedelta]] = field(default_factory=list)
    start: datetime | None = None

    async def __call__(self, receiver: str, transition: Transition) -> None:
        self.start = self.start or now()
        self.tried.append((receiver, transition.id, now() - self.start))
        await asyncio.sleep(self.slow)
        self.fails(receiver, transition)
        self.taken.append((receiver, transition.id, now() - self.start))


def played(scene: Callable[[MemoryMonitorStore], Awaitable[None]], receivers: Receivers, lasting: timedelta) -> Sender:
    """One worker at an outbox, for so long."""

    async def play() -> Sender:
        store = MemoryMonitorStore()
        await scene(store)
        sender = Sender(store, receivers, worker="w", now=now, pace=Pace(idle=lasting.total_seconds() / 10_000 + 2))
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(lasting.total_seconds())
        sender.stop()
        await task
        return sender

    with virtual_time() as run:
        made: Sender = run(play())
        return made


def failing(*names: str, until: timedelta = 10 * DAY, **rest: Any) -> Receivers:
    """Receivers of which some fail at first."""
    made = Receivers()

    def fails(name: str, _: Transition) -> None:
        assert made.start is not None
        if name in names and now() - made.start < until:
            raise NotSent("of a test", **rest)

    made.fails = fails
    return made


def test_each_alert_is_sent_once_in_the_order_of_its_monitor() -> None:
    """To each of its receivers."""
    receivers = Receivers(slow=1.0)

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "m", ["mail", "pager"], "one", "two", "three")

    sender = played(scene, receivers, MINUTE)
    for name in ("mail", "pager"):
        assert [id_ for receiver, id_, _ in receivers.taken if receiver == name] == ["one", "two", "three"]
        assert sender.counts[name].sent == 3
    assert receivers.taken[-1][2] < 10 * SECOND


def test_many_workers_send_each_alert_once() -> None:
    """A lease is for one of them."""
    receivers = Receivers(slow=1.0)

    async def play() -> None:
        store = MemoryMonitorStore()
        for number in range(60):
            await put(store, f"m{number}", ["mail"], f"id{number}")
        workers = [Sender(store, receivers, worker=f"w{number}", now=now) for number in range(4)]
        async with asyncio.TaskGroup() as group:
            for one in workers:
                group.create_task(one.run())
            await asyncio.sleep(120)
            for one in workers:
                one.stop()

    with virtual_time() as run:
        run(play())
    assert sorted(id_ for _, id_, _ in receivers.taken) == sorted(f"id{number}" for number in range(60))


def test_what_cannot_be_sent_is_tried_for_a_day_ever_less_often(caplog: pytest.LogCaptureFixture) -> None:
    """And is said in the log when it begins and when it is given up: not at every try. Then the next has its turn."""
    receivers = failing("mail")

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "m", ["mail"], "one", "two")

    sender = played(scene, receivers, DAY + HOUR)
    tries = [at for _, id_, at in receivers.tried if id_ == "one"]
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses[0] < 15 * SECOND
    assert max(pauses) < 11 * MINUTE
    assert pauses == sorted(pauses) or max(a - b for a, b in pairwise(pauses)) < 15 * SECOND
    assert DAY < tries[-1] < DAY + 11 * MINUTE
    assert 100 < len(tries) < 200
    assert ("mail", "two") in [(receiver, id_) for receiver, id_, _ in receivers.tried]
    assert sender.counts["mail"].given_up == 2
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.ERROR, logging.ERROR]
    assert all("ALERT_NOT_SENT" in record.getMessage() for record in caplog.records)


def test_it_arrives_once_the_receiver_is_back() -> None:
    """In order."""
    receivers = failing("mail", until=10 * MINUTE)

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "m", ["mail"], "one", "two")

    sender = played(scene, receivers, HOUR)
    assert [id_ for _, id_, _ in receivers.taken] == ["one", "two"]
    assert receivers.taken[0][2] < 20 * MINUTE
    assert sender.counts["mail"].given_up == 0


def test_a_mistake_of_ours_is_given_up_at_once() -> None:
    """What follows is tried for itself."""
    receivers = failing("mail", final=True)

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "m", ["mail"], "one", "two")

    played(scene, receivers, HOUR)
    assert [id_ for _, id_, _ in receivers.tried] == ["one", "two"]


def test_retry_after_is_heeded() -> None:
    """By all that is meant for this receiver."""
    receivers = failing("mail", until=SECOND, after=20 * MINUTE)

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "a", ["mail"], "one")
        await put(store, "b", ["mail"], "two")

    played(scene, receivers, HOUR)
    assert len([one for one in receivers.tried if one[2] < 20 * MINUTE]) <= 2
    assert sorted(id_ for _, id_, _ in receivers.taken) == ["one", "two"]
    assert all(at >= 20 * MINUTE for _, _, at in receivers.taken)


def test_a_receiver_that_is_gone_holds_up_nobody_else() -> None:
    """A hundred alerts for one that takes 15 s to fail, and one for another, behind them all."""
    made = Receivers()

    def fails(name: str, _: Transition) -> None:
        if name == "gone":
            raise NotSent("of a test")

    made.fails = fails

    async def slow(receiver: str, transition: Transition) -> None:
        if receiver == "gone":
            await asyncio.sleep(15)
        await made(receiver, transition)

    async def play() -> None:
        store = MemoryMonitorStore()
        for number in range(100):
            await put(store, f"m{number}", ["gone"], f"id{number}")
        await put(store, "last", ["mail"], "last")
        began = now()
        sender = Sender(store, slow, worker="w", now=now)
        task = asyncio.create_task(sender.run())
        while not made.taken:
            await asyncio.sleep(1)
        assert now() - began < MINUTE
        sender.stop()
        await task

    with virtual_time() as run:
        run(play())
    assert [one[:2] for one in made.taken] == [("mail", "last")]


def test_a_fault_in_sending_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again like any other failure."""
    faults = iter([RuntimeError("odd")])

    def fails(*_: object) -> None:
        for one in faults:
            raise one

    receivers = Receivers(fails=fails)

    async def scene(store: MemoryMonitorStore) -> None:
        await put(store, "m", ["mail"], "one")

    played(scene, receivers, HOUR)
    assert [id_ for _, id_, _ in receivers.taken] == ["one"]
    told = [record.levelno for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == [logging.ERROR, logging.WARNING]


def test_an_outbox_that_cannot_be_reached_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """Errors of the store do not end the worker."""
    receivers = Receivers()

    class Breaking(MemoryMonitorStore):
        async def claim_deliveries(self, *given: Any) -> Any:
            if now() < EPOCH + MINUTE:
                raise OSError("no database")
            return await super().claim_deliveries(*given)

    async def play() -> None:
        store = Breaking()
        await put(store, "m", ["mail"], "one")
        sender = Sender(store, receivers, worker="w", now=now)
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(120)
        sender.stop()
        await task

    with virtual_time() as run:
        run(play())
    assert [id_ for _, id_, _ in receivers.taken] == ["one"]
    assert len(caplog.records) < 20
