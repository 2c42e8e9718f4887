"""Caddy: what is its own; the rest of its log is Go's (see go.py). Texts: caddy modules/caddytls, modules/caddyhttp."""

from __future__ import annotations

from handclasp.doctor.words.rule import SERVER_FILES_CHECK, Rule, rule, said
from handclasp.findings import Code

c = Code

RULES: tuple[Rule, ...] = (
    rule(
        "host and name differ",
        "strict host matching",
        r"strict host matching: TLS ServerName \([^\n)]{0,120}\) and HTTP Host"
        r"[^\n]{0,160}",
        said(
            "The request names another host than the handshake did.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.ROUTE_MISDIRECTED, "a server that verifies clients serves only the name of the handshake"),
        ),
        "caddy modules/caddyhttp/server.go, enforcementHandler",
    ),
    rule(
        "trust pool",
        ("trusted_ca", "trust_pool", "ca pool", "trusted ca"),
        r"(?:parsing|loading|provisioning) [^\n]{0,60}(?:trusted_ca_certs?"
        r"|trust_pool|trusted ca|ca pool)[^\n]{0,160}",
        said(
            "Caddy cannot use the authorities that it is configured with.",
            "caddy validate --config Caddyfile",
            (c.TRUST_STORE_UNREADABLE, "the file is missing or is not PEM"),
        ),
        "caddy modules/caddytls/connpolicy.go",
    ),
    rule(
        "client leaf",
        "client leaf certificate failed",
        r"client leaf certificate failed validation",
        said(
            "The certificate is valid, and is not one of those that Caddy lists.",
            "handclasp inspect client.pem",
            (c.CLIENT_IDENTITY_NOT_ALLOWED, "the leaf is not among trusted_leaf_certs"),
        ),
        "caddy modules/caddytls/connpolicy.go",
    ),
    rule(
        "loading",
        "loading certificates",
        r"loading certificates: [^\n]{0,200}",
        said(
            "Caddy cannot use the certificate that it is configured with.",
            SERVER_FILES_CHECK,
            (c.CONFIG_FILE_MISSING, "the file is missing or cannot be read"),
            (c.SERVER_KEY_MISMATCH, "key and certificate are no pair"),
            (c.FILE_DAMAGED, "the file is not PEM"),
        ),
        "caddy modules/caddytls/tls.go",
    ),
)
