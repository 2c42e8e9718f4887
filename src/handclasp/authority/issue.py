"""Issuing a certificate for somebody: policy first, then the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from handclasp.authority import pipeline, policy, publication
from handclasp.authority.lineage import DEFAULT_PLAN, Hierarchy, Plan, SigningAuthority
from handclasp.authority.pipeline import Intent
from handclasp.authority.ports import KeyBarred, KeyCustody, Ledger, NotIntended, RequestRepeated
from handclasp.authority.records import AuthorityState, CertificateRecord, CertificateState
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names, prepare, subject_for
from handclasp.pki.keys import PublicKey, spki_sha256
from handclasp.pki.profile import Profile
from handclasp.pki.request import Request
from handclasp.pki.wishes import granted


@dataclass(frozen=True, slots=True)
class Authority:
    """What issuing takes: the memory, the keys, the authorities' own certificates, and what is published of them.

    After a rotation's step another one is made, with the hierarchy loaded again.
    """

    ledger: Ledger
    custody: KeyCustody
    hierarchy: Hierarchy
    plan: Plan = DEFAULT_PLAN


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that is in the ledger. ``chain`` is what its holder sends: itself and its issuers, no root."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    record: CertificateRecord


async def issue(
    authority: Authority,
    request: Request,
    names: Names | None,
    profile: Profile,
    principal: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta | None = None,
    request_id: str | None = None,
    approved: bool = False,
    by: SigningAuthority | None = None,
) -> Issued:
    """A certificate of these names for the key of ``request``.

    ``names`` None takes those that the request wishes; ``lifetime`` is the profile's if None. With a ``request_id``
    the same call gives the same certificate again, also after a crash in between. ``approved`` says that somebody
    has approved it, where the profile wants that (``approval``). ``by`` signs instead of the hierarchy's choice, as
    for the OCSP signer of one authority.

    Refused: REQUEST_NAME_NOT_ALLOWED, REQUEST_KEY_BARRED, REQUEST_APPROVAL_REQUIRED and what
    ``pki.issue.prepare`` refuses, before anything is recorded; REQUEST_REPEATED if the request id belongs to another
    request; REQUEST_IDENTITY_REVOKED if the identity was revoked meanwhile; STATE_KEY_MISSING. Raises SerialInUse.
    """
    if names is None:
        names = granted(profile, request.wishes)
    if request_id is not None:
        earlier = await authority.ledger.certificate_for(request_id)
        if earlier is not None:
            return await again(authority, earlier, request.public_key, names, profile, principal, now=now)
    if profile.approval and not approved:
        raise Refused(
            Code.REQUEST_APPROVAL_REQUIRED,
            "The certificate was not issued",
            f"the profile {profile} wants somebody's approval for each request",
            "Submit it, and have it approved: handclasp cert approve ID.",
        )
    try:
        intent = await intend(
            authority,
            request.public_key,
            names,
            profile,
            principal,
            now=now,
            serial=serial,
            lifetime=lifetime,
            request_id=request_id,
            by=by,
        )
    except RequestRepeated:
        assert request_id is not None
        earlier = await authority.ledger.certificate_for(request_id)
        assert earlier is not None
        return await again(authority, earlier, request.public_key, names, profile, principal, now=now)
    return await complete(authority, intent, now=now)


async def intend(
    authority: Authority,
    public_key: PublicKey,
    names: Names,
    profile: Profile,
    principal: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta | None,
    request_id: str | None = None,
    by: SigningAuthority | None = None,
) -> Intent:
    """The first half of ``issue``: checked, prepared, linted and remembered, not signed. Raises RequestRepeated."""
    policy.check(names, profile, principal, authority.hierarchy.trust_domain)
    signer = by or authority.hierarchy.signer(profile)
    plan = authority.plan
    shard = serial % plan.crl_shards
    subject = _EMPTY if names.spiffe_id is None else subject_for(names.spiffe_id)
    prepared = prepare(
        profile,
        subject=subject,
        names=names,
        public_key=public_key,
        issuer=signer.certificate,
        serial=serial,
        now=now,
        lifetime=lifetime,
        publication=publication.for_leaf(plan.publication, signer.key_id, shard, plan.crl_shards),
    )
    try:
        return await pipeline.intend(
            authority.ledger,
            prepared,
            issuer_key_id=signer.key_id,
            key_name=signer.name,
            identity=None if names.spiffe_id is None else str(names.spiffe_id),
            names=names,
            subject=subject,
            public_key=public_key,
            principal=principal,
            now=now,
            shard=shard,
            request_id=request_id,
        )
    except KeyBarred as barred:
        raise policy.key_barred(barred.why) from None


async def complete(authority: Authority, intent: Intent, *, now: datetime) -> Issued:
    """The second half of ``issue``: signed, verified and recorded."""
    try:
        certificate, record = await pipeline.complete(authority.ledger, authority.custody, intent, now=now)
    except NotIntended:
        # With a request id another process may have been quicker with the same request: then that is the answer.
        found = await authority.ledger.certificate(intent.record.issuer_key_id, intent.record.serial)
        if intent.record.request_id is None or found is None or not found.der:
            raise pipeline.revoked_meanwhile(intent.record) from None
        return reissued(authority, found)
    return _issued(authority, certificate, record)


def reissued(authority: Authority, record: CertificateRecord) -> Issued:
    """A certificate that is in the ledger, given out again. Refused(CERTIFICATE_REVOKED) if it is not good."""
    if record.state in (CertificateState.REVOKED, CertificateState.HELD):
        raise Refused(
            Code.CERTIFICATE_REVOKED,
            f"The certificate {record.serial:x} is not given out again",
            f"it is {record.state}",
            "Ask for a new one, under another request id.",
        )
    return _issued(authority, x509.load_der_x509_certificate(record.der), record)


async def again(
    authority: Authority,
    earlier: CertificateRecord,
    public_key: PublicKey,
    names: Names,
    profile: Profile,
    principal: str,
    *,
    now: datetime,
) -> Issued:
    """The answer to a request id that is known: the same certificate, or the one that a crash left half made.

    Refused(REQUEST_REPEATED) if the request was another one.
    """
    asked = (
        spki_sha256(public_key),
        profile.name,
        None if names.spiffe_id is None else str(names.spiffe_id),
        names.dns,
        tuple(str(address) for address in names.ips),
    )
    if asked != (earlier.spki_sha256, earlier.profile, earlier.identity, earlier.dns, earlier.ips):
        raise Refused(
            Code.REQUEST_REPEATED,
            f"The request id {earlier.request_id} was used before",
            "with it another certificate was asked for: another key, other names or another profile",
            "Use a new request id for every request.",
        )
    if earlier.state is not CertificateState.INTENDED:
        return reissued(authority, earlier)
    signer = authority.hierarchy.issuer(earlier.issuer_key_id)
    if signer is None or signer.state is not AuthorityState.ACTIVE or earlier.not_after <= now:
        raise Refused(
            Code.REQUEST_REPEATED,
            f"The request {earlier.request_id} cannot be completed",
            "it was left unfinished, and has expired, or the authority that was to sign it signs no more",
            "Ask again under another request id.",
        )
    prepared = pipeline.resumed(earlier, profile, signer.certificate)
    return await complete(authority, Intent(prepared, earlier, signer.name, principal), now=now)


def _issued(authority: Authority, certificate: x509.Certificate, record: CertificateRecord) -> Issued:
    signer = authority.hierarchy.issuer(record.issuer_key_id)
    return Issued(certificate, (certificate, *(signer.chain if signer is not None else ())), record)


_EMPTY = x509.Name([])
