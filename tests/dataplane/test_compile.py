"""The compiler: what each setting becomes, what is refused, and which changes drain connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format

from handclasp.access.policy import Policy, Rule
from handclasp.dataplane.compile import compile_intent
from handclasp.dataplane.intent import Fingerprint256, Intent, KeyPair, Service, Upstream
from handclasp.dataplane.protos import encode
from handclasp.dataplane.routes import RULES as RBAC
from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, TYPES, Resource, Snapshot
from handclasp.pki.spiffe import TrustDomain

MakeService = Callable[..., Service]
MakeIntent = Callable[..., Intent]
TRUST_DOMAIN = TrustDomain("example.org")
IDENTITY_HEADERS = [
    "x-client-dn",
    "x-client-verify",
    "x-client-spiffe-id",
    "x-client-cert-serial",
    "x-client-cert-fingerprint",
]


def bodies(snapshot: Snapshot, kind: str) -> dict[str, Any]:
    return {name: resource.body for name, resource in snapshot.resources[kind].items()}


def chains(snapshot: Snapshot) -> dict[str, Any]:
    """Every filter chain, by its service."""
    return {c["name"]: c for listener in bodies(snapshot, LISTENER).values() for c in listener["filter_chains"]}


def tls(chain: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = chain["transport_socket"]["typed_config"]
    return found


def http(chain: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = chain["filters"][-1]["typed_config"]
    return found


def own(snapshot: Snapshot, service: str = "orders") -> dict[str, Any]:
    """The virtual host of a service's own hosts."""
    found: dict[str, Any] = bodies(snapshot, ROUTE)[service]["virtual_hosts"][0]
    return found


def upstream_tls(snapshot: Snapshot) -> dict[str, Any]:
    (cluster,) = bodies(snapshot, CLUSTER).values()
    found: dict[str, Any] = cluster["transport_socket"]["typed_config"]
    return found


