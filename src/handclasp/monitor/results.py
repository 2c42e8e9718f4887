"""What a check has found, and what follows from it: results, transitions, changes. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from handclasp.findings import Code, Finding
from handclasp.monitor.definition import State


@dataclass(frozen=True, slots=True)
class WatchedCertificate:
    """A certificate that a check came across. ``role`` is leaf, intermediate, root, extra (served beside the path that
    was verified), credential (our own that was shown), file, authority or issued; ``place`` tells where: a position in
    the chain, a file name. ``serial``, ``fingerprint`` (SHA-256 of the DER) and ``spki`` (SHA-256) are lower-case
    hex."""

    role: str
    place: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str
    fingerprint: str
    spki: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one monitor, after its retries. ``code`` is OK or that of the worst finding; ``summary`` is one
    sentence.

    ``facts`` are small values to compare and show (tls_version, cipher, group, alpn, client_certificate, issuer,
    status, address...), JSON scalars only: what changes in them is a Change. ``seconds`` is the latency: until the
    handshake (TLS) or the first octet (HTTPS). ``crl_next_update`` is the earliest of the lists that were looked at.

    A check that came across no certificates (no connection, no handshake) keeps those of the last one, with the facts
    and ``crl_next_update``, so that nothing about the endpoint is forgotten while it fails: ``seen_at`` says when they
    were seen (None: at ``at``). In ``maintenance``, ``state`` is that of before, whatever ``code`` says (a first good
    result counts).
    """

    monitor: str
    at: datetime
    state: State
    code: Code
    summary: str
    findings: tuple[Finding, ...] = ()
    certificates: tuple[WatchedCertificate, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    attempts: int = 1
    trusted: bool | None = None
    crl_next_update: datetime | None = None
    seen_at: datetime | None = None
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Something about an endpoint that is not as it was: ``what`` is state, code, leaf, key, issuer, chain, files,
    tls_version, cipher, group, alpn, client_certificate... with the values before and after, for a person (None: there
    was none)."""

    monitor: str
    at: datetime
    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """A monitor went from one state to another: what alerts are made of. ``id`` is the same for every delivery of it;
    ``since`` is when the state before began."""

    id: str
    monitor: str
    at: datetime
    before: State
    after: State
    since: datetime | None
    result: CheckResult
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hour:
    """The results of one monitor in one hour, rolled up. ``start`` is the hour; latencies in seconds, None without
    any."""

    monitor: str
    start: datetime
    checks: int
    ok: int
    warning: int
    critical: int
    seconds_min: float | None
    seconds_mean: float | None
    seconds_max: float | None
