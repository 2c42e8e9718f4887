"""The worker that checks what is due. Time is virtual: hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.examined import Examined
from handclasp.monitor.maintenance import parse
from handclasp.monitor.ports import Claim, Outcome
from handclasp.monitor.results import CheckResult
from handclasp.monitor.runner import Pace, Runner
from handclasp.monitor.schedule import first_due
from handclasp.testing.monitor_memory import MemoryMonitorStore
from handclasp.testing.virtual_time import now, virtual_time
from handclasp.testing.watching import REFUSED_CONNECTION, ScriptedExaminer, a_certificate, a_monitor, checks, seen

MINUTE = timedelta(minutes=1)
LIVED = timedelta(days=300)


class Watch:
    """A store, an examiner and workers, for one scene."""

    def __init__(self, *monitors: Monitor, store: MemoryMonitorStore | None = None) -> None:
        self.monitors = monitors
        self.store = store or MemoryMonitorStore()
        self.examiner = ScriptedExaminer()
        self.runners: list[tuple[Runner, asyncio.Task[None]]] = []

    async def begin(self) -> None:
        await self.store.sync(self.monitors, now(), {one.name: first_due(one, now()) for one in self.monitors})

    def start(self, name: str = "worker", **pace: Any) -> Runner:
        runner = Runner(
            self.store,
            checks(self.examiner).check,
            worker=name,
            now=now,
            receivers=lambda monitor: monitor.alerts or ("all",),
            pace=Pace(**pace),
        )
        self.runners.append((runner, asyncio.create_task(runner.run())))
        return runner

    async def end(self) -> None:
        for runner, task in self.runners:
            runner.stop()
            await task

    def examined(self, name: str) -> list[datetime]:
        return [at for one, at in self.examiner.asked if one == name]


def played(watch: Watch, scene: Callable[[Watch], Coroutine[Any, Any, Any]]) -> Any:
    """Play a scene."""

    async def whole() -> Any:
        await watch.begin()
        try:
            return await scene(watch)
        finally:
            await watch.end()

    with virtual_time() as run:
        return run(whole())


async def results(watch: Watch, name: str = "m") -> list[CheckResult]:
    """Oldest first."""
    return list(reversed(await watch.store.results(name, limit=1000)))


def test_each_is_checked_once_a_period() -> None:
    """100 monitors for ten minutes: ten checks each, at the same second of each minute."""

    async def scene(watch: Watch) -> None:
        runner = watch.start()
        await asyncio.sleep(660)
        for monitor in watch.monitors:
            times = watch.examined(monitor.name)[1:]  # after the first, which comes soon
            assert len(times) in {10, 11}
            steps = [later - earlier for earlier, later in pairwise(times)]
            assert all(abs(step - MINUTE) <= timedelta(seconds=0.1) for step in steps)
        assert runner.statistics.late_most <= 0.1
        assert runner.statistics.lost == 0

    played(Watch(*(a_monitor(f"m{number}", every=MINUTE) for number in range(100))), scene)


def test_a_failure_counts_after_its_retries() -> None:
    """Two tries more, ten seconds apart; then one transition, for those who are told of it."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [seen()] + 3 * [REFUSED_CONNECTION] + [seen()]
        watch.start()
        await asyncio.sleep(1200)
        found = await results(watch)
        assert [(one.state, one.attempts) for one in found[:3]] == [
            (State.OK, 1),
            (State.CRITICAL, 3),
            (State.OK, 1),
        ]
        tries = watch.examined("m")[1:4]
        assert [later - earlier for earlier, later in pairwise(tries)] == 2 * [timedelta(seconds=10)]
        deliveries = await watch.store.claim_deliveries("x", now(), MINUTE, 10)
        first = deliveries[0].transition
        assert (deliveries[0].receiver, first.before, first.after, first.at) == (
            "oncall",
            State.OK,
            State.CRITICAL,
            found[1].at,
        )
        assert (first.since, first.result, first.labels) == (found[0].at, found[1], (("team", "a"),))
        await watch.store.delivered(deliveries[0], now())
        (second,) = await watch.store.claim_deliveries("x", now(), MINUTE, 10)
        assert (second.transition.before, second.transition.after) == (State.CRITICAL, State.OK)
        changes = await watch.store.changes("m")
        assert [(one.what, one.before, one.after) for one in reversed(changes)] == [
            ("state", "ok", "critical"),
            ("code", "OK", "NET_CONNECTION_REFUSED"),
            ("state", "critical", "ok"),
            ("code", "NET_CONNECTION_REFUSED", "OK"),
        ]

    played(Watch(a_monitor(alerts=("oncall",), labels=(("team", "a"),))), scene)


