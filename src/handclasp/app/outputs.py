"""Where results go, put together: what the settings ask for is started, changed while it runs, and stopped.

async with outputs(sources, settings.monitoring) as running:
    Runner(..., on_results=running.on_results)
    await running.settle(changed.monitoring)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import unquote

from handclasp.app import ambient
from handclasp.app.exporting import HttpServer, serve
from handclasp.app.monitoring_settings import STANDARD_OUTPUT, MonitoringSettings
from handclasp.findings import Code, Refused
from handclasp.monitor.definition import Kind, Monitor
from handclasp.monitor.lateness import Statistics
from handclasp.monitor.outputs import prometheus
from handclasp.monitor.outputs.collector import EVERY, Collector
from handclasp.monitor.outputs.datadog import Reading, readings
from handclasp.monitor.outputs.destination import Module, Prober
from handclasp.monitor.outputs.exporter import Exporter, Standings
from handclasp.monitor.outputs.exposition import Family
from handclasp.monitor.outputs.jsonlines import JsonLines
from handclasp.monitor.outputs.probes import Probes
from handclasp.monitor.outputs.prometheus import OwnCredential
from handclasp.monitor.outputs.statsd import StatsdSender
from handclasp.monitor.outputs.targets import AllowedTargets
from handclasp.monitor.ports import Outcome, Standing
from handclasp.probe.credentials import Credential
from handclasp.probe.examine import Attempts, Options, examine
from handclasp.probe.report import Report
from handclasp.probe.target import Target
from handclasp.probe.trust import Verifier

HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
"""The variable with the headers for a collector, as OpenTelemetry defines it: ``name=value,name=value``."""


async def _no_credentials() -> Sequence[OwnCredential]:
    return ()


@dataclass(frozen=True, slots=True)
class Sources:
    """What outputs read. ``verifier`` and ``credential`` are those of the monitors: they are asked with one that stands
    for a module of /probe. ``statistics`` are those of this process's worker, None where it has none."""

    worker: str
    standings: Callable[[], Awaitable[tuple[Standing, ...]]]
    driver: Attempts
    verifier: Callable[[Monitor], Awaitable[Verifier]]
    credential: Callable[[Monitor, Target], Awaitable[Credential | None]]
    statistics: Callable[[], Statistics | None] = lambda: None
    credentials: Callable[[], Awaitable[Sequence[OwnCredential]]] = _no_credentials
    now: Callable[[], datetime] = ambient.now
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    export_every: float = EVERY


