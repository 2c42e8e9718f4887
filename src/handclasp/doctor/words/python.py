"""Python: ssl, and requests, urllib3, httpx and aiohttp on top of it.

Texts: cpython Modules/_ssl.c (``[SSL: REASON] text (_ssl.c:line)``), whose reasons are OpenSSL's; Lib/ssl.py.
"""

from __future__ import annotations

from handclasp.doctor.words import answers
from handclasp.doctor.words.rule import FILES_CHECK, Rule, Speaker, by_speaker, rule, said
from handclasp.findings import Code

c = Code
_SSL = "cpython Modules/_ssl.c, PySSL_SetError"
_OTHER = said(
    "Python's handshake failed, with a reason that is not among those known.",
    "handclasp doctor HOST:PORT",
    (c.TLS_ALERT, "the reason stands in the text"),
    vague=True,
)

RULES: tuple[Rule, ...] = (
    rule(
        "ssl error", "[ssl", r"\[SSL(?:: [A-Z0-9_ ]{1,80})?\][^\n]{0,300}", answers.inner(Speaker.UNSAID, _OTHER), _SSL
    ),
    rule(
        "x509 error",
        "[x509",
        r"\[X509: KEY_VALUES_MISMATCH\][^\n]{0,80}",
        said(
            "The private key does not belong to the certificate.",
            FILES_CHECK,
            (c.CLIENT_KEY_MISMATCH, "the two files of load_cert_chain or cert= are no pair"),
            (c.SERVER_KEY_MISMATCH, "if a server says this"),
        ),
        _SSL,
    ),
    rule(
        "no crl or certificate",
        "[x509",
        r"\[X509(?:: [A-Z_]{3,60})?\][^\n]{0,120}",
        said(
            "The file of trusted authorities could not be used.",
            "handclasp doctor --files ca.pem",
            (c.TRUST_STORE_UNREADABLE, "it holds no certificate that can be read"),
        ),
        _SSL,
    ),
    rule(
        "pem",
        "[pem",
        r"\[PEM(?:: [A-Z_]{3,60})?\][^\n]{0,120}",
        said(
            "A file does not hold the PEM block that was looked for.",
            FILES_CHECK,
            (c.CLIENT_FILE_NOT_PEM, "it is DER or PKCS#12, or certificate and key are swapped"),
            (c.FILE_DAMAGED, "it is damaged"),
        ),
        _SSL,
    ),
    rule(
        "eof", "eof occurred", r"EOF occurred in violation of protocol", by_speaker(answers.CLOSED, answers.GONE), _SSL
    ),
    rule(
        "handshake timed out",
        "handshake operation timed out",
        r"(?:_ssl\.c:\d{1,5}: )?The handshake operation timed out",
        answers.TIMED_OUT,
        _SSL,
    ),
    rule(
        "closed",
        "tls/ssl connection has been closed",
        r"TLS/SSL connection has been closed \(EOF\)",
        answers.CLOSED,
        _SSL,
    ),
    rule(
        "host name",
        ("hostname", "doesn't match"),
        r"hostname '[^'\n]{1,120}' doesn't match[^\n]{0,160}",
        answers.NAME,
        "cpython Lib/ssl.py, match_hostname",
    ),
    rule(
        "bundle path",
        "ca certificate bundle",
        r"Could not find a suitable TLS CA certificate bundle, invalid path",
        said(
            "requests was given a file of trusted authorities that is not there.",
            "ls -l PATH",
            (c.TRUST_STORE_UNREADABLE, "the path in verify= or REQUESTS_CA_BUNDLE is wrong"),
        ),
        "requests src/requests/adapters.py, cert_verify",
    ),
    rule(
        "client files' path",
        ("tls certificate file", "tls key file"),
        r"Could not find the TLS (?:certificate|key) file, invalid path",
        said(
            "requests was given a certificate or key file that is not there.",
            "ls -l PATH",
            (c.CLIENT_FILE_UNREADABLE, "the path in cert= is wrong"),
        ),
        "requests src/requests/adapters.py, cert_verify",
    ),
    rule(
        "aiohttp",
        "clientconnectorcertificateerror",
        r"ClientConnector(?:Certificate|SSL)Error[^\n]{0,300}",
        answers.inner(Speaker.CLIENT, answers.UNTRUSTED_SERVER),
        "aiohttp client_exceptions.py",
    ),
    rule(
        "remote closed",
        ("remote end closed", "server disconnected", "remotedisconnected"),
        r"Remote end closed connection without response"
        r"|Server disconnected(?: without sending a response)?",
        answers.CLOSED,
        "cpython Lib/http/client.py, httpcore",
    ),
    rule(
        "reset",
        ("connection reset by peer", "connectionreseterror"),
        r"\[Errno 104\] Connection reset by peer|ConnectionResetError",
        answers.RESET,
        "errno(3) ECONNRESET",
    ),
    rule(
        "refused",
        ("connection refused",),
        r"\[Errno (?:111|61)\] Connection refused",
        answers.NO_ANSWER,
        "errno(3) ECONNREFUSED",
    ),
    rule(
        "not resolved",
        ("name or service not known", "temporary failure in name", "nameresolutionerror"),
        r"(?:\[Errno -[23]\] )?(?:Name or service not known"
        r"|Temporary failure in name resolution)",
        answers.NOT_RESOLVED,
        "gai_strerror(3)",
    ),
)
