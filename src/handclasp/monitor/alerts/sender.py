"""The worker that sends what is in the outbox of alerts.

    claim (for a lease) -> dispatch -> delivered, or failed: again later, or given up

Any number of workers may share a store: an alert is one worker's while its lease lasts. What could not be sent is tried
for a day, at first every few seconds and at last every ten minutes; what the receiver calls our mistake is given up at
once. A receiver that fails is left alone for a while by all that is meant for it, so that one that is slow or gone
holds up nobody else, and is told of once in the log. What belongs to one monitor and receiver stays in its order: the
store gives out only the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from handclasp.findings import Code
from handclasp.monitor.alerts.message import line
from handclasp.monitor.alerts.wire import NotSent
from handclasp.monitor.ports import Delivery
from handclasp.monitor.results import Transition

PERSISTENCE: Final = timedelta(days=1)
"""For so long an alert is tried (the remedy of ALERT_NOT_SENT says so)."""

_SOONEST, _LATEST = timedelta(seconds=5), timedelta(minutes=10)  # between two tries of one alert
_PAUSES: Final = (1.0, 60.0)  # seconds for which a receiver that fails is left alone, at first and at most
_STORE_PAUSES: Final = (0.1, 10.0)  # seconds after an error of the store

_log = logging.getLogger("handclasp.alerts")


class Outbox(Protocol):
    """The part of MonitorStore that has the alerts."""

    async def claim_deliveries(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Delivery, ...]:
        """As MonitorStore says."""

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        """As MonitorStore says."""

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> bool:
        """As MonitorStore says."""


@dataclass(frozen=True, slots=True)
class Pace:
    """``concurrency`` alerts at once, ``per_receiver`` of them to one; ``idle`` seconds at most between two looks at
    the outbox, ``soon`` after it was said that there will be something in it."""

    concurrency: int = 16
    per_receiver: int = 4
    idle: float = 2.0
    soon: float = 0.1
    lease: timedelta = timedelta(minutes=5)
    last_words: float = 5.0


@dataclass(slots=True)
class Counts:
    """What became of the alerts of one receiver here. ``failed`` counts tries."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0


@dataclass(slots=True)
class _Health:
    """How a receiver fares. ``until`` it is left alone."""

    slots: asyncio.Semaphore
    failures: int = 0
    why: str = ""
    until: datetime | None = None
    counts: Counts = field(default_factory=Counts)


class Sender:
    """One worker. ``dispatch`` sends one transition to the receiver of that name, or raises NotSent."""

    def __init__(
        self,
        outbox: Outbox,
        dispatch: Callable[[str, Transition], Awaitable[None]],
        *,
        worker: str,
        now: Callable[[], datetime],
        pace: Pace | None = None,
    ) -> None:
        self._outbox = outbox
        self._dispatch = dispatch
        self._worker = worker
        self._now = now
        self._pace = pace or Pace()
        self._health: dict[str, _Health] = defaultdict(lambda: _Health(asyncio.Semaphore(self._pace.per_receiver)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    @property
    def counts(self) -> dict[str, Counts]:
        """By receiver, since the worker began."""
        return {name: health.counts for name, health in self._health.items()}

    def expect(self) -> None:
        """There will be something in the outbox in a moment."""
        self._wake.set()

    def settle(self) -> None:
        """The receivers may be others now: none is left alone any longer."""
        for health in self._health.values():
            health.until = None
        self._wake.set()

    def stop(self) -> None:
        """Let ``run`` come to its end: what is being sent has a few seconds."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until ``stop``, or until cancelled. Errors of the store do not end it."""
        pause, delay = _STORE_PAUSES[0], 0.0
        try:
            while not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), delay)
                    await asyncio.sleep(self._pace.soon)
                self._wake.clear()
                if self._stopping:
                    break
                try:
                    taken = await self._take()
                    delay = self._pace.soon if taken else self._pace.idle
                    pause = _STORE_PAUSES[0]
                except Exception:  # whatever a database may raise
                    _log.exception("the store gave no alerts; the next try is in %.1f s", pause)
                    delay, pause = pause, min(2 * pause, _STORE_PAUSES[1])
        finally:
            if self._tasks:
                _, late = await asyncio.wait(self._tasks, timeout=self._pace.last_words)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _take(self) -> int:
        """Claim and begin; how many."""
        free = self._pace.concurrency - len(self._tasks)
        if free <= 0:
            return 1  # there may be more
        found = await self._outbox.claim_deliveries(self._worker, self._now(), self._pace.lease, free)
        for delivery in found:
            task = asyncio.create_task(self._one(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return len(found)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease ends, and it comes again.
            _log.error("an alert was not dealt with", exc_info=error)

    async def _one(self, delivery: Delivery) -> None:
        health = self._health[delivery.receiver]
        async with health.slots:
            now = self._now()
            age = now - delivery.transition.at
            if health.until is not None and now < health.until and not (age > PERSISTENCE and delivery.tries > 0):
                await self._outbox.failed(delivery, health.why, _again(now, age, health.until))
                return
            try:
                await self._dispatch(delivery.receiver, delivery.transition)
            except NotSent as error:
                await self._not_sent(delivery, health, error)
            except Exception as error:  # a fault of ours must not end the others
                _log.exception("an alert could not be sent to %s", delivery.receiver)
                await self._not_sent(delivery, health, NotSent(f"of a fault in Handclasp ({type(error).__name__})"))
            else:
                await self._sent(delivery, health)

    async def _sent(self, delivery: Delivery, health: _Health) -> None:
        if health.failures:
            _log.info("the receiver %s takes alerts again", delivery.receiver)
        health.failures, health.until = 0, None
        health.counts.sent += 1
        await self._outbox.delivered(delivery, self._now())
        self._wake.set()  # the next one of its monitor may be waiting

    async def _not_sent(self, delivery: Delivery, health: _Health, error: NotSent) -> None:
        now = self._now()
        age = now - delivery.transition.at
        health.counts.failed += 1
        if error.final or age > PERSISTENCE:
            health.counts.given_up += 1
            await self._outbox.failed(delivery, error.why, None)
            _log.error(
                "%s: the alert that %s is given up for %s: %s",
                *(Code.ALERT_NOT_SENT, _said(delivery.transition), delivery.receiver, error.why),
            )
            self._wake.set()
            return
        if not health.failures:
            _log.warning(
                "%s: the alert that %s cannot be sent to %s: %s. It is tried again for a day, with all that follow",
                *(Code.ALERT_NOT_SENT, _said(delivery.transition), delivery.receiver, error.why),
            )
        wait = timedelta(seconds=min(_PAUSES[0] * 2 ** min(health.failures, 10), _PAUSES[1]))
        health.failures += 1
        health.why = error.why
        health.until = now + max(wait, error.after or timedelta())
        await self._outbox.failed(delivery, error.why, _again(now, age, health.until))


def _again(now: datetime, age: timedelta, until: datetime) -> datetime:
    """When an alert is tried next: it has waited half as long again by then, but not before the receiver may be
    called."""
    return max(until, now + min(max(age / 2, _SOONEST), _LATEST))


def _said(transition: Transition) -> str:
    if not transition.monitor:
        return "says what expires"
    return f"{line(transition.monitor, 80)} is {transition.after}"
