"""The worker that checks what is due: takes monitors from the store, checks many at once, and writes what came of it.

    claim (a batch, for the length of a lease) -> check, with retries -> outcome -> complete (a batch, one transaction)

Any number of workers may share a store. A claim is one worker's until its lease is over, and a lease is longer than a
check with all its retries can be; so no monitor is checked twice at once, a worker that dies delays its monitors by a
lease and loses nothing, and what a worker that was stopped writes too late is refused by the store. While the store
cannot be reached, results wait for it (as long as their leases last), and nothing new is taken.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from handclasp.findings import Code, Finding
from handclasp.monitor.changes import changes
from handclasp.monitor.definition import Monitor, State, severity
from handclasp.monitor.judge import judge, may_pass
from handclasp.monitor.lateness import Statistics
from handclasp.monitor.maintenance import in_maintenance
from handclasp.monitor.ports import Claim, MonitorStore, Outcome, Retention
from handclasp.monitor.results import CheckResult, Transition
from handclasp.monitor.schedule import next_due, patience

Check = Callable[[Monitor, CheckResult | None, datetime], Awaitable[CheckResult]]
"""One look at a monitor, given its last result and the time (``Checks.check``)."""

_FIRST_PAUSE: Final = 0.1  # seconds after an error of the store; doubles with each
_LONGEST_PAUSE: Final = 10.0
_LAST_WORDS: Final = 5.0  # seconds that a worker that stops may take to give back what it holds
_HELD: Final = 20  # claims in hand per examination that may run: those that wait to try again are many in an outage
_PRUNING: Final = 3600.0  # seconds

_log = logging.getLogger("handclasp.monitor")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker works: ``concurrency`` examinations at once, at most ``batch`` claims or outcomes in one
    transaction, ``gather`` seconds in which others may join one, ``idle`` seconds at most between two looks at the
    store. A lease is ``slack`` longer than the longest check."""

    concurrency: int = 500
    batch: int = 500
    gather: float = 0.05
    idle: float = 2.0
    slack: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Held:
    """An outcome, and until when (of the loop's clock) the store may still take it."""

    outcome: Outcome
    until: float


