"""What each product does to a client that shows no certificate, as measured: what tests expect, in one table.

The same alert comes at another time in each version: in TLS 1.2 instead of the server's Finished, in TLS 1.3 after the
client's, when the client has every reason to believe that it was let in.
"""

from __future__ import annotations

from dataclasses import dataclass

from handclasp.testing.servers.case import Case, Client, Versions


@dataclass(frozen=True, slots=True)
class Refusal:
    """``alerts``: the fatal alert is one of these numbers (which one, is the version of the product). ``status``: that
    of the HTTP response. Neither: the connection ends without a word."""

    alerts: frozenset[int] = frozenset()
    status: int | None = None


_HANDSHAKE_FAILURE, _BAD_CERTIFICATE, _CERTIFICATE_REQUIRED = 40, 42, 116
_SILENCE = Refusal()
_OPENSSL = (Refusal(frozenset({_HANDSHAKE_FAILURE})), Refusal(frozenset({_CERTIFICATE_REQUIRED})))
# Go said "bad certificate" on both versions up to 1.20.
_GO = (
    Refusal(frozenset({_BAD_CERTIFICATE, _HANDSHAKE_FAILURE})),
    Refusal(frozenset({_BAD_CERTIFICATE, _CERTIFICATE_REQUIRED})),
)
_JAVA = Refusal(frozenset({_BAD_CERTIFICATE}))

_REQUIRED = {  # TLS 1.2, TLS 1.3
    "nginx": (Refusal(status=400), Refusal(status=400)),
    "haproxy": _OPENSSL,
    "envoy": _OPENSSL,
    "apache": _OPENSSL,
    "caddy": _GO,
    "stunnel": _OPENSSL,
    "openssl": _OPENSSL,
    "go": _GO,
    "java": (_JAVA, _JAVA),
    "java-httpserver": (_SILENCE, _SILENCE),
}
# After the request: who does not renegotiate is refused as much as who does it without a certificate; who offers no
# post-handshake authentication is not asked.
_AT_LOCATION = (Refusal(frozenset({_HANDSHAKE_FAILURE})), Refusal(status=403))


def refusal(product: str, case: Case) -> Refusal | None:
    """How this product refuses, in this case, a client that has no certificate and does not offer post-handshake
    authentication; None if it serves the client. Both versions: TLS 1.3 is what is spoken."""
    if case.client not in {Client.REQUIRED, Client.LOCATION}:
        return None
    pair = _REQUIRED[product] if case.client is Client.REQUIRED else _AT_LOCATION
    return pair[case.versions is not Versions.TLS12]
