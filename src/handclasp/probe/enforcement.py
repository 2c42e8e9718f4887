"""Whether a server demands a client certificate, from what one connection without a certificate has shown.

In order (measured against nginx, HAProxy, Envoy, Apache, Caddy, stunnel, OpenSSL, Go and Java):
1. a fatal alert after our empty Certificate, with the rest sound: required, whatever its number (40, 116; Go and Java
   send 42 for a missing certificate);
2. no CertificateRequest: not requested, unless the answer to a request shows that the server asks later
   (renegotiation, post-handshake authentication), which we cannot follow: undetermined;
3. an answer over HTTP that says that a certificate is missing: required at HTTP (nginx);
4. any other answer, a session ticket, or the server's Finished of TLS 1.2: optional;
5. otherwise undetermined, unless the connection ended right after our empty Certificate twice (``probe.verdict``:
   Java's HttpsServer refuses without a word). A TLS 1.3 handshake alone is never proof of acceptance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from handclasp.probe.evidence import Evidence, Response
from handclasp.tlswire.names import alert_name
from handclasp.tlswire.offer import TLS13
from handclasp.tlswire.seen import Alert, Seen, Step


class ClientCertificate(StrEnum):
    """How an endpoint treats a caller without a certificate."""

    NOT_REQUESTED = "not_requested"
    OPTIONAL = "optional"
    REQUIRED = "required"
    REQUIRED_AT_HTTP = "required_at_http"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The answer, and what it rests on, in words."""

    answer: ClientCertificate
    why: str


_AFTER_OURS: Final = (Step.CLIENT_FLIGHT, Step.FIRST_READ, Step.APPLICATION)
_CERTIFICATE_STATUSES: Final = frozenset({495, 496})  # nginx: certificate error, certificate required
_REFUSING: Final = frozenset({400, 401, 403, 421, 495, 496, 525, 526})
_SAYS_SO: Final = re.compile(
    rb"(?:ssl|tls|client|x\.?509|required)[\s\w-]{0,30}certificate|certificate[\s\w-]{0,30}(?:required|missing|needed)|"
    rb"CLIENT_CERT_|mutual[ -]tls|mtls",
    re.IGNORECASE,
)


def enforcement(evidence: Evidence) -> Enforcement:
    """What the connection shows. ``evidence`` is that of an attempt without a credential."""
    seen = evidence.seen
    if seen.request is not None:
        return _asked(evidence)
    if not seen.proved:
        return Enforcement(ClientCertificate.UNDETERMINED, "the handshake did not get so far as to show it")
    return _not_asked(evidence)


def _asked(evidence: Evidence) -> Enforcement:
    seen = evidence.seen
    refusal = _refusal(evidence)
    if refusal is not None and seen.proved:
        why = f"the server sent alert {refusal.number} after our empty Certificate"
        return Enforcement(ClientCertificate.REQUIRED, why)
    if not seen.proved:
        return Enforcement(ClientCertificate.UNDETERMINED, "the handshake failed before a certificate was due")
    if evidence.response is not None:
        return _answered(evidence.response)
    if seen.version is not None and seen.version < TLS13 and seen.complete:
        return Enforcement(ClientCertificate.OPTIONAL, "the server finished the handshake without a certificate")
    if seen.tickets:
        return Enforcement(ClientCertificate.OPTIONAL, "the server sent a session ticket without a certificate")
    if seen.closed or evidence.failure is not None:
        why = "the connection ended after our empty Certificate, and no alert said why"
        return Enforcement(ClientCertificate.UNDETERMINED, why)
    return Enforcement(ClientCertificate.UNDETERMINED, "the server said nothing after our empty Certificate")


def _answered(response: Response) -> Enforcement:
    if _refused_for_it(response):
        why = f"the answer was HTTP {response.status}, which says that a certificate is missing"
        return Enforcement(ClientCertificate.REQUIRED_AT_HTTP, why)
    if response.status in {400, 403}:
        why = f"the answer was HTTP {response.status}, which does not say whether a certificate is missing"
        return Enforcement(ClientCertificate.UNDETERMINED, why)
    return Enforcement(ClientCertificate.OPTIONAL, f"the answer without a certificate was HTTP {response.status}")


def _not_asked(evidence: Evidence) -> Enforcement:
    seen, response = evidence.seen, evidence.response
    if renegotiating(seen):
        why = "the server wants to renegotiate after the request, most often to ask for a certificate"
        return Enforcement(ClientCertificate.UNDETERMINED, why)
    if response is not None and response.status in _REFUSING and (response.status == 403 or _refused_for_it(response)):
        why = f"the handshake did not ask for one, but the answer was HTTP {response.status}: it may ask later"
        return Enforcement(ClientCertificate.UNDETERMINED, why)
    if evidence.failure is not None and evidence.failure.phase == "http" and seen.closed:
        why = "the handshake did not ask for one, but the request was cut off: the server may ask later"
        return Enforcement(ClientCertificate.UNDETERMINED, why)
    return Enforcement(ClientCertificate.NOT_REQUESTED, "the handshake has no CertificateRequest")


@dataclass(frozen=True, slots=True)
class CredentialRefused:
    """A server's no to a certificate that was shown; ``by_identity``: it was taken, but this caller is not wanted."""

    why: str
    by_identity: bool = False


def credential_refused(evidence: Evidence) -> CredentialRefused | None:
    """Whether the server turned down the certificate that was shown on this connection."""
    alert = _refusal(evidence)
    if alert is not None:
        return CredentialRefused(f"the server sent alert {alert.number} ({alert_name(alert.number)}) after it")
    response = evidence.response
    if response is not None and _refused_for_it(response):
        return CredentialRefused(f"the answer was HTTP {response.status}, which speaks of the certificate")
    if response is not None and response.status == 403:
        return CredentialRefused("the certificate was taken, but the answer was HTTP 403", by_identity=True)
    return None


def _refusal(evidence: Evidence) -> Alert | None:
    """The fatal alert after our Certificate. One that follows an answer refuses nothing: that was given."""
    steps = _AFTER_OURS if evidence.response is None else _AFTER_OURS[:-1]
    return next((alert for alert in evidence.seen.alerts if alert.fatal and alert.step in steps), None)


def renegotiating(seen: Seen) -> bool:
    """Whether a HelloRequest of TLS 1.2 came after the handshake (RFC 5246 §7.4.1.1)."""
    return seen.renegotiations > 0


def _refused_for_it(response: Response) -> bool:
    if response.status in _CERTIFICATE_STATUSES:
        return True
    return response.status in _REFUSING and _SAYS_SO.search(response.body) is not None
