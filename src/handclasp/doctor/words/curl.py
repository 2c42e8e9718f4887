"""curl: its error numbers (libcurl-errors(3)) and the text behind them. Texts: curl lib/vtls/openssl.c, vtls.c."""

from __future__ import annotations

from handclasp.doctor.words import answers
from handclasp.doctor.words.rule import FILES_CHECK, SERVER_CHECK, Rule, Speaker, rule, said
from handclasp.findings import Code

c = Code
_VTLS = "curl lib/vtls/openssl.c"
_ERRORS = "libcurl-errors(3)"

_35 = said(
    "The handshake failed; this line does not say why.",
    "curl -v URL, and handclasp doctor HOST:PORT",
    (c.NET_CLOSED_DURING_HANDSHAKE, "the server, or something on the way, hung up"),
    (c.CLIENT_CERT_MISSING, "the server requires a certificate: --cert and --key"),
    (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
    (c.TLS_VERSION_MISMATCH, "no version in common"),
    vague=True,
)
_58 = said(
    "curl cannot use the client's certificate or key.",
    FILES_CHECK,
    (c.CLIENT_FILE_UNREADABLE, "the path is wrong, or the file may not be read"),
    (c.CLIENT_FILE_NOT_PEM, "the file is not PEM: --cert-type P12 or DER"),
    (c.CLIENT_KEY_PASSPHRASE, "the key is encrypted, and the passphrase is wrong or missing: --pass"),
    (c.CLIENT_KEY_MISMATCH, "key and certificate are no pair"),
)
_PAIR = said(
    "The private key does not belong to the certificate.",
    FILES_CHECK,
    (c.CLIENT_KEY_MISMATCH, "--cert and --key are no pair"),
)

RULES: tuple[Rule, ...] = (
    rule(
        "no name",
        "no alternative certificate subject",
        r"(?:curl: \(60\) )?SSL: no alternative certificate subject name matches[^\n]{0,160}",
        answers.NAME,
        _VTLS + ", ossl_verifyhost",
    ),
    rule(
        "common name",
        "does not match target",
        r"(?:curl: \((?:51|60)\) )?SSL: certificate subject name[^\n]{0,120}does not match target[^\n]{0,120}",
        answers.NAME,
        _VTLS,
    ),
    rule(
        "private key",
        ("unable to set private key", "does not match the certificate"),
        r"unable to set private key file[^\n]{0,160}"
        r"|Private key does not match the certificate public key",
        answers.inner(Speaker.CLIENT, _58),
        _VTLS + ", cert_stuff",
    ),
    rule(
        "client certificate",
        ("could not load pem", "could not load", "curl: (58)"),
        r"could not load (?:PEM|PKCS12|ASN1) client certificate[^\n]{0,200}"
        r"|curl: \(58\)[^\n]{0,200}",
        _58,
        _VTLS + ", cert_stuff",
    ),
    rule("pair", "key values mismatch", r"curl: [^\n]{0,160}key values mismatch", _PAIR, _VTLS),
    rule(
        "authorities",
        ("error setting certificate verify", "error adding trust anchors", "curl: (77)"),
        r"error (?:setting certificate (?:verify locations|file)"
        r"|adding trust anchors from file)[^\n]{0,120}|curl: \(77\)[^\n]{0,200}",
        said(
            "curl cannot read the file of trusted authorities.",
            "handclasp doctor --files ca.pem",
            (c.TRUST_STORE_UNREADABLE, "the path is wrong, or the file is not PEM"),
        ),
        _VTLS + ", X509 store setup",
    ),
    rule(
        "certificate problem",
        "ssl certificate problem",
        r"(?:curl: \(60\) )?SSL certificate problem: [^\n]{0,160}",
        answers.inner(Speaker.CLIENT, answers.UNTRUSTED_SERVER),
        _VTLS,
    ),
    rule(
        "verify result",
        "ssl certificate verify result",
        r"SSL certificate verify result: [^\n]{0,100}",
        answers.inner(Speaker.CLIENT, answers.UNTRUSTED_SERVER),
        _VTLS,
    ),
    rule(
        "pin",
        ("pinned public key", "curl: (90)"),
        r"SSL: public key does not match pinned public key|curl: \(90\)[^\n]{0,100}",
        said(
            "The server's key is not the pinned one.",
            SERVER_CHECK,
            (c.PIN_MISMATCH, "the key was replaced, or somebody is in between"),
        ),
        _ERRORS,
    ),
    rule(
        "crl",
        ("curl: (82)", "load crl file"),
        r"error loading CRL file[^\n]{0,100}|curl: \(82\)[^\n]{0,100}",
        said(
            "curl cannot read the revocation list.",
            "handclasp inspect crl.pem",
            (c.REVOCATION_UNREACHABLE, "the path is wrong, or it is not PEM"),
        ),
        _ERRORS,
    ),
    rule(
        "status",
        ("curl: (91)", "ocsp status"),
        r"No OCSP response received|curl: \(91\)[^\n]{0,100}",
        said(
            "The server sent no stapled OCSP response, and curl was told to want one.",
            SERVER_CHECK,
            (c.SERVER_STAPLE_EXPIRED, "stapling is off or failed"),
        ),
        _ERRORS,
    ),
    rule("error 6", "curl: (6)", r"curl: \(6\)[^\n]{0,120}", answers.NOT_RESOLVED, _ERRORS),
    rule("error 7", "curl: (7)", r"curl: \(7\)[^\n]{0,120}", answers.NO_ANSWER, _ERRORS),
    rule("error 28", "curl: (28)", r"curl: \(28\)[^\n]{0,120}", answers.TIMED_OUT, _ERRORS),
    rule(
        "reset",
        ("recv failure: connection reset", "connection reset by peer"),
        r"(?:curl: \((?:35|56)\) )?[^\n]{0,80}Connection reset by peer(?: in connection"
        r"[^\n]{0,80})?",
        answers.RESET,
        "curl lib/vtls/openssl.c, ossl_connect_step2",
    ),
    rule(
        "error 60",
        "curl: (60)",
        r"curl: \(60\)[^\n]{0,200}",
        answers.inner(Speaker.CLIENT, answers.UNTRUSTED_SERVER),
        _ERRORS,
    ),
    rule("error 35", "curl: (35)", r"curl: \(35\)[^\n]{0,200}", answers.inner(Speaker.CLIENT, _35), _ERRORS),
    rule("error 52", "curl: (52)", r"curl: \(52\)[^\n]{0,100}", answers.CLOSED, _ERRORS),
    rule(
        "error 55, 56",
        ("curl: (56)", "curl: (55)"),
        r"curl: \(5[56]\)[^\n]{0,200}",
        answers.inner(Speaker.CLIENT, answers.RESET),
        _ERRORS,
    ),
)
