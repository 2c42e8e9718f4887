"""The peers: what a good engineer writes by hand for one API behind mutual TLS, and an Envoy with nothing but TLS.

``guarded`` has Handclasp's TLS, identity headers (spoofed ones removed, XFCC, RFC 9440) and its two logs. It has no
rules, no deny map, no xDS, and also not the smaller things that Handclasp adds: retries of requests that never
reached the API, a bound on a connection's age, refusals in problem+json. ``bare`` has the TLS and a route.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import gateways_cpu, on_cpu
from handclasp.dataplane.accesslog import CONNECTION_FORMAT, REQUEST_FORMAT
from handclasp.dataplane.envoy import binary
from handclasp.dataplane.envoy_types import AEAD_CIPHERS
from handclasp.dataplane.routes import IDENTITY_HEADERS

_TYPE = "type.googleapis.com/"
_EXTENSION = _TYPE + "envoy.extensions."
Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """What a hand-written configuration is given: PEM of the server and of the callers' authority, and the filter
    that makes Client-Cert (Handclasp's own, so that it is made the same way)."""

    chain: str
    key: str
    authorities: str
    crl: str
    trust_domain: str
    client_cert_filter: Mapping[str, Any]


def guarded(material: Material, port: int, upstream: int) -> Config:
    """The same TLS, headers and logs as Handclasp's."""
    manager = _manager(
        upstream,
        http_filters=[dict(material.client_cert_filter), _router()],
        access_log=[_log(REQUEST_FORMAT)],
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        use_remote_address=True,
        server_header_transformation="PASS_THROUGH",
        request_headers_timeout="10s",
        stream_idle_timeout="300s",
        common_http_protocol_options={"headers_with_underscores_action": "DROP_HEADER", "idle_timeout": "900s"},
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"subject": True, "uri": True, "dns": True},
    )
    host = manager["typed_config"]["route_config"]["virtual_hosts"][0]
    host["domains"] = ["localhost", "localhost:*"]
    host["request_headers_to_remove"] = [*IDENTITY_HEADERS, "client-cert-chain", "x-forwarded-host"]
    host["request_headers_to_add"] = [
        {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, value in IDENTITY_HEADERS.items()
    ]
    inspector = {
        "name": "envoy.filters.listener.tls_inspector",  # without it the log has no SNI
        "typed_config": {"@type": _EXTENSION + "filters.listener.tls_inspector.v3.TlsInspector"},
    }
    listener = _listener(material, port, manager)
    listener |= {
        "per_connection_buffer_limit_bytes": 65536,
        "listener_filters": [inspector],
        "access_log": [_log(CONNECTION_FORMAT)],
    }
    return _bootstrap(listener, upstream)


def bare(material: Material, port: int, upstream: int) -> Config:
    """Mutual TLS and a route: no headers, no logs."""
    return _bootstrap(_listener(material, port, _manager(upstream, http_filters=[_router()])), upstream)


@asynccontextmanager
async def running(directory: Path, config: Config) -> AsyncIterator[int]:
    """An Envoy with this static configuration, ready; yields its process id."""
    (directory / "log").mkdir(parents=True)
    (directory / "envoy.json").write_text(json.dumps(config, indent=1))
    with (directory / "log" / "envoy.log").open("wb") as output, on_cpu(gateways_cpu()):
        process = await asyncio.create_subprocess_exec(
            *(str(binary()), "--config-path", "envoy.json", "--disable-hot-restart", "--concurrency", "1"),
            *("--file-flush-interval-msec", "100", "--log-level", "warning"),
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        port = config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"]
        await _accepts(process, port, directory / "log" / "envoy.log")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _accepts(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    for _ in range(500):
        if process.returncode is not None:
            break
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise RuntimeError(f"the hand-written Envoy does not start: {log.read_text()}")


def _listener(material: Material, port: int, manager: Config) -> Config:
    tls = {
        "@type": _EXTENSION + "transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "tls_maximum_protocol_version": "TLSv1_3",
                "cipher_suites": list(AEAD_CIPHERS),
                "ecdh_curves": ["X25519MLKEM768", "X25519", "P-256"],
            },
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": material.chain},
                    "private_key": {"inline_string": material.key},
                }
            ],
            "validation_context": {
                "trusted_ca": {"inline_string": material.authorities},
                "crl": {"inline_string": material.crl},
                "only_verify_leaf_cert_crl": True,
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"prefix": f"spiffe://{material.trust_domain}/"}}
                ],
            },
        },
    }
    return {
        "name": "mtls",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "name": "api",
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                "transport_socket_connect_timeout": "10s",
                "filters": [manager],
            }
        ],
    }


def _manager(upstream: int, http_filters: list[Config], **options: object) -> Config:
    route = {"match": {"prefix": "/"}, "route": {"cluster": f"api-{upstream}", "timeout": "0s"}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": _EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "mtls",
            "route_config": {"virtual_hosts": [{"name": "api", "domains": ["*"], "routes": [route]}]},
            "http_filters": http_filters,
            **options,
        },
    }


def _router() -> Config:
    typed = {"@type": _EXTENSION + "filters.http.router.v3.Router", "suppress_envoy_headers": True}
    return {"name": "envoy.filters.http.router", "typed_config": typed}


def _log(fields: Mapping[str, str]) -> Config:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": _EXTENSION + "access_loggers.file.v3.FileAccessLog",
            "path": "log/access.jsonl",
            "log_format": {"json_format": dict(fields), "omit_empty_values": True},
        },
    }


def _bootstrap(listener: Config, upstream: int) -> Config:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    cluster = {
        "name": f"api-{upstream}",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": f"api-{upstream}",
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