def keys_of(value: object) -> Iterator[str]:
    """Every key at every depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from keys_of(inner)


# Rules


def test_no_rules_are_an_allow_list_without_policies(service: MakeService, intent: MakeIntent) -> None:
    """Empty rules deny: ALLOW with nothing in it, in the routes and in the filter that stands in without them."""
    snapshot = compile_intent(intent(service(rules=())))
    nothing = {"action": "ALLOW", "policies": {}}
    assert own(snapshot)["typed_per_filter_config"][RBAC]["rbac"]["rules"] == nothing
    (filter_,) = [f for f in http(chains(snapshot)["orders"])["http_filters"] if f["name"] == RBAC]
    assert filter_["typed_config"]["rules"] == nothing


def test_rules_become_policies_in_their_order(service: MakeService, intent: MakeIntent) -> None:
    """Each rule is one policy, named so that Envoy tries them in the order of the file."""
    rules = tuple(Rule.parse(n, allow=f"spiffe://example.org/c{n}", trust_domain=TRUST_DOMAIN) for n in range(1, 12))
    policies = own(compile_intent(intent(service(rules=rules))))["typed_per_filter_config"][RBAC]["rbac"]["rules"][
        "policies"
    ]
    assert list(policies) == sorted(policies) == [f"rule-{n:03d}" for n in range(1, 12)]


def test_a_rule_is_compiled_whole(service: MakeService, intent: MakeIntent) -> None:
    """Methods and paths are both demanded; the caller is a validated certificate with that URI name."""
    policies = own(compile_intent(intent(service())))["typed_per_filter_config"][RBAC]["rbac"]["rules"]["policies"]
    principal = {
        "@type": "type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config",
        "san_matcher": {"san_type": "URI", "matcher": {"exact": "spiffe://example.org/alice"}},
    }
    below = [{"url_path": {"path": {"exact": "/v1"}}}, {"url_path": {"path": {"prefix": "/v1/"}}}]
    assert policies["rule-001"] == {
        "permissions": [
            {
                "and_rules": {
                    "rules": [
                        {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
                        {"or_rules": {"rules": below}},
                    ]
                }
            }
        ],
        "principals": [{"custom": {"name": "envoy.rbac.principals.mtls_authenticated", "typed_config": principal}}],
    }
    assert policies["rule-002"]["permissions"] == [{"any": True}]


@pytest.mark.parametrize("required", [True, False], ids=["required", "off"])
def test_dangers_1_and_13_no_principal_without_a_typed_name(
    service: MakeService, intent: MakeIntent, required: bool
) -> None:
    """Neither `authenticated` nor `principal_name` occurs anywhere."""
    routes = bodies(compile_intent(intent(service(required=required))), ROUTE)
    assert {"authenticated", "principal_name"} & set(keys_of(routes)) == set()


def test_danger_2_no_prefix_path_rule(service: MakeService, intent: MakeIntent) -> None:
    """A path and all below it is an exact path and a prefix that ends in a slash: whole segments only."""
    config = own(compile_intent(intent(service())))
    (permission,) = config["typed_per_filter_config"][RBAC]["rbac"]["rules"]["policies"]["rule-001"]["permissions"]
    paths = permission["and_rules"]["rules"][1]["or_rules"]["rules"]
    assert [p["url_path"]["path"] for p in paths] == [{"exact": "/v1"}, {"prefix": "/v1/"}]


def test_anyone(service: MakeService, intent: MakeIntent) -> None:
    """`anyone` is any principal, held to the paths all the same."""
    rules = own(compile_intent(intent(service(required=False))))["typed_per_filter_config"][RBAC]["rbac"]["rules"]
    either = [
        {"url_path": {"path": {"exact": "/v1"}}},
        {"url_path": {"path": {"prefix": "/v1/"}}},
        {"url_path": {"path": {"exact": "/health"}}},
    ]
    policy = {"permissions": [{"or_rules": {"rules": either}}], "principals": [{"any": True}]}
    assert rules == {"action": "ALLOW", "policies": {"rule-001": policy}}


def test_the_revoked_are_denied_by_fingerprint(service: MakeService, intent: MakeIntent) -> None:
    """The deny map has each fingerprint; what is not in it goes on to the rules."""
    snapshot = compile_intent(intent(revoked=frozenset({Fingerprint256("ff"), Fingerprint256("aa")})))
    matcher = own(snapshot)["typed_per_filter_config"]["revocation"]["rbac"]["matcher"]
    deny = matcher["matcher_tree"]["exact_match_map"]["map"]
    assert list(deny) == ["aa", "ff"]
    assert {entry["action"]["typed_config"]["action"] for entry in deny.values()} == {"DENY"}
    assert matcher["on_no_match"]["action"]["typed_config"]["action"] == "ALLOW"


def test_rules_are_told_to_callers_only_on_request(service: MakeService, intent: MakeIntent) -> None:
    """The routes say the service's name, and the rules where `explain` is on."""

    def said(explain: bool) -> object:
        route = own(compile_intent(intent(service(explain=explain))))["routes"][-1]
        return route["metadata"]["filter_metadata"]["handclasp"]

    assert said(explain=False) == {"service": "orders"}
    assert said(explain=True) == {
        "service": "orders",
        "decided_by": "none of the 2 rules allows it",
        "rules": [
            "1: spiffe://example.org/alice may GET /v1/**",
            "2: spiffe://example.org/audit/* may any method any path",
        ],
    }


# Hosts and listeners


def test_one_service_takes_every_connection_of_its_port(service: MakeService, intent: MakeIntent) -> None:
    """A service alone on its port has no match: it is also reached without SNI (D16)."""
    snapshot = compile_intent(intent(service("a"), service("b", port=8444)))
    assert {name: chain.get("filter_chain_match") for name, chain in chains(snapshot).items()} == {"a": None, "b": None}


def test_two_services_on_a_port_are_told_apart_by_name(service: MakeService, intent: MakeIntent) -> None:
    """Each has the host names of its own, so that an unknown or missing SNI reaches neither (D16)."""
    snapshot = compile_intent(intent(service("a"), service("b")))
    assert list(bodies(snapshot, LISTENER)) == ["127.0.0.1:8443"]
    assert {name: chain.get("filter_chain_match") for name, chain in chains(snapshot).items()} == {
        "a": {"server_names": ["a.example.org"]},
        "b": {"server_names": ["b.example.org"]},
    }


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_the_service_with_an_address_takes_the_rest(service: MakeService, intent: MakeIntent, address: str) -> None:
    """For an IP address no SNI is sent: its service takes what has none (D16)."""
    snapshot = compile_intent(intent(service("a"), service("b", hosts=("b.example.org", address))))
    assert {name: chain.get("filter_chain_match") for name, chain in chains(snapshot).items()} == {
        "a": {"server_names": ["a.example.org"]},
        "b": None,
    }


