"""HAProxy: words of a ``bind`` line, and rules of its ``frontend``."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_PEM = "haproxy.pem"
_BIND = f"bind :{{port}} ssl crt {_PEM}"
_ASKING = f"{_BIND} ca-file {{bundle}} verify required"

HAPROXY = Product(
    "haproxy",
    {
        Setting.TRUST: Lines((_ASKING,)),
        Setting.NAMES: Lines((_ASKING,)),  # it names those of ca-file, and not those of ca-verify-file
        # One file, in this order: certificate, intermediates, key.
        Setting.CERTIFICATE: Lines((_BIND,), (f"(umask 077; cat {{show}} {{key}} > {_PEM})",)),
        Setting.DEPTH: Lines(
            (_ASKING,),
            ("cat {intermediate} {issuing} >> {bundle}",),
            "HAProxy has no setting for the depth: put the root and every intermediate of the callers into ca-file.",
        ),
        Setting.CRL: Lines((f"{_ASKING} crl-file {{crl}}",)),
        Setting.REQUIRE: Lines((_ASKING,)),
        Setting.VERSIONS: Lines((f"{_BIND} ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3",)),
        Setting.CIPHERS: Lines(
            (
                f"{_BIND} ciphers ECDHE+AESGCM:ECDHE+CHACHA20 "
                "ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
            ),
        ),
        Setting.GROUPS: Lines((f"{_BIND} curves X25519:P-256",)),
        Setting.HOST: Lines(
            (f"{_BIND} crt {{host}}.pem",),
            ("(umask 077; cat {chain} {key} > {host}.pem)",),
            "Have the server answer to the name {host}: a certificate with that name, and no strict-sni without one.",
        ),
        Setting.IDENTITY: Lines(
            ("http-request deny deny_status 403 unless { ssl_c_s_dn(cn) -m str -- {common_name} }",),
        ),
        Setting.TLS: Lines((_BIND,), (f"(umask 077; cat {{cert}} {{key}} > {_PEM})",)),
        Setting.LOG: Lines(
            ('error-log-format "%ci:%cp %b ssl_c_err=%[ssl_c_err] ssl_c_ca_err=%[ssl_c_ca_err] %[ssl_fc_err_str]"',),
            ("journalctl -u haproxy -n 20",),
        ),
        Setting.SESSIONS: Lines(
            (f"{_BIND} no-tls-tickets", "# in global", "tune.ssl.cachesize 0"),
        ),
        Setting.HEADER: Lines(("http-request set-header X-Client-Subject %[ssl_c_s_dn]",)),
        Setting.STAPLE: Lines((_BIND,), (f"cp staple.der {_PEM}.ocsp",)),
        Setting.CHECK: Lines(commands=("haproxy -c -f /etc/haproxy/haproxy.cfg",)),
        Setting.START: Lines(commands=("systemctl restart haproxy",)),
    },
    after=("haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",),
)
