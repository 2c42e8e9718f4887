"""Route configurations: which Host is served, who may call what, and what the API is told about the caller."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from handclasp.access.path import AMBIGUOUS
from handclasp.access.pattern import ANY_NUMBER, ONE, IdentityPattern, PathPattern
from handclasp.access.policy import Anyone, Rule
from handclasp.dataplane.envoy_types import TYPE
from handclasp.dataplane.intent import Fingerprint256, Service
from handclasp.dataplane.snapshot import Body

_PER_ROUTE = TYPE + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"
RULES = "envoy.filters.http.rbac"
REVOCATION = "revocation"
FINGERPRINT = "handclasp.peer.fingerprint"
"""The filter-state key under which the listener keeps the proved certificate's SHA-256."""

REVOKED = "revoked"
"""The name of the policy that refuses a revoked certificate, as it appears in logs and replies."""

METADATA = "handclasp"

IDENTITY_HEADERS = {
    "x-client-dn": "%DOWNSTREAM_PEER_SUBJECT%",
    "x-client-verify": "SUCCESS",
    "x-client-spiffe-id": "%DOWNSTREAM_PEER_URI_SAN%",
    "x-client-cert-serial": "%DOWNSTREAM_PEER_SERIAL%",
    "x-client-cert-fingerprint": "%DOWNSTREAM_PEER_FINGERPRINT_256%",
}
"""What the API is told. Set only where the handshake has proved the certificate; removed from every request first."""

CLIENT_CERT = "client-cert"
"""RFC 9440 §2.2. Set by a filter of the listener, which also removes the caller's own."""

_NEVER_FROM_CALLER = (*IDENTITY_HEADERS, "client-cert-chain", "x-forwarded-host")


def route_configuration(service: Service, cluster: str, revoked: frozenset[Fingerprint256]) -> Body:
    """The routes of one service. Any Host that is not its own is answered 421 (RFC 9110 §15.5.20, danger 12)."""
    proved = service.policy.client_certificates
    removed = list(_NEVER_FROM_CALLER) if proved else [*_NEVER_FROM_CALLER, CLIENT_CERT]
    added = dict(IDENTITY_HEADERS) if proved else {}
    route: dict[str, object] = {
        "cluster": cluster,
        "timeout": "0s",  # the API decides how long an answer takes; the idle timeout of streams still holds
        "retry_policy": {"retry_on": "connect-failure,reset-before-request", "num_retries": 1},
    }
    if service.upstream.scheme == "https":
        # A verified host is called by the name that is verified; what the caller asked for goes beside it.
        route["host_rewrite_literal"] = service.upstream.host
        added["x-forwarded-host"] = "%REQ(:AUTHORITY)%"
    filters: dict[str, object] = {RULES: {"@type": _PER_ROUTE, "rbac": {"rules": _allow(service)}}}
    if revoked and proved:
        filters[REVOCATION] = {"@type": _PER_ROUTE, "rbac": {"matcher": _deny(revoked)}}
    own: dict[str, object] = {
        "name": service.name,
        "domains": _domains(service.hosts),
        "routes": [
            {
                "match": {"safe_regex": {"regex": AMBIGUOUS}},
                "direct_response": {"status": 400},
                "typed_per_filter_config": {RULES: {"@type": _PER_ROUTE}},
            },
            {"match": {"prefix": "/"}, "route": route, "metadata": _metadata(service)},
        ],
        "request_headers_to_remove": removed,
        "request_headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in added.items()
        ],
        "typed_per_filter_config": filters,
    }
    misdirected = {
        "name": "misdirected",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 421}}],
        "typed_per_filter_config": {RULES: {"@type": _PER_ROUTE}},  # nothing is reached: let the 421 be said
    }
    return {"name": service.name, "virtual_hosts": [own, misdirected]}


def _domains(hosts: tuple[str, ...]) -> list[str]:
    """Each host as it may stand in Host or :authority, with any port (RFC 9110 §7.2)."""
    names = [f"[{host}]" if _is_ipv6(host) else host for host in hosts]
    return [domain for name in names for domain in (name, f"{name}:*")]


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False


def _allow(service: Service) -> Body:
    """The rules as an allow list; no rules, no policies, and nothing is allowed.

    Envoy tries policies in the order of their names, hence the digits in ``Rule.name``: the first rule of the file
    that matches is the one that is logged, as the evaluator says.
    """
    return {"action": "ALLOW", "policies": {rule.name: _policy(rule) for rule in service.policy.rules}}


def _policy(rule: Rule) -> Body:
    every: list[Body] = []
    if rule.methods is not None:
        exact = [{"header": {"name": ":method", "string_match": {"exact": m}}} for m in sorted(rule.methods)]
        every.append(_any_of(exact))
    if rule.paths is not None:
        matchers = [matcher for path in rule.paths for matcher in _path_matchers(path)]
        every.append(_any_of([{"url_path": {"path": matcher}} for matcher in matchers]))
    if not every:
        permission: Body = {"any": True}
    elif len(every) == 1:
        permission = every[0]
    else:
        permission = {"and_rules": {"rules": every}}
    if isinstance(rule.callers, Anyone):
        return {"permissions": [permission], "principals": [{"any": True}]}
    return {"permissions": [permission], "principals": [_principal(caller) for caller in rule.callers]}


def _any_of(permissions: Sequence[Body]) -> Body:
    return permissions[0] if len(permissions) == 1 else {"or_rules": {"rules": list(permissions)}}


def _principal(caller: IdentityPattern) -> Body:
    """A validated certificate whose URI name matches (dangers 1 and 13: not `authenticated`, not `principal_name`)."""
    return {
        "custom": {
            "name": "envoy.rbac.principals.mtls_authenticated",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config",
                "san_matcher": {"san_type": "URI", "matcher": _matcher(caller)},
            },
        }
    }


def _path_matchers(path: PathPattern) -> list[Body]:
    """A path and all below it as two comparisons of text, which cost less than the regex that says the same.

    The prefix ends in a slash: it is one of whole segments (danger 2).
    """
    *head, last = path.segments
    if last != ANY_NUMBER or {ONE, ANY_NUMBER} & set(head):
        return [_matcher(path)]
    above = "".join(f"/{segment}" for segment in head)
    return [*([{"exact": above}] if above else []), {"prefix": f"{above}/"}]


def _matcher(pattern: IdentityPattern | PathPattern) -> Body:
    if pattern.exact is not None:
        return {"exact": pattern.exact}
    return {"safe_regex": {"regex": pattern.regex}}


def _deny(revoked: frozenset[Fingerprint256]) -> Body:
    refuse = _action(REVOKED, "DENY")
    return {
        "matcher_tree": {
            "input": {
                "name": "envoy.matching.inputs.filter_state",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    "key": FINGERPRINT,
                },
            },
            "exact_match_map": {"map": dict.fromkeys(sorted(revoked), refuse)},
        },
        "on_no_match": _action("not-revoked", "ALLOW"),
    }


def _action(name: str, action: str) -> Body:
    typed = {"@type": TYPE + "envoy.config.rbac.v3.Action", "name": name, "action": action}
    return {"action": {"name": name, "typed_config": typed}}


def _metadata(service: Service) -> Body:
    """What replies say about the service; the rules only where it says ``explain: full``."""
    said: dict[str, object] = {"service": service.name}
    if service.explain:
        count = len(service.policy.rules)
        said["decided_by"] = f"none of the {count} rules allows it" if count != 1 else "the only rule does not allow it"
        said["rules"] = [str(rule) for rule in service.policy.rules]
    return {"filter_metadata": {METADATA: said}}