class Runner:
    """One worker. ``now`` is the clock, ``receivers`` says who is told of a monitor's transitions. ``on_results`` is
    handed what was written, and must not wait."""

    def __init__(
        self,
        store: MonitorStore,
        check: Check,
        *,
        worker: str,
        now: Callable[[], datetime],
        receivers: Callable[[Monitor], Sequence[str]] = lambda _: (),
        pace: Pace | None = None,
        retention: Retention | None = None,
        on_results: Callable[[Sequence[Outcome]], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._check = check
        self._worker = worker
        self._now = now
        self._receivers = receivers
        self._pace = pace or Pace()
        self.retention = retention or Retention()
        self._on_results = on_results
        self._longest = timedelta()
        self._slots = asyncio.Semaphore(self._pace.concurrency)
        self._examining = 0
        self._tasks: dict[str, tuple[asyncio.Task[None], Claim]] = {}
        self._finished: deque[_Held] = deque()
        self._stopping = False
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._written = asyncio.Event()
        self.statistics = Statistics()

    def wake(self) -> None:
        """Look at the store now: there may be something new in it."""
        self._wake.set()

    def stop(self) -> None:
        """Let ``run`` come to its end: checks are broken off and given back, outcomes are written."""
        self._stopping = True
        for event in (self._wake, self._room, self._written):
            event.set()

    async def run(self) -> None:
        """Work until ``stop``, or until cancelled, which does the same. Errors of the store do not end it."""
        helpers = [asyncio.create_task(self._write_all()), asyncio.create_task(self._prune())]
        try:
            await self._claim_all()
        finally:
            self.stop()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._give_back()

    # Taking what is due

    async def _claim_all(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping:
            limit = self._limit()
            if limit < min(self._pace.batch, max(1, self._pace.concurrency // 4)):
                self._room.clear()
                await self._room.wait()
                continue
            self._wake.clear()
            try:
                taken = await self._claim(limit)
                delay = self._pace.gather if taken else await self._time_to_next()
                pause = _FIRST_PAUSE
            except Exception:  # whatever a database may raise
                self.statistics.store_errors += 1
                _log.exception("the store gave no work; the next try is in %.1f s", pause)
                delay, pause = pause, min(2 * pause, _LONGEST_PAUSE)
            if delay > 0 and not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), delay)

    def _limit(self) -> int:
        """How many monitors may be taken now, so that each of them is begun at once."""
        pace = self._pace
        if len(self._finished) >= 4 * pace.batch:
            return 0
        held = len(self._tasks)
        return min(pace.batch, pace.concurrency - self._examining, _HELD * pace.concurrency - held)

    async def _claim(self, limit: int) -> int:
        """Take and begin; how many."""
        lease = self._longest + self._pace.slack
        asked = asyncio.get_running_loop().time()
        claims = await self._store.claim(self._worker, self._now(), lease, limit)
        too_long = []
        for claim in claims:
            monitor = claim.standing.monitor
            if (needed := patience(monitor)) > self._longest:
                too_long.append(claim)
                self._longest = max(self._longest, needed)
            elif monitor.name not in self._tasks:
                self._begin(claim, asked)
            # Else its lease is over and its check goes on: a stopped clock. It comes back when the new lease is over.
        if too_long:
            await self._store.release(too_long)
            self._wake.set()
        return len(claims)

    async def _time_to_next(self) -> float:
        due = await self._store.next_due()
        if due is None:
            return self._pace.idle
        return min(max((due - self._now()).total_seconds(), self._pace.gather), self._pace.idle)

    # Checking

    def _begin(self, claim: Claim, asked: float) -> None:
        self.statistics.begun(self._now() - claim.due)
        self._examining += 1
        self._tasks[claim.standing.monitor.name] = asyncio.create_task(self._one(claim, asked)), claim

    async def _one(self, claim: Claim, asked: float) -> None:
        monitor = claim.standing.monitor
        try:
            outcome = self._outcome(claim, await self._checked(claim, asked))
            until = asked + (patience(monitor) + self._pace.slack).total_seconds()
            self._finished.append(_Held(outcome, until))
            self._written.set()
        except Exception:  # one monitor must not end the others: its lease ends, and it comes again
            _log.exception("the check of %s could not be carried out", monitor.name)
        finally:
            del self._tasks[monitor.name]
            self._room.set()

    async def _checked(self, claim: Claim, asked: float) -> CheckResult:
        """The result after as many tries as it takes: until it is no worse than how the monitor stands, or the tries
        are used up, or another can bring nothing new."""
        standing, monitor = claim.standing, claim.standing.monitor
        result: CheckResult | None = None
        attempts = 1
        try:
            async with asyncio.timeout_at(asked + (patience(monitor) + self._pace.slack / 2).total_seconds()):
                result = await self._look(claim)
                while (
                    attempts <= monitor.retries
                    and severity(result.state) > severity(standing.state)
                    and may_pass(result)
                    and not in_maintenance(monitor.maintenance, result.at)
                ):
                    await asyncio.sleep(monitor.retry_after.total_seconds())
                    self._examining += 1
                    result = await self._look(claim)
                    attempts += 1
        except TimeoutError:
            result = result or self._overdue(monitor)
        return result if attempts == 1 else replace(result, attempts=attempts)

    async def _look(self, claim: Claim) -> CheckResult:
        """One try. It has been counted among those that are examining, and waits here where they are too many."""
        try:
            async with self._slots:
                self.statistics.attempts += 1
                return await self._check(claim.standing.monitor, claim.standing.last, self._now())
        finally:
            self._examining -= 1
            self._room.set()

    def _overdue(self, monitor: Monitor) -> CheckResult:
        finding = Finding(Code.UNKNOWN, monitor.target, "the check did not come to an end in time")
        return judge(monitor, CheckResult(monitor.name, self._now(), State.PENDING, Code.UNKNOWN, "", (finding,)))

    def _outcome(self, claim: Claim, result: CheckResult) -> Outcome:
        standing, monitor = claim.standing, claim.standing.monitor
        if monitor.maintenance and in_maintenance(monitor.maintenance, result.at):
            begins = standing.state is State.PENDING and result.state is State.OK  # of which nobody would be told
            result = replace(result, state=result.state if begins else standing.state, maintenance=True)
        due = next_due(monitor, max(self._now(), claim.due))
        return Outcome(claim, result, changes(standing.last, result), transition(claim, result), due)

    # Writing what came of it

    async def _write_all(self) -> None:
        pause, size = _FIRST_PAUSE, self._pace.batch
        while True:
            self._written.clear()
            if not self._finished:
                await self._written.wait()
                continue
            if len(self._finished) < size:
                await asyncio.sleep(self._pace.gather)
            try:
                await self._write(size)
            except Exception:  # whatever a database may raise
                self.statistics.store_errors += 1
                _log.exception("the store took no results; the next try is in %.1f s", pause)
                await asyncio.sleep(pause)
                # Smaller, in case that one of them is what it does not take: the others get through.
                pause, size = min(2 * pause, _LONGEST_PAUSE), max(1, size // 2)
            else:
                pause, size = _FIRST_PAUSE, min(2 * size, self._pace.batch)

    async def _write(self, size: int) -> None:
        """Write some outcomes. Those that could not be written go to the end of the queue."""
        time = asyncio.get_running_loop().time()
        batch = [self._finished.popleft() for _ in range(min(size, len(self._finished)))]
        alive = [held for held in batch if held.until > time]
        self.statistics.lost += len(batch) - len(alive)
        self._room.set()
        if not alive:
            return
        outcomes = [held.outcome for held in alive]
        told = {
            outcome.result.monitor: tuple(self._receivers(outcome.claim.standing.monitor))
            for outcome in outcomes
            if outcome.transition is not None
        }
        try:
            kept = await self._store.complete(outcomes, told)
        except BaseException:
            self._finished.extend(alive)
            raise
        self.statistics.checks += sum(kept)
        self.statistics.lost += len(kept) - sum(kept)
        try:
            self._on_results([outcome for outcome, held in zip(outcomes, kept, strict=True) if held])
        except Exception:  # it is written, whatever else becomes of it
            _log.exception("results could not be handed on")

    async def _prune(self) -> None:
        while True:
            try:
                await self._store.prune(self._now(), self.retention)
            except Exception:  # whatever a database may raise
                self.statistics.store_errors += 1
                _log.exception("old results could not be removed")
            await asyncio.sleep(_PRUNING)

    async def _give_back(self) -> None:
        """Break off what is being checked, and leave the store as if it had never been taken."""
        broken_off = list(self._tasks.values())
        for task, _ in broken_off:
            task.cancel()
        await asyncio.gather(*(task for task, _ in broken_off), return_exceptions=True)
        try:
            async with asyncio.timeout(_LAST_WORDS):
                if broken_off:
                    await self._store.release([claim for _, claim in broken_off])
                while self._finished:
                    await self._write(self._pace.batch)
        except Exception:  # whatever a database may raise; the leases end by themselves
            _log.exception("the store could not be told of the end of this worker")


def transition(claim: Claim, result: CheckResult) -> Transition | None:
    """The change of state that a result means, None where there is none. The first good result is none: there was
    nothing to recover from."""
    standing = claim.standing
    if result.state is standing.state or (standing.state is State.PENDING and result.state is State.OK):
        return None
    said = f"{result.monitor}\n{result.at.isoformat()}\n{standing.state}\n{result.state}"
    return Transition(
        id=hashlib.sha256(said.encode()).hexdigest()[:32],
        monitor=result.monitor,
        at=result.at,
        before=standing.state,
        after=result.state,
        since=standing.since,
        result=result,
        labels=standing.monitor.labels,
    )
