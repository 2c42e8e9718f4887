"""What is revoked, in the two forms that the gateway needs: the signed list for handshakes to come, and the set
of fingerprints for connections that are open (D20)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from handclasp.authority.hierarchy import ISSUING_KEY
from handclasp.authority.issue import Authority
from handclasp.authority.revoke import CONNECTION_AGE
from handclasp.pki.crl import Revoked, assemble_crl, prepare_crl

# RFC 5280 §3.3: an entry stays until it was on a list made after the certificate expired. Lists are made hourly.
_KEPT_AFTER_EXPIRY = timedelta(days=1)


async def current_crl(
    authority: Authority, *, now: datetime, lifetime: timedelta = timedelta(days=30)
) -> x509.CertificateRevocationList:
    """A fresh list of the issuing authority, with a number above every earlier one. Refused(STATE_KEY_MISSING).

    30 days, so that a control plane that is down does not shut out every caller at nextUpdate (D19). It has every
    revocation committed before the call. Make one list at a time: of two made at once, either may know more.
    """
    issuer_key_id = authority.hierarchy.issuing_key_id
    number = await authority.ledger.next_crl_number(issuer_key_id)
    revocations = await authority.ledger.revocations(issuer_key_id, expires_after=now - _KEPT_AFTER_EXPIRY)
    entries = (Revoked(found.serial, found.at, x509.ReasonFlags(found.reason)) for found in revocations)
    prepared = prepare_crl(authority.hierarchy.issuing, entries, number, now, lifetime)
    return assemble_crl(prepared, await authority.custody.sign(ISSUING_KEY, prepared.tbs))


async def deny_set(authority: Authority, now: datetime, max_age: timedelta = CONNECTION_AGE) -> frozenset[str]:
    """SHA-256 fingerprints (hex) of what was revoked less than ``max_age`` ago.

    No open connection is older, and every later handshake meets the list: so the set stays small.
    """
    found = await authority.ledger.revocations(authority.hierarchy.issuing_key_id, since=now - max_age)
    return frozenset(one.fingerprint for one in found if one.fingerprint)
