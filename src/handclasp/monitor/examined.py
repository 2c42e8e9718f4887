"""What a check needs of the outside: ports for endpoints, for our own certificates and for the secrets of files.

``app`` fills them: the examiner drives ``probe``, the inventory reads the ledger and the credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from handclasp.findings import Finding
from handclasp.monitor.definition import Monitor
from handclasp.monitor.results import WatchedCertificate
from handclasp.probe.enforcement import ClientCertificate
from handclasp.probe.evidence import Response
from handclasp.probe.served import Served

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Examined:
    """What one examination of an endpoint has shown, before thresholds and expectations.

    ``findings`` are what is wrong by itself: no connection, no handshake, a chain that is not trusted, a credential
    that could not be used or was refused; the worst first. Ends of certificates are judged here as well as by the
    verifier: both may say so. For a monitor of Kind.REFUSED they hold only what keeps the question from being answered,
    and not the server's refusal.

    ``certificates`` are the chain as served, leaf first (roles leaf, intermediate, root, and extra for what is beside
    the path that was verified), then our own that was shown (credential). ``facts`` are address, tls_version (``1.3``),
    cipher, group, alpn, as far as they are known; issuer, client_certificate and status are added by the checks.

    ``seconds`` is how long it took until the server's flight was complete, or until the first octet of the response
    where there is one. ``client_certificate`` is what the server demands of a caller without one, None where it was not
    asked after. ``refused`` is whether the stranger was turned away (Kind.REFUSED), None where nothing decides it.
    """

    findings: tuple[Finding, ...] = ()
    certificates: tuple[WatchedCertificate, ...] = ()
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    seconds: float | None = None
    trusted: bool | None = None
    client_certificate: ClientCertificate | None = None
    refused: bool | None = None
    response: Response | None = None
    crl_next_update: datetime | None = None


class Examiner(Protocol):
    """A way to reach an endpoint."""

    async def examine(self, monitor: Monitor, now: datetime) -> Examined:
        """One examination, for the kinds TLS, HTTPS and REFUSED. It ends by ``monitor.timeout`` and raises nothing.

        TLS: without a credential; with a request if ``wants_request(monitor)`` and the server asked for a certificate.
        HTTPS: with the credential of the monitor, and the request. REFUSED: as ``monitor.stranger`` says: without a
        certificate, or with a throwaway one of an authority that nobody knows; then a request, unless it is refused
        before.
        """


class Inventory(Protocol):
    """Our own certificates (Kind.LEDGER)."""

    async def ending(self, before: datetime, limit: int) -> tuple[WatchedCertificate, ...]:
        """Authorities, issued certificates that nothing has renewed, superseded or revoked, and stored credentials,
        which end before that and have not ended more than a week ago: the first to end first, at most ``limit``.

        Where there are none, the one that ends next. Roles are authority, issued and credential; ``place`` is the name
        by which a person finds it.
        """


ReadSecrets = Callable[[str], Iterable[object]]
"""The documents of a YAML text as plain values (mappings, lists, text). Raises ValueError, whose text is for a
person, for what is not YAML or asks for too much."""

ReadPassphrase = Callable[[str], bytes]
"""The secret at a place (``env:NAME``...). Raises Refused (KEY_PASSPHRASE_MISSING)."""


def wants_request(monitor: Monitor) -> bool:
    """Whether an answer over HTTP may be needed to say what the monitor asks: servers such as nginx refuse a missing
    certificate only there."""
    return monitor.expect.client_certificate is not None


MAX_TEXT: Final = 1_000
"""Characters of a text out of a certificate, or about it, that are remembered."""
MAX_NAMES: Final = 4_000
"""Characters of all the names of a certificate."""


def bounded(text: str) -> str:
    """A stranger's text, cut where it is longer than anybody reads: it is kept for every check."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def watched(served: Served, role: str, place: str) -> WatchedCertificate:
    """A certificate as monitoring remembers it. ``served`` has no fault."""
    return WatchedCertificate(
        role=role,
        place=place,
        subject=bounded(served.subject),
        issuer=bounded(served.issuer),
        names=tuple(_first(served.names, MAX_NAMES)),
        serial=bounded(served.serial),
        fingerprint=served.fingerprint,
        spki=served.spki,
        not_before=served.not_before,
        not_after=served.not_after,
    )


def _first(texts: Iterable[str], room: int) -> Iterator[str]:
    for text in texts:
        room -= len(text)
        if room < 0:
            return
        yield text