def test_danger_12_only_the_own_hosts_are_served(service: MakeService, intent: MakeIntent) -> None:
    """Each service's routes have its hosts, with any port, and answer 421 to every other; 421 is behind no rule."""
    snapshot = compile_intent(intent(service("a", hosts=("a.test", "2001:db8::7")), service("b")))
    mine, other = bodies(snapshot, ROUTE)["a"]["virtual_hosts"]
    assert mine["domains"] == ["a.test", "a.test:*", "[2001:db8::7]", "[2001:db8::7]:*"]
    assert other["domains"] == ["*"]
    assert other["routes"] == [{"match": {"prefix": "/"}, "direct_response": {"status": 421}}]
    assert {name: http(chain)["rds"]["route_config_name"] for name, chain in chains(snapshot).items()} == {
        "a": "a",
        "b": "b",
    }


@pytest.mark.parametrize(
    ("place", "name", "socket"),
    [
        ({"address": "127.0.0.1"}, "127.0.0.1:8443", {"address": "127.0.0.1", "port_value": 8443}),
        ({"address": "::1"}, "[::1]:8443", {"address": "::1", "port_value": 8443}),
        ({"address": "::"}, "[::]:8443", {"address": "::", "port_value": 8443}),
        (
            {"address": "::", "both_families": True},
            "[::]:8443",
            {"address": "::", "port_value": 8443, "ipv4_compat": True},
        ),
    ],
    ids=["ipv4", "ipv6", "every-ipv6", "every"],
)
def test_addresses(
    service: MakeService, intent: MakeIntent, place: dict[str, Any], name: str, socket: dict[str, object]
) -> None:
    """A listener has its address and port; `::` is IPv4 too only where it shall be."""
    (listener,) = bodies(compile_intent(intent(service(**place))), LISTENER).values()
    assert (listener["name"], listener["address"]) == (name, {"socket_address": socket})


# Client certificates


def test_dangers_6_and_7_no_resumption(service: MakeService, intent: MakeIntent) -> None:
    """Both kinds of session resumption are off, with client certificates and without."""
    for chain in chains(compile_intent(intent(service("a"), service("b", required=False, port=8444)))).values():
        context = tls(chain)
        assert context["disable_stateless_session_resumption"] is True
        assert context["disable_stateful_session_resumption"] is True


def test_required_verifies_callers(service: MakeService, intent: MakeIntent) -> None:
    """A certificate is required and verified: authorities, list, and a typed URI name of the trust domain."""
    snapshot = compile_intent(intent())
    context = tls(chains(snapshot)["orders"])
    assert context["require_client_certificate"] is True
    assert context["common_tls_context"]["validation_context_sds_secret_config"]["name"] == "clients"
    assert bodies(snapshot, SECRET)["clients"] == {
        "name": "clients",
        "validation_context": {
            "trusted_ca": {"inline_string": "AUTHORITIES"},
            "crl": {"inline_string": "CRL"},
            "only_verify_leaf_cert_crl": True,
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"prefix": "spiffe://example.org/"}}],
        },
    }


def test_danger_5_untrusted_certificates_are_never_accepted(service: MakeService, intent: MakeIntent) -> None:
    """No `trust_chain_verification`, no `allow_expired_certificate`, anywhere."""
    snapshot = compile_intent(intent(service("a"), service("b", required=False, port=8444)))
    found = set(keys_of([bodies(snapshot, kind) for kind in TYPES]))
    assert {"trust_chain_verification", "allow_expired_certificate", "custom_validator_config"} & found == set()


def test_off_asks_for_nothing(service: MakeService, intent: MakeIntent) -> None:
    """Without client certificates: nothing to verify with, no fingerprint kept, no revocation, no identity said."""
    snapshot = compile_intent(intent(service(required=False), revoked=frozenset({Fingerprint256("aa")})))
    chain = chains(snapshot)["orders"]
    assert list(bodies(snapshot, SECRET)) == ["server/orders"]
    assert not {"validation_context_sds_secret_config", "require_client_certificate"} & set(keys_of(chain))
    assert [f["name"] for f in chain["filters"]] == ["envoy.filters.network.http_connection_manager"]
    assert [f["name"] for f in http(chain)["http_filters"]] == [RBAC, "envoy.filters.http.router"]
    assert http(chain)["forward_client_cert_details"] == "SANITIZE"
    assert list(own(snapshot)["typed_per_filter_config"]) == [RBAC]
    assert own(snapshot)["request_headers_to_add"] == []


