"""What an alert means to the one who received it (RFC 8446 §6.2, RFC 5246 §7.2.2), as it is really sent.

A client that receives one learns why the server refused the client; a server, why the client refused the server. Which
fault gives which number was measured on nginx, HAProxy, Envoy, Caddy, Apache, Go and Java, and for OpenSSL stands in
its ssl/statem/statem_lib.c, ``ssl_x509err2alert``.
"""

from __future__ import annotations

from handclasp.doctor.diagnosis import Candidate
from handclasp.doctor.words.rule import CLIENT_CHECK, SERVER_CHECK, Speaker, Told, either, ranked
from handclasp.findings import Code
from handclasp.tlswire.names import ALERTS, alert_name

c = Code

_SILENT_FILTER = (
    c.CLIENT_CERT_NOT_SENT_CA_FILTER,
    "Java, Go and browsers send no certificate when the server names no authority that issued theirs",
)
_NO_VERSION = (c.TLS_VERSION_MISMATCH, "the two sides have no version of TLS in common")
_NO_CIPHER = (c.TLS_NO_SHARED_CIPHER, "the two sides have no cipher suite in common")
_NO_GROUP = (c.TLS_NO_SHARED_GROUP, "the two sides have no group for the key exchange in common")
_BROKEN = (c.TLS_MALFORMED, "one side could not read what the other sent")
_NOT_TLS = (c.PROTO_NOT_TLS, "something between the two, or the other side, does not speak TLS")
_NAME = (c.TLS_SNI_UNRECOGNIZED, "the server serves no such name")
_CLOCK = (c.CLOCK_SKEW, "the clock of the side that judges is wrong")
_OTHER = (c.TLS_ALERT, "the side that sent it writes the reason into its own log only")

