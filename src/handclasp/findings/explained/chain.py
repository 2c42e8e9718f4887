"""What path validation finds, as RFC 5280 §6 has it."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.CHAIN_MALFORMED: Explanation(
            "The certificate was made by a home-made tool, cut off while it was copied, or breaks the grammar: a "
            "negative serial number, a wrong time type, two extensions of one kind.",
            'The finding names the field and the section. OpenSSL often takes it, Go says "x509: malformed '
            'certificate", Java CertificateParsingException.',
            "RFC 5280 §4.1; X.690 (DER)",
            "chain[0] serialNumber: it is negative (RFC 5280 §4.1.2.2)",
        ),
        c.CHAIN_UNTRUSTED: Explanation(
            "No intermediate leads from the certificate to one of the trusted roots: it was not sent, or the root is "
            "another one than that which is trusted (another environment, an authority that was rotated).",
            'Verify code 20, 21 or 2 in OpenSSL, "PKIX path building failed" in Java, "signed by unknown '
            'authority" in Go. The finding names the issuer that was looked for.',
            "RFC 5280 §6.1",
            "chain[0] issuer: nobody trusted is CN=Example Issuing CA",
        ),
        c.CHAIN_SELF_SIGNED: Explanation(
            "The only certificate is signed by its own key, and it is not among the trusted ones. It is a test "
            "certificate, an appliance's first one, or a root where a leaf belongs.",
            "Verify code 18 in OpenSSL, DEPTH_ZERO_SELF_SIGNED_CERT in Node. Subject and issuer are equal, and so are "
            "the key identifiers.",
            "RFC 5280 §6.1",
            "subject=CN=localhost and issuer=CN=localhost",
        ),
        c.CHAIN_BAD_SIGNATURE: Explanation(
            "Two authorities have one name and the wrong one was taken as the issuer, or the certificate was changed "
            "after it was signed. The first is by far more common: a root made anew under its old name.",
            'Verify code 7 ("certificate signature failure") in OpenSSL, "x509: ECDSA verification failure" '
            'or "crypto/rsa: verification error" in Go, "signature check failed" in Java.',
            "RFC 5280 §6.1.3 (a) (1)",
            "error 7 at 0 depth lookup: certificate signature failure",
        ),
        c.CHAIN_EXPIRED: Explanation(
            "A certificate of the path ended, the leaf or one above it. For an intermediate the usual reason is a "
            "chain file that was never renewed with the authority.",
            "Verify code 10 with its depth in OpenSSL; CertificateExpiredException in Java. The finding names the "
            "certificate and its end.",
            "RFC 5280 §6.1.3 (a) (2)",
            "error 10 at 1 depth lookup: certificate has expired",
        ),
        c.CHAIN_NOT_YET_VALID: Explanation(
            "The clock that judges is behind, or the authority's was ahead when it issued. It is rare that a "
            "certificate begins later on purpose.",
            "Verify code 9 in OpenSSL, CertificateNotYetValidException in Java. The finding names the certificate and "
            "its beginning.",
            "RFC 5280 §6.1.3 (a) (2)",
            "error 9 at 0 depth lookup: certificate is not yet valid",
        ),
        c.CHAIN_NOT_AN_AUTHORITY: Explanation(
            "A certificate was signed by one that is none of an authority: a leaf was used as issuer, or a script "
            "made an authority without basic constraints.",
            'Verify code 24 or 79 ("invalid CA certificate") in OpenSSL, "x509: certificate is not authorized '
            'to sign other certificates" in Go, "basic constraints check failed" in Java.',
            "RFC 5280 §6.1.4 (k) and §4.2.1.9",
            "X509v3 Basic Constraints: CA:FALSE in the issuer",
        ),
        c.CHAIN_PATH_LENGTH: Explanation(
            "Below an authority with pathlen:0, which may issue leaves only, somebody put another intermediate. It "
            "happens when a company authority is subdivided later.",
            'Verify code 25 ("path length constraint exceeded") in OpenSSL, "too many intermediates for path '
            'length constraint" in Go, "pathLenConstraint violated" in Java.',
            "RFC 5280 §6.1.4 (m) and §4.2.1.9",
            "X509v3 Basic Constraints: critical, CA:TRUE, pathlen:0, with an intermediate below",
        ),
        c.CHAIN_TOO_DEEP: Explanation(
            "The path from the leaf to the root has more certificates than is allowed here, by a setting of depth. "
            "Often the limit was set for one intermediate, and now there are two.",
            'Verify code 22 ("certificate chain too long") in OpenSSL. The finding names the length and the limit.',
            "RFC 5280 §6.1.4 (l); the limit itself is a rule of Handclasp (docs/path-validation.md)",
            "the path has 4 intermediates, and 3 are allowed",
        ),
        c.CHAIN_TOO_COMPLEX: Explanation(
            "Many certificates with equal names and keys can be joined in very many ways; an attacker sends such "
            "chains on purpose, and a trust file with hundreds of cross-signed copies comes close.",
            "The verifier stops at its limit of work and refuses; other verifiers take seconds of processor time, or "
            "have limits of their own.",
            "none: a rule of Handclasp (docs/path-validation.md); RFC 5280 §8 warns of the work",
            "chain: judging it takes more than the signatures that are allowed",
        ),
        c.CHAIN_KEY_USAGE: Explanation(
            "The key usage lacks the bit for what the key does: keyCertSign for an authority, cRLSign for one that "
            "signs lists, digitalSignature for a leaf in TLS. Scripts that list usages by hand leave one out.",
            'Verify code 32 or 79 in OpenSSL ("keyusage does not include certificate signing"), "KeyUsage does '
            'not allow digital signatures" in Java. Alert 43 (unsupported_certificate) in a handshake.',
            "RFC 5280 §4.2.1.3 and §6.1.4 (n)",
            "X509v3 Key Usage: critical, Key Encipherment in a certificate for ECDHE",
        ),
        c.CHAIN_EXTENDED_KEY_USAGE: Explanation(
            "A server's certificate is used for a client, or the other way round; or an intermediate limits the "
            "purposes below it.",
            'Verify code 26 ("unsuitable certificate purpose") in OpenSSL, "incompatible key usage" in Go, '
            '"Extended key usage does not permit use for TLS client authentication" in Java. Alert 43 in a '
            "handshake.",
            "RFC 5280 §4.2.1.12",
            "X509v3 Extended Key Usage: TLS Web Server Authentication, shown by a client",
        ),
        c.CHAIN_NAME_CONSTRAINTS: Explanation(
            "An authority above may certify only some names, and the leaf has one outside of them or inside of an "
            "excluded part. A leading dot, an IP address or a URI that the constraint forgot are the usual surprises.",
            'Verify code 47 ("permitted subtree violation") or 48 ("excluded subtree violation") in OpenSSL, '
            '"is not permitted by any constraint" in Go. The finding names the name and the constraint.',
            "RFC 5280 §4.2.1.10 and §6.1.3 (b), (c)",
            "DNS:orders.example.com below Permitted: DNS:example.org",
        ),
        c.CHAIN_NAME_MISMATCH: Explanation(
            "The certificate is for another name than was expected: an alias, an address, a wildcard that is one "
            "label short, or the server's default certificate.",
            'Verify code 62 (name), 63 (mail) or 64 (address) in OpenSSL, "certificate is valid for a, not b" in '
            "Go. The finding lists the names that there are.",
            "RFC 9525 §6",
            "*.example.org does not cover a.b.example.org",
        ),
        c.CHAIN_UNKNOWN_CRITICAL: Explanation(
            "The issuer marked an extension as critical that the verifier does not know, a private one or one of "
            "another purpose. Critical means: refuse if you do not understand.",
            'Verify code 34 ("unhandled critical extension") in OpenSSL, "x509: unhandled critical extension" '
            'in Go, "unrecognized critical extension(s)" in Java. The finding has the object identifier.',
            "RFC 5280 §4.2",
            "1.3.6.1.4.1.99999.1: critical",
        ),
        c.CHAIN_EXTENSION: Explanation(
            "An extension is there and wrong, or missing where it must be: basic constraints that are not critical, "
            "an authority key identifier that does not fit, an empty subject with names that are not critical.",
            "The finding names the extension and the section. OpenSSL finds such faults with -x509_strict (codes 80 "
            "to 94), Python 3.13 does by default.",
            "RFC 5280 §4.2.1",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Missing Authority Key Identifier",
        ),
        c.CHAIN_POLICY: Explanation(
            "A policy is required, by the caller or by a policy constraint in the chain, and no policy is valid along "
            "the whole path: an intermediate lacks it.",
            'Verify code 43 ("no explicit policy") in OpenSSL, "path does not comply with required policies" in '
            "others. The finding names the place where the set of policies became empty.",
            "RFC 5280 §6.1.3 (d) to (f) and §4.2.1.4",
            "the intermediate has no certificatePolicies, and requireExplicitPolicy is 0",
        ),
        c.CHAIN_WEAK_KEY: Explanation(
            "A key of the chain is small or of a kind that is broken: RSA below 2048 bits, a small curve, an exponent "
            "of 1. It comes from old templates.",
            'Verify code 66 or 67 ("key too weak") in OpenSSL at level 2, "Algorithm constraints check failed" in '
            "Java; Envoy takes RSA-1024 without a word.",
            "NIST SP 800-57 Part 1 §5.6.1",
            "Public-Key: (1024 bit)",
        ),
        c.CHAIN_WEAK_SIGNATURE: Explanation(
            "A certificate of the chain other than the root is signed with SHA-1 or MD5, for which two documents with "
            "one hash can be made.",
            'Verify code 68 ("CA signature digest algorithm too weak") in OpenSSL, "insecure algorithm SHA1-RSA" '
            "in Go.",
            "RFC 9155 §2",
            "Signature Algorithm: sha1WithRSAEncryption",
        ),
        c.CHAIN_REVOKED: Explanation(
            "A certificate of the path is on the revocation list of its issuer. If it is that of an intermediate, "
            "everything below fell with it.",
            'Verify code 23 ("certificate revoked") in OpenSSL. The finding names the serial number, the reason and '
            "when.",
            "RFC 5280 §6.3.3 (i) and §5.3.1",
            "Serial Number: 4F2A..., CRL Reason Code: Key Compromise",
        ),
        c.CHAIN_CRL_MISSING: Explanation(
            "Revocation is to be checked, and of one authority of the path there is no list: nobody gave it, or it "
            "could not be fetched. Lists of all authorities are needed, that of the root too.",
            'Verify code 3 ("unable to get certificate CRL") in OpenSSL. The finding names the issuer whose list is '
            "missing.",
            "RFC 5280 §6.3.3",
            "error 3 at 0 depth lookup: unable to get certificate CRL",
        ),
        c.CHAIN_CRL_EXPIRED: Explanation(
            "The list's next update has passed: the issuer publishes no new ones, or the copy here is not fetched any "
            "more.",
            'Verify code 12 ("CRL has expired") in OpenSSL. The finding has the date, and openssl crl -noout '
            "-nextupdate prints it.",
            "RFC 5280 §5.1.2.5 and §6.3.3 (a)",
            "nextUpdate=Nov 14 00:00:00 2026 GMT",
        ),
        c.CHAIN_CRL_INVALID: Explanation(
            "The list is of another issuer with the same name, covers another part (an issuing distribution point), "
            "was signed by a key without cRLSign, or cannot be read at all. An HTML page that was saved as a CRL is "
            "typical.",
            'Verify code 8 ("CRL signature failure"), 35 ("key usage does not include CRL signing") or 44 '
            '("different CRL scope") in OpenSSL. The finding says which.',
            "RFC 5280 §5 and §6.3.3",
            "error 44 at 0 depth lookup: different CRL scope",
        ),
    }
