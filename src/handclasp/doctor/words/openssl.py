"""OpenSSL 1.1, 3 and 4 (and BoringSSL and LibreSSL, whose texts are of the same family), alone or inside another
program's message.

``hear`` is for those other programs' rules: nginx, curl, Python, Node, HAProxy, Envoy and Apache pass OpenSSL's text.
"""

from __future__ import annotations

import re
from typing import Final

from handclasp.doctor.words import openssl_answers as heard
from handclasp.doctor.words import verify
from handclasp.doctor.words.alerts import number_of, received, sent
from handclasp.doctor.words.rule import (
    CLIENT_CHECK,
    FILES_CHECK,
    SERVER_CHECK,
    SERVER_FILES_CHECK,
    Rule,
    Speaker,
    Told,
    by_speaker,
    rule,
    said,
)
from handclasp.findings import Code

c = Code
_ERR: Final = "OpenSSL ssl/ssl_err.c, SSL_str_reasons"
_X509: Final = "OpenSSL crypto/x509/x509_txt.c, X509_verify_cert_error_string"


def _alert_number(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = int(match[1])
    return received(number, speaker) if number <= 255 else None


def _alert_text(match: re.Match[str], speaker: Speaker) -> Told | None:
    # The reason runs into whatever follows it: the longest beginning that is an alert's name is it.
    words = re.split(r"[ _]", match[1])
    for end in range(min(len(words), 6), 0, -1):
        number = number_of(" ".join(words[:end]))
        if number is not None:
            return received(number, speaker)
    return None


def _written_alert(match: re.Match[str], speaker: Speaker) -> Told | None:
    number = number_of(match[2])
    if number is None:
        return None
    return (sent if match[1].lower() == "write" else received)(number, speaker)


def _verify_number(match: re.Match[str], speaker: Speaker) -> Told | None:
    return verify.judged(int(match[1]), speaker)


def _verify_text(match: re.Match[str], speaker: Speaker) -> Told | None:
    # The line may name the general fault first and the root of it later: the most telling counts.
    found = verify.number_in(match.string)
    return None if found is None else verify.judged(found[0], speaker)


_REASONS: tuple[Rule, ...] = (
    rule(
        "alert number",
        "alert number",
        r"alert[ _]number[ :]{1,3}(\d{1,3})",
        _alert_number,
        "OpenSSL ssl/record, ssl3_read_bytes: ERR_raise_data(SSL alert number %d)",
    ),
    rule(
        "alert text",
        ("alert ", "alert_"),
        r"(?:sslv3|tlsv1|tlsv11|tlsv12|tlsv13|tls|ssl/tls)[ _]alert[ _]([a-z _]{1,60})",
        _alert_text,
        _ERR,
    ),
    rule(
        "message callback",
        "ssl3 alert",
        r"SSL3 alert (read|write)[: ]{1,3}(?:fatal|warning)[: ]{1,3}([a-z ]{1,40})",
        _written_alert,
        "OpenSSL apps/lib/s_cb.c, apps_ssl_info_callback",
    ),
    rule(
        "no certificate returned",
        ("did not return", "did_not_return"),
        r"peer[ _]did[ _]not[ _]return[ _]a[ _]certificate",
        heard.NO_CLIENT_CERTIFICATE,
        _ERR,
    ),
    rule(
        "verify error number",
        "num=",
        r"verify (?:error|return)[: ]{1,3}(?:num=)?(\d{1,3})[ :]",
        _verify_number,
        "OpenSSL apps/lib/s_cb.c, verify_callback",
    ),
    rule(
        "verify return code",
        "verify return code",
        r"Verify return code: (\d{1,3})",
        _verify_number,
        "OpenSSL apps/s_client.c, print_stuff",
    ),
    rule(
        "key values mismatch",
        ("mismatch",),
        r"key[ _](?:values|type)[ _]mismatch|x509_check_private_key",
        heard.MISMATCHED,
        "OpenSSL crypto/x509/x509_err.c, X509_R_KEY_VALUES_MISMATCH",
    ),
    rule("verify text", verify.NEEDLES, verify.ANY, _verify_text, _X509),
    rule(
        "certificate verify failed",
        ("verify failed", "verify_failed"),
        r"certificate[ _]verify[ _]failed",
        heard.UNVERIFIED,
        _ERR,
    ),
    rule(
        "plain HTTP",
        ("http request", "http_request"),
        r"\bhttps?[ _](?:proxy[ _])?request\b",
        said(
            "A client speaks plain HTTP to the TLS port.",
            "curl -v https://HOST:PORT/",
            (c.PROTO_PLAIN_HTTP_TO_TLS, "its URL begins with http://, or a balancer in front ends TLS"),
        ),
        _ERR,
    ),
    rule(
        "wrong version number",
        (
            "version number",
            "version_number",
            "unknown protocol",
            "packet length",
            "packet_length",
            "record overflow",
            "invalid record",
        ),
        r"wrong[ _]version[ _]number|:unknown protocol|packet[ _]length[ _]too[ _]long|bad record type",
        heard.NOT_TLS,
        _ERR,
    ),
    rule(
        "unsupported protocol",
        (
            "unsupported protocol",
            "unsupported_protocol",
            "no protocols",
            "version too low",
            "version_too",
            "fallback",
            "no_supported_versions",
            "no_protocols",
            "unsupported version",
        ),
        r"unsupported[ _]protocol|no[ _]protocols[ _]available|version[ _]too[ _]low|inappropriate[ _]fallback"
        r"|no_supported_versions_enabled|unsupported version",
        heard.VERSION,
        _ERR,
    ),
    rule(
        "no shared group",
        ("group", "curve", "key share", "key_share"),
        r"no[ _]shared[ _]groups?|wrong[ _]curve|no[ _]suitable[ _](?:key[ _]share|groups?)|bad[ _]key[ _]share"
        r"|unsupported[ _]elliptic[ _]curve",
        heard.GROUP,
        _ERR,
    ),
    rule(
        "no shared cipher",
        ("cipher",),
        r"no[ _]shared[ _]cipher|no[ _]ciphers[ _]available|no[ _]cipher[ _]match"
        r"|wrong[ _]cipher[ _]returned|no[ _]ciphers[ _]specified",
        heard.CIPHER,
        _ERR,
    ),
    rule(
        "no signature algorithm",
        ("sig", "signature"),
        r"no[ _]suitable[ _]signature[ _]algorithm|wrong[ _]signature[ _]type"
        r"|no[ _]shared[ _]sig(?:nature|ature)?[ _]alg",
        heard.SIGALG,
        _ERR,
    ),
    rule(
        "too weak",
        ("too small", "too_small", "too weak", "too_weak"),
        r"(?:ee|ca|dh)[ _]key[ _]too[ _](?:small|weak)"
        r"|(?:ca[ _])?md[ _]too[ _]weak",
        heard.WEAK,
        _ERR,
    ),
    rule("unexpected eof", "eof", r"unexpected[ _]eof(?:[ _]while[ _]reading)?", heard.ENDED, _ERR),
    rule(
        "wrong passphrase",
        (
            "bad decrypt",
            "bad_decrypt",
            "password read",
            "mac verify",
            "password_read",
            "maybe wrong password",
            "problems getting password",
            "bad password read",
        ),
        r"bad[ _]decrypt|bad[ _]password[ _]read|mac verify (?:failure|error)|problems[ _]getting[ _]password",
        heard.PASSPHRASE,
        "OpenSSL crypto/evp/evp_err.c and crypto/pem/pem_err.c",
    ),
    rule(
        "no start line",
        ("start line", "start_line", "not enough data", "asn1 lib", "wrong tag", "bad base64", "unsupported"),
        r"no[ _]start[ _]line|bad[ _]base64[ _]decode|asn1 encoding routines[^\n]{0,60}(?:wrong tag|not enough data)"
        r"|DECODER routines[^\n]{0,20}unsupported",
        heard.NOT_PEM,
        "OpenSSL crypto/pem/pem_err.c, PEM_R_NO_START_LINE",
    ),
    rule(
        "no authorities",
        ("no certificate or crl", "certificate_or_crl"),
        r"no[ _]certificate[ _]or[ _]crl[ _]found",
        heard.TRUST,
        "OpenSSL crypto/x509/x509_err.c",
    ),
    rule(
        "renegotiation",
        ("renegotiation",),
        r"unsafe[ _]legacy[ _]renegotiation|no[ _]renegotiation|renegotiation is not allowed",
        said(
            "One side wanted a second handshake and the other does not do it.",
            heard.PROTOCOL_CHECK,
            (c.TLS_VERSION_MISMATCH, "an old server without secure renegotiation (RFC 5746)"),
            (c.CLIENT_CERT_MISSING, "the server asks for the certificate only by a second handshake"),
        ),
        _ERR,
    ),
    rule(
        "bad signature",
        ("bad signature", "bad_signature", "block type", "decrypt error", "invalid signature"),
        r"bad[ _]signature|block type is not 01|invalid signature",
        by_speaker(
            said(
                "The server's proof of its key was wrong.",
                SERVER_FILES_CHECK,
                (c.SERVER_KEY_MISMATCH, "its key is not the certificate's"),
                (c.TLS_MALFORMED, "bytes were changed"),
            ),
            said(
                "The client's proof of its key was wrong.",
                FILES_CHECK,
                (c.CLIENT_KEY_MISMATCH, "its key is not the certificate's"),
                (c.CLIENT_CERT_CA_NAME_COLLISION, "a signature in the chain does not fit the issuer's key"),
            ),
        ),
        _ERR,
    ),
    rule(
        "bad record mac",
        ("record mac", "record_mac"),
        r"(?:decryption[ _]failed[ _]or[ _])?bad[ _]record[ _]mac",
        by_speaker(
            heard.TOO_OLD_CLIENT,
            said(
                "A record could not be read. A TLS 1.3 client that refuses the server often shows like this.",
                SERVER_CHECK,
                (c.SERVER_CERT_UNKNOWN_CA, "the client refused the server's certificate"),
                (c.TLS_MALFORMED, "bytes were changed on the way"),
            ),
        ),
        _ERR,
    ),
    rule(
        "decoding",
        (
            "length mismatch",
            "bad length",
            "decode error",
            "excessive message",
            "unexpected message",
            "bad extension",
            "length_mismatch",
            "unexpected_message",
            "ccs received early",
            "digest check failed",
        ),
        r"length[ _]mismatch|bad[ _]length|excessive[ _]message[ _]size|unexpected[ _]message"
        r"|bad[ _]extension|ccs received early|digest[ _]check[ _]failed",
        heard.TOO_OLD_CLIENT,
        _ERR,
    ),
    rule(
        "handshake failure",
        ("handshake failure", "handshake_failure"),
        r"SSL routines[a-z0-9 _:]{0,60}handshake[ _]failure",
        lambda match, speaker: received(40, speaker),
        _ERR,
    ),
    rule(
        "unexpected record",
        ("unexpected_record", "unexpected record"),
        r"unexpected[ _]record",
        heard.NOT_TLS,
        "BoringSSL ssl/tls_record.cc",
    ),
)


def hear(text: str, speaker: Speaker) -> Told | None:
    """What OpenSSL's text inside another program's message says; None where there is none that is known."""
    lower = text.lower()
    for one in _REASONS:
        if any(needle in lower for needle in one.needles):
            match = one.pattern.search(text)
            told = None if match is None else one.tell(match, speaker)
            if told is not None:
                return told
    return None


RULES: tuple[Rule, ...] = (
    *_REASONS,
    rule(
        "alert name",
        ("alert",),
        r"\balert[ :]{1,2}\(?([a-z]{2,12}(?:[ _][a-z]{2,14}){1,3})\b",
        _alert_text,
        "RFC 8446 §6",
    ),
    rule("bare alert", ("alert",), r"\balert[ :=(]{1,3}(\d{1,3})\b", _alert_number, "RFC 8446 §6"),
    rule(
        "verify code",
        ("verify code", "x509_v_err", "verify_code", "verify result"),
        r"verif(?:y|ication) (?:code|result|error)[ :=]{1,3}\(?(\d{1,3})",
        _verify_number,
        _X509,
    ),
    rule(
        "handshake failed",
        ("ssl_do_handshake", "ssl_connect", "ssl_accept"),
        r"SSL_(?:do_handshake|connect|accept)\b",
        by_speaker(
            said(
                "The handshake failed; this line does not say why.",
                CLIENT_CHECK,
                (c.NET_CLOSED_DURING_HANDSHAKE, "the other side, or something on the way, hung up"),
                (c.CLIENT_CERT_MISSING, "the server requires a certificate, and none came"),
                (c.SERVER_CERT_UNKNOWN_CA, "one side does not trust the other's issuer"),
                (c.TLS_VERSION_MISMATCH, "no version in common"),
                (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
                vague=True,
            ),
            said(
                "The handshake failed; this line does not say why.",
                SERVER_CHECK,
                (c.NET_CLOSED_DURING_HANDSHAKE, "the client hung up: a health check, or one that gave up"),
                (c.SERVER_CERT_UNKNOWN_CA, "the client refuses the server's certificate"),
                (c.PROTO_NOT_TLS, "what came is not TLS"),
                (c.TLS_VERSION_MISMATCH, "no version in common"),
                (c.TLS_NO_SHARED_CIPHER, "no cipher suite in common"),
                vague=True,
            ),
        ),
        "OpenSSL SSL_get_error(3)",
    ),
)
