"""The MonitorStore contract: what is watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

from handclasp.monitor.definition import Expectation, Kind, Monitor, State, Stranger, Trust, Window
from handclasp.monitor.ports import MonitorStore, Standing
from handclasp.testing.monitor_contract_scenes import (
    MINUTE,
    NOON,
    MonitorStage,
    bad,
    check,
    claimed,
    good,
    outcome,
    standing,
    watch,
    watched,
)

EVERYTHING = Monitor(
    name="partner/ümlaut",
    kind=Kind.HTTPS,
    target="https://partner.example/v1?a=b",
    every=timedelta(hours=1, microseconds=1),
    timeout=timedelta(seconds=2.5),
    warning=timedelta(days=30),
    critical=timedelta(days=3),
    retries=0,
    retry_after=timedelta(milliseconds=1),
    trust=Trust.FILE,
    ca_file="partner.pem",
    server_name="api.partner.example",
    credential=None,
    stranger=Stranger.UNLISTED_CA,
    passphrase="env:NAME",  # noqa: S106 - where it is found
    expect=Expectation(
        client_certificate="required",
        issuer="CN=Example CA",
        pins=("ab" * 32, "cd" * 32),
        tls=0x0304,
        chain_unchanged=True,
        status=frozenset({200, 204}),
        headers=(("server", "^nginx"), ("server", "$")),
        body="ok|fine",
        json=(("$.status", '"up"'),),
        latency=0.25,
    ),
    maintenance=(Window(frozenset({0, 6}), time(22, 30), time(2, 0, 0, 5)),),
    alerts=("pager", "mail"),
    labels=(("team", "payments"), ("env", "prod")),
    paused=True,
)


class DefinitionContract(MonitorStage):
    """Sync, put, remove, standings."""

    def test_keeps_definitions_whole(self, tmp_path: Path) -> None:
        """Every field comes back, also after closing; what was never checked is pending."""
        plain = watched("plain")

        async def write(store: MonitorStore) -> None:
            await watch(store, EVERYTHING, plain)

        async def read(store: MonitorStore) -> None:
            both = (
                Standing(EVERYTHING, State.PENDING, None, None, NOON),
                Standing(plain, State.PENDING, None, None, NOON),
            )
            assert await store.standings() == both
            assert await store.standings(["plain", "unknown"]) == both[1:]
            assert await store.standings([]) == ()

        self.play(tmp_path, write)
        self.play(tmp_path, read)

    def test_sync_says_what_there_is(self, tmp_path: Path) -> None:
        """What is no longer in the file goes, what is new comes, what is the same keeps its due time."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"), watched("b"))
            await watch(store, watched("b"), watched("c"), due=NOON + MINUTE)
            found = {one.monitor.name: one.next_due for one in await store.standings()}
            assert found == {"b": NOON, "c": NOON + MINUTE}

        self.play(tmp_path, scenario)

    def test_what_is_changed_is_due_anew(self, tmp_path: Path) -> None:
        """Target, kind, schedule: yes. Anything else leaves the due time. The state goes on."""
        now = NOON + timedelta(seconds=10)
        changed = (
            ("label", {"labels": (("team", "x"),)}, False),
            ("target", {"target": "other.example:443"}, True),
            ("kind", {"kind": Kind.REFUSED}, True),
            ("every", {"every": timedelta(hours=1)}, True),
        )

        async def scenario(store: MonitorStore) -> None:
            old = [watched(name) for name, _, _ in changed]
            await watch(store, *old)
            claims = await claimed(store)
            await store.complete([outcome(claims[one.name], bad(one.name, NOON)) for one in old], {})
            new = [replace(one, **values) for one, (_, values, _) in zip(old, changed, strict=True)]  # type: ignore[arg-type] # the values are of several types
            await watch(store, *new, due=now)
            for name, _, anew in changed:
                found = await standing(store, name)
                assert found.next_due == (now if anew else NOON + MINUTE)
                assert (found.state, found.since) == (State.CRITICAL, NOON)

        self.play(tmp_path, scenario)

    def test_api_and_file(self, tmp_path: Path) -> None:
        """Both kinds stand beside each other; a name of the file's is not for the API, and neither is its removal."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("file"))
            mine = watched("mine", origin="api")
            assert await store.put(mine, NOON)
            assert not await store.put(watched("file", origin="api", every=timedelta(days=1)), NOON)
            assert await store.remove("file") is False
            assert await store.remove("unknown") is False
            await watch(store, watched("file"))
            assert [one.monitor for one in await store.standings()] == [watched("file"), mine]
            longer = replace(mine, every=timedelta(days=1))
            assert await store.put(longer, NOON + MINUTE)
            assert (await standing(store, "mine")).monitor == longer
            assert (await standing(store, "mine")).next_due == NOON + MINUTE
            assert await store.remove("mine")
            assert [one.monitor.name for one in await store.standings()] == ["file"]

        self.play(tmp_path, scenario)

    def test_history_goes_with_what_is_removed_by_the_api(self, tmp_path: Path) -> None:
        """A new one of that name begins anew, and the claim of the old one does not hold for it."""

        async def scenario(store: MonitorStore) -> None:
            await store.put(watched("mine", origin="api"), NOON)
            await check(store, bad("mine", NOON))
            old = (await claimed(store, NOON + MINUTE))["mine"]
            assert await store.remove("mine")
            assert await store.results("mine") == ()
            assert await store.put(watched("mine", origin="api"), NOON + MINUTE)
            assert await store.complete([outcome(old, good("mine", NOON + MINUTE))], {}) == (False,)
            new = (await claimed(store, NOON + MINUTE))["mine"]
            assert await store.complete([outcome(old, good("mine", NOON + MINUTE))], {}) == (False,)
            assert new.standing == Standing(watched("mine", origin="api"), State.PENDING, None, None, NOON + MINUTE)

        self.play(tmp_path, scenario)

    def test_sync_of_nothing(self, tmp_path: Path) -> None:
        """An empty file removes all of the file's, and leaves the API's."""

        async def scenario(store: MonitorStore) -> None:
            await watch(store, watched("a"))
            await store.put(watched("b", origin="api"), NOON)
            await watch(store)
            assert [one.monitor.name for one in await store.standings()] == ["b"]

        self.play(tmp_path, scenario)
