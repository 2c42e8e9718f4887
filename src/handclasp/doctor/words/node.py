"""Node.js, and the programs on it. Texts: node src/crypto/crypto_common.cc (``X509ErrorCode``), lib/_tls_wrap.js,
doc/api/tls.md (X509 certificate error codes), doc/api/errors.md."""

from __future__ import annotations

import re

from handclasp.doctor.words import answers, verify
from handclasp.doctor.words.rule import FILES_CHECK, Rule, Speaker, Told, by_speaker, rule, said
from handclasp.findings import Code

c = Code
_X509 = "node src/crypto/crypto_common.cc, X509ErrorCode"
_NUMBERS = {
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE": 21,
    "DEPTH_ZERO_SELF_SIGNED_CERT": 18,
    "SELF_SIGNED_CERT_IN_CHAIN": 19,
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY": 20,
    "UNABLE_TO_GET_ISSUER_CERT": 2,
    "CERT_HAS_EXPIRED": 10,
    "CERT_NOT_YET_VALID": 9,
    "CERT_REVOKED": 23,
    "CERT_SIGNATURE_FAILURE": 7,
    "CERT_CHAIN_TOO_LONG": 22,
    "CRL_HAS_EXPIRED": 12,
    "CRL_NOT_YET_VALID": 11,
    "UNABLE_TO_GET_CRL": 3,
    "INVALID_CA": 79,
    "PATH_LENGTH_EXCEEDED": 25,
    "INVALID_PURPOSE": 26,
    "CERT_UNTRUSTED": 27,
    "CERT_REJECTED": 28,
    "HOSTNAME_MISMATCH": 62,
}


def _verdict(match: re.Match[str], speaker: Speaker) -> Told | None:
    # A server in Node gives these codes too, as socket.authorizationError.
    if "authorizationerror" in match.string.lower():
        speaker = speaker.otherwise(Speaker.SERVER)
    return verify.judged(_NUMBERS[match[1].upper()], speaker)


_EPROTO = said(
    "The handshake failed; this line does not say why.",
    "NODE_DEBUG=tls node ...",
    (c.TLS_ALERT, "the reason stands behind EPROTO"),
    (c.CLIENT_CERT_MISSING, "often: no certificate was sent"),
    (c.TLS_VERSION_MISMATCH, "no version in common"),
    vague=True,
)

RULES: tuple[Rule, ...] = (
    rule(
        "verify code",
        tuple(name.lower() for name in _NUMBERS),
        rf"\b({'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b",
        _verdict,
        _X509,
    ),
    rule(
        "name",
        ("err_tls_cert_altname", "altnames"),
        r"ERR_TLS_CERT_ALTNAME_(?:INVALID|FORMAT)|Hostname/IP does not match certificate's altnames[^\n]{0,120}",
        answers.NAME,
        "node lib/tls.js, checkServerIdentity",
    ),
    rule(
        "alert code",
        "err_ssl_",
        r"ERR_SSL_[A-Z0-9_]{3,80}",
        answers.inner(Speaker.UNSAID, _EPROTO),
        "node src/crypto/crypto_util.cc, and openssl reasons",
    ),
    rule(
        "eproto",
        "eproto",
        r"(?:write )?EPROTO[^\n]{0,300}",
        answers.inner(Speaker.UNSAID, _EPROTO),
        "node doc/api/errors.md, EPROTO",
    ),
    rule(
        "required certificate",
        "err_tls_required",
        r"ERR_TLS_REQUIRED_SERVER_NAME",
        said(
            "The client named no server in the handshake.",
            "handclasp doctor HOST:PORT --sni NAME",
            (c.TLS_SNI_UNRECOGNIZED, "SNI is required"),
        ),
        "node doc/api/errors.md",
    ),
    rule(
        "disconnected",
        "before secure tls connection",
        r"Client network socket disconnected before secure TLS connection was established",
        answers.CLOSED,
        "node lib/_tls_wrap.js, onConnectEnd",
    ),
    rule("hang up", "socket hang up", r"socket hang up", answers.CLOSED, "node lib/_http_client.js"),
    rule(
        "reset",
        "econnreset",
        r"(?:read |write )?ECONNRESET",
        by_speaker(answers.RESET, answers.GONE),
        "node doc/api/errors.md, ECONNRESET",
    ),
    rule(
        "refused",
        "econnrefused",
        r"(?:connect )?ECONNREFUSED",
        answers.NO_ANSWER,
        "node doc/api/errors.md, ECONNREFUSED",
    ),
    rule(
        "timeout",
        ("etimedout", "err_tls_handshake_timeout"),
        r"(?:connect )?ETIMEDOUT|ERR_TLS_HANDSHAKE_TIMEOUT",
        answers.TIMED_OUT,
        "node doc/api/errors.md",
    ),
    rule(
        "not resolved",
        ("enotfound", "eai_again"),
        r"getaddrinfo (?:ENOTFOUND|EAI_AGAIN)",
        answers.NOT_RESOLVED,
        "node doc/api/errors.md, ENOTFOUND",
    ),
    rule(
        "passphrase",
        ("err_ossl_evp_bad_decrypt", "err_missing_passphrase"),
        r"ERR_OSSL_(?:EVP_)?BAD_DECRYPT|ERR_MISSING_PASSPHRASE",
        said(
            "The private key could not be opened.",
            FILES_CHECK,
            (c.CLIENT_KEY_PASSPHRASE, "the passphrase is wrong or was not given"),
        ),
        "node doc/api/errors.md",
    ),
    rule(
        "key mismatch",
        "key_values_mismatch",
        r"ERR_OSSL_X509_KEY_VALUES_MISMATCH",
        said(
            "The private key does not belong to the certificate.",
            FILES_CHECK,
            (c.CLIENT_KEY_MISMATCH, "cert and key are no pair"),
            (c.SERVER_KEY_MISMATCH, "if it is a server's"),
        ),
        "node doc/api/errors.md",
    ),
    rule(
        "pem",
        ("err_ossl_pem", "err_ossl_unsupported", "mac verify"),
        r"ERR_OSSL_(?:PEM_NO_START_LINE|UNSUPPORTED)",
        said(
            "A file could not be read as what it was given for.",
            FILES_CHECK,
            (c.CLIENT_FILE_NOT_PEM, "it is not PEM, or a PKCS#12 file with an old cipher"),
        ),
        "node doc/api/errors.md",
    ),
)