def test_off_removes_every_identity_header(service: MakeService, intent: MakeIntent) -> None:
    """What the caller says of itself does not reach the API."""
    removed = own(compile_intent(intent(service(required=False))))["request_headers_to_remove"]
    assert removed == [*IDENTITY_HEADERS, "client-cert-chain", "x-forwarded-host", "client-cert"]


def test_danger_3_identity_headers_are_removed_before_they_are_set(service: MakeService, intent: MakeIntent) -> None:
    """Each header that we set is in the list of those removed first (Client-Cert is replaced by its filter)."""
    config = own(compile_intent(intent()))
    assert [h["header"]["key"] for h in config["request_headers_to_add"]] == IDENTITY_HEADERS
    assert config["request_headers_to_remove"] == [*IDENTITY_HEADERS, "client-cert-chain", "x-forwarded-host"]


def test_danger_4_headers_with_underscores_are_dropped(service: MakeService, intent: MakeIntent) -> None:
    """In every connection manager."""
    for chain in chains(compile_intent(intent(service("a"), service("b", required=False)))).values():
        assert http(chain)["common_http_protocol_options"]["headers_with_underscores_action"] == "DROP_HEADER"


def test_a_mixed_port_keeps_each_service_its_own_demand(service: MakeService, intent: MakeIntent) -> None:
    """`off` beside `required` on one port: one asks, the other does not."""
    found = chains(compile_intent(intent(service("a"), service("b", required=False))))
    assert {name: tls(chain).get("require_client_certificate") for name, chain in found.items()} == {
        "a": True,
        "b": None,
    }


# Upstreams


@pytest.mark.parametrize("roots", [None, ""], ids=["none", "empty"])
def test_danger_14_https_without_roots_is_not_compiled(
    service: MakeService, intent: MakeIntent, roots: str | None
) -> None:
    """There is no unverified upstream."""
    with pytest.raises(ValueError, match="without trust roots"):
        compile_intent(intent(service(upstream=Upstream("https", "api.test", 443, roots))))


@pytest.mark.parametrize(
    ("host", "kind", "sni"),
    [("api.test", "DNS", "api.test"), ("192.0.2.7", "IP_ADDRESS", None), ("2001:db8::7", "IP_ADDRESS", None)],
    ids=["name", "ipv4", "ipv6"],
)
def test_an_https_upstream_is_verified_by_its_host(
    service: MakeService, intent: MakeIntent, host: str, kind: str, sni: str | None
) -> None:
    """Roots, and a name of the right type equal to the host; SNI for names alone."""
    snapshot = compile_intent(intent(service(upstream=Upstream("https", host, 443, "ROOTS"))))
    context = upstream_tls(snapshot)
    assert context["common_tls_context"]["validation_context"] == {
        "trusted_ca": {"inline_string": "ROOTS"},
        "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
    }
    assert context.get("sni") == sni


def test_an_https_upstream_is_called_by_its_own_name(service: MakeService, intent: MakeIntent) -> None:
    """Host becomes the verified name, and what the caller asked for goes beside it."""
    config = own(compile_intent(intent(service(upstream=Upstream("https", "api.test", 443, "ROOTS")))))
    assert config["routes"][-1]["route"]["host_rewrite_literal"] == "api.test"
    assert config["request_headers_to_add"][-1] == {
        "header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


@pytest.mark.parametrize(
    ("upstream", "options"),
    [
        (Upstream("http", "127.0.0.1", 1), {"explicit_http_config": {"http_protocol_options": {}}}),
        (Upstream("h2c", "127.0.0.1", 1), {"explicit_http_config": {"http2_protocol_options": {}}}),
        (
            Upstream("https", "127.0.0.1", 1, "ROOTS"),
            {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}},
        ),
    ],
    ids=["http", "h2c", "https"],
)
def test_schemes(service: MakeService, intent: MakeIntent, upstream: Upstream, options: dict[str, object]) -> None:
    """http speaks HTTP/1.1, h2c HTTP/2, https what ALPN chooses; only https has TLS."""
    (cluster,) = bodies(compile_intent(intent(service(upstream=upstream))), CLUSTER).values()
    (made,) = cluster["typed_extension_protocol_options"].values()
    assert {key: value for key, value in made.items() if key.endswith("_config")} == options
    assert ("transport_socket" in cluster) is (upstream.scheme == "https")


