"""Entries for what is asked of the authority."""

from __future__ import annotations

from handclasp.findings.codes import Code, Entry


def entries() -> dict[Code, Entry]:
    """Code by code."""
    c = Code
    return {
        c.REQUEST_MALFORMED: Entry(
            "The certificate request cannot be read.",
            "Send one PKCS#10 request, PEM or DER.",
        ),
        c.REQUEST_BAD_SIGNATURE: Entry(
            "The certificate request is not signed by its own key.",
            "Make the request anew with the private key that belongs to it.",
        ),
        c.REQUEST_KEY_NOT_ALLOWED: Entry(
            "The profile does not allow this kind of key.",
            "Make a key of a kind that the profile allows.",
        ),
        c.REQUEST_NAME_NOT_ALLOWED: Entry(
            "The name is not valid, or the profile does not allow it.",
            "Use a name that the message allows.",
        ),
        c.REQUEST_LIFETIME_NOT_ALLOWED: Entry(
            "The lifetime is longer or shorter than the profile allows.",
            "Ask for a lifetime within the limits that the message names.",
        ),
        c.REQUEST_LINT: Entry(
            "The certificate would break a rule of RFC 5280 or of its profile, so it was not signed.",
            "Correct what the message names.",
        ),
        c.REQUEST_IDENTITY_UNKNOWN: Entry(
            "No certificate was ever issued to this identity.",
            "See the identities: handclasp client list. To make one: handclasp client add NAME.",
        ),
        c.REQUEST_IDENTITY_REVOKED: Entry(
            "Every certificate of this identity is revoked or expired; there is nothing to renew.",
            "A new grant: handclasp client add NAME.",
        ),
        c.REQUEST_KEY_WEAK: Entry(
            "The key is weak, or known to somebody else.",
            "Make a new key with a current library: handclasp client add makes one.",
        ),
        c.REQUEST_KEY_BARRED: Entry(
            "The key belongs to an authority, or to a certificate that was revoked.",
            "Make a new key; a key is used for one holder, and never again after a revocation.",
        ),
        c.REQUEST_KEY_NOT_VERIFIABLE: Entry(
            "An enforcement point that would meet this certificate cannot verify its kind of key.",
            "Use a kind of key that the message names, or keep the identity away from that service.",
        ),
        c.REQUEST_SIGNATURE_WEAK: Entry(
            "The certificate request is signed with a broken hash (SHA-1 or MD5).",
            "Make the request anew with SHA-256 or better.",
        ),
        c.REQUEST_EXTENSION_NOT_ALLOWED: Entry(
            "The certificate request asks for an extension that the profile does not give.",
            "Leave the extension out of the request, or use a profile that allows it.",
        ),
        c.REQUEST_PROFILE_UNKNOWN: Entry(
            "There is no profile of this name.",
            "See the profiles: handclasp ca show. Your own are in handclasp.yaml, under profiles.",
        ),
        c.REQUEST_APPROVAL_REQUIRED: Entry(
            "The profile wants somebody's approval before a certificate is made; the request is kept.",
            "Approve it: handclasp cert approve ID. Refuse it: handclasp cert deny ID.",
        ),
        c.REQUEST_DENIED: Entry(
            "Somebody denied this request.",
            "Ask whoever denied it; a new request may be sent.",
        ),
        c.REQUEST_REPEATED: Entry(
            "The same request number was used before, for something else.",
            "Send a new request number with a new request.",
        ),
    }
