"""Caddy, as a Caddyfile: a site; what belongs elsewhere says so. From Caddy 2.8, ``trust_pool file`` is the newer name
of ``trusted_ca_cert_file``, which it still knows."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_AUTHORITIES = "        trusted_ca_cert_file {bundle}"
_POOL = "        # Caddy 2.8 and later: trust_pool file {bundle}"
_AUTH = ("    client_auth {", "        mode require_and_verify", _AUTHORITIES, _POOL, "    }")
_TLS = "tls {cert} {key} {"
_TRUST = Lines((_TLS, *_AUTH, "}"))
_ONLY_THESE = "        trusted_leaf_cert_file {caller_cert}"

CADDY = Product(
    "caddy",
    {
        Setting.TRUST: _TRUST,
        Setting.NAMES: _TRUST,  # it names those that it trusts
        Setting.CERTIFICATE: Lines(("tls {show} {key}",)),
        Setting.DEPTH: Lines(
            _TRUST.configuration,
            ("cat {intermediate} {issuing} >> {bundle}",),
            "Caddy has no limit of depth: put the root and every intermediate of the callers into its file.",
        ),
        Setting.CRL: Lines(
            (_TLS, *_AUTH[:-1], _ONLY_THESE, "    }", "}"),
            (),
            "Caddy reads no revocation list: name the certificates that may come in, or issue them for hours only.",
        ),
        Setting.REQUIRE: _TRUST,
        Setting.VERSIONS: Lines((_TLS, "    protocols tls1.2 tls1.3", "}")),
        Setting.CIPHERS: Lines(
            (
                _TLS,
                "    ciphers TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "}",
            ),
        ),
        Setting.GROUPS: Lines((_TLS, "    curves x25519 secp256r1", "}")),
        Setting.HOST: Lines(
            ("# a site of its own", "https://{target} {", "    tls {cert} {key}", "}"),
        ),
        Setting.IDENTITY: Lines(
            ("@other not vars {http.request.tls.client.san.{san_field}.0} {name}", "respond @other 403"),
        ),
        Setting.TLS: Lines(
            ("# the site's address", "https://{target} {", "    tls {cert} {key}", "}"),
        ),
        Setting.LOG: Lines(
            ("# the global options, at the top of the file", "{", "    debug", "}"),
            ("journalctl -u caddy -n 20",),
        ),
        Setting.SESSIONS: Lines(
            ('{ "apps": { "tls": { "session_tickets": { "disabled": true } } } }',),
            (),
            "Turn session tickets off; only Caddy's JSON can (caddy adapt writes it from a Caddyfile).",
        ),
        Setting.HEADER: Lines(("request_header X-Client-Subject {http.request.tls.client.subject}",)),
        Setting.STAPLE: Lines(
            ("tls {cert} {key}",),
            (),
            "Caddy fetches and staples OCSP responses itself: let it reach the responder that the certificate names.",
        ),
        Setting.CHECK: Lines(commands=("caddy validate --config /etc/caddy/Caddyfile",)),
        Setting.START: Lines(commands=("systemctl restart caddy",)),
    },
    after=("caddy validate --config /etc/caddy/Caddyfile && caddy reload --config /etc/caddy/Caddyfile",),
)
