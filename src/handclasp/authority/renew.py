"""Renewing a certificate: the same names and profile again, for as long as there is a valid one."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509

from handclasp.authority import policy
from handclasp.authority.issue import Authority, Issued, again, complete, intend
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import Ledger, RequestRepeated
from handclasp.authority.records import EXTERNAL, CertificateRecord, CertificateState
from handclasp.authority.revoke import revoke_certificate
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.keys import PublicKey, supported
from handclasp.pki.profile import CLIENT, PROFILES, Profile
from handclasp.pki.request import Request
from handclasp.pki.spiffe import SpiffeID


async def renew(
    authority: Authority,
    spiffe_id: SpiffeID,
    *,
    now: datetime,
    serial: int,
    request: Request | None,
    lifetime: timedelta | None = None,
    principal: str = OPERATOR,
    profile: Profile = CLIENT,
    supersede: bool = False,
    request_id: str | None = None,
) -> Issued:
    """A new certificate with the names of the identity's newest valid certificate of the profile.

    As ``renew_certificate``. Refused: REQUEST_IDENTITY_UNKNOWN if there never was one, REQUEST_IDENTITY_REVOKED if
    none is valid any more.
    """
    old = await _newest_valid(authority.ledger, spiffe_id, profile, now, request_id)
    return await renew_certificate(
        authority,
        old,
        now=now,
        serial=serial,
        request=request,
        lifetime=lifetime,
        principal=principal,
        profile=profile,
        supersede=supersede,
        request_id=request_id,
    )


async def renew_certificate(
    authority: Authority,
    old: CertificateRecord,
    *,
    now: datetime,
    serial: int,
    request: Request | None,
    lifetime: timedelta | None = None,
    principal: str = OPERATOR,
    profile: Profile | None = None,
    supersede: bool = False,
    request_id: str | None = None,
) -> Issued:
    """A new certificate with the names of the certificate ``old``, and its profile (the built-in of that name).

    The key is that of ``request``, the old one or a new one: the request proved that it is held. Without a request
    it is the old key. The old certificate stays valid until it expires, unless ``supersede``: then it is revoked as
    superseded once the new one is recorded. A profile that wants approval wants none for the same names again.
    Refused: REQUEST_IDENTITY_REVOKED if the old one is revoked, on hold or expired; what ``issue`` refuses.
    """
    profile = profile or _profile_of(old)
    names = Names(
        None if old.identity is None else SpiffeID.parse(old.identity),
        old.dns,
        tuple(ip_address(text) for text in old.ips),
    )
    key = _old_key(old) if request is None else request.public_key
    earlier = None if request_id is None else await authority.ledger.certificate_for(request_id)
    if earlier is None or earlier.state is CertificateState.INTENDED:
        _check_valid(old, now)
    try:
        if earlier is not None:
            made = await again(authority, earlier, key, names, profile, principal, now=now)
        else:
            made = await _once(authority, old, key, names, profile, principal, now, serial, lifetime, request_id)
    except RequestRepeated:
        earlier = await authority.ledger.certificate_for(request_id or "")
        assert earlier is not None
        made = await again(authority, earlier, key, names, profile, principal, now=now)
    if supersede and made.record.fingerprint != old.fingerprint:
        await revoke_certificate(
            authority,
            old.issuer_key_id,
            old.serial,
            now=now,
            reason=x509.ReasonFlags.superseded,
            principal=principal,
        )
    return made


async def _once(
    authority: Authority,
    old: CertificateRecord,
    key: PublicKey,
    names: Names,
    profile: Profile,
    principal: str,
    now: datetime,
    serial: int,
    lifetime: timedelta | None,
    request_id: str | None,
) -> Issued:
    intent = await intend(
        authority, key, names, profile, principal, now=now, serial=serial, lifetime=lifetime, request_id=request_id
    )
    # A revocation may have come between the look at the old certificate and the intent. One that comes after
    # this second look revokes the intent too, and `complete` then refuses: so none is outrun.
    again_old = await authority.ledger.certificate(old.issuer_key_id, old.serial)
    if again_old is None or again_old.state is not CertificateState.ISSUED:
        raise _nothing_to_renew(old)
    return await complete(authority, intent, now=now)


async def _newest_valid(
    ledger: Ledger, spiffe_id: SpiffeID, profile: Profile, now: datetime, request_id: str | None
) -> CertificateRecord:
    """Newest but for what this very request made when it was asked before: that is not what it renews.

    If nothing else is left, because the request superseded it, that one it is: its names are the same.
    """
    held = [
        record
        for record in await ledger.certificates(identity=str(spiffe_id), profile=profile.name)
        if record.fingerprint
    ]
    if not held:
        raise Refused(
            Code.REQUEST_IDENTITY_UNKNOWN,
            f"{spiffe_id} cannot be renewed",
            "no certificate was ever issued to it",
            "See the identities: handclasp client list. To make one: handclasp client add NAME.",
        )
    for record in (
        *(one for one in reversed(held) if request_id is None or one.request_id != request_id),
        *(one for one in held if request_id is not None and one.request_id == request_id),
    ):
        if record.state is CertificateState.ISSUED and record.not_before <= now < record.not_after:
            return record
    raise _nothing_to_renew(held[-1])


def _old_key(record: CertificateRecord) -> PublicKey:
    """Asked again whether it is weak: what is known of bad keys grows."""
    key = supported(x509.load_der_x509_certificate(record.der).public_key())
    policy.check_key(key)
    return key


def _profile_of(record: CertificateRecord) -> Profile:
    if record.profile == EXTERNAL or record.is_authority or record.profile not in PROFILES:
        raise Refused(
            Code.REQUEST_PROFILE_UNKNOWN,
            f"The certificate {record.serial:x} cannot be renewed",
            f"its profile is {record.profile}, which is none that this authority issues by itself",
            "Renew it where it was issued, or give the profile.",
        )
    return PROFILES[record.profile]


def _check_valid(record: CertificateRecord, now: datetime) -> None:
    if record.state is not CertificateState.ISSUED or not record.not_before <= now < record.not_after:
        raise _nothing_to_renew(record)


def _nothing_to_renew(record: CertificateRecord) -> Refused:
    return Refused(
        Code.REQUEST_IDENTITY_REVOKED,
        f"{record.identity or ', '.join(record.dns)} cannot be renewed",
        "every certificate it had is revoked, on hold or expired",
        "To grant access again: handclasp client add NAME.",
    )
