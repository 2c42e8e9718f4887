"""Go: crypto/tls, crypto/x509 and net/http, client or server.

Texts: go src/crypto/tls/alert.go, handshake_client.go, handshake_server.go, handshake_server_tls13.go, conn.go,
src/crypto/x509/verify.go, src/net/http/server.go and transport.go.
"""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import number_of, received, sent
from handclasp.doctor.words.rule import (
    CLIENT_CHECK,
    FILES_CHECK,
    SERVER_CHECK,
    Rule,
    Speaker,
    Told,
    by_speaker,
    rule,
    said,
)
from handclasp.findings import Code

c = Code
_ALERT = "go src/crypto/tls/alert.go"
_VERIFY = "go src/crypto/x509/verify.go"
_CONN = "go src/crypto/tls/conn.go"
# Go's words for two alerts differ from the RFC's.
_OWN_NAMES = {"unknown certificate authority": 48, "unknown certificate": 46, "expired certificate": 45,
              "revoked certificate": 44, "error decoding message": 50, "error decrypting message": 51,
              "protocol version not supported": 70, "insufficient security level": 71, "user canceled": 90,
              "unexpected message": 10, "bad record mac": 20, "no application protocol": 120}  # fmt: skip


def _number(text: str) -> int | None:
    text = text.strip()
    for name, number in _OWN_NAMES.items():
        if text.startswith(name):
            return number
    words = text.split(" ")
    return next((n for end in (4, 3, 2, 1) if (n := number_of(" ".join(words[:end]))) is not None), None)


