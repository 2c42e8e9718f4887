"""Metrics to an OpenTelemetry collector, every so often."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import MappingProxyType
from typing import Final

from handclasp.monitor.outputs import otlp
from handclasp.monitor.outputs.destination import CollectorAddress
from handclasp.monitor.outputs.exposition import Family

EVERY: Final = 60.0
"""Seconds between two exports, as by default in OpenTelemetry."""

_TIMEOUT: Final = 10.0  # seconds, for connecting and for each wait
_MOST_OCTETS: Final = 64 * 1024  # of an answer

_log = logging.getLogger("handclasp.monitor")


class NotTaken(Exception):
    """The collector did not take it; the text says why."""


@dataclass(slots=True)
class Collector:
    """Exports what ``families`` gives every ``every`` seconds. ``headers`` (such as a key for the collector) appear in
    no log. ``dropped`` counts exports that failed; the next one has all that this had."""

    address: CollectorAddress
    families: Callable[[], Awaitable[list[Family]]]
    now: Callable[[], datetime]
    resource: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    every: float = EVERY
    dropped: int = 0

    async def run(self) -> None:
        """Until cancelled."""
        started, failing = self.now(), False
        while True:
            try:
                await self._export(started)
                failing = False
            except Exception as error:  # whatever a database or a collector may do
                self.dropped += 1
                if not failing:
                    _log.warning("the metrics were not exported to %s: %s", self.address, error)
                failing = True
            await asyncio.sleep(self.every)

    async def _export(self, started: datetime) -> None:
        families = await self.families()
        await asyncio.to_thread(self._post_all, families, started)

    def _post_all(self, families: list[Family], started: datetime) -> None:
        for body in otlp.requests(families, self.now(), started, self.resource):
            self._post(body)

    def _post(self, body: bytes) -> None:
        address = self.address
        connection = HTTPConnection(address.host, address.port, timeout=_TIMEOUT)
        if address.scheme == "https":
            context = ssl.create_default_context()
            connection = HTTPSConnection(address.host, address.port, timeout=_TIMEOUT, context=context)
        try:
            headers = {**self.headers, "Content-Type": "application/json", "User-Agent": "handclasp"}
            connection.request("POST", address.path, body, headers)
            answer = connection.getresponse()
            answer.read(_MOST_OCTETS)
        except (OSError, HTTPException) as error:
            raise NotTaken(str(error) or type(error).__name__) from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise NotTaken(f"it answered with HTTP {answer.status}")
