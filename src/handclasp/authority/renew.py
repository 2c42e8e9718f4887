"""Renewing a caller's certificate: the same names again, for as long as the identity has a valid one."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from handclasp.authority.issue import Authority, Issued, complete, intend
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import CertificateRecord, CertificateState, Ledger
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.profile import CLIENT
from handclasp.pki.request import Request
from handclasp.pki.spiffe import SpiffeID


async def renew(
    authority: Authority,
    spiffe_id: SpiffeID,
    *,
    now: datetime,
    serial: int,
    request: Request,
    lifetime: timedelta | None = None,
    principal: str = OPERATOR,
) -> Issued:
    """A new certificate with the names of the identity's newest valid client certificate.

    The key is that of ``request``, the old one or a new one: the request proved that it is held. The old
    certificate stays valid until it expires. Refused: REQUEST_IDENTITY_UNKNOWN if there never was one,
    REQUEST_IDENTITY_REVOKED if none is valid any more, and what ``issue`` refuses.
    """
    old = await _newest_valid(authority.ledger, spiffe_id, now)
    names = Names(spiffe_id, old.dns, tuple(ip_address(text) for text in old.ips))
    intent = await intend(authority, request, names, CLIENT, principal, now=now, serial=serial, lifetime=lifetime)
    # A revocation may have come between the look at the old certificate and the intent. One that comes after
    # this second look revokes the intent too, and `complete` then refuses: so none is outrun.
    again = await authority.ledger.certificate(old.issuer_key_id, old.serial)
    if again is None or again.state is not CertificateState.ISSUED:
        raise _nothing_to_renew(spiffe_id)
    return await complete(authority, intent, now=now)


async def _newest_valid(ledger: Ledger, spiffe_id: SpiffeID, now: datetime) -> CertificateRecord:
    held = [
        record
        for record in await ledger.certificates(identity=str(spiffe_id), profile=CLIENT.name)
        if record.fingerprint
    ]
    if not held:
        raise Refused(
            Code.REQUEST_IDENTITY_UNKNOWN,
            f"{spiffe_id} cannot be renewed",
            "no certificate was ever issued to it",
            "See the identities: handclasp client list. To make one: handclasp client add NAME.",
        )
    for record in reversed(held):
        if record.state is CertificateState.ISSUED and record.not_before <= now < record.not_after:
            return record
    raise _nothing_to_renew(spiffe_id)


def _nothing_to_renew(spiffe_id: SpiffeID) -> Refused:
    return Refused(
        Code.REQUEST_IDENTITY_REVOKED,
        f"{spiffe_id} cannot be renewed",
        "every certificate it had is revoked or expired",
        "To grant access again: handclasp client add NAME.",
    )
