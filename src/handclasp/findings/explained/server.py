"""What a server's certificate, chain and revocation lists can be wrong in."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.SERVER_CERT_UNKNOWN_CA: Explanation(
            "The client trusts the authorities of its system or its own file, and the server's is a private one that "
            "is not among them. Java, Python packages and Node bring a list of their own, so that installing the "
            "authority in the system is not enough for them.",
            'The client ends the handshake with alert 48 (unknown_ca), which Envoy and Caddy may log as "bad '
            'record MAC" on TLS 1.3. curl: (60) unable to get local issuer certificate. Java: "PKIX path '
            'building failed". Go: "x509: certificate signed by unknown authority". Node: '
            "UNABLE_TO_GET_ISSUER_CERT_LOCALLY. Verify code 20 or 19.",
            "RFC 5280 §6.1; RFC 8446 §4.4.2.4",
            "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        ),
        c.SERVER_CERT_SELF_SIGNED: Explanation(
            "The server still has the certificate that its package or appliance made at installation, or one from "
            "openssl req -x509.",
            'Verify code 18. curl: (60) self-signed certificate. Node: DEPTH_ZERO_SELF_SIGNED_CERT. Go: "x509: '
            'certificate signed by unknown authority". Java: "PKIX path building failed". Subject and issuer are '
            "the same.",
            "RFC 5280 §6.1; RFC 8446 §4.4.2.4",
            "curl: (60) SSL certificate problem: self-signed certificate",
        ),
        c.SERVER_CERT_EXPIRED: Explanation(
            "Renewal failed, or it worked and the server was not reloaded: the file is new and the process serves the "
            "old one. Where it is only one of several servers behind a name, the others were renewed.",
            "Every client fails at once, on its own side: verify code 10, alert 45 (certificate_expired) or 46 "
            "towards the server. curl: (60) certificate has expired. Node: CERT_HAS_EXPIRED. Java: "
            'CertificateExpiredException. Go: "x509: certificate has expired or is not yet valid".',
            "RFC 5280 §4.1.2.5 and §6.1.3 (a) (2)",
            "x509: certificate has expired or is not yet valid: current time 2026-11-21T09:00:00Z is after "
            "2026-11-20T23:59:59Z",
        ),
        c.SERVER_CERT_EXPIRES_SOON: Explanation(
            "Renewal has not run yet, fails unseen, or was done without reloading the server. An intermediate or a "
            "root that ends is forgotten more easily than the server's own.",
            "Nothing fails today. The finding names the certificate and its last second; handclasp status, a monitor "
            "or openssl x509 -checkend tell it too.",
            "RFC 5280 §4.1.2.5 (the end); the warning is a rule of Handclasp (docs/monitoring.md)",
            "chain[0] CN=orders.example.org ends on 2026-12-01 12:00 UTC, in 10 days",
        ),
        c.SERVER_CERT_NOT_YET_VALID: Explanation(
            "The clock of the client is behind, or that of the machine that issued was ahead; a certificate that was "
            "made moments ago shows it first. Containers and boards that start without the time are typical.",
            "Verify code 9. curl: (60) certificate is not yet valid. Node: CERT_NOT_YET_VALID. Java: "
            'CertificateNotYetValidException. Go says "has expired or is not yet valid" and both times.',
            "RFC 5280 §4.1.2.5 and §6.1.3 (a) (2)",
            "x509: certificate has expired or is not yet valid: current time 1970-01-01T00:02:11Z is before "
            "2026-11-21T08:00:00Z",
        ),
        c.SERVER_CERT_HOSTNAME_MISMATCH: Explanation(
            "The client calls by another name than the certificate has: an address, an internal alias, a name two "
            "labels below a wildcard. Or the server chose its default certificate because the client sent no SNI or "
            "an unknown one.",
            "Verify code 62 (or 64 for an address). curl: (60) no alternative certificate subject name matches "
            'target host name. Node: ERR_TLS_CERT_ALTNAME_INVALID. Go: "x509: certificate is valid for a, not b". '
            'Java: "No subject alternative DNS name matching b found".',
            "RFC 9525 §6; RFC 9110 §4.3.4",
            "x509: certificate is valid for orders.example.org, not orders.internal",
        ),
        c.SERVER_CERT_NO_SAN: Explanation(
            "The certificate was made by an old recipe that puts the host's name into the common name only. Clients "
            "stopped looking there years ago.",
            'Go: "x509: certificate relies on legacy Common Name field, use SANs instead". Java: "No subject '
            'alternative names present" or, for a name, a fallback that newer versions lack. Chrome: '
            "ERR_CERT_COMMON_NAME_INVALID. OpenSSL still falls back to the common name, so curl may work.",
            "RFC 9525 §2 and Appendix A (the common name is not an identity); RFC 5280 §4.2.1.6",
            "x509: certificate relies on legacy Common Name field, use SANs instead",
        ),
        c.SERVER_CERT_WRONG_EKU: Explanation(
            "A client's certificate, or one for signing code or mail, was installed at the server; or the profile of "
            "the authority lacks serverAuth. A constraint in the extended key usage of an intermediate has the same "
            "effect.",
            'Verify code 26 at the client, alert 43 (unsupported_certificate) towards the server. Go: "x509: '
            'certificate specifies an incompatible key usage". Java: "Extended key usage does not permit use for '
            'TLS server authentication". curl: (60) unsuitable certificate purpose.',
            "RFC 5280 §4.2.1.12",
            "curl: (60) SSL certificate problem: unsuitable certificate purpose",
        ),
        c.SERVER_CERT_REVOKED: Explanation(
            "The certificate was revoked after a leak or when it was replaced, or its authority was; the server was "
            "not given the new one. Most clients do not look, so that it goes on unnoticed until one does.",
            "With a CRL or an OCSP answer the client ends with verify code 23, alert 44 (certificate_revoked). "
            'Browsers: "revoked". A stapled answer says it in the handshake itself.',
            "RFC 5280 §6.3; RFC 6960 §2.2",
            "openssl s_client -status shows: Cert Status: revoked",
        ),
        c.SERVER_CERT_WEAK: Explanation(
            "A key of less than 2048 bits RSA, or a signature with SHA-1 or MD5, of the server's certificate or of "
            "one between it and the root. Old internal authorities sign so by default.",
            'OpenSSL at level 2: verify code 66, 67 or 68 ("CA signature digest algorithm too weak"). Java: '
            '"Algorithm constraints check failed on signature algorithm: SHA1withRSA". Go: "insecure algorithm '
            'SHA1-RSA".',
            "NIST SP 800-57 Part 1 §5.6.1; RFC 9155 §2; RFC 9325 §4.5",
            "Algorithm constraints check failed on keysize limits: RSA 1024 bit key used",
        ),
        c.SERVER_CHAIN_INCOMPLETE: Explanation(
            "The server's file has its own certificate only. Browsers hide it, because they remember or fetch "
            "intermediates; curl, Java, Go and Python do not.",
            "Verify code 20 or 21. curl: (60) unable to get local issuer certificate. Node: "
            'UNABLE_TO_VERIFY_LEAF_SIGNATURE. Java: "PKIX path building failed". It works in a browser, and openssl '
            "s_client -showcerts lists one certificate.",
            "RFC 8446 §4.4.2",
            "Verify return code: 21 (unable to verify the first certificate)",
        ),
        c.SERVER_CHAIN_INVALID: Explanation(
            "A certificate of the server's chain breaks a rule of path validation that has no code of its own for "
            "servers: path length, name constraints, key usage, a signature, a critical extension. An authority that "
            "was set up by hand is the usual source.",
            "The finding names the certificate, the field and the section. OpenSSL has verify code 7, 24, 25, 32, "
            '34 or 47 for it; Java says "PKIX path validation failed", as opposed to "building".',
            "RFC 5280 §6.1",
            "chain[1]: it allows 0 intermediates below it, and there is 1 (RFC 5280 §6.1.4 (m))",
        ),
        c.SERVER_CRL_EXPIRED: Explanation(
            "The job that fetches or signs the revocation list stopped, and its next update is past. At a server with "
            "a CRL this refuses every client at once, revoked or not.",
            'Verify code 12 ("CRL has expired"): alert 45 from HAProxy and Envoy, 46 from Apache, 400 from nginx, '
            "for everybody since one moment. Envoy's log: CRL_has_expired.",
            "RFC 5280 §5.1.2.5 and §6.3.3",
            "client SSL certificate verify error: (12:CRL has expired) while reading client request headers",
        ),
        c.SERVER_CRL_MISSING: Explanation(
            "A CRL was set for one authority, and OpenSSL and Envoy then want one of every authority of the chain: "
            "that of the intermediate is there and that of the root is not, or the other way round. Two authorities "
            "in one trust file need two lists.",
            'Verify code 3 ("unable to get certificate CRL") or 44 ("different CRL scope"): alert 48 for the '
            "first and 46 for the second, 400 from nginx. Envoy's log: unable_to_get_certificate_CRL. It began "
            "when the CRL was configured.",
            "RFC 5280 §6.3.3",
            "client SSL certificate verify error: (3:unable to get certificate CRL) while reading client request "
            "headers",
        ),
        c.SERVER_STAPLE_EXPIRED: Explanation(
            "The server staples an OCSP answer that it got long ago, since it cannot reach the responder any more (a "
            "firewall, no resolver in nginx's configuration), or the answer is for the certificate before.",
            "openssl s_client -status shows a Next Update in the past. Clients that heed the staple fail, for a "
            "must-staple certificate all that know the extension: Firefox says "
            "MOZILLA_PKIX_ERROR_REQUIRED_TLS_FEATURE_MISSING or SEC_ERROR_OCSP_OLD_RESPONSE.",
            "RFC 6960 §4.2.2.1; RFC 6066 §8; RFC 7633 (must-staple)",
            "Next Update: Nov 14 09:00:00 2026 GMT, a week ago",
        ),
        c.SERVER_KEY_MISMATCH: Explanation(
            "The server's certificate was renewed and the key left (or the other way round), or a chain file has "
            "another certificate first than the server's own.",
            'It does not start, or keeps its old configuration at reload. nginx: "SSL_CTX_use_PrivateKey ... '
            'key values mismatch". Apache: AH02565 "certificate and private key do not match". HAProxy: '
            '"inconsistencies between private key and certificate". Envoy rejects with KEY_VALUES_MISMATCH.',
            "RFC 8446 §4.4.3",
            'nginx: [emerg] SSL_CTX_use_PrivateKey("/etc/nginx/tls/server.key") failed (SSL: error:05800074:x509 '
            "certificate routines::key values mismatch)",
        ),
    }
