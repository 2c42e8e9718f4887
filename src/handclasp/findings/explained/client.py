"""What a client's certificate, key or files can be refused for."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.CLIENT_CERT_MISSING: Explanation(
            "The client was given no certificate to show (no --cert, an empty key store, no key manager), or its "
            "program has one and does not use it for this host. A load balancer that ends TLS before the server has "
            "the same effect: the certificate stays at the balancer.",
            "HAProxy, Envoy, Caddy and Apache send alert 40 (handshake_failure) on TLS 1.2, and alert 116 "
            "(certificate_required) on TLS 1.3 at the client's first read, often after its handshake seemed done. "
            'Go and Java servers send alert 42 on both. nginx completes the handshake and answers 400 "No required '
            'SSL certificate was sent". Envoy logs PEER_DID_NOT_RETURN_A_CERTIFICATE.',
            "RFC 8446 §4.4.2.4 and §6.2 (certificate_required); RFC 5246 §7.4.6",
            "curl: (56) OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0",
        ),
        c.CLIENT_CERT_UNKNOWN_CA: Explanation(
            "The server's file of client authorities does not hold the one that issued the certificate: another "
            "environment's authority, an authority that was rotated, or the server's own chain put where the clients' "
            "authority belongs. A missing intermediate looks the same from outside.",
            'Alert 48 (unknown_ca) from HAProxy, Envoy, Caddy and Apache; from nginx 400 "The SSL certificate '
            'error" and in its log at level info "client SSL certificate verify error: (20:unable to get local '
            'issuer certificate)" or (21:unable to verify the first certificate). Go servers log "x509: '
            'certificate signed by unknown authority".',
            "RFC 5280 §6.1; RFC 8446 §6.2 (unknown_ca)",
            "client SSL certificate verify error: (20:unable to get local issuer certificate) while reading client "
            "request headers",
        ),
        c.CLIENT_CERT_SELF_SIGNED: Explanation(
            "The certificate was made with openssl req -x509 and issued by nobody, so no authority can vouch for it. "
            "Often it is a test certificate that went along into production, or the client shows the root instead of "
            "its own certificate.",
            'Alert 48 (unknown_ca); verify code 18 ("self-signed certificate", of the certificate itself) or 19 '
            '("self-signed certificate in certificate chain", of a root that came along). nginx answers 400 '
            '"The SSL certificate error".',
            "RFC 5280 §6.1 (a trust anchor is needed); RFC 8446 §6.2",
            "AH02039: Certificate Verification: Error (18): self-signed certificate",
        ),
        c.CLIENT_CERT_EXPIRED: Explanation(
            "The certificate was not renewed in time, or it was renewed and the program still has the old file in "
            "memory. A wrong clock of the server makes a good certificate look expired.",
            "Alert 45 (certificate_expired) from HAProxy, Envoy, Caddy and Apache, which curl words misleadingly "
            'as its own failed verification; 400 "The SSL certificate error" from nginx. In logs verify code 10, '
            '"certificate has expired".',
            "RFC 5280 §4.1.2.5 and §6.1.3 (a) (2); RFC 8446 §6.2 (certificate_expired)",
            "client SSL certificate verify error: (10:certificate has expired) while reading client request headers",
        ),
        c.CLIENT_CERT_NOT_YET_VALID: Explanation(
            "The certificate was issued moments ago by a machine whose clock is ahead, or the server's clock is "
            "behind (a virtual machine that slept, a board without a battery). Rarely it was issued for later on "
            "purpose.",
            "Alert 42 (bad_certificate) from HAProxy and Apache, 45 (certificate_expired) from Envoy and Caddy, 400 "
            'from nginx; in logs verify code 9, "certificate is not yet valid".',
            "RFC 5280 §4.1.2.5 and §6.1.3 (a) (2)",
            "Not Before: Nov 21 09:00:00 2026 GMT, and on the server: date -u says 08:57",
        ),
        c.CLIENT_CERT_WRONG_EKU: Explanation(
            "A server's certificate is used as a client's. Many profiles, and public authorities by now, issue with "
            "serverAuth only; a certificate without any extended key usage is taken by OpenSSL servers.",
            "Alert 43 (unsupported_certificate) from HAProxy, Envoy and Apache, 42 from Caddy, 400 from nginx; "
            'in logs verify code 26 ("unsuitable certificate purpose" or "unsupported certificate purpose"), in '
            'Go "x509: certificate specifies an incompatible key usage".',
            "RFC 5280 §4.2.1.12; RFC 8446 §4.4.2.4",
            "X509v3 Extended Key Usage: TLS Web Server Authentication",
        ),
        c.CLIENT_CERT_REVOKED: Explanation(
            "Somebody revoked it: the key leaked, the service was retired, or it was replaced and the old one revoked "
            "while a program still shows the old one.",
            "Alert 44 (certificate_revoked) from HAProxy, Envoy and Apache with a CRL, 400 from nginx with ssl_crl; "
            'Caddy heeds no CRL by itself. Verify code 23, "certificate revoked". At a Handclasp gateway an open '
            "connection gets 403 with this code on its next request.",
            "RFC 5280 §5.1 and §6.3; RFC 8446 §6.2 (certificate_revoked)",
            "TLS_error:CERTIFICATE_VERIFY_FAILED:..._depth_0:_certificate_revoked",
        ),
        c.CLIENT_CHAIN_INVALID: Explanation(
            "A certificate of the client's chain breaks a rule of path validation that has no code of its own here: "
            "an intermediate that is not an authority, a name constraint, a signature that does not verify, or a "
            "critical extension that is not understood.",
            "Alert 42 (bad_certificate), 43 or 48, by server and rule; in nginx's log at level info, and in Apache's "
            "at ssl:info, the verify code (79 or 24 invalid CA certificate, 7 signature failure, 47 permitted subtree "
            "violation, 34 unhandled critical extension).",
            "RFC 5280 §6.1",
            "client SSL certificate verify error: (47:permitted subtree violation) while reading client request "
            "headers",
        ),
        c.CLIENT_CHAIN_TOO_DEEP: Explanation(
            "Between the client's certificate and the root are more intermediates than the server allows: nginx and "
            "Apache allow depth 1 if nothing is set. Superfluous certificates in the file count only where they are "
            "on the path.",
            'Verify code 22 ("certificate chain too long"): nginx 400 "The SSL certificate error", Apache alert '
            '80 (internal_error) with "Certificate Chain too long" in its log, Envoy with max_verify_depth '
            "alert 48.",
            "none: a limit of the server (nginx ssl_verify_depth, Apache SSLVerifyDepth, Envoy max_verify_depth); RFC "
            "5280 §6.1 sets none",
            "client SSL certificate verify error: (22:certificate chain too long) while reading client request headers",
        ),
        c.CLIENT_IDENTITY_NOT_ALLOWED: Explanation(
            "The certificate is genuine and current, and names somebody whom the server does not let in: another "
            "trust domain, another name than its list has, or only a common name where a subject alternative name is "
            "looked for.",
            "403 from nginx, HAProxy, Apache and Caddy, which decide after the handshake; from Envoy alert 46 "
            "(certificate_unknown) where match_typed_subject_alt_names decides (log: SAN_matcher), and 403 where a "
            "filter does.",
            "none: a rule of the server; the form of the name is of SPIFFE X509-SVID §2, or RFC 5280 §4.2.1.6",
            "verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[spiffe://staging.example.org/alice]",
        ),
        c.CLIENT_CERT_NOT_SENT_CA_FILTER: Explanation(
            "The server names the authorities that it takes, and the client's program picks from its key store only "
            "what one of them issued: Java, Go and browsers do so, OpenSSL does not. The server's list lacks the "
            "issuer, often an intermediate that only the client knows, and which is not in its store.",
            'The server sees no certificate at all (alert 40, 116 or 42, nginx: 400 "No required SSL certificate '
            'was sent"), although the same files work with curl. Java with -Djavax.net.debug=ssl:handshake says '
            "that no X.509 certificate was found for client authentication.",
            "RFC 8446 §4.2.4 (certificate_authorities); RFC 5246 §7.4.4",
            "Acceptable client certificate CA names: CN=Example Issuing CA 2024, and the certificate's issuer is "
            "CN=Example Issuing CA 2026",
        ),
        c.CLIENT_CERT_CA_NAME_COLLISION: Explanation(
            "Two authorities have one name: a root that was made anew with the same subject and another key, or an "
            "authority per environment from one template. The server finds the issuer by name, and the signature "
            "fails.",
            "Alert 48 (unknown_ca) or 42 (bad_certificate), and the names seem to fit. The certificate's authority "
            "key identifier is not the subject key identifier of the authority that the server trusts. OpenSSL says "
            'code 20 where the identifiers differ, 7 ("certificate signature failure") where they are missing.',
            "RFC 5280 §4.2.1.1 and §4.2.1.2",
            "issuer CN=Example CA on both, X509v3 Authority Key Identifier 3A:1F:..., trusted Subject Key Identifier "
            "88:C0:...",
        ),
        c.CLIENT_CERT_EXPIRES_SOON: Explanation(
            "Nobody renewed it yet, or renewal runs and fails unseen. One that ends within the window for renewal was "
            "due some time ago.",
            "Nothing fails today; the date of its end is near. openssl x509 -checkend says so, and so does every "
            "monitor of expiry.",
            "RFC 5280 §4.1.2.5 (the end); the warning is a rule of Handclasp (docs/monitoring.md)",
            'openssl x509 -in client.pem -noout -checkend 1209600 prints "Certificate will expire"',
        ),
        c.CLIENT_CHAIN_INCOMPLETE: Explanation(
            "The client's file holds its own certificate alone, and the server trusts only the root. Tools that "
            "deliver the certificate and the chain as two files invite it; so does a program whose option takes one "
            "certificate.",
            "The same as an unknown authority: alert 48, verify code 20 or 21, nginx 400. It works against a server "
            "that happens to hold the intermediate, and not against its neighbour.",
            "RFC 8446 §4.4.2 (each certificate is followed by the one that certifies it; the root may be left out)",
            "grep -c BEGIN client.pem prints 1, and its issuer is an intermediate",
        ),
        c.CLIENT_CHAIN_EXPIRED: Explanation(
            "The client's own certificate is current, and an intermediate or root above it is not: the authority was "
            "renewed, and the client or the server still has its old certificate.",
            "Alert 45 (certificate_expired), as if the client's own had expired, and its dates are fine. In logs "
            "verify code 10 at depth 1 or more: nginx does not say the depth, Apache and Envoy do.",
            "RFC 5280 §6.1.3 (a) (2), for each certificate of the path",
            "X509_verify_cert:_certificate_verification_error_at_depth_1:_certificate_has_expired",
        ),
        c.CLIENT_KEY_TOO_WEAK: Explanation(
            "The key is an RSA key of 1024 bits, or on a small curve, from an old script or appliance. OpenSSL of "
            "today, at security level 1 or 2, does not take it.",
            'Alert 42 (bad_certificate) from HAProxy and Apache, 400 from nginx, with verify code 66 ("EE '
            "certificate key too weak\") or 67 (of an authority); Envoy and Caddy take it. The client's own "
            'OpenSSL may refuse to load it: "ee key too small".',
            "NIST SP 800-57 Part 1 §5.6.1; RFC 9325 §4.5",
            "[SSL: EE_KEY_TOO_SMALL] ee key too small",
        ),
        c.CLIENT_SIGNATURE_TOO_WEAK: Explanation(
            "The certificate, or an authority between it and the root, is signed with SHA-1 or MD5 by a tool that was "
            "never changed. The signature of the root itself does not count.",
            "Alert 42 (bad_certificate) from HAProxy and Apache, 48 from Caddy, 400 from nginx, with verify "
            'code 68 ("CA signature digest algorithm too weak"). A client may refuse to load it: "ca md too '
            'weak". Go says "x509: cannot verify signature: insecure algorithm SHA1-RSA".',
            "RFC 9155 §2; RFC 8446 §4.4.2.2",
            "Signature Algorithm: sha1WithRSAEncryption",
        ),
        c.CLIENT_KEY_MISMATCH: Explanation(
            "The key and the certificate are of two requests: the certificate was renewed with a new key and only one "
            "of the two files was copied, or the files of two services were mixed up.",
            'It fails at start, before anything is sent. OpenSSL and Python: "key values mismatch". Go: "tls: '
            'private key does not match public key". Node: ERR_OSSL_X509_KEY_VALUES_MISMATCH. curl: (58) '
            '"Private key does not match the certificate public key".',
            "RFC 8446 §4.4.3 (the key must be able to sign for the certificate); RFC 5280 §4.1.2.7",
            "ssl.SSLError: [SSL: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:4067)",
        ),
        c.CLIENT_KEY_PASSPHRASE: Explanation(
            "The key is encrypted, and the program runs where nobody can type the passphrase, has none in its "
            "settings, or has another one.",
            'It fails at start: "bad decrypt", "bad password read" or "maybe wrong password"; a service '
            'under systemd may hang at a prompt. curl: (58) unable to set private key file. Java: "Cannot '
            'recover key" or "keystore password was incorrect".',
            "RFC 5958 §3 (EncryptedPrivateKeyInfo); RFC 8018 §6",
            "Error: error:1C800064:Provider routines::bad decrypt",
        ),
        c.CLIENT_FILE_NOT_PEM: Explanation(
            "The program wants PEM and was given DER, PKCS#12 (.p12, .pfx), a Java key store or a request; or it "
            "wants one of those and was given PEM. The name of a file says nothing of its form.",
            'It fails at start. OpenSSL: "no start line" or "PEM lib". Go: "tls: failed to find any PEM '
            'data in certificate input". curl: (58) could not load PEM client certificate. Java: "Invalid '
            'keystore format" or "DerInputStream.getLength(): lengthTag=...".',
            "RFC 7468; RFC 7292 (PKCS#12)",
            "curl: (58) could not load PEM client certificate from client.p12, OpenSSL error error:0480006C:PEM "
            "routines::no start line",
        ),
        c.CLIENT_FILE_UNREADABLE: Explanation(
            "The path is wrong, or relative to another directory than that in which the program runs; or its user may "
            "not read the file: a key of root's with mode 600, a secret that was not mounted, SELinux.",
            'It fails at start: "No such file or directory" or "Permission denied", in Go "open client.key: '
            'permission denied". curl: (58) could not load PEM client certificate, which does not say why.',
            "none: a matter of the operating system (POSIX open: ENOENT, EACCES)",
            "open /etc/orders/tls/client.key: permission denied",
        ),
    }
