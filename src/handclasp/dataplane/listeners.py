"""Listeners: addresses, TLS, and the filters every request passes in the same order.

One filter chain a service. A connection is given to a chain by its SNI; a listener with one service, or the one
service on it that names an IP address (for which no SNI is sent), takes the connections with none or an unknown one
(D16). Whatever chain it came to, only that service's hosts are served on it.
"""

from __future__ import annotations

from handclasp.dataplane.accesslog import CONNECTION_FORMAT, LOG_FILE, REQUEST_FORMAT
from handclasp.dataplane.envoy_types import AEAD_CIPHERS, TYPE, is_address
from handclasp.dataplane.intent import Service
from handclasp.dataplane.replies import local_replies
from handclasp.dataplane.routes import CLIENT_CERT, FINGERPRINT, REVOCATION, RULES
from handclasp.dataplane.snapshot import Body

CLIENTS = "clients"
"""The secret that verifies callers: their authorities and revocation list."""

_ADS = {"ads": {}, "resource_api_version": "V3"}
_TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3."
_RBAC = TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC"

MAX_CONNECTION_AGE = "3600s"
"""After this a connection is drained, so that the deny map only needs to know what was revoked since (D20)."""

# Client-Cert (RFC 9440 §2.2): the DER certificate in Base64 between colons. Envoy offers it as URL-encoded PEM only.
# The result is kept by fingerprint, so that a keep-alive connection pays for it once; the table is bounded.
_CLIENT_CERT_LUA = """
local kept, count = {}, 0
function envoy_on_request(handle)
  local tls = handle:streamInfo():downstreamSslConnection()
  local headers = handle:headers()
  if tls == nil or not tls:peerCertificatePresented() then
    headers:remove("client-cert")
    return
  end
  local fingerprint = tls:sha256PeerCertificateDigest()
  local value = kept[fingerprint]
  if value == nil then
    value = tls:urlEncodedPemEncodedPeerCertificate()
    value = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    value = value:gsub("%-%-%-%-%-[A-Z ]+%-%-%-%-%-", ""):gsub("%s+", "")
    value = ":" .. value .. ":"
    if count >= 4096 then kept, count = {}, 0 end
    kept[fingerprint] = value
    count = count + 1
  end
  headers:replace("client-cert", value)
end
"""


def server_secret(service: str) -> str:
    """The name of the secret that holds a service's certificate."""
    return f"server/{service}"


def listener(address: str, port: int, services: tuple[Service, ...]) -> Body:
    """The listener of one address and port, with a filter chain for each service."""
    socket: dict[str, object] = {"address": address, "port_value": port}
    if any(service.both_families for service in services):
        socket["ipv4_compat"] = True
    shown = f"[{address}]" if ":" in address else address
    return {
        "name": f"{shown}:{port}",
        "address": {"socket_address": socket},
        # Two processes that reuse one port would share its callers silently; a port taken must be an error.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 65536,
        "listener_filters": [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": {"@type": TYPE + "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
            }
        ],
        "access_log": [_log(CONNECTION_FORMAT)],
        "filter_chains": [_chain(service, alone=len(services) == 1) for service in services],
    }


def _chain(service: Service, *, alone: bool) -> Body:
    takes_the_rest = alone or any(is_address(host) for host in service.hosts)
    chain: dict[str, object] = {
        "name": service.name,
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": _tls(service)},
        "transport_socket_connect_timeout": "10s",
        "filters": [_keep_fingerprint(), _http(service)] if _proved(service) else [_http(service)],
    }
    if not takes_the_rest:
        chain["filter_chain_match"] = {"server_names": list(service.hosts)}
    return chain


def _proved(service: Service) -> bool:
    return service.policy.client_certificates


def _tls(service: Service) -> Body:
    common: dict[str, object] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
            "cipher_suites": list(AEAD_CIPHERS),
            "ecdh_curves": ["X25519MLKEM768", "X25519", "P-256"],
        },
        "tls_certificate_sds_secret_configs": [{"name": server_secret(service.name), "sds_config": _ADS}],
    }
    context: dict[str, object] = {
        "@type": _TLS + "DownstreamTlsContext",
        # A resumed session skips the checks of expiry and revocation (dangers 6 and 7).
        "disable_stateless_session_resumption": True,
        "disable_stateful_session_resumption": True,
        "common_tls_context": common,
    }
    if _proved(service):
        common["validation_context_sds_secret_config"] = {"name": CLIENTS, "sds_config": _ADS}
        context["require_client_certificate"] = True
    return context


def _keep_fingerprint() -> Body:
    """Keep the proved certificate's digest once a connection, for the deny map of each request.

    As a TypedStruct, since xds-protos 1.85 does not know the field that runs after the handshake; before it, the
    digest would be empty.
    """
    return {
        "name": "envoy.filters.network.set_filter_state",
        "typed_config": {
            "@type": TYPE + "xds.type.v3.TypedStruct",
            "type_url": TYPE + "envoy.extensions.filters.network.set_filter_state.v3.Config",
            "value": {
                "on_downstream_tls_handshake": [
                    {
                        "object_key": FINGERPRINT,
                        "factory_key": "envoy.string",
                        "format_string": {"text_format_source": {"inline_string": "%DOWNSTREAM_PEER_FINGERPRINT_256%"}},
                    }
                ]
            },
        },
    }


def _http(service: Service) -> Body:
    proved = _proved(service)
    manager: dict[str, object] = {
        "@type": TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": service.name,
        "rds": {"route_config_name": service.name, "config_source": _ADS},
        "access_log": [_log(REQUEST_FORMAT)],
        "http_filters": _filters(proved=proved),
        "local_reply_config": local_replies(),
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        # One reading of a path, for the rules and for the API (access/path.py predicts it).
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        # The caller is outside, wherever it calls from: its x-envoy-* and x-request-id are not taken over.
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "server_header_transformation": "PASS_THROUGH",
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "DROP_HEADER",  # danger 4
            "idle_timeout": "900s",
            "max_connection_duration": MAX_CONNECTION_AGE,
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
    }
    if proved:
        manager["forward_client_cert_details"] = "SANITIZE_SET"
        manager["set_current_client_cert_details"] = {"subject": True, "uri": True, "dns": True}
    else:
        manager["forward_client_cert_details"] = "SANITIZE"
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def _filters(*, proved: bool) -> list[Body]:
    revocation = {"name": REVOCATION, "typed_config": {"@type": _RBAC}}
    # Without a route's rules this filter denies all: an allow list with no policy in it.
    rules = {"name": RULES, "typed_config": {"@type": _RBAC, "rules": {"action": "ALLOW", "policies": {}}}}
    certificate = {
        "name": CLIENT_CERT,
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": _CLIENT_CERT_LUA},
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }
    return [revocation, rules, certificate, router] if proved else [rules, router]


def _log(fields: Body) -> Body:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": LOG_FILE,
            "log_format": {"json_format": fields, "omit_empty_values": True},
        },
    }
