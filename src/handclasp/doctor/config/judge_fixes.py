"""The line of configuration that puts a thing right, product by product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from handclasp.doctor.diagnosis import Fix, Side

_LINES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "require": {
        "nginx": ("ssl_verify_client on;",),
        "haproxy": ("bind :443 ssl crt server.pem ca-file clients-ca.pem verify required",),
        "apache": ("SSLVerifyClient require",),
        "envoy": ("require_client_certificate: true",),
        "caddy": ("client_auth {", "  mode require_and_verify", "}"),
    },
    "trust": {
        "nginx": ("ssl_client_certificate {file};",),
        "haproxy": ("ca-file {file}",),
        "apache": ("SSLCACertificateFile {file}",),
        "envoy": ("validation_context:", "  trusted_ca:", "    filename: {file}"),
        "caddy": ("client_auth {{", "  trust_pool file {file}", "}}"),
    },
    "certificate": {
        "nginx": ("ssl_certificate {file};",),
        "haproxy": ("crt {file}",),
        "apache": ("SSLCertificateFile {file}",),
        "envoy": ("certificate_chain:", "  filename: {file}"),
        "caddy": ("tls {file} server.key",),
    },
    "key": {
        "nginx": ("ssl_certificate_key {file};",),
        "haproxy": ("crt {file}",),
        "apache": ("SSLCertificateKeyFile {file}",),
        "envoy": ("private_key:", "  filename: {file}"),
        "caddy": ("tls server.pem {file}",),
    },
    "depth": {
        "nginx": ("ssl_verify_depth {depth};",),
        "apache": ("SSLVerifyDepth {depth}",),
        "envoy": ("validation_context:", "  max_verify_depth: {depth}"),
    },
    "crl": {
        "nginx": ("ssl_crl {file};",),
        "haproxy": ("crl-file {file}",),
        "apache": ("SSLCARevocationFile {file}", "SSLCARevocationCheck chain"),
        "envoy": ("validation_context:", "  crl:", "    filename: {file}"),
    },
    "protocols": {
        "nginx": ("ssl_protocols TLSv1.2 TLSv1.3;",),
        "haproxy": ("ssl-default-bind-options ssl-min-ver TLSv1.2",),
        "apache": ("SSLProtocol -all +TLSv1.2 +TLSv1.3",),
        "envoy": ("tls_params:", "  tls_minimum_protocol_version: TLSv1_2"),
        "caddy": ("protocols tls1.2 tls1.3",),
    },
    "resumption": {
        "nginx": ("ssl_session_tickets off;", "ssl_session_cache off;"),
        "haproxy": ("ssl-default-bind-options no-tls-tickets", "tune.ssl.cachesize 0"),
        "apache": ("SSLSessionTickets off", "SSLSessionCache none"),
        "envoy": ("disable_stateless_session_resumption: true", "disable_stateful_session_resumption: true"),
    },
    "header": {
        "nginx": ('proxy_set_header {header} "";',),
        "haproxy": ("http-request del-header {header}",),
        "apache": ("RequestHeader unset {header}",),
        "caddy": ("request_header -{header}",),
    },
}


def fix(product: str, kind: str, what: str, **facts: str) -> tuple[Fix, ...]:
    """The sentence, with the product's own lines where it has any for this ``kind``."""
    lines = _LINES.get(kind, {}).get(product, ())
    if kind == "require":
        return (Fix(Side.SERVER, what, product, configuration=lines),)
    return (Fix(Side.SERVER, what, product, configuration=tuple(line.format(**facts) for line in lines)),)
