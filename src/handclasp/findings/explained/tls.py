"""What the handshake, and the protocol around it, can fail in."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.TLS_VERSION_MISMATCH: Explanation(
            "One side speaks only what the other no longer allows: an old client with TLS 1.0, an appliance without "
            "TLS 1.2, or a server that was set to TLS 1.3 only. Policies of the operating system (crypto-policies, "
            "MinProtocol) raise the least version without a word in the program's configuration.",
            "Alert 70 (protocol_version) right after the ClientHello, from every server; 86 "
            "(inappropriate_fallback) after a client tried again lower. curl: (35) tlsv1 alert protocol "
            'version. Java: "No appropriate protocol" or "The server selected protocol version TLS10 is not '
            'accepted". Go: "tls: client offered only unsupported versions". Envoy: UNSUPPORTED_PROTOCOL.',
            "RFC 8446 §4.2.1 and §6.2 (protocol_version); RFC 8996 (TLS 1.0 and 1.1 must not be used)",
            "SSL_do_handshake() failed (SSL: error:0A000102:SSL routines::unsupported protocol) while SSL handshaking",
        ),
        c.TLS_NO_SHARED_CIPHER: Explanation(
            "A list of ciphers was narrowed on one side, or the server's key does not fit the ciphers (an ECDSA "
            "certificate, and a client with RSA ciphers only). A server without any certificate for the name has no "
            "usable cipher either.",
            "Alert 40 (handshake_failure) right after the ClientHello, sometimes 71 (insufficient_security). "
            'OpenSSL servers log "no shared cipher", Go "tls: no cipher suite supported by both client and '
            'server", Envoy NO_SHARED_CIPHER.',
            "RFC 8446 §4.1.1; RFC 5246 §7.4.1.3",
            "error:0A0000C1:SSL routines::no shared cipher",
        ),
        c.TLS_NO_SHARED_GROUP: Explanation(
            "The groups for the key exchange were narrowed: post-quantum only on one side (X25519MLKEM768) and an "
            "older library on the other, or P-384 against X25519 by some security profile.",
            "Alert 40 (handshake_failure) after the ClientHello, or after a HelloRetryRequest. OpenSSL servers "
            'log "no suitable key share" or, on TLS 1.2, "no shared cipher"; Envoy NO_SHARED_GROUP.',
            "RFC 8446 §4.1.1 and §4.2.7; RFC 8422 §5.1",
            "error:0A000065:SSL routines::no suitable key share",
        ),
        c.TLS_SNI_UNRECOGNIZED: Explanation(
            "The client calls by an address, an alias or a name that the server has no certificate for, or its "
            "library sends no SNI. A health check by address does so too.",
            "Alert 112 (unrecognized_name) from HAProxy with strict-sni, Java and nginx with ssl_reject_handshake; "
            "alert 80 (internal_error) from Caddy; a reset from Envoy, whose log has filter_chain_not_found. Lenient "
            "servers send their default certificate, and the name then does not fit.",
            "RFC 6066 §3",
            "curl: (35) error:0A000458:SSL routines::tlsv1 unrecognized name",
        ),
        c.TLS_ALERT: Explanation(
            "The server gave up at a place and with a number that do not decide why. Before its certificate came it "
            "is about the ClientHello; after the client's certificate it is nearly always about that.",
            "The number and the step are with the finding: 40 handshake_failure, 42 bad_certificate, 46 "
            "certificate_unknown, 48 unknown_ca, 80 internal_error. Alert 48 has eight causes, so only the server's "
            "log decides.",
            "RFC 8446 §6.2; RFC 5246 §7.2.2",
            "the server sent alert 80 (internal_error) in answer to the ClientHello",
        ),
        c.TLS_MALFORMED: Explanation(
            "A device between the two changes what is sent, or the other side is an old or home-made stack. A proxy "
            "that ends TLS and a broken middlebox are seen more often than a broken server.",
            'The finding names the message and what is wrong with it. Clients say "decode error", "unexpected '
            'message" or "bad record mac"; alerts 10, 20, 47 or 50 go to the other side.',
            "RFC 8446 §6.2 (decode_error, unexpected_message, illegal_parameter)",
            "the server sent ServerHello with an extension that was not offered",
        ),
        c.TLS_SERVER_NOT_PROVED: Explanation(
            "The server shows a certificate whose key it does not have: it was configured with a wrong pair by a "
            "program that does not check, or somebody replays the certificate of another. A proxy that changes the "
            "handshake also breaks the proof.",
            "The signature of CertificateVerify or ServerKeyExchange, or the MAC of Finished, does not verify. "
            'Clients say "bad signature", "digest check failed" or alert 51 (decrypt_error).',
            "RFC 8446 §4.4.3 and §4.4.4; RFC 5246 §7.4.3",
            "the signature in CertificateVerify is not by the key of the server's certificate",
        ),
        c.PROTO_PLAIN_HTTP_TO_TLS: Explanation(
            "A client calls http:// with the port of TLS, a load balancer forwards in the clear to a server that "
            "wants TLS, or a health check does.",
            'nginx answers 400 "The plain HTTP request was sent to HTTPS port"; Apache 400 "You\'re speaking '
            'plain HTTP to an SSL-enabled server port"; Caddy and Go 400 "Client sent an HTTP request to an '
            "HTTPS server\"; HAProxy and Envoy close without a word (Envoy's log: HTTP_REQUEST).",
            "RFC 9110 §4.2.2 (https means TLS); RFC 8446 §5.1 (what a record begins with)",
            "400 The plain HTTP request was sent to HTTPS port",
        ),
        c.PROTO_NOT_TLS: Explanation(
            "Another protocol is at that port (SSH, a database, plain HTTP/2), or the connection passes something "
            "that speaks first, such as a PROXY header that the other side does not expect, or STARTTLS that was not "
            "asked for.",
            'OpenSSL clients: "wrong version number" or "packet length too long". Go: "tls: first record does '
            'not look like a TLS handshake". Java: "Unsupported or unrecognized SSL message". The first '
            "octets are with the finding: SSH-, 220, PROXY.",
            "RFC 8446 §5.1",
            "error:0A00010B:SSL routines::wrong version number",
        ),
        c.PROTO_TLS_TO_PLAIN: Explanation(
            "The client speaks TLS to a port where the server speaks plain HTTP: TLS was never enabled there (nginx: "
            "listen 8443 without ssl), or it is the port behind the proxy.",
            "The server's first octets are HTTP/1.1 400. curl: (35) wrong version number. Go: \"http: server gave "
            "HTTP response to HTTPS client\". Node: EPROTO wrong version number. In the server's log stands a "
            "request of escaped octets that begins \\x16\\x03\\x01.",
            "RFC 9110 §4.2.2",
            '"\\x16\\x03\\x01\\x02\\x00\\x01" 400 157 "-" "-"',
        ),
        c.PROTO_STARTTLS_REFUSED: Explanation(
            "STARTTLS is not enabled, only offered to some networks, or a device on the way removes the offer. Or the "
            "port speaks TLS at once (465, 993, 636) and needs no STARTTLS.",
            "The server's answer is with the finding: SMTP 454 or 502, IMAP BAD or NO, LDAP result 2 or 52, "
            "PostgreSQL the octet N, MySQL no CLIENT_SSL among its capabilities.",
            "RFC 3207 (SMTP); RFC 9051 §6.2.1 (IMAP); RFC 4511 §4.14 (LDAP); RFC 6120 §5 (XMPP); PostgreSQL: "
            "SSLRequest",
            "454 4.7.0 TLS not available due to local problem",
        ),
        c.PROTO_HTTP_MALFORMED: Explanation(
            "The port speaks TLS, and in it something else than HTTP/1.1: gRPC or HTTP/2 only, a mail or database "
            "protocol, or a broken application.",
            "TLS is up and the first line over it is no status line. curl: (1) Received HTTP/0.9 when not allowed, or "
            "(8) weird server reply; for HTTP/2 only (16) or an empty answer.",
            "RFC 9112 §4 (status line)",
            'the answer begins with "220 mail.example.org ESMTP", and not with HTTP/1.1',
        ),
        c.MTLS_NOT_ENFORCED: Explanation(
            "The server asks for client certificates and does not insist (nginx: optional_no_ca or optional, HAProxy: "
            "verify optional, Apache: optional), or does not ask at all on this name or path: a second server block, "
            "HTTP/3, or a listener that was forgotten.",
            "A client without a certificate, or with one of a foreign authority, gets an answer such as 200. No "
            "CertificateRequest in the handshake means that the server does not even ask.",
            "RFC 8446 §4.3.2 (a server chooses to ask, and what to do without)",
            "curl https://orders.example.org/ without --cert answers 200",
        ),
        c.MTLS_OPTIONAL: Explanation(
            "The server asks and takes callers without a certificate too, in order to let browsers or health checks "
            "in, or as a step of an introduction that was never finished. Whether that is safe depends on every path "
            "behind it.",
            "A CertificateRequest is sent, and after an empty Certificate the request is answered. nginx passes "
            "$ssl_client_verify NONE, Envoy an empty %DOWNSTREAM_PEER_SUBJECT%.",
            "RFC 8446 §4.3.2 and §4.4.2.4",
            "ssl_verify_client optional;",
        ),
    }
