"""Taking back what an identity was given."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509

from handclasp.authority.issue import Authority
from handclasp.authority.pipeline import event
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import CertificateRecord, Event
from handclasp.findings import Code, Refused
from handclasp.pki.spiffe import SpiffeID

CONNECTION_AGE = timedelta(hours=1, minutes=10)
"""How long a connection may stay open at the gateway (1 h, D20), and the time to drain it."""


async def revoke(
    authority: Authority,
    spiffe_id: SpiffeID,
    *,
    now: datetime,
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
    principal: str = OPERATOR,
) -> tuple[CertificateRecord, ...]:
    """Revoke every unexpired certificate of the identity (D12), in one transaction with its audit events.

    One that is being signed at this moment is stopped. One that has just expired counts too: a connection made
    with it may still be open. Returns the certificates that this call revoked, oldest first; the second time
    none. Refused(REQUEST_IDENTITY_UNKNOWN) if the identity never had one.
    """
    if reason is x509.ReasonFlags.remove_from_crl:
        raise ValueError("removeFromCRL takes nothing back (RFC 5280 §5.3.1)")

    def event_of(record: CertificateRecord) -> Event:
        return event("certificate.revoked", record, now, principal)

    changed = await authority.ledger.revoke(
        str(spiffe_id), expires_after=now - CONNECTION_AGE, at=now, reason=reason.value, event_of=event_of
    )
    if not changed and not await authority.ledger.certificates(identity=str(spiffe_id)):
        raise Refused(
            Code.REQUEST_IDENTITY_UNKNOWN,
            f"{spiffe_id} cannot be revoked",
            "no certificate was ever issued to it",
            "See the identities: handclasp client list.",
        )
    return tuple(record for record in changed if record.fingerprint)
