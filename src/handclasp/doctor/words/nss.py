"""NSS (Firefox) and the browsers on BoringSSL (Chrome, Edge). Texts: nss lib/ssl/SSLerrs.h, lib/util/SECerrs.h;
chromium net/base/net_error_list.h. A browser is a client."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers
from handclasp.doctor.words.alerts import number_of, received
from handclasp.doctor.words.rule import CLIENT_CHECK, SERVER_CHECK, Rule, Speaker, Told, rule, said
from handclasp.findings import Code

c = Code
_NSS = "nss lib/ssl/SSLerrs.h"
_SEC = "nss lib/util/SECerrs.h"
_NET = "chromium net/base/net_error_list.h"


def _alert(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(_OWN.get(match[1].upper(), match[1]))
    return None if number is None else received(number, Speaker.CLIENT)


_OWN = {
    "BAD_CERT": "bad_certificate",
    "UNSUPPORTED_CERT": "unsupported_certificate",
    "REVOKED_CERT": "certificate_revoked",
    "EXPIRED_CERT": "certificate_expired",
    "HANDSHAKE_UNEXPECTED": "unexpected_message",
}

RULES: tuple[Rule, ...] = (
    rule("alert", "_alert", r"SSL_ERROR_([A-Z_]{3,40})_ALERT\b", _alert, _NSS),
    rule(
        "handshake alert",
        "ssl_error_handshake_failure",
        r"SSL_ERROR_HANDSHAKE_FAILURE(?:_ALERT)?",
        lambda match, speaker: received(40, Speaker.CLIENT),
        _NSS,
    ),
    rule(
        "certificate required",
        ("rx_certificate_required", "certificate_required"),
        r"SSL_ERROR_RX_CERTIFICATE_REQUIRED_ALERT",
        answers.MISSING,
        _NSS,
    ),
    rule(
        "unknown issuer",
        ("unknown_issuer", "untrusted_issuer", "untrusted_cert", "unknown_cert"),
        r"(?:SEC|MOZILLA_PKIX)_ERROR_(?:UNKNOWN_ISSUER|UNTRUSTED_ISSUER|UNTRUSTED_CERT|UNKNOWN_CERT)",
        answers.UNTRUSTED_SERVER,
        _SEC,
    ),
    rule(
        "self-signed",
        "self_signed_cert",
        r"MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT",
        said(
            "The server's certificate signed itself.",
            SERVER_CHECK,
            (c.SERVER_CERT_SELF_SIGNED, "the browser does not know it"),
        ),
        "mozpkix include/mozpkix/pkixnss.h",
    ),
    rule(
        "expired",
        ("expired_certificate", "expired_issuer"),
        r"SEC_ERROR_EXPIRED_(?:ISSUER_)?CERTIFICATE",
        said(
            "The server's certificate, or one above it, has expired.",
            SERVER_CHECK,
            (c.SERVER_CERT_EXPIRED, "it is past its end"),
            (c.SERVER_CHAIN_INVALID, "an authority above it is"),
            (c.CLOCK_SKEW, "the client's clock is wrong"),
        ),
        _SEC,
    ),
    rule(
        "not yet valid",
        "not_yet_valid",
        r"MOZILLA_PKIX_ERROR_NOT_YET_VALID_(?:ISSUER_)?CERTIFICATE",
        said(
            "The server's certificate is not valid yet.",
            SERVER_CHECK,
            (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
            (c.CLOCK_SKEW, "the client's clock is behind"),
        ),
        _SEC,
    ),
    rule(
        "revoked",
        "revoked_certificate",
        r"SEC_ERROR_REVOKED_CERTIFICATE",
        said("The server's certificate is revoked.", SERVER_CHECK, (c.SERVER_CERT_REVOKED, "its issuer revoked it")),
        _SEC,
    ),
    rule(
        "name",
        ("bad_cert_domain", "common_name_invalid"),
        r"SSL_ERROR_BAD_CERT_DOMAIN|ERR_CERT_COMMON_NAME_INVALID",
        answers.NAME,
        _NSS,
    ),
    rule(
        "usage",
        "inadequate_cert_type",
        r"SEC_ERROR_INADEQUATE_CERT_TYPE|SEC_ERROR_INADEQUATE_KEY_USAGE",
        said(
            "The server's certificate is not for TLS servers.",
            SERVER_CHECK,
            (c.SERVER_CERT_WRONG_EKU, "its usage does not allow it"),
        ),
        _SEC,
    ),
    rule(
        "too long",
        "rx_record_too_long",
        r"SSL_ERROR_RX_RECORD_TOO_LONG|PR_END_OF_FILE_ERROR_PLAIN",
        answers.TLS_TO_PLAIN,
        _NSS,
    ),
    rule(
        "ended",
        ("pr_end_of_file", "pr_connect_reset"),
        r"PR_END_OF_FILE_ERROR|PR_CONNECT_RESET_ERROR",
        answers.CLOSED,
        "nspr pr/include/prerr.h",
    ),
    rule(
        "versions",
        ("unsupported_version", "version_or_cipher"),
        r"SSL_ERROR_UNSUPPORTED_VERSION|ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
        said(
            "The two sides have no version or cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_VERSION_MISMATCH, "no version in common"),
            (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
        ),
        _NSS,
    ),
    rule(
        "ciphers",
        "no_cypher_overlap",
        r"SSL_ERROR_NO_CYPHER_OVERLAP",
        said(
            "The two sides have no cipher suite in common.",
            CLIENT_CHECK,
            (c.TLS_NO_SHARED_CIPHER, "none is allowed by both"),
            (c.TLS_VERSION_MISMATCH, "no version in common"),
        ),
        _NSS,
    ),
    rule(
        "Chromium: refused",
        "err_bad_ssl_client_auth_cert",
        r"ERR_BAD_SSL_CLIENT_AUTH_CERT",
        said(
            "The server refused the client's certificate, or wanted one and got none.",
            CLIENT_CHECK,
            (c.CLIENT_CERT_MISSING, "none was chosen, and the server requires one"),
            (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust its issuer"),
            (c.CLIENT_CERT_EXPIRED, "it is past its end"),
            (c.CLIENT_CERT_REVOKED, "it is revoked"),
            (c.CLIENT_CERT_NOT_SENT_CA_FILTER, "the browser found none of an issuer that the server names"),
        ),
        _NET,
    ),
    rule(
        "Chromium: needed", "err_ssl_client_auth_cert_needed", r"ERR_SSL_CLIENT_AUTH_CERT_NEEDED", answers.MISSING, _NET
    ),
    rule(
        "Chromium: key",
        ("err_ssl_client_auth",),
        r"ERR_SSL_CLIENT_AUTH_(?:SIGNATURE_FAILED|PRIVATE_KEY_ACCESS_DENIED|CERT_NO_PRIVATE_KEY|NO_COMMON_ALGORITHMS)",
        said(
            "The browser has the certificate, and could not sign with its key.",
            "handclasp doctor --files client.p12",
            (c.CLIENT_KEY_MISMATCH, "the key is missing or another"),
            (c.CLIENT_KEY_PASSPHRASE, "the key is locked"),
            (c.TLS_NO_SHARED_CIPHER, "no signature algorithm in common"),
        ),
        _NET,
    ),
    rule(
        "Chromium: authority",
        "err_cert_authority_invalid",
        r"ERR_CERT_AUTHORITY_INVALID",
        answers.UNTRUSTED_SERVER,
        _NET,
    ),
    rule(
        "Chromium: date",
        "err_cert_date_invalid",
        r"ERR_CERT_DATE_INVALID",
        said(
            "The server's certificate is outside its dates.",
            SERVER_CHECK,
            (c.SERVER_CERT_EXPIRED, "it is past its end"),
            (c.SERVER_CERT_NOT_YET_VALID, "it begins in the future"),
            (c.CLOCK_SKEW, "the client's clock is wrong"),
        ),
        _NET,
    ),
    rule(
        "Chromium: revoked",
        "err_cert_revoked",
        r"ERR_CERT_REVOKED",
        said("The server's certificate is revoked.", SERVER_CHECK, (c.SERVER_CERT_REVOKED, "its issuer revoked it")),
        _NET,
    ),
    rule(
        "Chromium: weak",
        ("err_cert_weak",),
        r"ERR_CERT_WEAK_(?:SIGNATURE_ALGORITHM|KEY)",
        said("The server's certificate is too weak.", SERVER_CHECK, (c.SERVER_CERT_WEAK, "a short key or SHA-1")),
        _NET,
    ),
    rule(
        "Chromium: unrecognized name",
        "err_ssl_unrecognized_name",
        r"ERR_SSL_UNRECOGNIZED_NAME_ALERT",
        lambda match, speaker: received(112, Speaker.CLIENT),
        _NET,
    ),
    rule(
        "Chromium: protocol",
        "err_ssl_protocol_error",
        r"ERR_SSL_PROTOCOL_ERROR",
        said(
            "The browser did not understand the server's answer.",
            SERVER_CHECK,
            (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
            (c.TLS_ALERT, "the server sent an alert"),
            (c.TLS_VERSION_MISMATCH, "no version in common"),
            (c.CLIENT_CERT_MISSING, "the server requires a certificate"),
            vague=True,
        ),
        _NET,
    ),
    rule(
        "Chromium: closed",
        ("err_connection_closed", "err_connection_reset", "err_empty_response"),
        r"ERR_CONNECTION_(?:CLOSED|RESET)|ERR_EMPTY_RESPONSE",
        answers.CLOSED,
        _NET,
    ),
    rule("Chromium: refused connection", "err_connection_refused", r"ERR_CONNECTION_REFUSED", answers.NO_ANSWER, _NET),
)
