"""The MonitorStore contract: claims, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from handclasp.monitor.definition import State
from handclasp.monitor.ports import MonitorStore, Standing
from handclasp.testing.monitor_contract_scenes import (
    LEASE,
    MINUTE,
    NOON,
    OVER,
    MonitorStage,
    bad,
    claimed,
    good,
    outcome,
    standing,
    watch,
    watched,
)


class CheckContract(MonitorStage):
    """Claim, release, complete, next_due."""

    def test_claims_what_is_due_the_longest_first(self, tmp_path: Path) -> None:
        """Not what is paused, not what is not due yet, not more than asked for."""
        dues = {name: NOON + minutes * MINUTE for name, minutes in {"a": 2, "b": 0, "c": 1, "d": 3, "e": 0}.items()}
        monitors = [watched(name, paused=name == "e") for name in dues]

        async def scenario(store: MonitorStore) -> None:
            await store.sync(monitors, NOON, dues)
            assert await store.claim("worker", NOON - MINUTE, LEASE, 10) == ()
            first = await store.claim("worker", NOON + 2 * MINUTE, LEASE, 2)
            assert [(claim.standing.monitor.name, claim.due) for claim in first] == [
                ("b", NOON),
                ("c", NOON + MINUTE),
            ]
            assert first[0].standing == Standing(watched("b"), State.PENDING, None, None, NOON)
            assert await store.next_due() == NOON + 2 * MINUTE
            assert list(await claimed(store, NOON + 2 * MINUTE)) == ["a"]
            assert await store.next_due() == NOON + 3 * MINUTE
            assert list(await claimed(store, NOON + 3 * MINUTE)) == ["d"]
            assert await store.next_due() is None

        self.play(tmp_path, scenario)

    def test_completes(self, tmp_path: Path) -> None:
        """The standing is that of the result, which comes back whole; since when changes with the state only."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            story = (
                (good("a", NOON), NOON),
                (good("a", NOON + MINUTE), NOON),
                (bad("a", NOON + 2 * MINUTE), NOON + 2 * MINUTE),
                (bad("a", NOON + 3 * MINUTE, state=State.WARNING), NOON + 3 * MINUTE),
                (replace(good("a", NOON + 4 * MINUTE), seconds=None), NOON + 4 * MINUTE),
            )
            for result, since in story:
                claim = (await claimed(store, result.at))["a"]
                assert await store.complete([outcome(claim, result)], {}) == (True,)
                expected = Standing(watched("a"), result.state, since, result, result.at + MINUTE)
                assert await standing(store, "a") == expected
            (again,) = (await claimed(store, NOON + 5 * MINUTE)).values()
            assert again.standing.last == story[-1][0]

        self.play(tmp_path, scenario)

    def test_a_claim_is_used_up(self, tmp_path: Path) -> None:
        """The same outcome a second time, also in the same call, changes nothing."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            claims = await claimed(store)
            done = [outcome(claims[name], good(name, NOON)) for name in ("a", "b")]
            assert await store.complete(done, {}) == (True, True)
            assert await store.complete(done[:1], {}) == (False,)
            assert await store.results("a") == (good("a", NOON),)
            assert await store.complete([], {}) == ()

        self.play(tmp_path, scenario)

    def test_only_the_newest_claim_holds(self, tmp_path: Path) -> None:
        """A lease that is over lets another have it; then the first one's outcome writes nothing at all."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            slow = await claimed(store, lease=OVER)
            quick = (await store.claim("other", NOON, LEASE, 1))[0]
            taken = quick.standing.monitor.name
            (kept,) = {"a", "b"} - {taken}
            late = [outcome(slow[name], bad(name, NOON)) for name in (taken, kept)]
            # Nobody has taken the second one, so its outcome is as good as ever.
            assert await store.complete(late, {taken: ["mail"], kept: []}) == (False, True)
            assert await store.results(taken) == ()
            assert (await standing(store, taken)).state is State.PENDING
            assert await store.complete([outcome(quick, good(taken, NOON))], {}) == (True,)
            assert await store.results(taken) == (good(taken, NOON),)

        self.play(tmp_path, scenario)

    def test_gives_back(self, tmp_path: Path) -> None:
        """What is released is due as before, and its old claim is worth nothing."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            claims = await claimed(store)
            await store.release([claims["a"]])
            await store.release([])
            assert await store.complete([outcome(claims["a"], good("a", NOON))], {}) == (False,)
            again = await claimed(store)
            assert list(again) == ["a"]
            assert again["a"].due == NOON
            # Of somebody else's claim nobody can give anything back.
            await store.release([claims["a"]])
            assert await claimed(store) == {}

        self.play(tmp_path, scenario)

    def test_a_removed_monitor_is_not_written(self, tmp_path: Path) -> None:
        """The others of the same call are."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            claims = await claimed(store)
            await watch(store, watched("b"))
            done = [outcome(claims[name], good(name, NOON)) for name in ("a", "b")]
            assert await store.complete(done, {}) == (False, True)
            assert await store.results("a") == ()

        self.play(tmp_path, scenario)

    def test_many_at_once(self, tmp_path: Path) -> None:
        """Workers that claim at the same time never get the same monitor, and each is written once."""
        names = [f"m{number}" for number in range(120)]

        async def scenario(store: MonitorStore) -> None:
            await watch(store, *(watched(name) for name in names))
            taken: list[str] = []

            async def worker(name: str) -> None:
                while claims := await store.claim(name, NOON, LEASE, 7):
                    done = [outcome(claim, good(claim.standing.monitor.name, NOON)) for claim in claims]
                    assert all(await store.complete(done, {}))
                    taken.extend(claim.standing.monitor.name for claim in claims)

            await asyncio.gather(*(worker(f"worker-{number}") for number in range(4)))
            assert Counter(taken) == Counter(names)
            assert {one.next_due for one in await store.standings()} == {NOON + MINUTE}

        self.play(tmp_path, scenario)

    def test_survives_the_end_of_its_process(self, tmp_path: Path) -> None:
        """Claims, standings and results are there after closing and opening."""

        async def before(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"), due=NOON)
            claims = await claimed(store)
            await store.complete([outcome(claims["a"], good("a", NOON), next_due=NOON + timedelta(days=1))], {})

        async def after(store: MonitorStore) -> None:
            assert await claimed(store) == {}
            assert (await standing(store, "a")).last == good("a", NOON)
            assert await store.next_due() == NOON + timedelta(days=1)

        self.play(tmp_path, before)
        self.play(tmp_path, after)
