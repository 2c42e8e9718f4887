"""GnuTLS, and the programs on it (wget on Debian, gnutls-cli, older curl and git). Texts: gnutls lib/alert.c,
lib/errors.c, lib/x509/output.c (``gnutls_certificate_verification_status_print``)."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import received
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
_ALERT = "gnutls lib/alert.c, sup_alerts"
_ERRORS = "gnutls lib/errors.c"
_STATUS = "gnutls lib/x509/output.c, gnutls_certificate_verification_status_print"


def _number(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = int(match[1])
    return received(number, speaker) if number <= 255 else None


RULES: tuple[Rule, ...] = (
    rule("alert", "received alert", r"(?:\*{3} )?Received alert \[(\d{1,3})\](?:: [^\n]{0,80})?", _number, _ALERT),
    rule(
        "fatal alert",
        "tls fatal alert",
        r"A TLS fatal alert has been received",
        said(
            "The other side refused with an alert whose number is not shown.",
            CLIENT_CHECK,
            (c.CLIENT_CERT_MISSING, "the server requires a certificate"),
            (c.CLIENT_CERT_UNKNOWN_CA, "the certificate was not accepted"),
            (c.TLS_VERSION_MISMATCH, "no version in common"),
            (c.TLS_SNI_UNRECOGNIZED, "the name is not served"),
            vague=True,
        ),
        _ERRORS,
    ),
    rule(
        "issuer unknown",
        "issuer is unknown",
        r"The certificate issuer is unknown",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _STATUS,
    ),
    rule(
        "expired chain",
        "certificate chain uses expired",
        r"The certificate chain uses expired certificate",
        by_speaker(
            said(
                "The server's chain has an expired certificate.",
                SERVER_CHECK,
                (c.SERVER_CERT_EXPIRED, "the server's own"),
                (c.SERVER_CHAIN_INVALID, "an authority's"),
            ),
            said(
                "The client's chain has an expired certificate.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_EXPIRED, "the client's own"),
                (c.CLIENT_CHAIN_EXPIRED, "an authority's"),
            ),
        ),
        _STATUS,
    ),
    rule(
        "not activated",
        ("not yet activated", "not yet valid"),
        r"The certificate chain uses not yet valid certificate|certificate is not yet activated",
        by_speaker(
            said(
                "The server's chain has a certificate that is not valid yet.",
                SERVER_CHECK,
                (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
                (c.CLOCK_SKEW, "or the clock is behind"),
            ),
            said(
                "The client's chain has a certificate that is not valid yet.",
                CLIENT_CHECK,
                (c.CLIENT_CERT_NOT_YET_VALID, "it begins in the future"),
                (c.CLOCK_SKEW, "or the clock is behind"),
            ),
        ),
        _STATUS,
    ),
    rule(
        "revoked",
        "chain is revoked",
        r"The certificate chain is revoked",
        by_speaker(
            said(
                "The server's certificate is revoked.", SERVER_CHECK, (c.SERVER_CERT_REVOKED, "its issuer revoked it")
            ),
            said(
                "The client's certificate is revoked.", CLIENT_CHECK, (c.CLIENT_CERT_REVOKED, "its issuer revoked it")
            ),
        ),
        _STATUS,
    ),
    rule(
        "name",
        ("does not match",),
        r"The name in the certificate does not match the expected"
        r"|certificate's owner does not match hostname[^\n]{0,80}|does not match the hostname",
        answers.NAME,
        _STATUS,
    ),
    rule(
        "not trusted",
        "certificate is not trusted",
        r"The certificate is NOT trusted",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _STATUS,
    ),
    rule(
        "required",
        ("certificate is required", "no certificate was found"),
        r"Certificate is required|No certificate was found",
        answers.MISSING,
        _ERRORS,
    ),
    rule(
        "terminated",
        "non-properly terminated",
        r"The TLS connection was non-properly terminated",
        answers.CLOSED,
        _ERRORS,
    ),
    rule(
        "unexpected packet",
        ("unexpected tls packet", "unexpected tls handshake"),
        r"An unexpected TLS (?:handshake )?packet was received",
        answers.TLS_TO_PLAIN,
        _ERRORS,
    ),
    rule(
        "no cipher",
        "no supported cipher suites",
        r"No supported cipher suites have been found",
        said(
            "The two sides have no cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_CIPHER, "none is allowed by both"),
        ),
        _ERRORS,
    ),
    rule(
        "version",
        "unsupported version",
        r"A packet with illegal or unsupported version was received",
        said(
            "The two sides have no version of TLS in common, or the port does not speak TLS.",
            CLIENT_CHECK,
            (c.TLS_VERSION_MISMATCH, "no version in common"),
            (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
        ),
        _ERRORS,
    ),
    rule(
        "key mismatch",
        "certificate and the given key",
        r"The certificate and the given key do not match",
        said(
            "The private key does not belong to the certificate.",
            FILES_CHECK,
            (c.CLIENT_KEY_MISMATCH, "the two files are no pair"),
        ),
        _ERRORS,
    ),
    rule(
        "verification",
        "error in the certificate verification",
        r"Error in the certificate verification",
        by_speaker(answers.UNTRUSTED_SERVER, answers.UNTRUSTED_CLIENT),
        _ERRORS,
    ),
)
