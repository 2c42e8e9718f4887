"""``openssl s_server``, with which a handshake is tried out: the whole command line each time."""

from __future__ import annotations

from handclasp.doctor.advice.vocabulary import Lines, Product, Setting

_SERVE = "openssl s_server -accept {port} -www -cert {cert} -cert_chain {chain} -key {key}"
_JUDGE = "-Verify 3 -CAfile {bundle} -verify_return_error"


def _with(*options: str) -> Lines:
    return Lines(commands=(" ".join((_SERVE, *options)),))


OPENSSL_SERVER = Product(
    "openssl",
    {
        Setting.TRUST: _with(_JUDGE),
        Setting.NAMES: _with(_JUDGE),
        Setting.CERTIFICATE: Lines(
            commands=("openssl s_server -accept {port} -www -cert {show} -cert_chain {show} -key {key}",)
        ),
        Setting.DEPTH: _with("-Verify {depth} -CAfile {bundle} -verify_return_error"),
        Setting.CRL: _with(_JUDGE, "-CRL {crl} -crl_check"),
        Setting.REQUIRE: _with(_JUDGE),
        Setting.VERSIONS: _with("-min_protocol TLSv1.2 -max_protocol TLSv1.3"),
        Setting.CIPHERS: _with("-cipher ECDHE+AESGCM:ECDHE+CHACHA20"),
        Setting.GROUPS: _with("-groups X25519:P-256"),
        Setting.HOST: _with("-servername {host} -cert2 {cert} -key2 {key}"),
        Setting.IDENTITY: Lines(
            commands=(f"{_SERVE} {_JUDGE}",),
            what="This server lets in whoever its authorities vouch for: name those of the caller.",
        ),
        Setting.TLS: _with(),
        Setting.LOG: _with("-state -msg"),
        Setting.SESSIONS: _with("-no_cache -no_ticket -num_tickets 0"),
        Setting.HEADER: Lines(commands=(_SERVE,), what="This server sends no header on: there is nothing to set."),
        Setting.STAPLE: _with("-status_file staple.der"),
        Setting.CHECK: _with(),
        Setting.START: _with(),
    },
)