class Outputs:
    """Those that run. ``port`` is where the exporter listens, None where it does not."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._settings = MonitoringSettings()
        self._probes: Probes | None = None
        self._server: HttpServer | None = None
        self._statsd: StatsdSender | None = None
        self._jsonl: JsonLines | None = None
        self._collector: tuple[Collector, asyncio.Task[None]] | None = None
        self._exporter = Exporter(
            Standings(sources.standings, monotonic), now=sources.now, more=self._more, probes=lambda: self._probes
        )

    @property
    def port(self) -> int | None:
        """Where the exporter listens."""
        return None if self._server is None else self._server.port

    def on_results(self, outcomes: Sequence[Outcome]) -> None:
        """Hand on what was written to the store. Never waits, and raises nothing."""
        if self._statsd is not None:
            self._statsd.send(_readings(outcomes, self._sources.now()))
        if self._jsonl is not None:
            self._jsonl.put(outcomes)

    async def settle(self, settings: MonitoringSettings) -> None:
        """Run what these settings ask for. What they leave as it was runs on untouched; where something cannot be
        started, Refused says so, and that one goes on as it was."""
        steps: tuple[tuple[str, Callable[[MonitoringSettings], Awaitable[None]]], ...] = (
            ("listen", self._listen),
            ("jsonl", self._write),
            ("probe", self._allow),
            ("statsd", self._send),
            ("otlp", self._export),
        )
        first: Refused | None = None
        for name, step in steps:
            if getattr(settings, name) == getattr(self._settings, name):
                continue
            try:
                await step(settings)
            except Refused as refused:
                first = first or refused
            else:
                self._settings = replace(self._settings, **{name: getattr(settings, name)})
        if first is not None:
            raise first

    async def stop(self) -> None:
        """End all of them; what waits is written."""
        if self._server is not None:
            await self._server.stop()
            self._server = None
        await self._export(MonitoringSettings())
        if self._statsd is not None:
            self._statsd.close()
            self._statsd = None
        if self._jsonl is not None:
            await self._jsonl.stop()
            self._jsonl = None

    async def _listen(self, settings: MonitoringSettings) -> None:
        # The new one first: an address that cannot be had leaves the old one in service.
        server = None if settings.listen is None else await serve(settings.listen, self._exporter)
        if self._server is not None:
            await self._server.stop()
        self._server = server

    async def _write(self, settings: MonitoringSettings) -> None:
        lines = None
        if settings.jsonl is not None:
            lines = JsonLines(None if settings.jsonl == Path(STANDARD_OUTPUT) else settings.jsonl)
            try:
                lines.start()
            except OSError as error:
                raise _unwritable(settings.jsonl, error) from None
        if self._jsonl is not None:
            await self._jsonl.stop()
        self._jsonl = lines

    async def _send(self, settings: MonitoringSettings) -> None:
        if self._statsd is not None:
            self._statsd.close()
            self._statsd = None
        if settings.statsd is not None:
            sender = StatsdSender(settings.statsd)
            await sender.start()
            self._statsd = sender

    async def _export(self, settings: MonitoringSettings) -> None:
        if self._collector is not None:
            task = self._collector[1]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._collector = None
        if settings.otlp is not None:
            sources = self._sources
            resource = {
                "service.name": "handclasp",
                "service.version": metadata.version("handclasp"),
                "service.instance.id": sources.worker,
            }
            headers = _headers(sources.environment.get(HEADERS, ""))
            collector = Collector(
                settings.otlp, self._exporter.families, sources.now, resource, headers, every=sources.export_every
            )
            self._collector = collector, asyncio.create_task(collector.run())

    async def _allow(self, settings: MonitoringSettings) -> None:
        probe, self._probes = settings.probe, None
        if probe is not None:
            allowed = AllowedTargets.parse(probe.targets)
            self._probes = Probes(probe.modules, allowed, self._examine, clock=monotonic)

    async def _examine(self, module: Module, target: Target, deadline: float) -> Report:
        stand_in = Monitor(
            name=f"/probe?module={module.name}",
            kind=Kind.HTTPS if module.http else Kind.TLS,
            target=target.text,
            trust=module.trust,
            ca_file=module.ca_file,
            credential=module.credential,
        )
        verifier = await self._sources.verifier(stand_in)
        credential = None
        if module.credential is not None and module.prober is not Prober.REFUSED:
            credential = await self._sources.credential(stand_in, target)
        if credential is not None:
            verifier = verifier.for_credential(credential)
        asks = module.http or module.prober is Prober.REFUSED
        options = Options(
            deadline=deadline,
            http="always" if asks else "never",
            credential=credential,
            only_credential=module.http,
        )
        return await examine(self._sources.driver, target, verifier, options, self._sources.now)

    async def _more(self) -> Iterable[Family]:
        """What is shown beside the monitors."""
        statistics = self._sources.statistics()
        dropped = {}
        if self._statsd is not None:
            dropped["statsd"] = self._statsd.dropped
        if self._jsonl is not None:
            dropped["jsonl"] = self._jsonl.dropped
        if self._collector is not None:
            dropped["otlp"] = self._collector[0].dropped
        return [
            *prometheus.of_credentials(await self._sources.credentials()),
            *([] if statistics is None else prometheus.of_worker(statistics, self._sources.worker)),
            *prometheus.of_outputs(dropped),
        ]


@asynccontextmanager
async def outputs(sources: Sources, settings: MonitoringSettings) -> AsyncIterator[Outputs]:
    """What the settings ask for, while the context lasts. Raises Refused for what cannot be started."""
    running = Outputs(sources)
    try:
        await running.settle(settings)
        yield running
    finally:
        await running.stop()


def _readings(outcomes: Sequence[Outcome], now: datetime) -> Iterable[Reading]:
    for outcome in outcomes:
        yield from readings(outcome.claim.standing.monitor, outcome.result, now)


def _headers(text: str) -> dict[str, str]:
    """As in W3C Baggage, without its properties. What cannot be a header is left out."""
    found = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if name and name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable():
            found[name] = value
    return found


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(
        Code.CONFIG_INVALID,
        f"Results cannot be written to {path}",
        error.strerror or str(error),
        "Name a file that this user may write: monitoring.jsonl in handclasp.yaml.",
    )
