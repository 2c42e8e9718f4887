"""rustls, and the programs on it (reqwest, hyper, ureq). Texts: rustls src/error/mod.rs and
src/enums.rs (Debug and Display)."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import number_of, received
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
_ERROR = "rustls src/error/mod.rs"


def _alert(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(match[1])
    return None if number is None else received(number, speaker)


def _pair(what: str, server: Code, client: Code) -> tuple[Told, Told]:
    return (
        said(
            f"The server's certificate is {what}.",
            SERVER_CHECK,
            (server, "the client says so"),
            (client, "if a server says this: the client's is"),
        ),
        said(f"The client's certificate is {what}.", CLIENT_CHECK, (client, "the server says so")),
    )


RULES: tuple[Rule, ...] = (
    rule(
        "alert received",
        ("alertreceived", "received fatal alert"),
        r"(?:AlertReceived\(|received fatal alert: (?:the peer |')?)([A-Za-z]{4,40})",
        _alert,
        _ERROR,
    ),
    rule(
        "unknown issuer",
        "unknownissuer",
        r"(?:InvalidCertificate\(|invalid (?:peer )?certificate: )UnknownIssuer",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _ERROR,
    ),
    rule(
        "expired",
        "expired",
        r"(?:InvalidCertificate\(|invalid peer certificate: )(?:Expired|certificate expired)",
        by_speaker(*_pair("past its end", c.SERVER_CERT_EXPIRED, c.CLIENT_CERT_EXPIRED)),
        _ERROR,
    ),
    rule(
        "not yet valid",
        ("notvalidyet", "not valid yet"),
        r"(?:InvalidCertificate\(|invalid peer certificate: )(?:NotValidYet|certificate not valid yet)",
        by_speaker(*_pair("not valid yet", c.SERVER_CERT_NOT_YET_VALID, c.CLIENT_CERT_NOT_YET_VALID)),
        _ERROR,
    ),
    rule(
        "revoked",
        "revoked",
        r"(?:InvalidCertificate\(|invalid peer certificate: )Revoked",
        by_speaker(*_pair("revoked", c.SERVER_CERT_REVOKED, c.CLIENT_CERT_REVOKED)),
        _ERROR,
    ),
    rule(
        "name",
        ("notvalidforname", "not valid for name", "notvalidfornamecontext"),
        r"NotValidForName|certificate not valid for name[^\n]{0,160}",
        answers.NAME,
        _ERROR,
    ),
    rule(
        "usage",
        ("invalidpurpose", "requiredekunotfound"),
        r"InvalidPurpose|RequiredEkuNotFound",
        by_speaker(
            *_pair("for another purpose (extended key usage)", c.SERVER_CERT_WRONG_EKU, c.CLIENT_CERT_WRONG_EKU)
        ),
        _ERROR,
    ),
    rule(
        "list",
        ("unknownrevocationstatus", "expiredrevocationlist"),
        r"UnknownRevocationStatus|ExpiredRevocationList",
        said(
            "The revocation list does not cover the certificate, or is out of date.",
            "handclasp inspect crl.pem",
            (c.SERVER_CRL_MISSING, "no list for that issuer"),
            (c.SERVER_CRL_EXPIRED, "the list is past its next update"),
        ),
        _ERROR,
    ),
    rule(
        "authority as leaf",
        "causedasendentity",
        r"CaUsedAsEndEntity",
        by_speaker(*_pair("an authority's, used as its own", c.SERVER_CERT_SELF_SIGNED, c.CLIENT_CERT_SELF_SIGNED)),
        "rustls-webpki src/error.rs",
    ),
    rule(
        "bad signature",
        ("badsignature", "bad signature"),
        r"(?:InvalidCertificate\(|invalid peer certificate: )BadSignature",
        by_speaker(
            *_pair("not signed by the key of its issuer", c.SERVER_CHAIN_INVALID, c.CLIENT_CERT_CA_NAME_COLLISION)
        ),
        _ERROR,
    ),
    rule(
        "bad encoding",
        ("badencoding", "unsupportedcertversion"),
        r"BadEncoding|UnsupportedCertVersion|UnhandledCriticalExtension",
        by_speaker(*_pair("not as the standard wants it", c.SERVER_CHAIN_INVALID, c.CLIENT_CHAIN_INVALID)),
        _ERROR,
    ),
    rule(
        "no certificate",
        ("nocertificatespresented", "no certificates"),
        r"NoCertificatesPresented|peer sent no certificates",
        answers.MISSING,
        _ERROR,
    ),
    rule(
        "required",
        "certificaterequired",
        r"CertificateRequired",
        answers.MISSING,
        "rustls src/enums.rs, AlertDescription",
    ),
    rule(
        "no shared",
        ("peerincompatible", "peer is incompatible"),
        r"(?:PeerIncompatible\(|peer is incompatible: )"
        r"(?:NoCipherSuites|ServerDoesNotSupport|NoKx|Tls1[23]|ServerTls|NoCert)"
        r"[A-Za-z0-9]{0,60}",
        said(
            "The two sides have nothing in common.",
            CLIENT_CHECK,
            (c.TLS_VERSION_MISMATCH, "no version in common"),
            (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
            (c.TLS_NO_SHARED_GROUP, "no group in common"),
        ),
        _ERROR,
    ),
    rule(
        "not TLS",
        ("invalidcontenttype", "corrupt message"),
        r"InvalidContentType|received corrupt message[^\n]{0,60}",
        by_speaker(answers.TLS_TO_PLAIN, answers.PLAIN_TO_TLS),
        _ERROR,
    ),
    rule(
        "key mismatch",
        ("keymismatch", "inconsistentkeys"),
        r"InconsistentKeys\(KeyMismatch\)|KeyMismatch",
        said(
            "The private key does not belong to the certificate.",
            FILES_CHECK,
            (c.CLIENT_KEY_MISMATCH, "a client's"),
            (c.SERVER_KEY_MISMATCH, "a server's"),
        ),
        _ERROR,
    ),
    rule(
        "eof",
        "close_notify",
        r"peer closed connection without sending TLS close_notify[^\n]{0,60}|tls handshake eof",
        answers.CLOSED,
        "rustls src/conn.rs, UNEXPECTED_EOF_MESSAGE",
    ),
    rule(
        "handshake eof",
        "tls handshake eof",
        r"tls handshake eof",
        answers.CLOSED,
        "tokio-rustls src/common/handshake.rs",
    ),
)
