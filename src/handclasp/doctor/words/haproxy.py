"""HAProxy: its log, ``ssl_c_err`` and its health checks. Texts: haproxy src/connection.c, ``conn_err_code_str``."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers, verify
from handclasp.doctor.words.rule import CLIENT_CHECK, Rule, Speaker, Told, rule, said
from handclasp.findings import Code

c = Code
_TEXT = "haproxy src/connection.c, conn_err_code_str"


def _verdict(match: re.Match[str], speaker: Speaker) -> Told | None:
    return verify.judged(int(match[1]), Speaker.SERVER)


_LOG = "error-log-format with %[ssl_c_err] %[ssl_c_ca_err] %[ssl_fc_err_str]; or " + CLIENT_CHECK
_LEAF = said(
    "HAProxy did not accept the client's own certificate (depth 0); the reason is the number in ssl_c_err.",
    _LOG,
    (c.CLIENT_CERT_UNKNOWN_CA, "its issuer is not among the trusted authorities (ca-file)"),
    (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
    (c.CLIENT_CERT_EXPIRED, "it is past its end"),
    (c.CLIENT_CERT_SELF_SIGNED, "it signed itself"),
    (c.CLIENT_CERT_WRONG_EKU, "it is not for TLS clients"),
    (c.CLIENT_CERT_REVOKED, "it is revoked"),
    (c.SERVER_CRL_EXPIRED, "the revocation list (crl-file) is out of date"),
    (c.CLIENT_CERT_NOT_YET_VALID, "its beginning lies ahead"),
    (c.CLIENT_CERT_CA_NAME_COLLISION, "the authority trusted has that name, but another key"),
    (c.CLIENT_KEY_TOO_WEAK, "its key is too small"),
)
_ABOVE = said(
    "HAProxy did not accept a certificate above the client's own (depth 1 or more); the number is in ssl_c_ca_err.",
    _LOG,
    (c.CLIENT_CERT_UNKNOWN_CA, "the root that the chain ends in is not trusted"),
    (c.CLIENT_CHAIN_INCOMPLETE, "an intermediate is missing"),
    (c.CLIENT_CHAIN_EXPIRED, "an authority is past its end"),
    (c.CLIENT_CHAIN_TOO_DEEP, "there are too many intermediates"),
    (c.CLIENT_CHAIN_INVALID, "an authority is not allowed to be one"),
)
_FAILED = said(
    "The handshake failed; HAProxy's short log does not say why.",
    _LOG,
    (c.CLIENT_CERT_MISSING, "verify required, and no certificate came"),
    (c.SERVER_CERT_UNKNOWN_CA, "the client refuses the server's certificate"),
    (c.TLS_VERSION_MISMATCH, "no version in common"),
    (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
    (c.PROTO_NOT_TLS, "what came is not TLS"),
    vague=True,
)
_CHECK = said(
    "HAProxy's handshake with a server behind it failed.",
    "openssl s_client -connect SERVER:PORT -CAfile ca.pem",
    (c.UPSTREAM_UNTRUSTED, "HAProxy does not trust its certificate (ca-file, verifyhost)"),
    (c.CLIENT_CERT_MISSING, "the server requires a certificate, and crt is not set on the server line"),
    vague=True,
)

RULES: tuple[Rule, ...] = (
    rule(
        "verify number",
        ("ssl_c_err", "ssl_c_ca_err", "c_err"),
        r"\bssl_c_(?:ca_)?err[\"' :=]{1,4}0{0,3}([1-9]\d{0,2})\b",
        _verdict,
        "HAProxy Configuration Manual, ssl_c_err and ssl_c_ca_err",
    ),
    rule(
        "health check",
        "layer6",
        r"Layer6 (?:invalid response|timeout)[^\n]{0,300}",
        answers.inner(Speaker.CLIENT, _CHECK),
        "haproxy src/check.c, Layer6 status",
    ),
    rule("not trusted", "client certificate not trusted", r"SSL client certificate not trusted", _LEAF, _TEXT),
    rule("chain not verified", "client ca chain", r"SSL client CA chain cannot be verified", _ABOVE, _TEXT),
    rule(
        "server certificate differs",
        "presented an ssl certificate",
        r"Server presented an SSL certificate different from the "
        r"(?:configured|expected) one",
        answers.UPSTREAM,
        _TEXT,
    ),
    rule(
        "renegotiation",
        "ssl reneg",
        r"Rejected a client-initiated SSL reneg[oc]{1,2}iation attempt",
        said(
            "A client began a second handshake, which HAProxy does not allow.",
            "openssl s_client -connect HOST:PORT -tls1_3",
            (c.TLS_ALERT, "an old client, or a scanner; nothing is wrong with the certificates"),
        ),
        _TEXT,
    ),
    rule(
        "closed",
        "during ssl handshake",
        r"Connection (?:closed|error) during SSL handshake[^\n]{0,200}",
        answers.inner(Speaker.SERVER, answers.GONE),
        _TEXT,
    ),
    rule("timeout", "timeout during ssl handshake", r"Timeout during SSL handshake", answers.TIMED_OUT, _TEXT),
    rule(
        "handshake failure",
        "ssl handshake failure",
        r"SSL handshake failure[^\n]{0,300}",
        answers.inner(Speaker.SERVER, _FAILED),
        _TEXT,
    ),
    rule(
        "proxy header",
        "proxy protocol header",
        r"Received something which does not look like a PROXY protocol header",
        said(
            "The port expects the PROXY protocol, and something else came.",
            "grep -n accept-proxy haproxy.cfg",
            (c.PROTO_NOT_TLS, "the client speaks TLS at once, and bind ... accept-proxy expects a header before it"),
        ),
        _TEXT,
    ),
    rule(
        "error text",
        "ssl_fc_err",
        r"ssl_fc_(?:hsk_)?err(?:_str)?[\"' :=]{1,4}[^\n]{1,200}",
        answers.inner(Speaker.SERVER, _FAILED),
        "HAProxy Configuration Manual, ssl_fc_err_str",
    ),
)
