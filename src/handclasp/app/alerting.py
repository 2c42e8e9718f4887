"""Alerts, put together: the outbox in the store, the receivers of the settings, and what sends from one to the other.

alerts = Alerting(vault, store)
Runner(..., receivers=alerts.receivers)
await alerts.run()                # beside the runner, until stop()
alerts.settle(settings)           # at any time
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from handclasp.app import ambient, authorities, passphrase, roots
from handclasp.app.settings import Settings
from handclasp.app.vault import Vault
from handclasp.findings import Code, Refused
from handclasp.monitor.alerts.alertmanager import REPEAT
from handclasp.monitor.alerts.dispatch import LATE, Dispatch, World, digest_transition
from handclasp.monitor.alerts.receiver import Alertmanager, Receiver
from handclasp.monitor.alerts.sender import Counts, Pace, Sender
from handclasp.monitor.alerts.wire import NotSent
from handclasp.monitor.definition import Monitor, Trust
from handclasp.monitor.digest import Digest, digest
from handclasp.monitor.ports import Standing
from handclasp.monitor.results import Transition
from handclasp.store.monitors import SqlMonitors
from handclasp.store.monitors_digests import Digests

_LOOK: Final = 20.0  # seconds between two looks at whether a digest is due
_FRESH: Final = 3600.0  # seconds for which the system's authorities are believed to be what they were

_log = logging.getLogger("handclasp.alerts")


class Alerting:
    """The worker that sends alerts, repeats those of Alertmanagers, and puts digests into the outbox when it is time.

    Every process that checks has one; what the outbox holds is sent by one of them.
    """

    def __init__(
        self,
        vault: Vault,
        store: SqlMonitors,
        *,
        worker: str,
        now: Callable[[], datetime] = ambient.now,
        pace: Pace | None = None,
    ) -> None:
        self._vault = vault
        self._store = store
        self._digests = Digests(vault.database)
        self._now = now
        self._contexts = Contexts(vault)
        self._threads = ThreadPoolExecutor((pace or Pace()).concurrency, thread_name_prefix="alerts")
        self._failing: set[str] = set()
        self._planned: set[str] = set()
        self._changed = asyncio.Event()
        self._dispatch = self._made(vault.settings)
        self._sender = Sender(store, self._deliver, worker=worker, now=now, pace=pace)

    @property
    def counts(self) -> dict[str, Counts]:
        """What became of alerts here, by receiver."""
        return self._sender.counts

    def receivers(self, monitor: Monitor) -> tuple[str, ...]:
        """Who is told of a change of its state; asked just before the change is written.

        A name that is not in the settings is kept: that it cannot be told is then said, and not passed over.
        """
        self._sender.expect()
        return _told(monitor, self._dispatch)

    def settle(self, settings: Settings | None) -> None:
        """Take over the receivers of the settings."""
        self._dispatch = self._made(settings)
        self._sender.settle()
        self._changed.set()

    def stop(self) -> None:
        """Let ``run`` come to its end: what is being sent has a few seconds."""
        self._sender.stop()

    async def run(self) -> None:
        """Work until ``stop``, or until cancelled. What goes wrong is logged, and does not end it."""
        beside = [asyncio.create_task(self._repeat()), asyncio.create_task(self._plan())]
        try:
            await self._sender.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def repeat(self) -> None:
        """Say again to every Alertmanager what is firing."""
        dispatch = self._dispatch
        names = [one.name for one in dispatch.receivers.values() if isinstance(one.way, Alertmanager)]
        if not names:
            return
        standings = await self._store.standings()
        for name in names:
            mine: list[Standing] = [one for one in standings if name in _told(one.monitor, dispatch)]
            try:
                await dispatch.repeat(name, mine)
            except NotSent as error:
                if name not in self._failing:
                    _log.warning("%s: %s cannot be told what is firing: %s", Code.ALERT_NOT_SENT, name, error.why)
                self._failing.add(name)
            else:
                self._failing.discard(name)

    async def plan(self) -> None:
        """Put the digests into the outbox whose time has come."""
        now = self._now()
        for one in self._dispatch.receivers.values():
            if one.digest is None or now - (at := one.digest.latest(now)) > LATE:
                continue
            transition = digest_transition(one.name, at)
            if transition.id not in self._planned:
                if await self._digests.plan(transition, one.name):
                    self._sender.expect()
                self._planned.add(transition.id)

    async def _deliver(self, name: str, transition: Transition) -> None:
        """By the receivers of the moment."""
        await self._dispatch.deliver(name, transition)

    async def _repeat(self) -> None:
        while True:
            await _logged(self.repeat(), "what is firing could not be repeated")
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), REPEAT.total_seconds())

    async def _plan(self) -> None:
        while True:
            await _logged(self.plan(), "a digest could not be planned")
            await asyncio.sleep(_LOOK)

    def _made(self, settings: Settings | None) -> Dispatch:
        return dispatch_of(settings, self._store, contexts=self._contexts, threads=self._threads, now=self._now)


class Contexts:
    """The TLS of receivers, one for each set of authorities, read again when they have changed."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[tuple[Trust, str | None], tuple[object, ssl.SSLContext]] = {}

    async def of(self, receiver: Receiver) -> ssl.SSLContext:
        """Refused or OSError where its authorities cannot be read."""
        mark, made = await self._mark(receiver)
        known = self._known.get((receiver.trust, receiver.ca_file))
        if known is not None and known[0] == mark:
            return known[1]
        context = await asyncio.to_thread(made)
        self._known[receiver.trust, receiver.ca_file] = mark, context
        return context

    async def _mark(self, receiver: Receiver) -> tuple[object, Callable[[], ssl.SSLContext]]:
        """What changes when the authorities do, and how a context with them is made."""
        if receiver.trust is Trust.OWN:
            bundle = str((await authorities.bundle(self._vault))["bundle"])
            return bundle, lambda: ssl.create_default_context(cadata=bundle)
        if receiver.trust is Trust.FILE:
            path = Path(receiver.ca_file or "")
            stat = await asyncio.to_thread(path.stat)
            return (stat.st_mtime_ns, stat.st_size), lambda: ssl.create_default_context(cafile=path)
        hour = asyncio.get_running_loop().time() // _FRESH
        return hour, lambda: ssl.create_default_context(cafile=roots.system_file())


