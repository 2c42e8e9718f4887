"""Envoy: DOWNSTREAM_TRANSPORT_FAILURE_REASON, upstream errors, and its debug log.

Texts: envoy source/common/tls/ssl_socket.cc (``TLS_error:|number:text``), cert_validator/default_validator.cc,
source/common/http/utility.cc; the reasons are BoringSSL's (crypto/err/ssl.errordata).
"""

from __future__ import annotations

import re

from handclasp.doctor.words import answers, openssl
from handclasp.doctor.words.rule import CLIENT_CHECK, Rule, Speaker, Told, rule, said
from handclasp.findings import Code

c = Code
_SOCKET = "envoy source/common/tls/ssl_socket.cc"
_VALIDATOR = "envoy source/common/tls/cert_validator/default_validator.cc"

_FAILED = said(
    "Envoy's handshake failed; this reason is not among those known.",
    "a listener access log with %DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    (c.TLS_ALERT, "the reason stands in the text"),
    (c.CLIENT_CERT_MISSING, "require_client_certificate is set, and none came"),
    vague=True,
)


def _reason(match: re.Match[str], speaker: Speaker) -> Told | None:
    # Its own downstream side is the server; an upstream's text comes with a prefix that names it.
    return openssl.hear(match[0], speaker.otherwise(Speaker.SERVER)) or _FAILED


RULES: tuple[Rule, ...] = (
    rule(
        "name not allowed",
        "san",
        r"verify cert failed: (?:verify )?SAN(?:s)?[ _](?:match(?:er|ing)?|list)[^\n]{0,80}|verify_?SAN"
        r"|verify[ _]cert[ _]failed:[ _][a-z_ ]{0,40}SAN[ _]matcher",
        said(
            "The certificate is valid, and none of its names matches what Envoy allows.",
            "handclasp inspect client.pem",
            (c.CLIENT_IDENTITY_NOT_ALLOWED, "match_typed_subject_alt_names has no entry for it"),
            (c.SERVER_CERT_HOSTNAME_MISMATCH, "if an upstream failed: the server's names are not those expected"),
        ),
        _VALIDATOR + ", verifyCertificate",
    ),
    rule(
        "fingerprint not allowed",
        ("cert hash", "hash_list", "spki"),
        r"verify cert failed: cert hash and spki[^\n]{0,40}",
        said(
            "The certificate is valid, and is not one of those that Envoy lists.",
            "handclasp inspect client.pem",
            (c.CLIENT_IDENTITY_NOT_ALLOWED, "verify_certificate_hash or verify_certificate_spki has no entry for it"),
        ),
        _VALIDATOR,
    ),
    rule(
        "TLS error",
        ("tls_error:", "tls error:"),
        r"TLS[_ ]error:[^\n]{0,300}",
        _reason,
        _SOCKET + ", SslSocket::drainErrorQueue",
    ),
    rule("openssl internal", "openssl_internal", r"OPENSSL_internal:[^\n]{0,300}", _reason, _SOCKET),
    rule(
        "upstream",
        "upstream connect error",
        r"upstream connect error or disconnect/reset before headers[^\n]{0,300}",
        answers.inner(
            Speaker.CLIENT,
            said(
                "Envoy could not speak to the server behind it.",
                "envoy's %UPSTREAM_TRANSPORT_FAILURE_REASON%",
                (c.UPSTREAM_UNREACHABLE, "nothing listens there, or it hung up"),
                (c.UPSTREAM_UNTRUSTED, "the handshake with it failed"),
                (c.PROTO_PLAIN_HTTP_TO_TLS, "it speaks TLS, Envoy does not"),
                vague=True,
            ),
        ),
        "envoy source/common/router/router.cc",
    ),
    rule(
        "no filter chain",
        "filter_chain_not_found",
        r"filter_chain_not_found",
        said(
            "No filter chain of the listener fits the server name that the client sent.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.TLS_SNI_UNRECOGNIZED, "the name is not in filter_chain_match.server_names"),
        ),
        "envoy access log, RESPONSE_CODE_DETAILS",
    ),
    rule(
        "refused by rule",
        ("rbac",),
        r"rbac_access_denied_matched_policy\[[^\]\n]{0,80}\]|RBAC: access denied",
        said(
            "The certificate was accepted, and a rule refused the request.",
            "handclasp log",
            (c.POLICY_NO_RULE_ALLOWS, "no rule allows this caller this request"),
        ),
        "envoy source/extensions/filters/http/rbac/rbac_filter.cc",
    ),
    rule("transport timeout", "transport_socket_timeout", r"transport_socket_timeout", answers.TIMED_OUT, _SOCKET),
    rule(
        "secret not supplied",
        "secret is not supplied",
        r"Secret is not supplied by SDS",
        said(
            "Envoy has no certificate yet: its secret did not come.",
            CLIENT_CHECK,
            (c.GATEWAY_NOT_ACKNOWLEDGED, "the control plane did not send it, or Envoy rejected it"),
        ),
        _SOCKET,
    ),
)
