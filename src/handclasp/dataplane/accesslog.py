"""What Envoy writes about each connection and request, and the pure reader of it.

``CONNECTION_FORMAT`` is the listener's log (one line when a connection ends, also for a handshake that failed),
``REQUEST_FORMAT`` the connection manager's. ``read`` turns a line into a ``Record`` with a code of the catalogue.

A failed handshake's certificate was not verified: what it says is kept as ``claimed``, never as ``identity``
(danger 9). Queries are not logged: they carry secrets.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from handclasp.dataplane.routes import REVOKED
from handclasp.findings import CATALOGUE, Code

LOG_FILE: Final = "log/access.jsonl"
"""Relative to the state directory, which is Envoy's working directory."""

_PEER = {
    "uri": "%DOWNSTREAM_PEER_URI_SAN%",
    "serial": "%DOWNSTREAM_PEER_SERIAL%",
    "fp": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
}
_WHERE = {
    "at": "%START_TIME%",
    "conn": "%CONNECTION_ID%",
    "from": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "service": "%FILTER_CHAIN_NAME%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
}
CONNECTION_FORMAT = {
    "k": "connection",
    **_WHERE,
    **_PEER,
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "issuer": "%DOWNSTREAM_PEER_ISSUER%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "fail": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "closed": "%DOWNSTREAM_LOCAL_CLOSE_REASON%",
    # Written if and only if the handshake was completed; a version and a cipher are known before.
    "handshake": "%DOWNSTREAM_HANDSHAKE_DURATION%",
}
REQUEST_FORMAT = {
    "k": "request",
    **_WHERE,
    **_PEER,
    "id": "%REQ(X-REQUEST-ID)%",
    "host": "%REQ(:AUTHORITY)%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "proto": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "rule": "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)%",
    "upstream": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One connection or request, as the operator reads it. ``ms`` is its duration in milliseconds."""

    at: str
    kind: Literal["connection", "request"]
    accepted: bool
    code: Code
    reason: str
    address: str
    service: str | None = None
    identity: str | None = None
    claimed: str | None = None
    claimed_issuer: str | None = None
    serial: str | None = None
    fingerprint: str | None = None
    tls: str | None = None
    sni: str | None = None
    method: str | None = None
    host: str | None = None
    path: str | None = None
    protocol: str | None = None
    status: int | None = None
    rule: int | None = None
    request_id: str | None = None
    connection: int | None = None
    ms: int | None = None
    evidence: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The record without its empty fields."""
        return {key: value for key, value in asdict(self).items() if value is not None}


_HANDSHAKE = (
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", Code.CLIENT_CERT_MISSING),
    ("CRL_has_expired", Code.SERVER_CRL_EXPIRED),
    ("unable_to_get_certificate_CRL", Code.SERVER_CRL_MISSING),
    ("Different_CRL_scope", Code.SERVER_CRL_MISSING),
    ("certificate_revoked", Code.CLIENT_CERT_REVOKED),
    ("certificate_has_expired", Code.CLIENT_CERT_EXPIRED),
    ("certificate_is_not_yet_valid", Code.CLIENT_CERT_NOT_YET_VALID),
    ("unsupported_certificate_purpose", Code.CLIENT_CERT_WRONG_EKU),
    ("unsuitable_certificate_purpose", Code.CLIENT_CERT_WRONG_EKU),
    ("self_signed_certificate", Code.CLIENT_CERT_SELF_SIGNED),
    ("self-signed_certificate", Code.CLIENT_CERT_SELF_SIGNED),
    ("unable_to_get_local_issuer_certificate", Code.CLIENT_CERT_UNKNOWN_CA),
    ("unable_to_get_issuer_certificate", Code.CLIENT_CERT_UNKNOWN_CA),
    ("unable_to_verify_the_first_certificate", Code.CLIENT_CERT_UNKNOWN_CA),
    ("certificate_chain_too_long", Code.CLIENT_CHAIN_TOO_DEEP),
    ("SAN_matcher", Code.CLIENT_IDENTITY_NOT_ALLOWED),
    ("CERTIFICATE_VERIFY_FAILED", Code.CLIENT_CHAIN_INVALID),
    ("NO_SHARED_GROUP", Code.TLS_NO_SHARED_GROUP),
    ("NO_SHARED_CIPHER", Code.TLS_NO_SHARED_CIPHER),
    ("WRONG_CURVE", Code.TLS_NO_SHARED_GROUP),
    ("UNSUPPORTED_PROTOCOL", Code.TLS_VERSION_MISMATCH),
    ("NO_SUPPORTED_VERSIONS_ENABLED", Code.TLS_VERSION_MISMATCH),
    ("INAPPROPRIATE_FALLBACK", Code.TLS_VERSION_MISMATCH),
    ("HTTP_REQUEST", Code.PROTO_PLAIN_HTTP_TO_TLS),
    ("HTTPS_PROXY_REQUEST", Code.PROTO_PLAIN_HTTP_TO_TLS),
    ("WRONG_VERSION_NUMBER", Code.PROTO_NOT_TLS),
    ("UNEXPECTED_RECORD", Code.PROTO_NOT_TLS),
    # The caller's own alert. In TLS 1.3 some libraries send it unencrypted, and it shows as a bad record.
    ("ALERT_UNKNOWN_CA", Code.SERVER_CERT_UNKNOWN_CA),
    ("ALERT_BAD_CERTIFICATE", Code.SERVER_CERT_UNKNOWN_CA),
    ("ALERT_CERTIFICATE_UNKNOWN", Code.SERVER_CERT_UNKNOWN_CA),
    ("ALERT_CERTIFICATE_EXPIRED", Code.SERVER_CERT_UNKNOWN_CA),
    ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", Code.SERVER_CERT_UNKNOWN_CA),
)
"""Fragments of Envoy's %DOWNSTREAM_TRANSPORT_FAILURE_REASON%, most telling first."""

