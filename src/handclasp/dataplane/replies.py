"""What the gateway itself answers: problem details (RFC 9457) with a code of the catalogue.

A caller learns who it was taken for, a request id to ask about, and no more; the operator reads the rest in the log.
Envoy fills the operators in; what is empty is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from handclasp.dataplane.envoy_types import TYPE
from handclasp.dataplane.routes import METADATA, REVOKED
from handclasp.dataplane.snapshot import Body
from handclasp.findings import Code

_CONTENT_TYPE = "application/problem+json"
_SERVICE = f"%METADATA(ROUTE:{METADATA}:service)%"


@dataclass(frozen=True, slots=True)
class _Reply:
    code: Code
    title: str
    detail: str
    status: int | None = None  # matches this status ...
    flag: str | None = None  # ... this response flag ...
    when: str | None = None  # ... or this CEL expression


REPLIES = (
    _Reply(
        Code.CLIENT_CERT_REVOKED,
        "Forbidden",
        "The certificate of this caller was revoked.",
        when=f'response.code_details == "rbac_access_denied_matched_policy[{REVOKED}]"',
    ),
    _Reply(
        Code.POLICY_NO_RULE_ALLOWS,
        "Forbidden",
        "The caller is known, but no rule of this service allows it this request.",
        when='response.code_details.startsWith("rbac_access_denied")',
    ),
    _Reply(
        Code.ROUTE_MISDIRECTED,
        "Misdirected Request",
        "This connection was made for another host. Open a new one for this host.",
        status=421,
    ),
    _Reply(
        Code.ROUTE_PATH_REJECTED,
        "Bad Request",
        "The path can be read in two ways (an encoded slash, a NUL, a fragment, a dot segment with parameters).",
        when='response.code_details == "path_normalization_failed" || '
        '(response.code_details == "direct_response" && response.code == 400)',
    ),
    _Reply(
        Code.UPSTREAM_TIMEOUT,
        "Gateway Timeout",
        f"The API behind {_SERVICE} did not answer in time.",
        status=504,
    ),
    _Reply(
        Code.UPSTREAM_UNREACHABLE,
        "Service Unavailable",
        f"The API behind {_SERVICE} cannot be reached.",
        flag="UF",
    ),
    _Reply(
        Code.UPSTREAM_UNREACHABLE,
        "Service Unavailable",
        f"The API behind {_SERVICE} has no address that can be reached.",
        flag="UH",
    ),
    _Reply(Code.UPSTREAM_RESET, "Service Unavailable", f"The API behind {_SERVICE} broke off.", status=503),
    _Reply(Code.UPSTREAM_RESET, "Bad Gateway", f"The API behind {_SERVICE} sent no valid HTTP.", status=502),
)
"""The first that matches answers; anything else is ``GATEWAY_BAD_REQUEST``."""


def local_replies() -> Body:
    """The local_reply_config of every connection manager: the same for all, so that no rule changes a listener."""
    return {
        "mappers": [{"filter": _filter(reply), "body_format_override": _format(reply)} for reply in REPLIES],
        "body_format": _format(
            _Reply(Code.GATEWAY_BAD_REQUEST, "HTTP %RESPONSE_CODE%", "The gateway could not take this request.")
        ),
    }


def _filter(reply: _Reply) -> Body:
    if reply.when is not None:
        typed = {"@type": TYPE + "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"}
        return {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {**typed, "expression": reply.when},
            }
        }
    if reply.flag is not None:
        return {"response_flag_filter": {"flags": [reply.flag]}}
    value = {"default_value": reply.status, "runtime_key": "handclasp.unused"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _format(reply: _Reply) -> Body:
    problem = {
        "type": "about:blank",
        "title": reply.title,
        "status": "%RESPONSE_CODE%",
        "detail": reply.detail,
        "code": str(reply.code),
        "service": _SERVICE,
        "identity": "%DOWNSTREAM_PEER_URI_SAN%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    if reply.code is Code.POLICY_NO_RULE_ALLOWS:
        problem["decided_by"] = f"%METADATA(ROUTE:{METADATA}:decided_by)%"
        problem["rules"] = f"%METADATA(ROUTE:{METADATA}:rules)%"
    return {"json_format": problem, "content_type": _CONTENT_TYPE, "omit_empty_values": True}