def test_what_passes_is_no_failure() -> None:
    """A second try that succeeds: no transition, and nothing has changed."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [seen(), REFUSED_CONNECTION, seen()]
        watch.start()
        await asyncio.sleep(600)
        found = await results(watch)
        assert [(one.state, one.attempts) for one in found[:2]] == [(State.OK, 1), (State.OK, 2)]
        assert await watch.store.changes("m") == ()

    played(Watch(a_monitor()), scene)


def test_what_is_down_already_is_tried_once() -> None:
    """It is no worse than it was."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [REFUSED_CONNECTION]
        watch.start()
        await asyncio.sleep(1200)
        assert [one.attempts for one in await results(watch)][:3] == [3, 1, 1]

    played(Watch(a_monitor()), scene)


def test_a_certificate_that_ends_is_not_tried_again() -> None:
    """It would still end; and the first result is a transition if it is not good."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [seen(a_certificate(timedelta(days=9), lived=LIVED))]
        watch.start()
        await asyncio.sleep(120)
        found = (await results(watch))[0]
        assert (found.state, found.attempts) == (State.WARNING, 1)
        (delivery,) = await watch.store.claim_deliveries("x", now(), MINUTE, 10)
        assert (delivery.transition.before, delivery.transition.since) == (State.PENDING, None)

    played(Watch(a_monitor()), scene)


def test_the_first_good_result_is_no_transition() -> None:
    """There was nothing to recover from."""

    async def scene(watch: Watch) -> None:
        watch.start()
        await asyncio.sleep(120)
        (standing,) = await watch.store.standings()
        assert standing.state is State.OK
        assert await watch.store.claim_deliveries("x", now(), MINUTE, 10) == ()

    played(Watch(a_monitor()), scene)


def test_nobody_is_told_in_maintenance() -> None:
    """The state stays, the code does not; what is still broken afterwards is told then."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [seen(), REFUSED_CONNECTION]
        watch.start()
        await asyncio.sleep(3 * 3600)
        found = await results(watch)
        assert (found[0].state, found[0].code) == (State.OK, Code.OK)
        inside = [one for one in found[1:] if one.maintenance]
        assert {(one.state, one.code, one.attempts) for one in inside} == {
            (State.OK, Code.NET_CONNECTION_REFUSED, 1),
        }
        assert all(0 <= one.at.hour < 2 for one in inside)
        (delivery,) = await watch.store.claim_deliveries("x", now(), MINUTE, 10)
        assert delivery.transition.at == next(one.at for one in found if one.state is State.CRITICAL)
        assert delivery.transition.at.hour == 2

    # The scene begins at midnight between Sunday and Monday.
    played(Watch(a_monitor(maintenance=(parse("mon 00:00-02:00"),))), scene)


def test_no_more_at_once_than_allowed() -> None:
    """And never one twice: two workers of five, and twice as much to do as they can."""

    async def scene(watch: Watch) -> None:
        running: set[str] = set()
        most = 0

        async def slowly(monitor: Monitor) -> None:
            nonlocal most
            assert monitor.name not in running
            running.add(monitor.name)
            most = max(most, len(running))
            await asyncio.sleep(1)
            running.remove(monitor.name)

        watch.examiner.before = slowly
        runners = [watch.start("a", concurrency=5), watch.start("b", concurrency=5)]
        await asyncio.sleep(300)
        assert most == 10
        assert min(watch.examiner.turns.values()) >= 10  # nobody starves: the longest due comes first
        assert sum(runner.statistics.checks for runner in runners) > 2000
        assert all(runner.statistics.lost == 0 for runner in runners)
        assert runners[0].statistics.late_mean > 1

    played(Watch(*(a_monitor(f"m{number}", every=timedelta(seconds=10)) for number in range(200))), scene)


