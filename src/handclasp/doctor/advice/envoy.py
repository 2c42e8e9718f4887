"""Envoy, as YAML: fields of the listener's ``DownstreamTlsContext``; what belongs elsewhere says so.

Nothing reloads a static configuration but a restart; files named by ``path_config_source`` (SDS) are read again when
they are moved into place.
"""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_COMMON = "common_tls_context:"
_JUDGE = (_COMMON, "  validation_context:")
_AUTHORITIES = "    trusted_ca: { filename: {bundle} }"
_TRUST = Lines(("require_client_certificate: true", *_JUDGE, _AUTHORITIES))
_CERTIFICATE = (
    _COMMON,
    "  tls_certificates:",
    "    - certificate_chain: { filename: {show} }",
    "      private_key: { filename: {key} }",
)

ENVOY = Product(
    "envoy",
    {
        Setting.TRUST: _TRUST,
        Setting.NAMES: _TRUST,  # it names those of trusted_ca
        Setting.CERTIFICATE: Lines(_CERTIFICATE),
        Setting.DEPTH: Lines((*_JUDGE, _AUTHORITIES, "    max_verify_depth: {depth}")),
        Setting.CRL: Lines((*_JUDGE, _AUTHORITIES, "    crl: { filename: {crl} }")),
        Setting.REQUIRE: _TRUST,
        Setting.VERSIONS: Lines(
            (
                _COMMON,
                "  tls_params:",
                "    tls_minimum_protocol_version: TLSv1_2",
                "    tls_maximum_protocol_version: TLSv1_3",
            ),
        ),
        Setting.CIPHERS: Lines(
            (
                _COMMON,
                "  tls_params:",
                "    cipher_suites:",
                *(
                    f"      - ECDHE-{kind}-{cipher}"
                    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
                    for kind in ("ECDSA", "RSA")
                ),
            ),
        ),
        Setting.GROUPS: Lines((_COMMON, "  tls_params:", "    ecdh_curves: [X25519, P-256]")),
        Setting.HOST: Lines(
            ("# in the filter chain", 'filter_chain_match: { server_names: ["{host}"] }'),
        ),
        Setting.IDENTITY: Lines(
            (
                *_JUDGE,
                _AUTHORITIES,
                "    match_typed_subject_alt_names:",
                "      - san_type: {san_type}",
                "        matcher: { exact: {name} }",
            ),
        ),
        Setting.TLS: Lines(
            (
                "# in the filter chain",
                "transport_socket:",
                "  name: envoy.transport_sockets.tls",
                "  typed_config:",
                '    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
                "    common_tls_context:",
                "      tls_certificates:",
                "        - certificate_chain: { filename: {cert} }",
                "          private_key: { filename: {key} }",
            ),
        ),
        Setting.LOG: Lines(
            (
                "# in the listener",
                "access_log:",
                "  - name: envoy.access_loggers.stdout",
                "    typed_config:",
                '      "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
                "      log_format:",
                "        text_format_source:",
                '          inline_string: "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%\\n"',
            ),
        ),
        Setting.SESSIONS: Lines(
            ("disable_stateless_session_resumption: true", "disable_stateful_session_resumption: true"),
        ),
        Setting.HEADER: Lines(
            (
                "# in the HttpConnectionManager",
                "forward_client_cert_details: SANITIZE_SET",
                "set_current_client_cert_details: { subject: true, uri: true }",
            ),
        ),
        Setting.STAPLE: Lines((*_CERTIFICATE, "      ocsp_staple: { filename: staple.der }")),
        Setting.CHECK: Lines(commands=("envoy --mode validate -c /etc/envoy/envoy.yaml",)),
        Setting.START: Lines(commands=("systemctl restart envoy",)),
    },
    after=("envoy --mode validate -c /etc/envoy/envoy.yaml && systemctl restart envoy",),
)
