"""The pages that others fetch: /metrics for Prometheus, /probe in blackbox_exporter's manner, /datadog.json for the
check of the Datadog Agent, /calendar.ics for calendars. An ASGI application; whoever serves it limits what a client may
send.

What monitors say is read from the store, so that every process shows all of them, and at most once a second. While the
store does not answer, what was last read is shown on, and handclasp_store_up is 0.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

from handclasp.findings import InvalidSetting, Refused
from handclasp.monitor import calendar
from handclasp.monitor.outputs import prometheus
from handclasp.monitor.outputs.datadog import Gauge, Reading, readings
from handclasp.monitor.outputs.exposition import TEXT, Family, gauge, media_type, render
from handclasp.monitor.outputs.probes import LONGEST_DEADLINE, USUAL_DEADLINE, Busy, NotAllowed, Probed, Probes
from handclasp.monitor.ports import Standing
from handclasp.probe.report import as_json

FRESH: Final = 1.0
"""Seconds for which standings that were read are shown."""
OFFSET: Final = 0.5
"""Seconds that a probe ends before Prometheus gives up, as in blackbox_exporter."""

_PLAIN: Final = "text/plain; charset=utf-8"
_COMPRESSED_FROM: Final = 2_000  # octets
_CHUNK: Final = 64 * 1024
_USUAL_MODULE: Final = "http_2xx"
_SAME_SITE: Final = frozenset({b"none", b"same-origin"})
_INDEX: Final = "Handclasp: /metrics, /probe?target=HOST:PORT&module=NAME, /datadog.json, /calendar.ics\n"

_log = logging.getLogger("handclasp.monitor")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    body: bytes
    type: str = _PLAIN

    @classmethod
    def text(cls, status: int, text: str) -> Page:
        """A line for a person."""
        return cls(status, f"{text}\n".encode(errors="replace"))


class Standings:
    """How all monitors stand, read at most once in FRESH seconds. ``clock`` counts seconds."""

    def __init__(self, read: Callable[[], Awaitable[tuple[Standing, ...]]], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._turn = asyncio.Lock()
        self._until = -math.inf
        self._known: tuple[Standing, ...] | None = None
        self.up = True

    async def now(self) -> tuple[Standing, ...]:
        """Those of a second ago at most, or the last that could be read. Raises what the store raised where there are
        none yet."""
        async with self._turn:
            if self._clock() >= self._until:
                try:
                    self._known = await self._read()
                    self.up = True
                except Exception:  # whatever a database may raise
                    if self.up:
                        _log.exception("the store does not say how the monitors stand; what it said last is shown on")
                    self.up = False
                    if self._known is None:
                        raise
                self._until = self._clock() + FRESH
        assert self._known is not None
        return self._known


class Exporter:
    """The application. ``more`` gives families beside those of the monitors, ``probes`` what may be probed (None:
    nothing); ``now`` is the clock."""

    def __init__(
        self,
        standings: Standings,
        *,
        now: Callable[[], datetime],
        more: Callable[[], Awaitable[Iterable[Family]]],
        probes: Callable[[], Probes | None],
    ) -> None:
        self._standings = standings
        self._now = now
        self._more = more
        self._probes = probes
        self._rendering = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            page = await self._page(scope, headers)
        except Exception:
            _log.exception("a request for %s could not be answered", scope["path"][:100])
            page = Page.text(503, "This cannot be answered now. Try again later; the log says why.")
        await _answer(page, scope["method"] == "HEAD", b"gzip" in headers.get(b"accept-encoding", b""), send)

    async def families(self) -> list[Family]:
        """All metrics: what /metrics shows."""
        standings = await self._standings.now()
        told = "1 where the store said how the monitors stand, 0 where that is what it said last."
        more = await self._more()
        found = await asyncio.to_thread(prometheus.of_standings, standings)
        return [*found, *more, gauge("handclasp_store_up", told, ((), float(self._standings.up)))]

    async def _page(self, scope: Message, headers: dict[bytes, bytes]) -> Page:
        if scope["method"] not in {"GET", "HEAD"}:
            return Page.text(405, "Use GET.")
        # A page in a browser may ask for any address of this machine; what it asks for others is not answered.
        if headers.get(b"sec-fetch-site", b"none") not in _SAME_SITE:
            return Page.text(403, "This is not for pages of other sites.")
        match scope["path"]:
            case "/metrics":
                return await self._metrics(headers.get(b"accept", b"").decode("latin-1"))
            case "/probe":
                return await self._probe(scope["query_string"], headers)
            case "/datadog.json":
                return await self._datadog()
            case "/calendar.ics":
                standings = await self._standings.now()
                feed = await asyncio.to_thread(calendar.feed, standings, self._now())
                return Page(200, feed, calendar.MEDIA_TYPE)
            case "/-/healthy":
                return Page.text(200, "Handclasp is healthy.")
            case "/":
                return Page(200, _INDEX.encode())
        return Page.text(404, "There is nothing here. Try /metrics.")

    async def _metrics(self, accept: str) -> Page:
        kind = media_type(accept)
        async with self._rendering:  # one at a time: of many monitors it is many megabytes
            families = await self.families()
            return Page(200, await asyncio.to_thread(render, families, kind), kind)

    async def _datadog(self) -> Page:
        standings = await self._standings.now()
        return Page(200, await asyncio.to_thread(_datadog, standings, self._now()), "application/json")

    async def _probe(self, query: bytes, headers: dict[bytes, bytes]) -> Page:
        probes = self._probes()
        if probes is None:
            return Page.text(403, "Nothing may be probed: monitoring.probe in handclasp.yaml says what may.")
        try:
            given = parse_qs(query.decode("ascii"), max_num_fields=20)
            deadline = _deadline(headers.get(b"x-prometheus-scrape-timeout-seconds"))
        except ValueError:
            return Page.text(400, "The query or the header X-Prometheus-Scrape-Timeout-Seconds cannot be read.")
        name, target = (given.get(key, [""])[0] for key in ("module", "target"))
        if not target:
            return Page.text(400, "Target parameter is missing")
        module = probes.modules.get(name or _USUAL_MODULE)
        if module is None:
            return Page.text(400, f"Unknown module {name[:60]!r}. There are: {', '.join(sorted(probes.modules))}")
        try:
            probed = await probes.probe(module, target, deadline)
        except InvalidSetting as error:
            return Page.text(400, f"{error.why}. Allowed: {error.allowed}.")
        except NotAllowed as error:
            return Page.text(403, f"monitoring.probe.targets in handclasp.yaml does not allow {error}.")
        except Busy:
            return Page.text(503, "Too many probes are under way. Try again later.")
        except Refused as refused:
            return Page.text(500, f"{refused.what}: {refused.why}. {refused.fix}")
        if given.get("debug", [""])[0] == "true":
            return Page(200, _debug(probed))
        kind = media_type(headers.get(b"accept", b"").decode("latin-1"))
        return Page(200, render(probed.families, kind), kind)


def _deadline(header: bytes | None) -> float:
    """Seconds. Raises ValueError."""
    if header is None:
        return USUAL_DEADLINE
    seconds = float(header)
    if not 0 < seconds < math.inf:
        raise ValueError("no time at all")
    return min(seconds - OFFSET if seconds > 2 * OFFSET else seconds, LONGEST_DEADLINE)


def _debug(probed: Probed) -> bytes:
    reports = json.dumps([as_json(one) for one in probed.reports], indent=2)
    metrics = render(probed.families, TEXT).decode()
    return f"What was found:\n{reports}\n\nMetrics that would have been returned:\n{metrics}".encode()


def _datadog(standings: Iterable[Standing], now: datetime) -> bytes:
    """All readings, in the order of the monitors."""
    found: list[Reading] = []
    for one in standings:
        if one.last is not None and not one.monitor.paused:
            found += readings(one.monitor, one.last, now)
    told: dict[str, list[Message]] = {"gauges": [], "service_checks": []}
    for each in found:
        if isinstance(each, Gauge):
            told["gauges"].append({"name": each.name, "value": each.value, "tags": each.tags})
        else:
            about = {"name": each.name, "status": int(each.status), "tags": each.tags, "message": each.message}
            told["service_checks"].append(about)
    return json.dumps(told, separators=(",", ":")).encode()


async def _answer(page: Page, only_head: bool, gzipped: bool, send: Send) -> None:
    body = page.body
    headers = [(b"content-type", page.type.encode()), (b"x-content-type-options", b"nosniff")]
    if gzipped and len(body) >= _COMPRESSED_FROM:
        body = await asyncio.to_thread(gzip.compress, body, 1)
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    # In pieces, so that a client that reads slowly does not have all of it copied for it.
    for at in range(0, 0 if only_head else len(body), _CHUNK):
        await send({"type": "http.response.body", "body": body[at : at + _CHUNK], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
