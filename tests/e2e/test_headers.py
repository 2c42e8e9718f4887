"""What the API is told about its caller: true or absent, never the caller's own words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.app.state import CHAIN
from handclasp.testing.calls import Answer, call

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory

NAMES = (
    "x-client-dn",
    "x-client-verify",
    "x-client-spiffe-id",
    "x-client-cert-serial",
    "x-client-cert-fingerprint",
    "client-cert",
    "x-forwarded-client-cert",
)


def told(answer: Answer) -> dict[str, list[str]]:
    """The identity headers that the API saw, in any spelling, each with all its values."""
    seen: dict[str, list[str]] = {}
    for name, value in answer.json["headers"]:
        plain = name.replace("_", "-")
        if plain in NAMES or plain == "client-cert-chain":
            seen.setdefault(name, []).append(value)
    return seen


def expected(lab: Laboratory, name: str) -> dict[str, list[str]]:
    """The truth, taken from the certificate file."""
    leaf = x509.load_pem_x509_certificate((lab.files(name) / CHAIN).read_bytes())
    fingerprint = leaf.fingerprint(SHA256()).hex()
    identity = f"spiffe://example.org/{name}"
    der = base64.b64encode(leaf.public_bytes(Encoding.DER)).decode()
    return {
        "x-client-dn": [f"CN={name}"],
        "x-client-verify": ["SUCCESS"],
        "x-client-spiffe-id": [identity],
        "x-client-cert-serial": [f"{leaf.serial_number:x}"],
        "x-client-cert-fingerprint": [fingerprint],
        "client-cert": [f":{der}:"],
        "x-forwarded-client-cert": [
            f'By=spiffe://example.org/handclasp/gateway/alone;Hash={fingerprint};Subject="CN={name}";URI={identity}'
        ],
    }


def spoofs(style: str) -> list[tuple[str, str]]:
    """A caller's own words in the places of ours."""
    names = [*NAMES, "client-cert-chain"]
    if style == "empty":
        return [(name, "") for name in names]
    if style == "duplicated":
        return [(name, f"spoofed-{n}") for name in names for n in range(2)]
    if style == "underscored":
        return [(name.replace("-", "_"), "spoofed") for name in names]
    if style == "capitals":
        return [(name.upper(), "spoofed") for name in names]
    if style == "listed":
        return [(name, "spoofed, spoofed") for name in names]
    return [(name, "spoofed") for name in names]


STYLES = ("plain", "empty", "duplicated", "underscored", "capitals", "listed")


def test_the_api_is_told_the_proved_identity(lab: Laboratory) -> None:
    """Every header has exactly the value of the certificate that was proved."""
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/")
    assert told(answer) == expected(lab, "all")


@pytest.mark.parametrize("style", STYLES)
def test_spoofed_headers_are_replaced_by_the_truth(lab: Laboratory, style: str) -> None:
    """Whatever a caller sends in our headers, the API sees ours alone."""
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/", headers=spoofs(style))
    assert told(answer) == expected(lab, "all")


@pytest.mark.parametrize("style", STYLES)
def test_a_service_without_client_certificates_tells_nothing(lab: Laboratory, style: str) -> None:
    """Where no certificate is asked for, no identity header reaches the API, not even the caller's own."""
    host = "public.example.org"
    answer = call(lab.port, lab.trust, None, "GET", "/", sni=host, host=host, headers=spoofs(style))
    assert told(answer) == {}


@pytest.mark.parametrize(
    "connection",
    ["close, x-client-spiffe-id, client-cert", "x-client-dn", "x-forwarded-client-cert"],
)
def test_a_connection_header_cannot_strip_our_headers(lab: Laboratory, connection: str) -> None:
    """Naming our headers as hop-by-hop (RFC 9110 §7.6.1) does not remove them."""
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/", headers=[("Connection", connection)])
    assert told(answer) == expected(lab, "all")


def test_the_caller_cannot_steer_the_gateway(lab: Laboratory) -> None:
    """x-envoy-* and x-request-id of a caller are not taken over, though it calls from loopback."""
    steering = [("x-envoy-upstream-rq-timeout-ms", "1"), ("x-request-id", "mine"), ("x-envoy-original-path", "/x")]
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/?sleep=0.1", headers=steering)
    seen = dict(answer.json["headers"])
    assert (answer.status, seen.get("x-request-id") == "mine", "x-envoy-original-path" in seen) == (200, False, False)
    assert "x-envoy-upstream-rq-timeout-ms" not in seen


def test_x_forwarded_host_is_not_the_callers(lab: Laboratory) -> None:
    """X-Forwarded-Host of a caller does not reach the API."""
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/", headers=[("X-Forwarded-Host", "evil")])
    assert "x-forwarded-host" not in dict(answer.json["headers"])
