"""Monitoring, put together: the worker that checks, on the store, the probe and our own certificates."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from handclasp.app import ambient, anchors, authorities, passphrase, probing
from handclasp.app.alerting import Alerting
from handclasp.app.credential_source import CredentialSource
from handclasp.app.inventory import OwnCertificates
from handclasp.app.kubernetes_yaml import documents
from handclasp.app.monitoring_settings import MonitoringSettings
from handclasp.app.outputs import Outputs, Sources
from handclasp.app.settings import Settings
from handclasp.app.stranger import stranger
from handclasp.app.vault import Vault
from handclasp.findings import Refused
from handclasp.monitor.checks import Checks
from handclasp.monitor.definition import Monitor, Trust
from handclasp.monitor.endpoint import CredentialFor, EndpointExaminer
from handclasp.monitor.outputs.prometheus import OwnCredential
from handclasp.monitor.ports import Outcome
from handclasp.monitor.runner import Runner
from handclasp.monitor.schedule import offset
from handclasp.probe.credentials import Credential
from handclasp.probe.loop import Driver
from handclasp.probe.target import Target
from handclasp.probe.trust import Anchors, Verifier
from handclasp.store.monitors import SqlMonitors

_FRESH: Final = timedelta(seconds=30)
"""For so long a monitor's authorities are believed to be what they were."""

_log = logging.getLogger("handclasp.monitor")


@dataclass(frozen=True, slots=True)
class Look:
    """What takes one look at a monitor, and what that is made of."""

    checks: Checks
    driver: Driver
    trusts: Trusts
    credential_for: CredentialFor


class Watch:
    """A worker with all that goes with it: ``run`` works until it is cancelled, ``settle`` takes over settings."""

    def __init__(self, vault: Vault, credentials: CredentialSource, look: Look) -> None:
        self._vault = vault
        self._store = SqlMonitors(vault.database)
        worker = worker_name(vault)
        self.alerts = Alerting(vault, self._store, worker=worker)
        self.runner = Runner(
            self._store,
            look.checks.check,
            worker=worker,
            now=ambient.now,
            receivers=self.alerts.receivers,
            on_results=self._on_results,
        )
        self.outputs = Outputs(
            Sources(
                worker=worker,
                standings=self._store.standings,
                driver=look.driver,
                verifier=look.trusts.verifier,
                credential=look.credential_for,
                statistics=lambda: self.runner.statistics,
                credentials=lambda: _shown(credentials),
            )
        )

    async def settle(self, settings: Settings | None) -> None:
        """Take over the monitors, receivers and outputs of the settings. An output that cannot be started is logged,
        and keeps nothing from being checked."""
        monitoring = MonitoringSettings() if settings is None else settings.monitoring
        gone = await sync(self._vault, self._store, settings)
        if gone:
            _log.info("not in the settings any more, so not watched: %s", ", ".join(gone))
        self.alerts.settle(settings)
        self.runner.retention = monitoring.retention
        self.runner.wake()
        try:
            await self.outputs.settle(monitoring)
        except Refused as refused:
            _log.error("%s: %s. %s (%s)", refused.what, refused.why, refused.fix, refused.code)

    async def run(self) -> None:
        """Check, tell and show."""
        if self._vault.database.dialect == "sqlite":
            await self._store.free()  # the state directory's lock is held, so nobody else works on it
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.runner.run())
                group.create_task(self.alerts.run())
        finally:
            await self.outputs.stop()

    def _on_results(self, outcomes: Sequence[Outcome]) -> None:
        self.outputs.on_results(outcomes)


async def sync(vault: Vault, store: SqlMonitors, settings: Settings | None) -> tuple[str, ...]:
    """Bring the monitors of the file into the store; the names of those that are gone from it.

    A PostgreSQL may have processes with other files, such as gateways that watch nothing: there a file without
    ``monitors:`` says nothing about them. Of files that differ, the last one to come is right.
    """
    if settings is None or (vault.database.dialect == "postgresql" and "monitors" not in settings.positions):
        return ()
    now = ambient.now()
    monitors = settings.monitors
    # A handful is checked at once, thousands are spread over a minute.
    window = timedelta(seconds=min(60.0, len(monitors) / 50))
    return await store.sync(monitors, now, {one.name: now + offset(one.name, window) for one in monitors})


@contextmanager
def looking(vault: Vault, credentials: CredentialSource) -> Iterator[Look]:
    """A way to look at monitors, for as long as the context lasts."""
    with probing.driver(concurrency=500, per_host=20) as driver:
        trusts = Trusts(vault)
        one_stranger = stranger()

        async def credential_for(monitor: Monitor, target: Target) -> Credential | None:
            if monitor.credential is None:
                return None
            if monitor.credential == "auto":
                return await credentials.find(target.name, target.port)
            return await credentials.named(monitor.credential)

        checks = Checks(
            examiner=EndpointExaminer(driver, trusts.verifier, credential_for, lambda: one_stranger, ambient.now),
            inventory=OwnCertificates(vault.ledger, credentials, ambient.now),
            read_secrets=documents,
            read_passphrase=lambda place: passphrase.reader(place, "passphrase of the files")(),
        )
        yield Look(checks, driver, trusts, credential_for)


async def _shown(credentials: CredentialSource) -> list[OwnCredential]:
    return [OwnCredential(one.name, one.pattern, one.not_after) for one in await credentials.watched()]


def worker_name(vault: Vault) -> str:
    """What this process is called among those that share the work."""
    return f"{vault.writer}/{socket.gethostname()}/{os.getpid()}"


class Trusts:
    """The verifiers of monitors, one for each set of authorities, so that each chain is judged once."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[tuple[Trust, str | None], tuple[float, object, Verifier]] = {}

    async def verifier(self, monitor: Monitor) -> Verifier:
        """With whom the monitor's server is verified. Refused where a file cannot be used."""
        key = monitor.trust, monitor.ca_file
        now = asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[2]
        mark = await self._mark(monitor)
        if known is not None and known[1] == mark:
            verifier = known[2]
        else:
            verifier = Verifier([await asyncio.to_thread(_anchors(monitor, mark))])
        self._known[key] = now + _FRESH.total_seconds(), mark, verifier
        return verifier

    async def _mark(self, monitor: Monitor) -> object:
        """What changes when the authorities do; for our own, their bundle itself."""
        if monitor.trust is Trust.OWN:
            return (await authorities.bundle(self._vault))["bundle"]
        if monitor.trust is Trust.FILE and monitor.ca_file is not None:
            try:
                stat = await asyncio.to_thread(Path(monitor.ca_file).stat)
            except OSError:
                return None
            return stat.st_mtime_ns, stat.st_size
        return None


def _anchors(monitor: Monitor, mark: object) -> Callable[[], Anchors]:
    if monitor.trust is Trust.OWN:
        return lambda: anchors.own(str(mark))
    if monitor.trust is Trust.FILE:
        return lambda: anchors.file(Path(monitor.ca_file or ""))
    return anchors.system
