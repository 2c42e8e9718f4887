"""From the intent to Envoy's resources: pure, total, and fail-closed.

Each service has a filter chain, a route configuration, a cluster and a certificate of its own. What changes often
(rules, upstreams, revocations) is in routes and clusters, which Envoy replaces without touching a connection;
what is in a listener (addresses, host names, whether a certificate is required) drains connections when it changes.
"""

from __future__ import annotations

import hashlib
import json

from handclasp.dataplane.envoy_types import AEAD_CIPHERS, TYPE, is_address
from handclasp.dataplane.intent import Intent, Service, Upstream
from handclasp.dataplane.listeners import CLIENTS, listener, server_secret
from handclasp.dataplane.routes import route_configuration
from handclasp.dataplane.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, Body, Snapshot

_UNLIMITED = 1_000_000


def compile_intent(intent: Intent) -> Snapshot:
    """All resources for this intent. Services that share an address and port share a listener."""
    listeners: dict[tuple[str, int], list[Service]] = {}
    for service in intent.services:
        listeners.setdefault((service.address, service.port), []).append(service)
    clusters = {service.name: _cluster(service) for service in intent.services}
    secrets: dict[str, Body] = {}
    for service in intent.services:
        pair = intent.certificates[service.name]
        secrets[server_secret(service.name)] = {
            "name": server_secret(service.name),
            "tls_certificate": {
                "certificate_chain": {"inline_string": pair.chain},
                "private_key": {"inline_string": pair.key},
            },
        }
    if any(service.policy.client_certificates for service in intent.services):
        secrets[CLIENTS] = _client_validation(intent)
    compiled = [listener(address, port, tuple(services)) for (address, port), services in listeners.items()]
    return Snapshot.of(
        {
            LISTENER: {body["name"]: body for body in compiled},
            ROUTE: {
                service.name: route_configuration(service, clusters[service.name]["name"], intent.revoked)
                for service in intent.services
            },
            CLUSTER: {body["name"]: body for body in clusters.values()},
            SECRET: secrets,
        }
    )


def _client_validation(intent: Intent) -> Body:
    return {
        "name": CLIENTS,
        "validation_context": {
            "trusted_ca": {"inline_string": intent.client_authorities},
            "crl": {"inline_string": intent.crl},
            # One list, of the authority that issues: a list of the root's would have to be renewed with the root's
            # key, which shall not be on this machine (danger 11: one stale list refuses everyone).
            "only_verify_leaf_cert_crl": True,
            "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"prefix": f"spiffe://{intent.trust_domain}/"}}
            ],
        },
    }


def _cluster(service: Service) -> Body:
    upstream = service.upstream
    body: dict[str, object] = {
        "type": "STATIC" if is_address(upstream.host) else "LOGICAL_DNS",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": service.name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket(upstream.host, upstream.port)}}]}],
        },
        # The limits of the API are the API's: Envoy's defaults (1024) would answer 503 to a busy service.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _UNLIMITED,
                    "max_pending_requests": _UNLIMITED,
                    "max_requests": _UNLIMITED,
                    "max_retries": _UNLIMITED,
                }
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http_options(upstream)
        },
    }
    if not is_address(upstream.host):
        body["dns_lookup_family"] = "ALL"  # both families, tried in turn: `localhost` may be either
    if upstream.scheme == "https":
        body["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _upstream_tls(upstream),
        }
    # The name carries the content: a changed upstream is a new cluster, and the old one finishes what it began.
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]
    return {"name": f"{service.name}/{digest}", "alt_stat_name": service.name, **body}


def _http_options(upstream: Upstream) -> Body:
    options: dict[str, object] = {
        "@type": TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        # Shorter than the keep-alive of common API servers (5 s): a request must not meet a closing connection.
        "common_http_protocol_options": {"idle_timeout": "4s"},
    }
    if upstream.scheme == "https":
        options["auto_config"] = {"http_protocol_options": {}, "http2_protocol_options": {}}
    elif upstream.scheme == "h2c":
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    else:
        options["explicit_http_config"] = {"http_protocol_options": {}}
    return options


def _upstream_tls(upstream: Upstream) -> Body:
    """An https upstream is verified: roots, and a name equal to the host (without both, nothing is: danger 14)."""
    if not upstream.roots:
        raise ValueError("an https upstream without trust roots cannot be compiled")
    address = is_address(upstream.host)
    tls: dict[str, object] = {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": list(AEAD_CIPHERS),
            },
            "validation_context": {
                "trusted_ca": {"inline_string": upstream.roots},
                "match_typed_subject_alt_names": [
                    {"san_type": "IP_ADDRESS" if address else "DNS", "matcher": {"exact": upstream.host}}
                ],
            },
        },
    }
    if not address:
        tls["sni"] = upstream.host
    return tls


def _socket(host: str, port: int) -> Body:
    return {"socket_address": {"address": host, "port_value": port}}
