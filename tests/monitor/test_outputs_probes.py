"""/probe below its page: redirects, how many at once; and how results reach the outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from handclasp.findings import Code
from handclasp.monitor.definition import Monitor
from handclasp.monitor.outputs.destination import Module, Prober
from handclasp.monitor.outputs.probes import MOST_REDIRECTS, Busy, Probed, Probes
from handclasp.monitor.outputs.targets import AllowedTargets
from handclasp.monitor.ports import Outcome
from handclasp.monitor.runner import Runner
from handclasp.monitor.schedule import first_due
from handclasp.probe.evidence import Response
from handclasp.probe.report import Report
from handclasp.probe.target import Target
from handclasp.testing.monitor_memory import MemoryMonitorStore
from handclasp.testing.virtual_time import now, virtual_time
from handclasp.testing.watching import AT, ScriptedExaminer, a_monitor, checks

MODULE = Module("m", Prober.HTTP_2XX, server_name="a.test", credential="partner")
Answer = tuple[int, str | None]


class Site:
    """Answers by path: a status, and where it redirects to. ``asked`` is who was asked, and as what."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str | None, str | None]] = []

    async def examine(self, module: Module, target: Target, seconds: float) -> Report:
        assert 0 < seconds <= 10
        self.asked.append((f"{target.authority}{target.http}", module.credential, module.server_name))
        status, location = self.answers.get((target.http or "/").strip("/"), (200, None))
        headers = () if location is None else (("location", location),)
        return Report(target, AT, Code.OK, (), trusted=True, response=Response(status, "", headers, b"", True))

    def probe(self, target: str, module: Module = MODULE) -> Probed:
        probes = Probes([module], AllowedTargets.parse(["a.test", "b.test"]), self.examine, clock=lambda: 0.0)
        return asyncio.run(probes.probe(module, target, 10))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_without_anything_of_ours(status: int) -> None:
    """To allowed targets; the credential and the name were for the first one alone."""
    site = Site(x=(status, "/y?z=1#w"), y=(200, None))
    site.answers["y?z=1"] = (status, "https://b.test:8443/w")
    found = site.probe("a.test/x" if status == 301 else "https://a.test/x")
    assert found.success
    assert site.asked == [
        ("a.test:443/x", "partner", "a.test"),
        ("a.test:443/y?z=1", None, None),
        ("b.test:8443/w", None, None),
    ]
    assert [s.value for f in found.families if f.name == "probe_http_redirects" for s in f.samples] == [2]


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("https://c.test/", "it redirects to c.test:443, which monitoring.probe.targets does not allow"),
        ("https://10.0.0.1/", "it redirects to 10.0.0.1:443, which monitoring.probe.targets does not allow"),
        ("http://a.test/", "it redirects to what cannot be examined: http:// has no TLS"),
        ("unix:/run/a.sock", "it redirects to what cannot be examined: unix:// has no TLS"),
        ("https://[", "it redirects to what cannot be examined: the Location is no URL"),
        ("/x", "it redirects too often"),
    ],
)
def test_a_redirect_to_elsewhere_is_a_failure(location: str, why: str) -> None:
    """Nobody else is asked, and it is said why."""
    site = Site(x=(302, location))
    found = site.probe("a.test/x")
    assert not found.success
    assert found.reports[-1].findings[0].what == why
    assert {place for place, _, _ in site.asked} == {"a.test:443/x"}
    assert len(site.asked) == (MOST_REDIRECTS + 1 if location == "/x" else 1)


def test_other_modules_do_not_follow() -> None:
    """For https a redirect is an answer."""
    site = Site(x=(302, "https://b.test/"))
    assert site.probe("https://a.test/x", Module("https", Prober.HTTPS)).success
    assert len(site.asked) == 1


def test_only_so_many_are_examined_at_once() -> None:
    """Others wait for half of their time, and are turned away then."""
    site, hold = Site(), asyncio.Event()
    most = 0

    async def examine(module: Module, target: Target, seconds: float) -> Report:
        nonlocal most
        most = max(most, len(site.asked) + 1)
        report = await site.examine(module, target, seconds)
        await hold.wait()
        return report

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        probes = Probes([MODULE], AllowedTargets.parse(["a.test"]), examine, clock=loop.time, at_once=3)
        tasks = [asyncio.create_task(probes.probe(MODULE, "a.test", 1)) for _ in range(5)]
        await asyncio.sleep(0.6)
        hold.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with virtual_time() as run:
        done = run(main())
    assert [type(one) for one in done] == [Probed] * 3 + [Busy] * 2
    assert most == 3


def test_results_are_handed_on_once_they_are_written() -> None:
    """Those that the store took; an output that fails ends nothing."""
    store, told = MemoryMonitorStore(), list[str]()

    def take(outcomes: Sequence[Outcome]) -> None:
        told.extend(outcome.result.monitor for outcome in outcomes)
        raise OSError("this output is broken")

    async def main() -> int:
        monitors: list[Monitor] = [a_monitor(name, every=timedelta(minutes=1)) for name in ("a", "b")]
        await store.sync(monitors, now(), {one.name: first_due(one, now()) for one in monitors})
        runner = Runner(store, checks(ScriptedExaminer()).check, worker="w", now=now, on_results=take)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(119)
        runner.stop()
        await running
        return runner.statistics.store_errors

    with virtual_time() as run:
        errors = run(main())
    assert errors == 0
    assert {name: told.count(name) for name in "ab"} == {name: len(asyncio.run(store.results(name))) for name in "ab"}
    assert told.count("a") >= 1
