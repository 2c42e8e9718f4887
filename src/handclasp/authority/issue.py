"""Issuing a certificate for somebody: policy first, then the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from handclasp.authority import pipeline, policy
from handclasp.authority.hierarchy import ISSUING_KEY, Hierarchy
from handclasp.authority.pipeline import Intent
from handclasp.authority.ports import CertificateRecord, KeyCustody, Ledger
from handclasp.pki.issue import Names, prepare, subject_for
from handclasp.pki.profile import Profile
from handclasp.pki.request import Request


@dataclass(frozen=True, slots=True)
class Authority:
    """What issuing takes: the memory, the keys, and the authorities' own certificates."""

    ledger: Ledger
    custody: KeyCustody
    hierarchy: Hierarchy


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that is in the ledger. ``chain`` is what its holder sends: itself and its issuer, no root."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    record: CertificateRecord


async def issue(
    authority: Authority,
    request: Request,
    names: Names,
    profile: Profile,
    principal: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta | None = None,
) -> Issued:
    """A certificate of these names for the key of ``request``; ``lifetime`` is the profile's if None.

    Refused: REQUEST_NAME_NOT_ALLOWED and what ``pki.issue.prepare`` refuses, before anything is recorded;
    REQUEST_IDENTITY_REVOKED if the identity was revoked meanwhile; STATE_KEY_MISSING. Raises SerialInUse.
    """
    intent = await intend(authority, request, names, profile, principal, now=now, serial=serial, lifetime=lifetime)
    return await complete(authority, intent, now=now)


async def intend(
    authority: Authority,
    request: Request,
    names: Names,
    profile: Profile,
    principal: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta | None,
) -> Intent:
    """The first half of ``issue``: checked, prepared, linted and remembered, not signed."""
    policy.check(names, profile, principal, authority.hierarchy.trust_domain)
    subject = x509.Name([]) if names.spiffe_id is None else subject_for(names.spiffe_id)
    prepared = prepare(
        profile,
        subject=subject,
        names=names,
        public_key=request.public_key,
        issuer=authority.hierarchy.issuing,
        serial=serial,
        now=now,
        lifetime=lifetime,
    )
    return await pipeline.intend(
        authority.ledger,
        prepared,
        issuer_key_id=authority.hierarchy.issuing_key_id,
        key_name=ISSUING_KEY,
        identity=None if names.spiffe_id is None else str(names.spiffe_id),
        names=names,
        subject=subject,
        public_key=request.public_key,
        principal=principal,
        now=now,
    )


async def complete(authority: Authority, intent: Intent, *, now: datetime) -> Issued:
    """The second half of ``issue``: signed, verified and recorded."""
    certificate, record = await pipeline.complete(authority.ledger, authority.custody, intent, now=now)
    return Issued(certificate, (certificate, authority.hierarchy.issuing), record)