def test_failures_that_wait_do_not_stop_the_others() -> None:
    """Nine of ten are down and wait for their next try; the others are checked on time all the same."""

    async def scene(watch: Watch) -> None:
        for number in range(90):
            watch.examiner.answers[f"m{number}"] = [REFUSED_CONNECTION]
        watch.start(concurrency=10)
        await asyncio.sleep(62)
        assert all(len(watch.examined(f"m{number}")) >= 1 for number in range(100))

    played(Watch(*(a_monitor(f"m{number}", every=MINUTE) for number in range(100))), scene)


def test_a_worker_that_dies_loses_nothing() -> None:
    """Its lease ends, and another one takes over; what it says afterwards is not taken."""

    async def scene(watch: Watch) -> None:
        async def hang(monitor: Monitor) -> None:
            if len(watch.examined("m")) == 1:
                await asyncio.sleep(10_000)

        watch.examiner.before = hang
        dead, task = watch.start("dead"), watch.runners[0][1]
        while not watch.examined("m"):
            await asyncio.sleep(1)
        (claimed,) = dead._tasks.values()
        watch.runners.clear()
        claimed[0].cancel()  # as a killed process: nobody releases anything
        dead._tasks.clear()
        task.cancel()
        watch.start("alive")
        await asyncio.sleep(90)
        assert len(await results(watch)) == 1
        late = Outcome(claimed[1], (await results(watch))[0], (), None, now())
        assert await watch.store.complete([late], {}) == (False,)

    played(Watch(a_monitor(every=timedelta(hours=1))), scene)


def test_stopping_gives_back_what_was_begun() -> None:
    """Another worker checks it at once, and what was finished is in the store."""

    async def scene(watch: Watch) -> None:
        async def hang(monitor: Monitor) -> None:
            if monitor.name == "slow" and len(watch.examined("slow")) == 1:
                await asyncio.sleep(10_000)

        watch.examiner.before = hang
        runner = watch.start(gather=20.0)
        while not watch.examined("slow") or not watch.examined("m"):
            await asyncio.sleep(0.1)
        runner.stop()
        await watch.runners.pop()[1]
        assert len(await results(watch, "m")) == 1
        assert await results(watch, "slow") == []
        watch.start("other")
        await asyncio.sleep(1)
        assert len(await results(watch, "slow")) == 1

    day = timedelta(days=1)
    played(Watch(a_monitor("slow", every=day), a_monitor("m", every=day)), scene)


def test_cancelling_is_stopping() -> None:
    """As asyncio does when a program ends."""

    async def scene(watch: Watch) -> None:
        async def hang(monitor: Monitor) -> None:
            await asyncio.sleep(10_000)

        watch.examiner.before = hang
        watch.start()
        while not watch.examined("m"):
            await asyncio.sleep(1)
        assert await watch.store.next_due() is None
        _, task = watch.runners.pop()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await watch.store.next_due() is not None

    played(Watch(a_monitor()), scene)


def test_an_examiner_that_never_ends_is_broken_off() -> None:
    """The lease is longer than the check, whatever happens."""

    async def scene(watch: Watch) -> None:
        async def hang(monitor: Monitor) -> None:
            await asyncio.sleep(10_000)

        watch.examiner.before = hang
        watch.start()
        await asyncio.sleep(200)
        found = (await results(watch))[0]
        assert (found.code, found.summary) == (Code.UNKNOWN, "The check did not come to an end in time.")

    played(Watch(a_monitor(retries=0)), scene)


def test_a_long_check_has_a_long_lease() -> None:
    """Learned when it is first taken; so nobody takes it while it is tried again."""

    async def scene(watch: Watch) -> None:
        watch.examiner.answers["m"] = [REFUSED_CONNECTION]
        for name in ("a", "b"):
            watch.start(name)
        await asyncio.sleep(1500)
        assert [one.attempts for one in await results(watch)] == [4]
        assert len(watch.examined("m")) == 4

    monitor = a_monitor(every=timedelta(hours=1), retries=3, retry_after=timedelta(minutes=4))
    played(Watch(monitor), scene)


class Failing(MemoryMonitorStore):
    """A store that cannot be reached while ``down``, and never takes results of the monitor ``poison``."""

    down = False

    async def claim(self, *args: Any) -> tuple[Claim, ...]:
        if self.down:
            raise ConnectionError("no database")
        return await super().claim(*args)

    async def complete(self, outcomes: Sequence[Outcome], receivers: Any) -> tuple[bool, ...]:
        if self.down or any(one.result.monitor == "poison" for one in outcomes):
            raise ConnectionError("no database")
        return await super().complete(outcomes, receivers)


