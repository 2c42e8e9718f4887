"""What tests of monitoring begin with: monitors, certificates, examinations and results that are in order, each made by
saying what differs; and an examiner that answers from a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from handclasp.findings import Code, Finding
from handclasp.monitor.checks import Checks
from handclasp.monitor.definition import Kind, Monitor, State
from handclasp.monitor.examined import Examined
from handclasp.monitor.results import CheckResult, WatchedCertificate
from handclasp.probe.evidence import Response

AT = datetime(2027, 3, 1, 12, tzinfo=UTC)
"""A Monday."""

REFUSED_CONNECTION = Examined(findings=(Finding(Code.NET_CONNECTION_REFUSED, "a.test:443", "nothing listens there"),))


def a_monitor(name: str = "m", kind: Kind = Kind.TLS, target: str = "a.test:443", **rest: Any) -> Monitor:
    """A monitor of an endpoint."""
    return Monitor(name, kind, target, **rest)


def a_certificate(
    left: timedelta = timedelta(days=60),
    *,
    role: str = "leaf",
    subject: str = "CN=a.test",
    issuer: str = "CN=CA",
    spki: str = "aa" * 32,
    fingerprint: str = "",
    lived: timedelta = timedelta(days=30),
    place: str = "chain[0]",
) -> WatchedCertificate:
    """A certificate that ends so long after AT, and began so long before."""
    return WatchedCertificate(
        role=role,
        place=place,
        subject=subject,
        issuer=issuer,
        names=("a.test",),
        serial="01",
        fingerprint=fingerprint or f"{role}-{subject}-{spki[:8]}-{left}",
        spki=spki,
        not_before=AT - lived,
        not_after=AT + left,
    )


def seen(*certificates: WatchedCertificate, **rest: Any) -> Examined:
    """An examination that found nothing wrong: a leaf and its issuer, unless others are given."""
    chain = certificates or (
        a_certificate(),
        a_certificate(timedelta(days=900), role="intermediate", subject="CN=CA", spki="bb" * 32, place="chain[1]"),
    )
    facts = {"tls_version": "1.3", "cipher": "TLS_AES_128_GCM_SHA256", "group": "x25519", "address": "192.0.2.1:443"}
    given: dict[str, Any] = {"certificates": chain, "facts": facts, "seconds": 0.02, "trusted": True} | rest
    return Examined(**given)


def answered(body: bytes = b"{}", status: int = 200, whole: bool = True, **headers: str) -> Response:
    """A response; names of headers with _ for -."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status, "OK", named, body, whole)


def a_result(state: State = State.OK, at: datetime = AT, **rest: Any) -> CheckResult:
    """A result of the monitor m."""
    code = {State.OK: Code.OK, State.WARNING: Code.CHECK_LATENCY}.get(state, Code.NET_CONNECTION_REFUSED)
    given: dict[str, Any] = {"certificates": seen().certificates, "facts": {"target": "a.test:443"}} | rest
    return CheckResult("m", at, state, given.pop("code", code), given.pop("summary", "It is so."), **given)


@dataclass(slots=True)
class ScriptedExaminer:
    """Implements Examiner: each monitor's examinations in turn, the last one again and again. ``asked`` is who was
    examined, and when."""

    answers: dict[str, Sequence[Examined]] = field(default_factory=dict)
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    turns: Counter[str] = field(default_factory=Counter)
    before: Callable[[Monitor], Any] | None = None

    async def examine(self, monitor: Monitor, now: datetime) -> Examined:
        """The next answer; what ``before`` returns is awaited first."""
        turn = self.turns[monitor.name]
        self.turns[monitor.name] += 1
        self.asked.append((monitor.name, now))
        if self.before is not None:
            await self.before(monitor)
        script = self.answers.get(monitor.name, (seen(),))
        return script[min(turn, len(script) - 1)]


@dataclass(slots=True)
class FixedInventory:
    """Implements Inventory by a list."""

    certificates: tuple[WatchedCertificate, ...] = ()

    async def ending(self, before: datetime, limit: int) -> tuple[WatchedCertificate, ...]:
        """Those that end before, or else the one that ends next."""
        found = sorted(self.certificates, key=lambda one: one.not_after)
        return tuple(one for one in found if one.not_after < before)[:limit] or tuple(found[:1])


def checks(examiner: ScriptedExaminer | None = None, inventory: FixedInventory | None = None) -> Checks:
    """Checks on these; without YAML and without secrets."""
    return Checks(
        examiner=examiner or ScriptedExaminer(),
        inventory=inventory or FixedInventory(),
        read_secrets=lambda _: (),
        read_passphrase=lambda _: b"",
    )
