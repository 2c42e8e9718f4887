"""The MonitorStore contract: the alerts that go out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from handclasp.monitor.definition import State
from handclasp.monitor.ports import Delivery, MonitorStore
from handclasp.monitor.results import CheckResult
from handclasp.testing.monitor_contract_scenes import (
    HOSTILE,
    LEASE,
    MINUTE,
    NOON,
    OVER,
    MonitorStage,
    bad,
    check,
    claimed,
    good,
    moved,
    outcome,
    watch,
    watched,
)

BAD = bad("a", NOON)
GOOD = good("a", NOON + MINUTE)
LATER = NOON + timedelta(hours=1)


async def _scene(store: MonitorStore, *receivers: str) -> None:
    """It failed, and a minute later it was well again."""
    await watch(store, watched("a"))
    await check(store, BAD, before=State.PENDING, receivers=receivers)
    await check(store, GOOD, before=State.CRITICAL, receivers=receivers)


async def _taken(store: MonitorStore, *, lease: timedelta = LEASE, limit: int = 10) -> tuple[Delivery, ...]:
    return await store.claim_deliveries("worker", LATER, lease, limit)


def _told(deliveries: tuple[Delivery, ...]) -> list[tuple[str, CheckResult, int]]:
    told = [(one.receiver, one.transition.result, one.tries) for one in deliveries]
    return sorted(told, key=lambda one: one[0])


class AlertContract(MonitorStage):
    """Deliveries."""

    def test_delivers_in_order(self, tmp_path: Path) -> None:
        """To each receiver the first transition first, whole; the next when that was sent."""

        async def scenario(store: MonitorStore) -> None:
            await _scene(store, "mail", "pager")
            first = await _taken(store)
            assert _told(first) == [("mail", BAD, 0), ("pager", BAD, 0)]
            assert [one.transition for one in first] == [moved(BAD, State.PENDING)] * 2
            assert await _taken(store) == ()
            (mail,) = [one for one in first if one.receiver == "mail"]
            assert await store.delivered(mail, LATER)
            second = await _taken(store)
            assert _told(second) == [("mail", GOOD, 0)]
            assert second[0].transition == moved(GOOD, State.CRITICAL)
            assert await store.delivered(second[0], LATER)
            assert not await store.delivered(second[0], LATER)

        self.play(tmp_path, scenario)

    def test_tries_again(self, tmp_path: Path) -> None:
        """Not before the time that was said, with the number of tries, and what follows waits for it."""

        async def scenario(store: MonitorStore) -> None:
            await _scene(store, "mail")
            (first,) = await _taken(store)
            assert await store.failed(first, HOSTILE, LATER + MINUTE)
            assert await _taken(store) == ()
            (again,) = await store.claim_deliveries("worker", LATER + MINUTE, LEASE, 10)
            assert (again.id, again.tries) == (first.id, 1)
            assert not await store.delivered(first, LATER)
            assert await store.delivered(again, LATER)
            assert _told(await _taken(store)) == [("mail", GOOD, 0)]

        self.play(tmp_path, scenario)

    def test_gives_up(self, tmp_path: Path) -> None:
        """Then the next one has its turn."""

        async def scenario(store: MonitorStore) -> None:
            await _scene(store, "mail")
            (first,) = await _taken(store)
            assert await store.failed(first, "no such mailbox", None)
            assert not await store.failed(first, "no such mailbox", None)
            assert _told(await _taken(store)) == [("mail", GOOD, 0)]

        self.play(tmp_path, scenario)

    def test_a_lease_that_is_over(self, tmp_path: Path) -> None:
        """Another has it then, and the first one can say nothing of it any more."""

        async def scenario(store: MonitorStore) -> None:
            await _scene(store, "mail")
            (slow,) = await _taken(store, lease=OVER)
            (quick,) = await _taken(store)
            assert quick.id == slow.id
            assert not await store.failed(slow, "too slow", None)
            assert not await store.delivered(slow, LATER)
            assert await store.delivered(quick, LATER)

        self.play(tmp_path, scenario)

    def test_only_as_many_as_asked_for(self, tmp_path: Path) -> None:
        """And only what is due."""

        async def scenario(store: MonitorStore) -> None:
            await _scene(store, "mail", "pager", "chat")
            assert await store.claim_deliveries("worker", NOON - MINUTE, LEASE, 10) == ()
            assert len(await _taken(store, limit=2)) == 2
            assert len(await _taken(store, limit=2)) == 1

        self.play(tmp_path, scenario)

    def test_a_lost_claim_alerts_nobody(self, tmp_path: Path) -> None:
        """A transition is written with its result, or not at all; without receivers it is sent to nobody."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            slow = await claimed(store, lease=OVER)
            await claimed(store)
            lost = outcome(slow["a"], BAD, transition=moved(BAD, State.PENDING))
            assert await store.complete([lost], {"a": ["mail"]}) == (False,)
            assert await _taken(store) == ()

        self.play(tmp_path, scenario)

    def test_alerts_of_a_removed_monitor(self, tmp_path: Path) -> None:
        """Of one that the API has removed nothing is sent any more."""

        async def scenario(store: MonitorStore) -> None:
            await store.put(watched("a", origin="api"), NOON)
            await check(store, BAD, before=State.PENDING, receivers=["mail"])
            assert await store.remove("a")
            assert await _taken(store) == ()

        self.play(tmp_path, scenario)