def test_results_wait_for_the_store(caplog: pytest.LogCaptureFixture) -> None:
    """An outage of twenty seconds: nothing is lost, and the work goes on after it."""
    caplog.set_level(logging.CRITICAL, "handclasp.monitor")

    async def scene(watch: Watch) -> None:
        assert isinstance(watch.store, Failing)
        runner = watch.start()
        await asyncio.sleep(90)
        watch.store.down = True
        await asyncio.sleep(20)
        watch.store.down = False
        await asyncio.sleep(100)
        assert runner.statistics.store_errors > 0
        assert runner.statistics.lost == 0
        for monitor in watch.monitors:
            assert len(await results(watch, monitor.name)) >= 3

    played(Watch(*(a_monitor(f"m{number}", every=MINUTE) for number in range(50)), store=Failing()), scene)


def test_one_result_that_is_not_taken_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """It is dropped when its lease is over, and the others get through."""
    caplog.set_level(logging.CRITICAL, "handclasp.monitor")

    async def scene(watch: Watch) -> None:
        runner = watch.start()
        await asyncio.sleep(400)
        assert runner.statistics.lost >= 1
        assert await results(watch, "poison") == []
        for number in range(50):
            assert len(await results(watch, f"m{number}")) >= 5

    others = (a_monitor(f"m{number}", every=MINUTE) for number in range(50))
    played(Watch(a_monitor("poison", every=MINUTE), *others, store=Failing()), scene)


def test_a_broken_check_ends_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    """Its lease ends, and it comes again."""
    caplog.set_level(logging.CRITICAL, "handclasp.monitor")
    calls = 0

    async def check(monitor: Monitor, last: CheckResult | None, at: datetime) -> CheckResult:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return await checks().check(monitor, last, at)

    async def scene(watch: Watch) -> None:
        runner = Runner(watch.store, check, worker="w", now=now)
        watch.runners.append((runner, asyncio.create_task(runner.run())))
        await asyncio.sleep(200)
        assert len(await results(watch)) == 1

    played(Watch(a_monitor(every=timedelta(hours=1))), scene)


def test_what_is_new_wakes_the_worker() -> None:
    """It is checked when it is first due, not when the worker would have looked again."""

    async def scene(watch: Watch) -> None:
        runner = watch.start(idle=3600.0)
        await asyncio.sleep(10)
        await watch.store.put(a_monitor("new"), now())
        runner.wake()
        await asyncio.sleep(1)
        assert len(await results(watch, "new")) == 1

    played(Watch(), scene)


def test_paused_ones_are_left_alone() -> None:
    """And what is removed."""

    async def scene(watch: Watch) -> None:
        watch.start()
        await asyncio.sleep(600)
        assert watch.examiner.asked == []
        await watch.store.sync([], now(), {})
        assert await watch.store.standings() == ()

    played(Watch(a_monitor(paused=True)), scene)


def test_strangers_and_retries() -> None:
    """A server that takes anybody is tried again too: it may have been reloading."""

    async def scene(watch: Watch) -> None:
        answers: list[Examined] = [seen(refused=False), seen(refused=None), seen(refused=True)]
        watch.examiner.answers["m"] = answers
        watch.start()
        await asyncio.sleep(100)
        found = (await results(watch))[0]
        assert (found.state, found.attempts) == (State.OK, 3)

    played(Watch(a_monitor(kind=Kind.REFUSED)), scene)


def test_an_hour_of_many_monitors_is_whole() -> None:
    """Some fail, some come back: every period of each has one result, and none has two."""

    async def scene(watch: Watch) -> None:
        down = Examined(findings=(Finding(Code.NET_CONNECT_TIMEOUT, "a", "no answer"),))
        for number in range(0, 200, 7):
            watch.examiner.answers[f"m{number}"] = [seen(), *(down if turn % 3 else seen() for turn in range(9))]
        watch.start("a")
        watch.start("b")
        await asyncio.sleep(3600)
        every = timedelta(minutes=10)
        for monitor in watch.monitors:
            times = [one.at for one in await results(watch, monitor.name)]
            assert len(times) in {6, 7}
            assert all(later - earlier > every / 2 for earlier, later in pairwise(times[1:]))

    played(Watch(*(a_monitor(f"m{number}", every=timedelta(minutes=10)) for number in range(200))), scene)