_TO_CLIENT: dict[int, tuple[Candidate, ...]] = {
    0: ranked((c.NET_CLOSED_DURING_HANDSHAKE, "the server ended the connection in order")),
    10: ranked(_BROKEN, (c.CLIENT_CERT_MISSING, "some servers say this when an expected certificate did not come")),
    20: ranked((c.TLS_MALFORMED, "a record could not be authenticated"), _OTHER),
    22: ranked(_NOT_TLS),
    40: ranked(
        (c.CLIENT_CERT_MISSING, "in TLS 1.2 this is how a server says that the certificate it requires did not come"),
        _NO_CIPHER,
        _NO_GROUP,
        _NO_VERSION,
        _SILENT_FILTER,
        _NAME,
        (c.CLIENT_CHAIN_INVALID, "OpenSSL says so where the application's own verification said no"),
    ),
    41: ranked((c.CLIENT_CERT_MISSING, "the alert of SSL 3.0 for a certificate that did not come")),
    42: ranked(
        (c.CLIENT_CERT_MISSING, "Go (up to 1.20) and Java servers say this when no certificate came"),
        _SILENT_FILTER,
        (c.CLIENT_CERT_UNKNOWN_CA, "Go (up to 1.20) says this for every certificate it does not accept"),
        (c.CLIENT_CERT_NOT_YET_VALID, "nginx, HAProxy and Apache say this of a certificate that is not valid yet"),
        (c.CLIENT_KEY_TOO_WEAK, "OpenSSL says this of a key below its security level, such as RSA-1024"),
        (c.CLIENT_SIGNATURE_TOO_WEAK, "OpenSSL says this of a signature with SHA-1"),
        (c.CLIENT_CERT_EXPIRED, "Go (up to 1.20) says this of an expired certificate"),
        (c.CLIENT_CERT_WRONG_EKU, "Go and Caddy say this of a certificate that is not for clients"),
        (c.CLIENT_CHAIN_INVALID, "the certificate cannot be read, or breaks a rule"),
    ),
    43: ranked(
        (c.CLIENT_CERT_WRONG_EKU, "the certificate is not for TLS clients (extended key usage)"),
        (c.CLIENT_CHAIN_INVALID, "its kind of key is not one that the server takes"),
    ),
    44: ranked((c.CLIENT_CERT_REVOKED, "the server found it on a revocation list, or asked its issuer")),
    45: ranked(
        (c.CLIENT_CERT_EXPIRED, "the client's certificate is past its end"),
        (c.CLIENT_CHAIN_EXPIRED, "an authority above it is past its end"),
        (c.SERVER_CRL_EXPIRED, "the server's revocation list is out of date: then everybody is refused at once"),
        (c.CLIENT_CERT_NOT_YET_VALID, "Envoy and Caddy say this too of a certificate that is not valid yet"),
        _CLOCK,
    ),
    46: ranked(
        (c.CLIENT_CERT_UNKNOWN_CA, "Java says this when it finds no path to an authority it trusts"),
        (c.CLIENT_IDENTITY_NOT_ALLOWED, "Envoy says this when the certificate's name matches none that it allows"),
        (c.SERVER_CRL_EXPIRED, "Apache says this when its revocation list is out of date"),
        (c.SERVER_CRL_MISSING, "OpenSSL says this when it has no revocation list for the issuer"),
        (c.CLIENT_CERT_EXPIRED, "Java says this of an expired certificate"),
        (c.CLIENT_CERT_WRONG_EKU, "Java says this of a certificate that is not for clients"),
        (c.CLIENT_CHAIN_INVALID, "the certificate breaks a rule that has no alert of its own"),
    ),
    47: ranked(_BROKEN, _NO_GROUP),
    48: ranked(
        (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust the authority that issued the client's certificate"),
        (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
        (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts an authority of that name, but with another key"),
        (c.CLIENT_CERT_SELF_SIGNED, "the certificate signed itself"),
        (c.CLIENT_CHAIN_TOO_DEEP, "there are more intermediates than the server allows"),
        (c.CLIENT_CHAIN_INVALID, "an authority in the chain is not allowed to be one"),
        (c.CLIENT_CERT_WRONG_EKU, "OpenSSL says this where a purpose fails above the leaf"),
    ),
    49: ranked(
        (c.CLIENT_IDENTITY_NOT_ALLOWED, "the certificate is valid, and its owner is not let in"),
        (c.CLIENT_CERT_MISSING, "no certificate came"),
    ),
    50: ranked(_BROKEN),
    51: ranked(
        (c.CLIENT_CERT_CA_NAME_COLLISION, "OpenSSL says this where a signature in the chain does not fit the issuer"),
        (c.CLIENT_KEY_MISMATCH, "the client's proof was not made with the certificate's key"),
        (c.TLS_MALFORMED, "the handshake was changed on its way"),
    ),
    70: ranked(_NO_VERSION),
    71: ranked(_NO_CIPHER, (c.CLIENT_KEY_TOO_WEAK, "the server asks for stronger cryptography")),
    80: ranked(
        (c.TLS_SNI_UNRECOGNIZED, "Caddy and Go say this when they have no certificate for the name asked for"),
        (c.CLIENT_CHAIN_TOO_DEEP, "Apache says this of a chain deeper than SSLVerifyDepth"),
        _OTHER,
    ),
    86: ranked(_NO_VERSION),
    90: ranked((c.NET_CLOSED_DURING_HANDSHAKE, "the other side gave up")),
    100: ranked((c.CLIENT_CERT_MISSING, "the server wanted a certificate by a second handshake, which was refused")),
    109: ranked(_NO_GROUP, _NAME),
    110: ranked(_BROKEN),
    112: ranked(_NAME),
    113: ranked((c.SERVER_STAPLE_EXPIRED, "the stapled OCSP response was not accepted")),
    115: ranked(_OTHER),
    116: ranked(
        (c.CLIENT_CERT_MISSING, "in TLS 1.3 this is how a server says that the certificate it requires did not come"),
        _SILENT_FILTER,
    ),
    120: ranked(_OTHER),
}

_WHY_SELF = (c.SERVER_CERT_SELF_SIGNED, "the server's certificate signed itself")
_WHY_NAME = (c.SERVER_CERT_HOSTNAME_MISMATCH, "the server's certificate is not for the name that the client asked for")
_WHY_EXPIRED = (c.SERVER_CERT_EXPIRED, "the server's certificate is past its end")
_WHY_CHAIN = (c.SERVER_CHAIN_INCOMPLETE, "the server does not send the intermediate that the client needs")
_TO_SERVER: dict[int, tuple[Candidate, ...]] = {
    0: ranked((c.NET_CLOSED_DURING_HANDSHAKE, "the client ended the connection in order")),
    20: ranked(
        (c.SERVER_CERT_UNKNOWN_CA, "a TLS 1.3 client that refuses the server often shows like this"),
        (c.TLS_MALFORMED, "a record could not be authenticated"),
    ),
    40: ranked(_NO_CIPHER, _NO_GROUP, _NO_VERSION, (c.SERVER_CERT_UNKNOWN_CA, "some clients say so for any refusal")),
    42: ranked(
        (c.SERVER_CERT_UNKNOWN_CA, "Go (up to 1.20) says this of every certificate that it does not accept"),
        _WHY_CHAIN,
        _WHY_NAME,
        _WHY_EXPIRED,
        (c.SERVER_CERT_WEAK, "OpenSSL says this of a key or signature below its security level"),
        (c.SERVER_CERT_NOT_YET_VALID, "OpenSSL says this of a certificate that is not valid yet"),
    ),
    43: ranked((c.SERVER_CERT_WRONG_EKU, "the server's certificate is not for TLS servers (extended key usage)")),
    44: ranked((c.SERVER_CERT_REVOKED, "the client found it revoked")),
    45: ranked(
        _WHY_EXPIRED,
        (c.SERVER_CHAIN_INVALID, "an authority above it is past its end"),
        (c.SERVER_CERT_NOT_YET_VALID, "some clients say this too of a certificate that is not valid yet"),
        _CLOCK,
    ),
    46: ranked(
        (c.SERVER_CERT_UNKNOWN_CA, "Java and Chromium say this when they do not trust the server's issuer"),
        _WHY_CHAIN,
        _WHY_SELF,
        _WHY_NAME,
        _WHY_EXPIRED,
    ),
    48: ranked(
        (c.SERVER_CERT_UNKNOWN_CA, "the client does not trust the authority that issued the server's certificate"),
        _WHY_CHAIN,
        _WHY_SELF,
        (c.SERVER_CHAIN_INVALID, "an authority in the server's chain is not allowed to be one"),
    ),
    49: ranked((c.SERVER_CERT_HOSTNAME_MISMATCH, "the client does not accept this server")),
    51: ranked(
        (c.SERVER_KEY_MISMATCH, "the server's proof was not made with its certificate's key"),
        (c.SERVER_CHAIN_INVALID, "a signature in the server's chain does not fit the issuer"),
    ),
    80: ranked(_OTHER),
    100: ranked((c.CLIENT_CERT_MISSING, "the client refused the second handshake that would have asked for one")),
}

_SAYS = {
    Speaker.CLIENT: ("The server refused the client", CLIENT_CHECK),
    Speaker.SERVER: ("The client refused the server", SERVER_CHECK),
}


def number_of(name: str) -> int | None:
    """48 for unknown_ca, "unknown ca", UNKNOWN_CA, UnknownCA; None for a name that no alert has."""
    return _BY_NAME.get("".join(letter for letter in name.lower() if letter.isalnum()))


def received(number: int, speaker: Speaker) -> Told:
    """The alert as ``speaker`` got it from the other side. A number that no table has is TLS_ALERT."""
    return either(_told(number, Speaker.CLIENT), _told(number, Speaker.SERVER), speaker)


def sent(number: int, speaker: Speaker) -> Told:
    """The alert that ``speaker`` itself sent: what the other side learns."""
    other = {Speaker.CLIENT: Speaker.SERVER, Speaker.SERVER: Speaker.CLIENT, Speaker.UNSAID: Speaker.UNSAID}
    return received(number, other[speaker])


def _told(number: int, speaker: Speaker) -> Told:
    table = _TO_SERVER if speaker is Speaker.SERVER else _TO_CLIENT
    candidates = table.get(number) or _TO_CLIENT.get(number) or ranked(_OTHER)
    who, check = _SAYS[speaker]
    meaning = f"{who} with the alert {alert_name(number)} ({number})."
    return Told(candidates, meaning, check, detail=f"alert {number}")


_BY_NAME = {name.replace("_", ""): number for number, name in ALERTS.items()} | {
    "certificateunobtainable": 111,
    "nocertificate": 41,
    "nocertificatereserved": 41,
    "peerincompatibleerror": 40,
    "failurefatal": 40,
}
