"""Entries for certificate chains, as the verifier sees them (RFC 5280 §6)."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.CHAIN_MALFORMED: Entry(
            "A certificate cannot be read, or breaks the form that RFC 5280 gives it.",
            "Have the certificate issued anew.",
        ),
        c.CHAIN_UNTRUSTED: Entry(
            "No path leads from the certificate to a trusted authority.",
            "Add the missing intermediate to the chain, or trust the root that issued it.",
        ),
        c.CHAIN_SELF_SIGNED: Entry(
            "The certificate is self-signed, and not trusted itself.",
            "Use a certificate that a trusted authority issued.",
        ),
        c.CHAIN_BAD_SIGNATURE: Entry(
            "A signature was not made by the key of the issuer.",
            "The certificate was changed, or another authority of the same name issued it: use the right issuer.",
        ),
        c.CHAIN_EXPIRED: Entry(
            "A certificate of the chain has expired.",
            "Renew the certificate that is named.",
        ),
        c.CHAIN_NOT_YET_VALID: Entry(
            "A certificate of the chain is not valid yet.",
            "Compare the clocks; the certificate begins later.",
        ),
        c.CHAIN_NOT_AN_AUTHORITY: Entry(
            "A certificate that issued another one is not that of an authority.",
            "Have the certificate issued by an authority (basic constraints CA:TRUE).",
        ),
        c.CHAIN_PATH_LENGTH: Entry(
            "There are more intermediates below an authority than it allows.",
            "Use a shorter chain, or an authority with a greater path length.",
        ),
        c.CHAIN_TOO_DEEP: Entry(
            "The chain is longer than allowed here.",
            "Send a shorter chain.",
        ),
        c.CHAIN_TOO_COMPLEX: Entry(
            "The chain could not be judged within the work that is allowed for it.",
            "Send only the certificates that are needed.",
        ),
        c.CHAIN_KEY_USAGE: Entry(
            "The key usage of a certificate does not allow what its key is used for.",
            "Have the certificate issued with the right key usage.",
        ),
        c.CHAIN_EXTENDED_KEY_USAGE: Entry(
            "A certificate is not meant for this purpose (extended key usage).",
            "Use a certificate with clientAuth for clients, serverAuth for servers.",
        ),
        c.CHAIN_NAME_CONSTRAINTS: Entry(
            "A name is outside of what an authority of the chain may certify.",
            "Use a name within the authority's constraints.",
        ),
        c.CHAIN_NAME_MISMATCH: Entry(
            "The certificate does not name whom it should.",
            "Use the certificate of that name, or the name that the certificate has.",
        ),
        c.CHAIN_UNKNOWN_CRITICAL: Entry(
            "A certificate has a critical extension that is not understood.",
            "Have the certificate issued without it.",
        ),
        c.CHAIN_EXTENSION: Entry(
            "An extension is not as RFC 5280 wants it.",
            "Have the certificate issued anew.",
        ),
        c.CHAIN_POLICY: Entry(
            "The certificate policies of the chain do not allow a policy that is required.",
            "Use a certificate with the required policy.",
        ),
        c.CHAIN_WEAK_KEY: Entry(
            "A key of the chain is too weak.",
            "Use P-256 or better, or RSA of at least 2048 bits.",
        ),
        c.CHAIN_WEAK_SIGNATURE: Entry(
            "A certificate of the chain is signed with a broken hash.",
            "Have it issued anew with SHA-256 or better.",
        ),
        c.CHAIN_REVOKED: Entry(
            "A certificate of the chain is revoked.",
            "Use a certificate that is not.",
        ),
        c.CHAIN_CRL_MISSING: Entry(
            "There is no usable revocation list for a certificate of the chain.",
            "Give the issuer's current CRL.",
        ),
        c.CHAIN_CRL_EXPIRED: Entry(
            "The revocation list for a certificate of the chain is out of date.",
            "Fetch the issuer's current CRL.",
        ),
        c.CHAIN_CRL_INVALID: Entry(
            "A revocation list cannot be used: it is not signed by the issuer, or does not cover the certificate.",
            "Fetch the CRL that the certificate's distribution point names.",
        ),
    }
