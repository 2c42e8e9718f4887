"""What is watched: monitors as values. Made from ``monitors:`` of handclasp.yaml or by the local API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What a monitor looks at."""

    TLS = "tls"
    """The certificates of an endpoint; no client certificate is needed."""
    HTTPS = "https"
    """A request, with assertions on the answer; with a credential where one matches."""
    REFUSED = "refused"
    """A caller without a certificate (or one of an unlisted authority) must be turned away."""
    FILES = "files"
    """Certificates in files: PEM, DER, PKCS#12, directories, Kubernetes secrets."""
    LEDGER = "ledger"
    """The certificates that our own authority has issued."""


class State(StrEnum):
    """How a monitor stands. PENDING: never checked. The order is that of severity."""

    OK = "ok"
    PENDING = "pending"
    WARNING = "warning"
    CRITICAL = "critical"


class Trust(StrEnum):
    """With which authorities a server is verified; ``Checks.ca_file`` holds others."""

    SYSTEM = "system"
    OWN = "own"
    FILE = "file"


class Stranger(StrEnum):
    """Who must be refused (Kind.REFUSED)."""

    ANONYMOUS = "anonymous"
    UNLISTED_CA = "unlisted_ca"


@dataclass(frozen=True, slots=True)
class Window:
    """A time of maintenance in UTC, every week: days 0 (Monday) to 6; ``end`` before ``start`` lasts over midnight."""

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Expectation:
    """What has to hold; None and empty ask for nothing.

    ``client_certificate`` is one of probe's answers: required (at TLS or at HTTP), required_at_http, optional,
    not_requested. ``issuer`` is the exact RFC 4514 text of the leaf's issuer. ``pins`` are SHA-256 of
    SubjectPublicKeyInfo in hex, any of which must be in the path. ``tls`` is the lowest version (0x0303, 0x0304).
    ``chain_unchanged``: the leaf's issuer and key stay those of the check before. ``status``: without any, 200 to 399
    are good. ``headers`` map names (lower case) to regular expressions (``monitor.regular``), ``body`` is one, ``json``
    maps paths (``$.status``, ``$.items[0].id``) to the value: JSON text, or the text of a string. ``latency`` is the
    most seconds until the first octet, or the end of the handshake where no request is made.
    """

    client_certificate: str | None = None
    issuer: str | None = None
    pins: tuple[str, ...] = ()
    tls: int | None = None
    chain_unchanged: bool = False
    status: frozenset[int] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    json: tuple[tuple[str, str], ...] = ()
    latency: float | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """One thing that is watched. ``target`` is an endpoint (as ``handclasp probe`` takes it), a URL, a path, or
    ``ledger``.

    ``warning`` and ``critical`` are how long before the end of a certificate its state changes. ``retries`` are the
    attempts more before a failure counts, ``retry_after`` apart. ``credential`` is a name in the store, ``auto`` (by
    host pattern) or None for none. ``alerts`` are names of ``alerts:`` in the settings; empty: all of them. ``origin``
    is ``file`` or ``api``.
    """

    name: str
    kind: Kind
    target: str
    origin: str = "file"
    every: timedelta = timedelta(minutes=5)
    timeout: timedelta = timedelta(seconds=10)
    warning: timedelta = timedelta(days=21)
    critical: timedelta = timedelta(days=7)
    retries: int = 2
    retry_after: timedelta = timedelta(seconds=10)
    trust: Trust = Trust.SYSTEM
    ca_file: str | None = None
    server_name: str | None = None
    credential: str | None = "auto"
    stranger: Stranger = Stranger.ANONYMOUS
    passphrase: str | None = None
    """Where the passphrase of files is found: env:NAME, file:PATH or keyring:SERVICE; never the passphrase itself."""
    expect: Expectation = Expectation()
    maintenance: tuple[Window, ...] = ()
    alerts: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    paused: bool = False


def severity(state: State) -> int:
    """For comparing: ok 0, pending 1, warning 2, critical 3."""
    return _SEVERITY[state]


_SEVERITY: Mapping[State, int] = {state: number for number, state in enumerate(State)}