def _remote(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = _number(match[1].lower())
    return None if number is None else received(number, speaker)


def _local(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = _number(match[1].lower())
    return None if number is None else sent(number, speaker)


_EXPIRED = by_speaker(
    said(
        "A certificate of the server is outside its dates.",
        SERVER_CHECK,
        (c.SERVER_CERT_EXPIRED, "it is past its end"),
        (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
        (c.CLIENT_CERT_EXPIRED, "if a server says this: the client's is past its end"),
        (c.CLOCK_SKEW, "the clock of the side that judges is wrong"),
    ),
    said(
        "A certificate of the client is outside its dates.",
        CLIENT_CHECK,
        (c.CLIENT_CERT_EXPIRED, "it is past its end"),
        (c.CLIENT_CERT_NOT_YET_VALID, "it begins in the future"),
        (c.CLIENT_CHAIN_EXPIRED, "an authority above it is past its end"),
        (c.CLOCK_SKEW, "the clock of the side that judges is wrong"),
    ),
)
_NOT_YET = by_speaker(
    said(
        "The server's certificate is not valid yet.",
        SERVER_CHECK,
        (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
        (c.CLOCK_SKEW, "the client's clock is behind"),
    ),
    said(
        "The client's certificate is not valid yet.",
        CLIENT_CHECK,
        (c.CLIENT_CERT_NOT_YET_VALID, "it begins in the future"),
        (c.CLOCK_SKEW, "the server's clock is behind"),
    ),
)
_USAGE = by_speaker(
    said(
        "The server's certificate is not for TLS servers.",
        SERVER_CHECK,
        (c.SERVER_CERT_WRONG_EKU, "its extended key usage lacks serverAuth"),
        (c.CLIENT_CERT_WRONG_EKU, "if a server says this: the client's lacks clientAuth"),
    ),
    said(
        "The client's certificate is not for TLS clients.",
        CLIENT_CHECK,
        (c.CLIENT_CERT_WRONG_EKU, "its extended key usage lacks clientAuth"),
    ),
)

RULES: tuple[Rule, ...] = (
    rule("remote alert", "remote error: tls:", r"remote error: tls: ([a-z ]{3,60})", _remote, _ALERT),
    rule("own alert", "local error: tls:", r"local error: tls: ([a-z ]{3,60})", _local, _CONN),
    rule(
        "no certificate",
        "provide a certificate",
        r"tls: client didn't provide a certificate",
        answers.MISSING,
        "go src/crypto/tls/handshake_server.go, processCertsFromClient",
    ),
    rule(
        "unknown authority, two of one name",
        "candidate authority",
        r"x509: certificate signed by unknown authority \(possibly because"
        r"[^\n]{0,300}",
        by_speaker(
            said(
                "An authority of that name is trusted, but its key did not sign the certificate.",
                SERVER_CHECK,
                (c.SERVER_CERT_UNKNOWN_CA, "two authorities have one name"),
                (c.SERVER_CHAIN_INVALID, "a signature is wrong"),
            ),
            said(
                "An authority of that name is trusted, but its key did not sign the certificate.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_CA_NAME_COLLISION, "two authorities have one name"),
                (c.CLIENT_CERT_UNKNOWN_CA, "it is another"),
            ),
        ),
        _VERIFY + ", UnknownAuthorityError",
    ),
    rule(
        "unknown authority",
        "unknown authority",
        r"x509: certificate signed by unknown authority",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _VERIFY + ", UnknownAuthorityError",
    ),
    rule(
        "not yet valid",
        "is before",
        r"x509: certificate has expired or is not yet valid: current time [^\n]{1,40} is before",
        _NOT_YET,
        _VERIFY + ", CertificateInvalidError",
    ),
    rule(
        "dates",
        "expired or is not yet valid",
        r"x509: certificate has expired or is not yet valid(?:: current time [^\n ]{1,40} is after"
        r"[^\n]{0,40})?",
        _EXPIRED,
        _VERIFY + ", CertificateInvalidError",
    ),
    rule("usage", "incompatible key usage", r"x509: certificate specifies an incompatible key usage", _USAGE, _VERIFY),
    rule(
        "no name",
        ("legacy common name", "doesn't contain any ip sans"),
        r"x509: (?:certificate relies on legacy Common Name field"
        r"|cannot validate certificate for [^\n ]{1,80} because it doesn't contain any IP SANs)[^\n]{0,60}",
        answers.NO_SAN,
        _VERIFY + ", HostnameError",
    ),
    rule(
        "name",
        ("is valid for", "is not valid for"),
        r"x509: certificate is (?:not )?valid for [^\n]{0,160}",
        answers.NAME,
        _VERIFY + ", HostnameError",
    ),
    rule(
        "chain",
        ("x509: ",),
        r"x509: (?:too many intermediates|invalid signature|parent certificate cannot sign|a root or intermediate"
        r"|unhandled critical extension|issuer name does not match|certificate is not authorized to sign)[^\n]{0,160}",
        by_speaker(
            said("The server's chain breaks a rule.", SERVER_CHECK, (c.SERVER_CHAIN_INVALID, "the text says which")),
            said(
                "The client's chain breaks a rule.",
                CLIENT_CHECK,
                (c.CLIENT_CHAIN_INVALID, "the text says which"),
                (c.CLIENT_CHAIN_TOO_DEEP, "too many intermediates"),
            ),
        ),
        _VERIFY,
    ),
    rule(
        "weak signature",
        "insecure algorithm",
        r"x509: cannot verify signature: insecure algorithm[^\n]{0,40}",
        by_speaker(
            said(
                "A certificate of the server is signed with a broken hash.",
                SERVER_CHECK,
                (c.SERVER_CERT_WEAK, "SHA-1 or MD5"),
            ),
            said(
                "A certificate of the client is signed with a broken hash.",
                CLIENT_CHECK,
                (c.CLIENT_SIGNATURE_TOO_WEAK, "SHA-1 or MD5"),
            ),
        ),
        "go src/crypto/x509/x509.go, InsecureAlgorithmError",
    ),
    rule(
        "verification failed",
        "failed to verify",
        r"tls: failed to verify (?:client )?certificate",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        "go src/crypto/tls/handshake_client.go, verifyServerCertificate",
    ),
    rule(
        "key mismatch",
        "does not match",
        r"tls: private key (?:does not match public key|type does not match public key type)",
        said(
            "The private key does not belong to the certificate.",
            FILES_CHECK,
            (c.CLIENT_KEY_MISMATCH, "a client's files"),
            (c.SERVER_KEY_MISMATCH, "a server's files"),
        ),
        "go src/crypto/tls/tls.go, X509KeyPair",
    ),
    rule(
        "files",
        ("failed to find",),
        r"tls: failed to find (?:any PEM data|certificate PEM data|PEM block)[^\n]{0,80}",
        said(
            "A file does not hold the PEM block that was looked for.",
            FILES_CHECK,
            (c.CLIENT_FILE_NOT_PEM, "it is DER or PKCS#12, or certificate and key are swapped"),
            (c.FILE_DAMAGED, "its lines are damaged"),
        ),
        "go src/crypto/tls/tls.go, X509KeyPair",
    ),
    rule(
        "plain server",
        "http response to https client",
        r"http: server gave HTTP response to HTTPS client",
        answers.TLS_TO_PLAIN,
        "go src/net/http/transport.go",
    ),
    rule(
        "plain client",
        "http request to an https server",
        r"client sent an HTTP request to an HTTPS server",
        answers.PLAIN_TO_TLS,
        "go src/net/http/server.go",
    ),
    rule(
        "not TLS",
        "look like a tls handshake",
        r"(?:tls: )?first record does not look like a TLS handshake",
        by_speaker(answers.TLS_TO_PLAIN, answers.PLAIN_TO_TLS),
        _CONN + ", RecordHeaderError",
    ),
    rule(
        "oversized",
        "oversized record",
        r"tls: oversized record received[^\n]{0,60}",
        by_speaker(answers.TLS_TO_PLAIN, answers.PLAIN_TO_TLS),
        _CONN,
    ),
    rule(
        "versions",
        ("unsupported version", "unsupported versions", "protocol version"),
        r"tls: (?:client offered only unsupported versions"
        r"|server selected unsupported protocol version|no supported versions satisfy)[^\n]{0,60}",
        said(
            "The two sides have no version of TLS in common.",
            CLIENT_CHECK,
            (c.TLS_VERSION_MISMATCH, "no version is allowed by both"),
        ),
        "go src/crypto/tls/handshake_server.go",
    ),
    rule(
        "ciphers",
        ("no cipher suite", "unconfigured cipher", "mutually supported"),
        r"tls: (?:no cipher suite supported by both|server chose an "
        r"unconfigured cipher|no (?:mutually )?supported cipher)[^\n]{0,60}",
        said(
            "The two sides have no cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_CIPHER, "none is allowed by both"),
        ),
        "go src/crypto/tls/handshake_server.go",
    ),
    rule(
        "groups",
        ("curve", "key exchange"),
        r"tls: (?:no (?:mutually )?supported (?:elliptic )?curves?|no key exchanges? supported by both"
        r"|server selected unsupported (?:group|curve))[^\n]{0,60}",
        said(
            "The two sides have no group for the key exchange in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_GROUP, "none is allowed by both"),
        ),
        "go src/crypto/tls/handshake_server_tls13.go",
    ),
    rule(
        "no certificate for the name",
        ("no certificates configured", "no certificate available"),
        r"tls: no certificates configured"
        r"|no certificate available for '[^'\n]{0,100}'",
        said(
            "The server has no certificate for the name asked for.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.TLS_SNI_UNRECOGNIZED, "the name is not one that it serves"),
        ),
        "go src/crypto/tls/common.go, caddyserver/certmagic",
    ),
    rule(
        "signature",
        "invalid signature by",
        r"tls: invalid signature by the (?:client|server) certificate[^\n]{0,60}",
        by_speaker(
            said(
                "The server's proof of its key was wrong.",
                SERVER_CHECK,
                (c.SERVER_KEY_MISMATCH, "its key is not the certificate's"),
            ),
            said(
                "The client's proof of its key was wrong.",
                FILES_CHECK,
                (c.CLIENT_KEY_MISMATCH, "its key is not the certificate's"),
            ),
        ),
        "go src/crypto/tls/handshake_server.go",
    ),
    rule(
        "handshake timeout",
        "tls handshake timeout",
        r"(?:net/http: )?TLS handshake timeout",
        answers.TIMED_OUT,
        "go src/net/http/transport.go",
    ),
    rule(
        "connection refused",
        "connect: connection refused",
        r"connect: connection refused",
        answers.NO_ANSWER,
        "go src/net",
    ),
    rule(
        "no such host",
        "no such host",
        r"lookup [^\n ]{1,120}[^\n]{0,40}: no such host",
        answers.NOT_RESOLVED,
        "go src/net/net.go",
    ),
    rule(
        "reset",
        "connection reset by peer",
        r"(?:read|write)[^\n]{0,120}: connection reset by peer",
        by_speaker(answers.RESET, answers.GONE),
        "go src/net",
    ),
    rule(
        "server's line",
        "tls handshake error from",
        r"http: TLS handshake error from [^\n ]{1,80}: (?:EOF|read tcp[^\n]{0,100}|i/o timeout"
        r"|write tcp[^\n]{0,100})",
        answers.GONE,
        "go src/net/http/server.go",
    ),
    rule(
        "request ended",
        "eof",
        r"(?:Get|Post|Put|Head|Patch|Delete) \\?\"https://[^\n\"]{1,200}\\?\": (?:unexpected )?EOF",
        answers.CLOSED,
        "go src/net/http/transport.go",
    ),
)