def dispatch_of(
    settings: Settings | None,
    store: SqlMonitors,
    *,
    contexts: Contexts,
    threads: ThreadPoolExecutor,
    now: Callable[[], datetime] = ambient.now,
) -> Dispatch:
    """What sends to the receivers of the settings."""
    origin = origin_of(settings)

    async def of_all() -> Digest:
        return digest(await store.standings(), now(), origin=origin)

    world = World(
        origin=origin,
        now=now,
        secret=lambda place, what: passphrase.reader(place, what)(),
        context=contexts.of,
        digest=of_all,
        threads=threads,
    )
    return Dispatch(() if settings is None else settings.alerts, world)


def origin_of(settings: Settings | None) -> str:
    """What this installation is called in alerts."""
    return "handclasp" if settings is None else str(settings.trust_domain)


def unknown_receiver(name: str, settings: Settings | None) -> Refused:
    """There is no such one."""
    names = ", ".join(one.name for one in settings.alerts) if settings is not None else ""
    return Refused(
        Code.ALERT_NOT_SENT,
        f"There is no receiver {name}",
        f"handclasp.yaml has {names} below alerts:" if names else "handclasp.yaml has nobody below alerts:",
        "Name one of them, or add it there.",
    )


def _told(monitor: Monitor, dispatch: Dispatch) -> tuple[str, ...]:
    digests = {one.name for one in dispatch.receivers.values() if one.digest is not None}
    return tuple(name for name in monitor.alerts or dispatch.receivers if name not in digests)


async def _logged(work: Coroutine[None, None, None], what: str) -> None:
    try:
        await work
    except Exception:  # whatever a database may raise
        _log.exception("%s", what)
