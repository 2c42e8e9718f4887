"""Answers that several products' rules share."""

from __future__ import annotations

import re

from handclasp.doctor.words import openssl
from handclasp.doctor.words.rule import (
    CLIENT_CHECK,
    SERVER_CHECK,
    SERVER_FILES_CHECK,
    Speaker,
    Tell,
    Told,
    said,
)
from handclasp.findings import Code

c = Code

MISSING = said(
    "The server requires a client certificate, and none came.",
    CLIENT_CHECK,
    (c.CLIENT_CERT_MISSING, "the client was given none, or its program was not told to send it"),
    (c.CLIENT_CERT_NOT_SENT_CA_FILTER, "Java, Go and browsers send none when the server does not name their issuer"),
)
REFUSED = said(
    "A client certificate came, and the server did not accept it; this text says no more.",
    "the server's own log (nginx: error_log ... info), or " + CLIENT_CHECK,
    (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust the authority that issued it"),
    (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
    (c.CLIENT_CERT_EXPIRED, "it is past its end"),
    (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts an authority of that name, but with another key"),
    (c.CLIENT_CERT_SELF_SIGNED, "it signed itself"),
    (c.CLIENT_CERT_WRONG_EKU, "it is not for TLS clients (extended key usage)"),
    (c.CLIENT_CERT_REVOKED, "it is on the server's revocation list"),
    (c.SERVER_CRL_EXPIRED, "the server's revocation list is out of date: then everybody is refused at once"),
    (c.SERVER_CRL_MISSING, "the server has no revocation list for one authority of the chain"),
    (c.CLIENT_CHAIN_TOO_DEEP, "there are more intermediates than the server allows (ssl_verify_depth)"),
    (c.CLIENT_CERT_NOT_YET_VALID, "its beginning lies ahead"),
    (c.CLIENT_CHAIN_EXPIRED, "an authority above it is past its end"),
    (c.CLIENT_KEY_TOO_WEAK, "its key is below the server's security level"),
    (c.CLIENT_SIGNATURE_TOO_WEAK, "it is signed with a broken hash"),
    (c.CLIENT_CHAIN_INVALID, "a rule of the chain is broken"),
    (c.CLOCK_SKEW, "the server's clock is wrong"),
)
PLAIN_TO_TLS = said(
    "A client speaks plain HTTP to the TLS port.",
    "curl -v https://HOST:PORT/",
    (c.PROTO_PLAIN_HTTP_TO_TLS, "its URL begins with http://, or a balancer in front ends TLS"),
)
TLS_TO_PLAIN = said(
    "The client speaks TLS to a port that answers in plain text.",
    "curl -v http://HOST:PORT/",
    (c.PROTO_TLS_TO_PLAIN, "the port is the plain HTTP one, or another protocol's"),
)
NO_ANSWER = said(
    "No connection came about.",
    "handclasp doctor HOST:PORT",
    (c.NET_CONNECTION_REFUSED, "nothing listens at that port, or a firewall says no"),
)
TIMED_OUT = said(
    "The other side did not answer in time.",
    "handclasp doctor HOST:PORT",
    (c.NET_HANDSHAKE_TIMEOUT, "the connection stands, and the handshake does not go on"),
    (c.NET_CONNECT_TIMEOUT, "packets are dropped on the way"),
    vague=True,
)
RESET = said(
    "The connection was reset where the handshake or an answer was due.",
    CLIENT_CHECK,
    (c.NET_RESET_DURING_HANDSHAKE, "the server, a firewall or a balancer cut the connection"),
    (c.CLIENT_CERT_MISSING, "TLS 1.3: the alert of a server that requires a certificate is often lost like this"),
    (c.TLS_SNI_UNRECOGNIZED, "the server, or a balancer, knows no such name"),
    vague=True,
)
CLOSED = said(
    "The other side hung up before the handshake was done.",
    CLIENT_CHECK,
    (c.NET_CLOSED_DURING_HANDSHAKE, "the server, or something on the way, hung up"),
    (c.CLIENT_CERT_MISSING, "TLS 1.3: the alert of a server that requires a certificate is often lost like this"),
    (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
    (c.TLS_SNI_UNRECOGNIZED, "the server, or a balancer, knows no such name and hangs up"),
    vague=True,
)
GONE = said(
    "The client hung up before the handshake was done.",
    SERVER_CHECK,
    (c.NET_CLOSED_DURING_HANDSHAKE, "a health check or port scan, or the client's time was up"),
    (c.SERVER_CERT_UNKNOWN_CA, "some clients hang up without an alert when they refuse the certificate"),
    vague=True,
)
NOT_RESOLVED = said(
    "The name has no address.",
    "getent hosts HOST",
    (c.NET_DNS_FAILURE, "the name is wrong, or the resolver does not know it"),
)
NAME = said(
    "The server's certificate is not for the name that the client asked for.",
    SERVER_CHECK,
    (c.SERVER_CERT_HOSTNAME_MISMATCH, "the name or address in the URL is not among the certificate's"),
    (c.SERVER_CERT_NO_SAN, "the certificate has no subject alternative name; a common name does not count"),
    (c.TLS_SNI_UNRECOGNIZED, "the server does not know the name and gave its default certificate"),
)
NO_SAN = said(
    "The server's certificate has no subject alternative name that the client could compare.",
    SERVER_FILES_CHECK,
    (c.SERVER_CERT_NO_SAN, "the name stands in the common name only, which does not count"),
    (c.SERVER_CERT_HOSTNAME_MISMATCH, "it names hosts, and the client asked for an address, or the other way round"),
)
UNTRUSTED_SERVER = said(
    "The client does not trust the server's certificate.",
    SERVER_CHECK,
    (c.SERVER_CERT_UNKNOWN_CA, "the client does not trust the authority that issued it"),
    (c.SERVER_CHAIN_INCOMPLETE, "the server does not send the intermediate that the client needs"),
    (c.SERVER_CERT_SELF_SIGNED, "it signed itself"),
)
UNTRUSTED_CLIENT = said(
    "The server does not trust the client's certificate.",
    CLIENT_CHECK,
    (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust the authority that issued it"),
    (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
    (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts an authority of that name, but with another key"),
    (c.CLIENT_CERT_SELF_SIGNED, "it signed itself"),
)
UPSTREAM = said(
    "The proxy does not trust the certificate of the server behind it.",
    SERVER_CHECK,
    (c.UPSTREAM_UNTRUSTED, "the proxy does not know its issuer, or the name is another"),
    (c.SERVER_CERT_UNKNOWN_CA, "the issuer is not among the proxy's authorities"),
    (c.SERVER_CERT_HOSTNAME_MISMATCH, "the proxy compares with the name of the upstream block"),
)


def inner(usual: Speaker, rest: Told) -> Tell:
    """What OpenSSL's text in the match says, spoken by ``usual`` where the line does not tell; otherwise ``rest``."""

    def tell(match: re.Match[str], speaker: Speaker) -> Told:
        return openssl.hear(match[0], speaker.otherwise(usual)) or rest

    return tell