_RULE = re.compile(r"rule-(\d+)")


def read(line: str) -> Record | None:
    """The record of one line, or None for a line that is not whole (the last one, while Envoy writes it)."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    if entry.get("k") == "connection":
        return _connection(entry)
    if entry.get("k") == "request":
        return _request(entry)
    return None


def _connection(entry: dict[str, Any]) -> Record:
    failure = _text(entry, "fail")
    details = _text(entry, "details")
    closed = _text(entry, "closed")
    code = _connection_code(entry, failure, details, closed)
    accepted = code is Code.OK
    peer = _text(entry, "uri") or _text(entry, "subject")
    return Record(
        at=_text(entry, "at") or "",
        kind="connection",
        accepted=accepted,
        code=code,
        reason="handshake accepted" if accepted else CATALOGUE[code].meaning,
        address=_text(entry, "from") or "",
        service=_text(entry, "service"),
        identity=_text(entry, "uri") if accepted else None,
        claimed=None if accepted else peer,
        claimed_issuer=None if accepted else _text(entry, "issuer"),
        serial=_text(entry, "serial") if accepted else None,
        fingerprint=_text(entry, "fp") if accepted else None,
        tls=_text(entry, "tls"),
        sni=_text(entry, "sni"),
        connection=_number(entry, "conn"),
        ms=_number(entry, "ms"),
        evidence=None if accepted else failure or details or closed,
    )


def _connection_code(entry: dict[str, Any], failure: str | None, details: str | None, closed: str | None) -> Code:
    if _number(entry, "handshake") is not None:
        return Code.OK  # a failure of TLS after it is the end of a connection that was accepted
    if closed == "transport_socket_timeout":
        return Code.NET_HANDSHAKE_TIMEOUT
    found = next((code for fragment, code in _HANDSHAKE if fragment in (failure or "")), None)
    if found is not None:
        return found
    if details == "filter_chain_not_found":
        return Code.TLS_SNI_UNRECOGNIZED
    return Code.GATEWAY_OTHER if failure else Code.NET_CLOSED_DURING_HANDSHAKE


def _request(entry: dict[str, Any]) -> Record:
    status = _number(entry, "status") or 0
    details = _text(entry, "details") or ""
    flags = (_text(entry, "flags") or "").split(",")
    upstream = _text(entry, "upstream") or ""
    code = _request_code(status, details, flags, upstream)
    rule = _RULE.fullmatch(_text(entry, "rule") or "")
    answered = details == "via_upstream"
    return Record(
        at=_text(entry, "at") or "",
        kind="request",
        accepted=code is Code.OK,
        code=code,
        reason="answered by the API" if answered and code is Code.OK else CATALOGUE[code].meaning,
        address=_text(entry, "from") or "",
        service=_text(entry, "service"),
        identity=_text(entry, "uri"),
        serial=_text(entry, "serial"),
        fingerprint=_text(entry, "fp"),
        tls=_text(entry, "tls"),
        method=_text(entry, "method"),
        host=_text(entry, "host"),
        # Envoy has decoded it half by then: it would show an innocent path.
        path=_text(entry, "path") if details != "path_normalization_failed" else None,
        protocol=_text(entry, "proto"),
        status=status,
        rule=int(rule[1]) if rule and not details.startswith("rbac_") else None,
        request_id=_text(entry, "id"),
        connection=_number(entry, "conn"),
        ms=_number(entry, "ms"),
        evidence=None if code is Code.OK else upstream or details or None,
    )


def _request_code(status: int, details: str, flags: list[str], upstream: str) -> Code:
    if details == "via_upstream" or status == 101:
        return Code.OK
    if details == f"rbac_access_denied_matched_policy[{REVOKED}]":
        return Code.CLIENT_CERT_REVOKED
    if details.startswith("rbac_access_denied"):
        return Code.POLICY_NO_RULE_ALLOWS
    if details == "direct_response" and status == 421:
        return Code.ROUTE_MISDIRECTED
    if details in ("path_normalization_failed", "absolute_path_rejected") or (details, status) == (
        "direct_response",
        400,
    ):
        return Code.ROUTE_PATH_REJECTED
    if "CERTIFICATE_VERIFY_FAILED" in upstream:
        return Code.UPSTREAM_UNTRUSTED
    if "UT" in flags or status == 504:
        return Code.UPSTREAM_TIMEOUT
    if {"UF", "UH", "NC"} & set(flags):
        return Code.UPSTREAM_UNREACHABLE
    if {"UC", "UR", "UPE"} & set(flags):
        return Code.UPSTREAM_RESET
    if "DC" in flags or status == 0:
        return Code.GATEWAY_CLIENT_GONE
    if "DPE" in flags or 400 <= status < 500 or details.startswith(("http1.", "http2.")):
        return Code.GATEWAY_BAD_REQUEST
    return Code.GATEWAY_OTHER if status >= 400 else Code.OK


def _text(entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    return value if isinstance(value, str) and value not in ("", "-") else None


def _number(entry: dict[str, Any], key: str) -> int | None:
    value = entry.get(key)
    return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else None
