"""What OpenSSL's reasons mean to a client and to a server; openssl.py has the texts."""

from __future__ import annotations

from typing import Final

from handclasp.doctor.words.rule import (
    CLIENT_CHECK,
    FILES_CHECK,
    SERVER_CHECK,
    SERVER_FILES_CHECK,
    by_speaker,
    said,
)
from handclasp.findings import Code

c = Code
PROTOCOL_CHECK: Final = "openssl s_client -connect HOST:PORT -tls1_2"

UNVERIFIED = by_speaker(
    said(
        "The client did not accept the server's certificate; this line does not say why.",
        SERVER_CHECK,
        (c.SERVER_CERT_UNKNOWN_CA, "the client does not trust the authority that issued it"),
        (c.SERVER_CHAIN_INCOMPLETE, "the server does not send the intermediate that the client needs"),
        (c.SERVER_CERT_SELF_SIGNED, "it signed itself"),
        (c.SERVER_CERT_EXPIRED, "it is past its end"),
        (c.SERVER_CERT_HOSTNAME_MISMATCH, "it is for another name"),
        vague=True,
    ),
    said(
        "The server did not accept the client's certificate; this line does not say why.",
        CLIENT_CHECK,
        (c.CLIENT_CERT_UNKNOWN_CA, "the server does not trust the authority that issued it"),
        (c.CLIENT_CHAIN_INCOMPLETE, "the client did not send the intermediate between its own and the trusted one"),
        (c.CLIENT_CERT_EXPIRED, "it is past its end"),
        (c.CLIENT_CERT_CA_NAME_COLLISION, "the server trusts an authority of that name, but with another key"),
        (c.CLIENT_CERT_WRONG_EKU, "it is not for TLS clients"),
        (c.CLIENT_CERT_SELF_SIGNED, "it signed itself"),
        (c.CLIENT_CERT_REVOKED, "it is revoked"),
        (c.SERVER_CRL_EXPIRED, "the server's revocation list is out of date"),
        vague=True,
    ),
)
NO_CLIENT_CERTIFICATE = said(
    "The server requires a client certificate, and none came.",
    CLIENT_CHECK,
    (c.CLIENT_CERT_MISSING, "the client was given none, or its program was not told to send it"),
    (c.CLIENT_CERT_NOT_SENT_CA_FILTER, "Java, Go and browsers send none when the server does not name their issuer"),
)
NOT_TLS = by_speaker(
    said(
        "What answered does not speak TLS at this port: a plain HTTP port, or another protocol.",
        "curl -v http://HOST:PORT/",
        (c.PROTO_TLS_TO_PLAIN, "the client speaks TLS to a port that answers in plain text"),
        (c.TLS_VERSION_MISMATCH, "an old server answers with a version that the client refuses"),
    ),
    said(
        "What came to the TLS port is not TLS.",
        "tcpdump -A -c 20 port PORT",
        (c.PROTO_NOT_TLS, "a scanner, a health check or another protocol, such as a PROXY header, speaks to the port"),
        (c.PROTO_PLAIN_HTTP_TO_TLS, "a client speaks plain HTTP to it"),
        (c.TLS_VERSION_MISMATCH, "a client offers a version that is too old"),
    ),
)
ENDED = by_speaker(
    said(
        "The server closed the connection without an alert, where the handshake or an answer was due.",
        CLIENT_CHECK,
        (c.NET_CLOSED_DURING_HANDSHAKE, "the server, or something on the way, hung up"),
        (c.CLIENT_CERT_MISSING, "TLS 1.3: the alert of a server that requires a certificate is often lost like this"),
        (c.PROTO_TLS_TO_PLAIN, "the port does not speak TLS"),
        (c.TLS_SNI_UNRECOGNIZED, "the server, or a balancer, knows no such name and hangs up"),
        (c.TLS_VERSION_MISMATCH, "old servers hang up on a version that they do not know"),
        vague=True,
    ),
    said(
        "The client closed the connection before the handshake was done: a health check, or a client that gave up.",
        SERVER_CHECK,
        (c.NET_CLOSED_DURING_HANDSHAKE, "a health check or port scan, or the client's time was up"),
        (c.SERVER_CERT_UNKNOWN_CA, "some clients hang up without an alert when they refuse the certificate"),
        vague=True,
    ),
)
MISMATCHED = by_speaker(
    said(
        "The private key does not belong to the certificate.",
        FILES_CHECK,
        (c.CLIENT_KEY_MISMATCH, "the client's key and certificate are not a pair"),
        (c.SERVER_KEY_MISMATCH, "if a server says this: its key and certificate are not a pair"),
    ),
    said(
        "The private key does not belong to the certificate.",
        SERVER_FILES_CHECK,
        (c.SERVER_KEY_MISMATCH, "the server's key and certificate are not a pair"),
    ),
)
PASSPHRASE = said(
    "A private key or keystore could not be opened.",
    FILES_CHECK + " --password-file passphrase",
    (c.CLIENT_KEY_PASSPHRASE, "the passphrase is wrong or was not given"),
    (c.FILE_DAMAGED, "the file is damaged"),
)
VERSION = said(
    "The two sides have no version of TLS in common.",
    PROTOCOL_CHECK,
    (c.TLS_VERSION_MISMATCH, "one side allows only versions that the other does not"),
)
CIPHER = said(
    "The two sides have no cipher suite in common.",
    CLIENT_CHECK,
    (c.TLS_NO_SHARED_CIPHER, "no cipher suite is allowed by both, or none fits the server's kind of key"),
    (c.TLS_VERSION_MISMATCH, "the suites offered belong to another version"),
)
GROUP = said(
    "The two sides have no group for the key exchange in common.",
    CLIENT_CHECK,
    (c.TLS_NO_SHARED_GROUP, "no curve or group is allowed by both"),
)
SIGALG = by_speaker(
    said(
        "The two sides have no signature algorithm in common.",
        FILES_CHECK,
        (c.CLIENT_KEY_TOO_WEAK, "the client's key cannot sign in a way that the server takes"),
        (c.SERVER_CERT_WEAK, "the server's key cannot sign in a way that the client takes"),
        (c.TLS_NO_SHARED_CIPHER, "the algorithms allowed do not overlap"),
    ),
    said(
        "The two sides have no signature algorithm in common.",
        SERVER_FILES_CHECK,
        (c.SERVER_CERT_WEAK, "the server's key cannot sign in a way that the client takes"),
        (c.TLS_NO_SHARED_CIPHER, "the algorithms allowed do not overlap"),
    ),
)
WEAK = by_speaker(
    said(
        "A key or signature is below OpenSSL's security level.",
        FILES_CHECK,
        (c.CLIENT_KEY_TOO_WEAK, "loading one's own key: it is too small"),
        (c.CLIENT_SIGNATURE_TOO_WEAK, "one's own certificate is signed with a broken hash"),
        (c.SERVER_CERT_WEAK, "in a handshake: the server's key or signature is too weak"),
    ),
    said(
        "A key or signature is below OpenSSL's security level.",
        SERVER_FILES_CHECK,
        (c.CLIENT_KEY_TOO_WEAK, "the client's key is too small"),
        (c.CLIENT_SIGNATURE_TOO_WEAK, "the client's certificate is signed with a broken hash"),
        (c.SERVER_CERT_WEAK, "the server's own key is too small"),
    ),
)
NOT_PEM = said(
    "A file does not hold the PEM block that was looked for.",
    FILES_CHECK,
    (c.CLIENT_FILE_NOT_PEM, "the file is DER or PKCS#12, or holds something else"),
    (c.FILE_DAMAGED, "its lines are damaged"),
    (c.TRUST_STORE_UNREADABLE, "it is the file of trusted authorities"),
)
TRUST = said(
    "The file or directory of trusted authorities could not be loaded.",
    "handclasp doctor --files ca.pem",
    (c.TRUST_STORE_UNREADABLE, "the path is wrong, or the file is empty or not PEM"),
)
TOO_OLD_CLIENT = said(
    "The bytes were changed or were not meant for this connection.",
    CLIENT_CHECK,
    (c.TLS_MALFORMED, "a proxy on the way, or a broken implementation"),
)
