"""What a request for a certificate is refused for."""

from __future__ import annotations

from handclasp.findings.codes import Code
from handclasp.findings.explained.explanation import Explanation


def entries() -> dict[Code, Explanation]:
    """Code by code."""
    c = Code
    return {
        c.REQUEST_MALFORMED: Explanation(
            "Something else than one PKCS#10 request was sent: a certificate, a key, two requests in one file, or a "
            "file that an editor damaged. A private key beside the request was given away and must not be used.",
            "The command refuses before anything is signed, and says what was found. openssl req -in FILE -noout "
            "-verify fails too.",
            "RFC 2986 §4; RFC 7468 §7",
            "there is not exactly one CERTIFICATE REQUEST in it",
        ),
        c.REQUEST_BAD_SIGNATURE: Explanation(
            "The request was changed after it was signed, or was put together with another key than it names. It is "
            "the proof that the asker has the key, so nothing is signed without.",
            'openssl req -noout -verify says "Certificate request self-signature verify failure".',
            "RFC 2986 §3 and §4.2",
            "Certificate request self-signature verify failure",
        ),
        c.REQUEST_SIGNATURE_WEAK: Explanation(
            "The request was made by an old tool that signs with SHA-1 or MD5 (openssl before 1.1, old keytool, "
            "appliances).",
            "The message names the hash; openssl req -text shows it under Signature Algorithm.",
            "RFC 9155 §2; that it is refused is a rule of Handclasp (docs/security.md)",
            "Signature Algorithm: sha1WithRSAEncryption",
        ),
        c.REQUEST_KEY_NOT_ALLOWED: Explanation(
            "The profile takes some kinds of key only, and this is another one: RSA where ec-p256 is asked for, DSA, "
            "or a curve that nobody else speaks.",
            "The message names the kind of the key and those that are allowed.",
            "none: a rule of Handclasp (docs/reference.md, profiles.NAME); the kinds are of RFC 5480, RFC 8410 and "
            "RFC 9881",
            "the key is of the kind rsa-2048, and the profile client allows ec-p256",
        ),
        c.REQUEST_KEY_WEAK: Explanation(
            "The key is too small, has a structure that makes it computable (ROCA, close primes, small factors, a "
            "small exponent), or its private half is published, as with keys out of test suites and images.",
            "The message says which weakness. It is found from the public key alone, so others can find it as well.",
            "NIST SP 800-57 Part 1 §5.6.1; CVE-2017-15361 (ROCA); CVE-2022-26320 (close primes)",
            "its RSA modulus has the fingerprint of a broken generator (ROCA, CVE-2017-15361)",
        ),
        c.REQUEST_KEY_BARRED: Explanation(
            "The key is that of an authority, or a certificate for it was revoked or is on hold: renewal with the "
            "same key after a leak would give the thief a new certificate.",
            "The message says which of these it is. It is decided by the hash of the public key, whatever the name.",
            "none: a rule of Handclasp (docs/security.md); compare CA/Browser Forum Baseline Requirements §6.1.1.3",
            "The key cannot be used: a certificate for it was revoked.",
        ),
        c.REQUEST_KEY_NOT_VERIFIABLE: Explanation(
            "The key, or the authority's, is ML-DSA, and a gateway that lets this identity in cannot verify ML-DSA: "
            "its caller would fail in the handshake without an explanation.",
            "The message names the services whose rules have the identity. Without this refusal the caller would see "
            "alert 40 or 47.",
            "RFC 9881 (ML-DSA in certificates); that it is refused is a rule of Handclasp (docs/reference.md, "
            "profiles)",
            "the gateway of orders cannot verify that kind, and its rules let this identity in",
        ),
        c.REQUEST_NAME_NOT_ALLOWED: Explanation(
            "The name is not valid (a space, an underscore, a wildcard in the middle), belongs to another trust "
            "domain, or the profile does not give names of this kind.",
            "The message has the name and what would be allowed.",
            "RFC 5280 §4.2.1.6; SPIFFE ID §2; RFC 1123 §2.1",
            "spiffe://other.example/alice is not of the trust domain example.org",
        ),
        c.REQUEST_LIFETIME_NOT_ALLOWED: Explanation(
            "A certificate for longer than the profile allows was asked for, or one that would outlive its issuer, or "
            "one that would be over before it is of use.",
            "The message names the limits. Nothing was signed.",
            "none: a rule of Handclasp (docs/reference.md, profiles.NAME); RFC 5280 §4.1.2.5 for what a lifetime is",
            "800d is more than the 90d of the profile client",
        ),
        c.REQUEST_LINT: Explanation(
            "The certificate or the list, as it would be signed, breaks a rule of RFC 5280 or of its profile: a "
            "setting asks for something that does not go together.",
            "The message names the rule and its section. The check runs on what would be signed, before the key is "
            "touched.",
            "RFC 5280 §4 and §5; that it runs before signing is a rule of Handclasp (docs/standards.md)",
            "subjectAltName must be critical where the subject is empty (RFC 5280 §4.2.1.6)",
        ),
        c.REQUEST_EXTENSION_NOT_ALLOWED: Explanation(
            "The request asks for an extension that the profile does not give: CA:TRUE, another extended key usage, a "
            "private object identifier. Tools put extensions into requests that nobody asked for.",
            "The message names the extension; openssl req -text shows it under Requested Extensions.",
            "RFC 2985 §5.4.2 (extensionRequest); that the profile decides is a rule of Handclasp (docs/reference.md, "
            "profiles)",
            "X509v3 Basic Constraints: CA:TRUE under Requested Extensions",
        ),
        c.REQUEST_PROFILE_UNKNOWN: Explanation(
            "The profile is mistyped, or was removed from handclasp.yaml after certificates were issued with it.",
            "The message names the profile; handclasp ca show lists those that there are.",
            "none: a rule of Handclasp (docs/reference.md, profiles)",
            "There is no profile server-long",
        ),
        c.REQUEST_IDENTITY_UNKNOWN: Explanation(
            "The name is mistyped, or its certificate was made in another state directory or database.",
            "Revoking, renewing or asking for a caller fails with this code; handclasp client list does not have it.",
            "none: a rule of Handclasp (docs/reference.md)",
            "handclasp client renew alcie",
        ),
        c.REQUEST_IDENTITY_REVOKED: Explanation(
            "All certificates of the identity are revoked or over, and renewal only prolongs what is current. Whoever "
            "was cut off must be let in by a person again.",
            "The renewal is refused with this code; handclasp client list shows the state.",
            "none: a rule of Handclasp (docs/security.md)",
            "handclasp client renew alice, three weeks after handclasp client revoke alice",
        ),
        c.REQUEST_APPROVAL_REQUIRED: Explanation(
            "The profile says that somebody must approve, so the request waits. This is no fault.",
            "The command prints the number of the request and ends with exit code 2; the list of waiting requests has "
            "it.",
            "none: a rule of Handclasp (docs/reference.md, profiles.NAME)",
            "handclasp cert approve 7f3c...",
        ),
        c.REQUEST_DENIED: Explanation(
            "Whoever may approve looked at the request and said no.",
            "The message says who. Asking again under the same number gives the same answer.",
            "none: a rule of Handclasp (docs/reference.md)",
            "handclasp cert deny 7f3c...",
        ),
        c.REQUEST_REPEATED: Explanation(
            "A program that asks uses one number for two different requests: a constant, a counter that began anew, "
            "or a retry with other names. The number is what makes a retry safe, so it must be of one request. A "
            "decision that was made already, or a request that was left too long, ends here as well.",
            "The message says that the number was used before and for what. The same request under the same number "
            "gives the same certificate, and not this code.",
            "none: a rule of Handclasp (docs/reference.md)",
            "The request id 42 was used before: with it another certificate was asked for.",
        ),
    }
