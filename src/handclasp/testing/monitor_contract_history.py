"""The MonitorStore contract: results, hours and changes, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from handclasp.monitor.definition import State
from handclasp.monitor.ports import MonitorStore, Retention
from handclasp.monitor.results import Change, Hour
from handclasp.testing.monitor_contract_scenes import (
    HOSTILE,
    MINUTE,
    NOON,
    MonitorStage,
    bad,
    check,
    good,
    standing,
    watch,
    watched,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class HistoryContract(MonitorStage):
    """What was."""

    def test_pages_through_results(self, tmp_path: Path) -> None:
        """Newest first, from ``since`` on, before ``before``, as many as asked for; of this monitor only."""
        times = [NOON + minutes * MINUTE for minutes in (0, 1, 59, 60, 61, 600, 60 * 24 * 30)]

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            everything = [replace(good("a", at), seconds=index / 1000) for index, at in enumerate(times)]
            for result in everything:
                await check(store, result)
            newest = tuple(reversed(everything))
            assert await store.results("a") == newest
            assert await store.results("a", limit=3) == newest[:3]
            assert await store.results("a", limit=3, before=newest[2].at) == newest[3:6]
            assert await store.results("a", since=times[1], before=times[4]) == newest[3:6]
            assert await store.results("a", since=times[-1] + MINUTE) == ()
            assert await store.results("unknown") == ()

        self.play(tmp_path, scenario)

    def test_rolls_up_hours(self, tmp_path: Path) -> None:
        """How many of which state, and the latencies of those that have one."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            for minute, result in enumerate(
                (
                    good("a", NOON, seconds=0.25),
                    good("a", NOON, seconds=0.75),
                    bad("a", NOON),
                    bad("a", NOON, state=State.WARNING),
                )
            ):
                await check(store, replace(result, at=NOON + minute * MINUTE))
            await check(store, bad("a", NOON + HOUR))
            first = Hour("a", NOON, 4, 2, 1, 1, 0.25, 0.5, 0.75)
            second = Hour("a", NOON + HOUR, 1, 0, 0, 1, None, None, None)
            assert await store.hours("a", since=NOON) == (first, second)
            assert await store.hours("a", since=NOON + HOUR) == (second,)
            assert await store.hours("unknown", since=NOON) == ()

        self.play(tmp_path, scenario)

    def test_tells_what_changed_and_when(self, tmp_path: Path) -> None:
        """Of one monitor or all, newest first, with whatever a peer has written into its certificate."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            first = Change("a", NOON, "issuer", None, HOSTILE), Change("a", NOON, "leaf", "old", "new")
            other = (Change("b", NOON + MINUTE, "issuer", HOSTILE, None),)
            last = (Change("a", NOON + 2 * MINUTE, "state", "ok", "critical"),)
            await check(store, good("a", NOON), changes=first)
            await check(store, good("b", NOON + MINUTE), changes=other)
            await check(store, bad("a", NOON + 2 * MINUTE), changes=last)
            assert await store.changes() == (*last, *other, *reversed(first))
            assert await store.changes("a") == (*last, *reversed(first))
            assert await store.changes("a", limit=2) == (*last, first[1])
            assert await store.changes(since=NOON + MINUTE) == (*last, *other)
            assert await store.changes("unknown") == ()

        self.play(tmp_path, scenario)

    def test_history_is_kept_by_name(self, tmp_path: Path) -> None:
        """Of what is gone from the file it can still be asked, and it goes on when the name comes back."""
        change = Change("a", NOON, "leaf", "old", "new")

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            await check(store, good("a", NOON), changes=(change,))
            await watch(store)
            assert await store.standings() == ()
            assert await store.results("a") == (good("a", NOON),)
            assert await store.changes("a") == (change,)
            await watch(store, watched("a"), due=NOON + DAY)
            assert (await standing(store, "a")).next_due == NOON + DAY
            await check(store, bad("a", NOON + DAY))
            assert await store.results("a") == (bad("a", NOON + DAY), good("a", NOON))

        self.play(tmp_path, scenario)

    def test_forgets_single_results_and_keeps_their_hours(self, tmp_path: Path) -> None:
        """What is as old as that is gone, an hour later at the latest; roll-ups, changes and the standing stay."""
        change = Change("a", NOON, "leaf", "old", "new")
        now = NOON + 8 * DAY

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            await check(store, bad("b", NOON))
            await check(store, good("a", NOON), changes=(change,))
            await check(store, good("a", NOON + MINUTE))
            await check(store, bad("a", now - HOUR))
            hours = await store.hours("a", since=NOON)
            assert await store.prune(now, Retention()) == 3
            assert await store.results("a") == (bad("a", now - HOUR),)
            assert await store.hours("a", since=NOON) == hours
            assert await store.changes("a") == (change,)
            # Nothing has been heard of it since, so its last result stays as it was.
            assert (await standing(store, "b")).last == bad("b", NOON)
            assert await store.prune(now, Retention()) == 0

        self.play(tmp_path, scenario)

    def test_forgets_history(self, tmp_path: Path) -> None:
        """Hours and changes go after a longer time; what is newer stays."""
        change = Change("a", NOON, "leaf", "old", "new")
        retention = Retention(results=timedelta(days=1), history=timedelta(days=10))

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            await check(store, good("a", NOON), changes=(change,))
            newer = replace(change, at=NOON + 8 * DAY)
            await check(store, good("a", NOON + 8 * DAY), changes=(newer,))
            await store.prune(NOON + 11 * DAY, retention)
            assert await store.results("a") == ()
            assert [hour.start for hour in await store.hours("a", since=NOON)] == [NOON + 8 * DAY]
            assert await store.changes() == (newer,)

        self.play(tmp_path, scenario)
