"""``/probe``: one endpoint examined now, for whoever may ask.

What examines endpoints for strangers is a way into the network behind it. So only targets that the settings allow are
connected to, redirects included; only so many at once; no credential is shown that the module does not name, and none
after a redirect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urljoin, urlsplit

from handclasp.findings import Code, Finding, InvalidSetting
from handclasp.monitor.outputs.blackbox import families, success
from handclasp.monitor.outputs.destination import Module, Prober
from handclasp.monitor.outputs.exposition import Family
from handclasp.monitor.outputs.targets import AllowedTargets
from handclasp.probe import parse
from handclasp.probe.report import Report
from handclasp.probe.target import Target

MOST_AT_ONCE: Final = 50
MOST_REDIRECTS: Final = 10
USUAL_DEADLINE, LONGEST_DEADLINE = 10.0, 60.0
"""Seconds: where nobody says how long a probe may take, and at most."""

_LONGEST_TARGET: Final = 2048
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Examine = Callable[[Module, Target, float], Awaitable[Report]]
"""One examination as the module says, with so many seconds at most. May raise Refused."""


class NotAllowed(Exception):
    """The settings do not allow the target."""


class Busy(Exception):
    """Too many are being examined, and none of them ended in time."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of it. ``reports`` is the endpoint's, then those of the redirects."""

    success: bool
    duration: float
    reports: tuple[Report, ...]
    families: list[Family]


class Probes:
    """The modules, whom they may examine, and how many at once. ``clock`` counts seconds."""

    def __init__(
        self,
        modules: Iterable[Module],
        allowed: AllowedTargets,
        examine: Examine,
        *,
        clock: Callable[[], float],
        at_once: int = MOST_AT_ONCE,
    ) -> None:
        self.modules = {module.name: module for module in modules}
        self._allowed = allowed
        self._examine = examine
        self._clock = clock
        self._gate = asyncio.Semaphore(at_once)

    async def probe(self, module: Module, text: str, deadline: float) -> Probed:
        """Examine ``text`` in so many seconds. Raises InvalidSetting for what is no target, NotAllowed, Busy, and
        Refused."""
        target = self._target(module, text)
        began = self._clock()
        try:
            await asyncio.wait_for(self._gate.acquire(), deadline / 2)
        except TimeoutError:
            raise Busy from None
        try:
            reports = await self._follow(module, target, began + deadline)
        finally:
            self._gate.release()
        duration = self._clock() - began
        well = success(module, reports[-1])
        return Probed(well, duration, tuple(reports), families(module, reports, duration, well))

    def _target(self, module: Module, text: str) -> Target:
        if len(text) > _LONGEST_TARGET:
            raise InvalidSetting("target", "it is too long", f"at most {_LONGEST_TARGET} characters")
        if module.http and "://" not in text:
            text = f"https://{text}"
        target = parse.target(text, server_name=module.server_name)
        if not self._allowed.permits(target):
            raise NotAllowed(target.authority)
        return target

    async def _follow(self, module: Module, target: Target, until: float) -> list[Report]:
        reports = [await self._examine(module, target, max(until - self._clock(), 0.1))]
        while module.prober is Prober.HTTP_2XX and (location := _location(reports[-1])) is not None:
            if len(reports) > MOST_REDIRECTS:
                return _instead(reports, "it redirects too often")
            # Whoever answers chooses where a redirect leads: nothing of ours is shown there.
            module = replace(module, credential=None, server_name=None)
            try:
                target = self._target(module, _resolved(target, location))
            except InvalidSetting as error:
                return _instead(reports, f"it redirects to what cannot be examined: {error.why}")
            except NotAllowed as error:
                return _instead(reports, f"it redirects to {error}, which monitoring.probe.targets does not allow")
            left = until - self._clock()
            if left < 0.1:
                return _instead(reports, "the time was up before all redirects were followed")
            reports.append(await self._examine(module, target, left))
        return reports


def _location(report: Report) -> str | None:
    response = report.response
    if response is None or response.status not in _REDIRECTS:
        return None
    return next((value for name, value in response.headers if name == "location"), None)


def _resolved(target: Target, location: str) -> str:
    try:
        found = urljoin(f"https://{target.authority}{target.http or '/'}", location)
        scheme = urlsplit(found).scheme
    except ValueError:
        raise InvalidSetting("", "the Location is no URL", "https://...") from None
    if scheme != "https":
        raise InvalidSetting("", f"{scheme[:20]}:// has no TLS", "https://...")
    return found


def _instead(reports: list[Report], what: str) -> list[Report]:
    """With the last report saying why it ends there; a redirect is no success."""
    last = reports[-1]
    finding = Finding(Code.CHECK_STATUS, last.target.text, what)
    return [*reports[:-1], replace(last, code=finding.code, findings=(finding, *last.findings))]
