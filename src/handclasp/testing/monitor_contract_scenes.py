"""What the suites of the MonitorStore contract share: made-up monitors and results, and how a test is played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.ports import Claim, MonitorStore, Outcome, Standing
from handclasp.monitor.results import Change, CheckResult, Transition, WatchedCertificate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(hours=1)
OVER = timedelta(0)
"""A lease that is over at once."""
HOSTILE = "CN=\x00 \ud800 \u202e ' \" \\ \U0001f600"
"""What a peer may write into its certificate. PostgreSQL takes neither the first character nor the half of a pair."""

Scenario = Callable[[MonitorStore], Awaitable[None]]


def watched(name: str, *, origin: str = "file", paused: bool = False, every: timedelta = MINUTE) -> Monitor:
    """A monitor of an endpoint."""
    return Monitor(name, Kind.TLS, f"{name}.example.org:443", origin=origin, every=every, paused=paused)


def served(name: str) -> WatchedCertificate:
    """A leaf."""
    return WatchedCertificate(
        role="leaf",
        place="0",
        subject=HOSTILE,
        issuer="CN=Example CA",
        names=(f"{name}.example.org", "www.example.org"),
        serial="0123456789abcdef",
        fingerprint="ab" * 32,
        spki="cd" * 32,
        not_before=NOON - timedelta(days=1),
        not_after=NOON + timedelta(days=90, microseconds=1),
    )


def good(name: str, at: datetime, *, seconds: float | None = 0.012345) -> CheckResult:
    """A result without findings."""
    return CheckResult(
        monitor=name,
        at=at,
        state=State.OK,
        code=Code.OK,
        summary="It is as it should be.",
        certificates=(served(name),),
        facts={"tls_version": "TLS 1.3", "group": None, "status": 200, "resumed": False, "odd": HOSTILE},
        seconds=seconds,
        trusted=True,
        crl_next_update=NOON + timedelta(days=3),
    )


def bad(name: str, at: datetime, *, state: State = State.CRITICAL) -> CheckResult:
    """A result with a finding."""
    return CheckResult(
        monitor=name,
        at=at,
        state=state,
        code=Code.TLS_VERSION_MISMATCH,
        summary="No common version.",
        findings=(Finding(Code.TLS_VERSION_MISMATCH, f"{name}.example.org:443", HOSTILE, {"alert": "70"}),),
        attempts=3,
        seen_at=at - MINUTE,
        maintenance=state is State.WARNING,
    )


def outcome(
    claim: Claim,
    result: CheckResult,
    *,
    changes: tuple[Change, ...] = (),
    transition: Transition | None = None,
    next_due: datetime | None = None,
) -> Outcome:
    """Due again a period after it was."""
    return Outcome(claim, result, changes, transition, next_due or claim.due + claim.standing.monitor.every)


def moved(result: CheckResult, before: State) -> Transition:
    """The transition that a result is."""
    said = f"{result.monitor}/{result.at.isoformat()}"
    labels = (("team", "payments"),)
    return Transition(said, result.monitor, result.at, before, result.state, result.at - MINUTE, result, labels)


async def watch(store: MonitorStore, *monitors: Monitor, due: datetime = NOON) -> None:
    """These and no others, of the settings file, all due then."""
    await store.sync(monitors, due, {monitor.name: due for monitor in monitors})


async def claimed(store: MonitorStore, now: datetime = NOON, *, lease: timedelta = LEASE) -> dict[str, Claim]:
    """All that is due."""
    return {claim.standing.monitor.name: claim for claim in await store.claim("worker", now, lease, 1000)}


async def check(
    store: MonitorStore,
    result: CheckResult,
    *,
    changes: tuple[Change, ...] = (),
    before: State | None = None,
    receivers: Sequence[str] = (),
) -> None:
    """Claim the monitor at the result's time, and complete it; with a transition where ``before`` is given."""
    claims = await claimed(store, result.at)
    claim = claims.pop(result.monitor)
    await store.release(list(claims.values()))
    transition = None if before is None else moved(result, before)
    done = outcome(claim, result, changes=changes, transition=transition, next_due=result.at + MINUTE)
    assert await store.complete([done], {result.monitor: receivers}) == (True,)


async def standing(store: MonitorStore, name: str) -> Standing:
    """Of one monitor."""
    (found,) = await store.standings([name])
    return found


class MonitorStage:
    """``open`` gives the store kept in ``directory``; closing and opening again finds the same."""

    def open(self, directory: Path) -> AbstractContextManager[MonitorStore]:
        """The store of that directory, made if there is none."""
        raise NotImplementedError

    def play(self, directory: Path, scenario: Scenario) -> None:
        """Run the scenario on the store of ``directory``."""

        async def scene() -> None:
            with self.open(directory) as store:
                await scenario(store)

        asyncio.run(scene())