def test_a_changed_upstream_is_a_new_cluster(service: MakeService, intent: MakeIntent) -> None:
    """The cluster's name carries its content, so that the old one can finish; the port alone is enough."""
    names = {
        name
        for port in (8000, 8001)
        for name in bodies(compile_intent(intent(service(upstream=Upstream("http", "127.0.0.1", port)))), CLUSTER)
    }
    assert len(names) == 2


# What drains

CHANGES: dict[str, Callable[[Service], Service]] = {
    "rules": lambda s: replace(s, policy=Policy(s.name, True, ())),
    "upstream": lambda s: replace(s, upstream=Upstream("https", "api.test", 443, "ROOTS")),
    "explain": lambda s: replace(s, explain=True),
}
DRAINS: dict[str, Callable[[Service], Service]] = {
    "hosts": lambda s: replace(s, hosts=("other.example.org",)),
    "address": lambda s: replace(s, address="127.0.0.2"),
    "port": lambda s: replace(s, port=9443),
    "client certificates": lambda s: replace(s, policy=Policy(s.name, False, ())),
}


def listeners(snapshot: Snapshot) -> dict[str, str]:
    return {name: resource.version for name, resource in snapshot.resources[LISTENER].items()}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_drains_nothing(service: MakeService, intent: MakeIntent, change: Callable[[Service], Service]) -> None:
    """Rules, upstreams and `explain` leave every listener as it is (D17)."""
    other = service("other")
    before = compile_intent(intent(service(), other))
    after = compile_intent(intent(change(service()), other))
    assert after.version != before.version
    assert listeners(after) == listeners(before)


@pytest.mark.parametrize(
    "more",
    [
        {"revoked": frozenset({Fingerprint256("aa")})},
        {"certificates": {"orders": KeyPair("OTHER", "OTHER")}},
        {"crl": "OTHER"},
        {"client_authorities": "OTHER"},
    ],
    ids=["revoked", "certificates", "crl", "authorities"],
)
def test_what_drains_nothing_either(intent: MakeIntent, more: dict[str, Any]) -> None:
    """Revocations, certificates, lists and authorities leave every listener as it is (D17)."""
    before, after = compile_intent(intent()), compile_intent(intent(**more))
    assert after.version != before.version
    assert listeners(after) == listeners(before)


@pytest.mark.parametrize("change", DRAINS.values(), ids=DRAINS.keys())
def test_what_drains(service: MakeService, intent: MakeIntent, change: Callable[[Service], Service]) -> None:
    """`hosts`, `listen` and `client_certificates` change the listener (D17)."""
    other = service("other")
    before = compile_intent(intent(service(), other))
    assert listeners(compile_intent(intent(change(service()), other))) != listeners(before)


def test_a_change_of_another_port_leaves_this_one(service: MakeService, intent: MakeIntent) -> None:
    """A service that comes or changes on another port leaves this listener's version."""
    before = compile_intent(intent(service("a")))
    after = compile_intent(intent(service("a"), service("b", port=9443)))
    assert listeners(before).items() <= listeners(after).items()


# Encoding


@pytest.mark.parametrize(
    "upstream",
    [
        Upstream("http", "127.0.0.1", 8000),
        Upstream("h2c", "localhost", 50051),
        Upstream("https", "api.test", 443, "ROOTS"),
        Upstream("https", "2001:db8::7", 443, "ROOTS"),
    ],
    ids=["http", "h2c-name", "https-name", "https-address"],
)
@pytest.mark.parametrize("required", [True, False], ids=["required", "off"])
def test_every_body_encodes(service: MakeService, intent: MakeIntent, upstream: Upstream, required: bool) -> None:
    """No field or type in a body is unknown to Envoy's messages."""
    made = service(required=required, upstream=upstream, explain=True, address="::")
    snapshot = compile_intent(intent(made, service("b"), revoked=frozenset({Fingerprint256("aa")})))
    encoded = {name: encode(kind, resource) for kind in TYPES for name, resource in snapshot.resources[kind].items()}
    assert all(encoded.values())


def test_an_unknown_field_does_not_encode() -> None:
    """A typing error in a body is found here and not by Envoy."""
    with pytest.raises(json_format.ParseError):
        encode(CLUSTER, Resource.of("a", {"name": "a", "conect_timeout": "5s"}))


def test_compiling_is_pure(intent: MakeIntent) -> None:
    """Equal intents are equal snapshots."""
    assert compile_intent(intent()) == compile_intent(intent())
