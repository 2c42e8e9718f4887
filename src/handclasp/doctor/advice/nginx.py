"""nginx: a ``server`` block of ``http``; what belongs beside it says so."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_TRUST = Lines(("ssl_client_certificate {bundle};", "ssl_verify_client on;"))

NGINX = Product(
    "nginx",
    {
        Setting.TRUST: _TRUST,
        Setting.NAMES: _TRUST,  # it names those of ssl_client_certificate, and not those of ssl_trusted_certificate
        Setting.CERTIFICATE: Lines(("ssl_certificate {show};", "ssl_certificate_key {key};")),
        Setting.DEPTH: Lines(("ssl_verify_depth {depth};",)),
        Setting.CRL: Lines(("ssl_crl {crl};",)),
        Setting.REQUIRE: Lines(("ssl_client_certificate {bundle};", "ssl_verify_client on;")),
        Setting.VERSIONS: Lines(("ssl_protocols TLSv1.2 TLSv1.3;",)),
        Setting.CIPHERS: Lines(("ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",)),
        Setting.GROUPS: Lines(("ssl_ecdh_curve X25519:prime256v1;",)),
        Setting.HOST: Lines(("server_name {host};",)),
        Setting.IDENTITY: Lines(
            (
                "# beside the server",
                "map $ssl_client_s_dn $caller_allowed {",
                "    default 0;",
                "    {subject} 1;",
                "}",
                "# in the server",
                "if ($caller_allowed = 0) { return 403; }",
            ),
            ("openssl x509 -in {caller_cert} -noout -subject -nameopt RFC2253",),
        ),
        Setting.TLS: Lines(("listen {port} ssl;", "ssl_certificate {cert};", "ssl_certificate_key {key};")),
        Setting.LOG: Lines(("error_log /var/log/nginx/error.log info;",), ("tail -n 20 /var/log/nginx/error.log",)),
        Setting.SESSIONS: Lines(("ssl_session_cache off;", "ssl_session_tickets off;")),
        Setting.HEADER: Lines(("proxy_set_header X-Client-Subject $ssl_client_s_dn;",)),
        Setting.STAPLE: Lines(("ssl_stapling on;", "ssl_stapling_file staple.der;")),
        Setting.CHECK: Lines(commands=("nginx -t",)),
        Setting.START: Lines(commands=("systemctl restart nginx",)),
    },
    after=("nginx -t && nginx -s reload",),
)
