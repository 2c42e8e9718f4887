"""nginx: its error log, its pages, and ``$ssl_client_verify``.

Texts: nginx src/http/ngx_http_request.c (``ngx_http_process_request``), src/http/ngx_http_special_response.c,
src/event/ngx_event_openssl.c, src/http/ngx_http_upstream.c.
"""

from __future__ import annotations

import re

from handclasp.doctor.words import answers, verify
from handclasp.doctor.words.rule import SERVER_FILES_CHECK, Rule, Speaker, Told, rule, said
from handclasp.findings import Code

c = Code
_REQUEST = "nginx src/http/ngx_http_request.c"
_PAGE = "nginx src/http/ngx_http_special_response.c"
_OPENSSL = "nginx src/event/ngx_event_openssl.c"
_UPSTREAM = "nginx src/http/ngx_http_upstream.c"


def _verdict(match: re.Match[str], speaker: Speaker) -> Told | None:
    return verify.judged(int(match[1]), Speaker.SERVER)


def _worded(match: re.Match[str], speaker: Speaker) -> Told | None:
    found = verify.number_in(match[0])
    return answers.REFUSED if found is None else verify.judged(found[0], Speaker.SERVER)


_FAILED = said(
    "The handshake failed; this line does not say why.",
    "error_log ... info, then the whole line; or handclasp doctor HOST:PORT --cacert servers-ca.pem",
    (c.NET_CLOSED_DURING_HANDSHAKE, "the client hung up: a health check, or one that gave up"),
    (c.SERVER_CERT_UNKNOWN_CA, "the client refuses the server's certificate"),
    (c.PROTO_NOT_TLS, "what came is not TLS"),
    (c.TLS_VERSION_MISMATCH, "no version in common"),
    (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
    (c.CLIENT_CERT_MISSING, "to an upstream: it requires a certificate (proxy_ssl_certificate)"),
    vague=True,
)

RULES: tuple[Rule, ...] = (
    rule(
        "client verify error",
        "verify error: (",
        r"client SSL certificate verify error: \((\d{1,3}):[^)\n]{0,120}\)",
        _verdict,
        _REQUEST + ", ngx_http_process_request",
    ),
    rule(
        "upstream verify error",
        "upstream ssl certificate",
        r"upstream SSL certificate (?:verify error|does not match)"
        r"[^\n]{0,200}",
        answers.UPSTREAM,
        _UPSTREAM + ", ngx_http_upstream_ssl_handshake",
    ),
    rule(
        "no client certificate",
        "no required ssl certificate",
        r"(?:40[03] )?(?:client sent )?No required SSL certificate(?: "
        r"was sent)?(?: while reading client request headers)?",
        answers.MISSING,
        _REQUEST + " and " + _PAGE,
    ),
    rule(
        "certificate error page",
        "ssl certificate error",
        r"(?:40[03] )?The SSL certificate error",
        answers.REFUSED,
        _PAGE,
    ),
    rule("status 495", "495", r"(?:\bstatus[\"': =]{1,4}|HTTP/[\d.]{1,3}\"? )495\b", answers.REFUSED, _PAGE),
    rule("status 496", "496", r"(?:\bstatus[\"': =]{1,4}|HTTP/[\d.]{1,3}\"? )496\b", answers.MISSING, _PAGE),
    rule(
        "plain request",
        "plain http",
        r"(?:400 )?(?:client sent |The )plain HTTP request (?:to|was sent to) HTTPS port[^\n]{0,60}",
        answers.PLAIN_TO_TLS,
        _REQUEST,
    ),
    rule(
        "client verify variable",
        "failed:",
        r"(?:ssl_client_verify[\"':= ]{1,4}|\b)FAILED:[a-z][^\"\n]{2,100}",
        _worded,
        "nginx " + _OPENSSL + ", ngx_ssl_get_client_verify",
    ),
    rule(
        "client verify NONE",
        "ssl_client_verify",
        r"(?:ssl_)?client_verify[\"':= ]{1,4}NONE\b",
        answers.MISSING,
        _OPENSSL,
    ),
    rule(
        "handshake failed",
        "ssl_do_handshake() failed",
        r"SSL_do_handshake\(\) failed[^\n]{0,400}",
        answers.inner(Speaker.SERVER, _FAILED),
        _OPENSSL + ", ngx_ssl_handshake",
    ),
    rule(
        "handshake ended",
        "ssl handshak",
        r"(?:peer|client|upstream) (?:closed connection|prematurely closed connection|timed out)"
        r"[^\n]{0,40} in SSL handshake",
        answers.GONE,
        _OPENSSL + ", ngx_ssl_handshake",
    ),
    rule(
        "read failed",
        "ssl_read() failed",
        r"SSL_(?:read|write|shutdown)\(\) failed[^\n]{0,400}",
        answers.inner(Speaker.SERVER, _FAILED),
        _OPENSSL,
    ),
    rule(
        "key does not fit",
        "ssl_ctx_use_privatekey",
        r"SSL_CTX_use_PrivateKey(?:_file)?\([^\n]{0,120}\) failed[^\n]{0,200}",
        said(
            "nginx cannot use the private key with the certificate.",
            SERVER_FILES_CHECK,
            (c.SERVER_KEY_MISMATCH, "the key is not the certificate's"),
            (c.FILE_DAMAGED, "the key cannot be read"),
        ),
        _OPENSSL + ", ngx_ssl_certificate",
    ),
    rule(
        "cannot load certificate",
        "cannot load certificate",
        r"cannot load certificate(?: key)? [^\n]{0,200}",
        said(
            "nginx cannot read a file that its configuration names.",
            "nginx -t",
            (c.CONFIG_FILE_MISSING, "the file is not there, or its user may not read it"),
            (c.FILE_DAMAGED, "the file is not PEM"),
            (c.SERVER_KEY_MISMATCH, "the key is not the certificate's"),
        ),
        _OPENSSL + ", ngx_ssl_certificate",
    ),
    rule(
        "cannot load authorities",
        "ssl_ctx_load_verify_locations",
        r"SSL_(?:CTX_)?load_verify_locations\([^\n]{0,120}\) failed",
        said(
            "nginx cannot read the file of trusted authorities.",
            "handclasp doctor --files clients-ca.pem",
            (c.TRUST_STORE_UNREADABLE, "the path is wrong, or the file is not PEM"),
        ),
        _OPENSSL,
    ),
    rule(
        "misdirected",
        "421",
        r"421 Misdirected Request",
        said(
            "The request names another host than the handshake did.",
            "handclasp doctor HOST:PORT --sni NAME",
            (
                c.ROUTE_MISDIRECTED,
                "the Host header and the server name of TLS differ in a server that verifies clients",
            ),
        ),
        _REQUEST,
    ),
)
