"""Authorities whose root key is elsewhere: requested here, signed on the offline machine, installed here.

1. ``request`` (online): a key in custody, a record REQUESTED, and a PKCS#10 request.
2. ``sign`` (offline, on a state that has a root only): the chain of that request.
3. ``install`` (online): the chain is checked and recorded. The first authority is ACTIVE at once; a later one is
   PUBLISHED, which is the first step of a rotation.

``renew_root`` (offline) and ``install`` (online) do the same for a new root. ``import_authority`` takes over a root
or an intermediate that exists, key and all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority import pedigree
from handclasp.authority.adoption import adopt, adopt_root, put
from handclasp.authority.certify import (
    Workshop,
    authority_event,
    authority_record,
    issuing_certificate,
    recertified,
    subject_of,
)
from handclasp.authority.hierarchy import check_key, check_trust_domain, establish_root, plan_once
from handclasp.authority.lineage import DEFAULT_PLAN, Plan, SigningAuthority, active, free_name
from handclasp.authority.policy import OPERATOR
from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.authority.records import AuthorityRecord, AuthorityState, CertificateState, Role
from handclasp.authority.succession import Change, NewRoot, new_root
from handclasp.pki import der
from handclasp.pki.keys import PrivateKey, PublicKey, signature_algorithm, spki_sha256, supported
from handclasp.pki.profile import ISSUING
from handclasp.pki.request import parse
from handclasp.pki.signer import null_signer
from handclasp.pki.spiffe import TrustDomain


@dataclass(frozen=True, slots=True)
class Requested:
    """An authority that waits for its certificate: its name, and its request in PEM for the root's keeper."""

    name: str
    csr: bytes


async def request(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    role: Role,
    *,
    plan: Plan = DEFAULT_PLAN,
    now: datetime,
    principal: str = OPERATOR,
) -> Requested:
    """Step 1. Asked again while it waits, it gives a request for the same key. Refused(CONFIG_CONFLICT)."""
    if role is Role.ROOT:
        raise ValueError("a root signs itself: establish_root, renew_root")
    await check_trust_domain(ledger, trust_domain)
    await plan_once(ledger, custody, trust_domain, now)
    records = await ledger.authorities()
    waiting = next((r for r in records if r.state is AuthorityState.REQUESTED and r.role is role), None)
    name = free_name(records, role) if waiting is None else waiting.name
    public = await custody.create(name, plan.issuing_key)
    if waiting is None:
        record = authority_record(name, role, AuthorityState.REQUESTED, public, (), now=now)
        await ledger.put_authorities([(None, record)], [authority_event("authority.requested", record, now, principal)])
    return Requested(name, await _csr(custody, name, subject_of(role, trust_domain, public), public))


async def sign(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    csr: bytes,
    *,
    plan: Plan = DEFAULT_PLAN,
    now: datetime,
    serial: Callable[[], int],
) -> tuple[x509.Certificate, ...]:
    """Step 2: the issuing authority's certificate, and the root's. The same request again gives the same certificate.

    Of the request only the key and the role are taken; lifetime, constraints and path length are the plan's.
    Refused: AUTHORITY_UNUSABLE for a request that is not one of step 1 for this trust domain, what ``parse``
    refuses, STATE_KEY_MISSING.
    """
    asked = parse(csr)
    subject = x509.load_der_x509_csr(asked.der).subject
    role = next((r for r in Role if subject == subject_of(r, trust_domain, asked.public_key)), Role.ROOT)
    if role is Role.ROOT:
        raise pedigree.unusable(
            f"the request is not one for an issuing authority of {trust_domain}",
            "Make it with handclasp ca csr, with the same trust domain.",
        )
    root = await establish_root(ledger, custody, trust_domain, plan=plan, now=now, serial=serial)
    await _check_root_key(ledger, custody, root)
    shop = Workshop(ledger, custody, trust_domain, plan, now, serial)
    certificate = await issuing_certificate(shop, role, asked.public_key, root)
    return (certificate, root.certificate)


async def install(
    ledger: Ledger,
    trust_domain: TrustDomain,
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    principal: str = OPERATOR,
) -> AuthorityRecord:
    """Step 3, and the online half of ``renew_root``: which of both, the certificates say. Again: nothing changes.

    Refused: AUTHORITY_UNUSABLE if they are for no key that was requested here or lead to another root than the one
    there is, or with everything that is wrong with them; ROTATION_UNDER_WAY.
    """
    await check_trust_domain(ledger, trust_domain)
    records = await ledger.authorities()
    keys = [pedigree.spki_of(one) for one in certificates]
    for record in records:
        if record.state is AuthorityState.REQUESTED and record.spki_sha256 in keys:
            found = pedigree.path(record.spki_sha256, certificates, record.role, now)
            return await adopt(ledger, records, found, record.name, record.role, now=now, principal=principal)
    known = {record.spki_sha256 for record in records}
    for spki, certificate in zip(keys, certificates, strict=True):
        if spki is not None and spki not in known and pedigree.is_self_signed(certificate):
            return await adopt_root(ledger, records, certificate, certificates, now=now, principal=principal)
    for certificate in certificates:
        der_form = certificate.public_bytes(Encoding.DER)
        if (done := next((one for one in records if der_form in one.certificates), None)) is not None:
            return done
    raise pedigree.unusable(
        "none of the certificates is for a key that was requested here",
        "Give what handclasp ca sign made of this machine's request.",
    )


async def renew_root(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    *,
    plan: Plan = DEFAULT_PLAN,
    now: datetime,
    serial: Callable[[], int],
    principal: str = OPERATOR,
) -> tuple[x509.Certificate, ...]:
    """On the offline machine, a new root: its certificate, its cross-certificate by the old one, and under it every
    issuing authority that the old one signed here. The online machine ``install``s them.

    From then on ``sign`` signs with the new root. Called again it makes another one. Refused(STATE_KEY_MISSING).
    """
    old = await establish_root(ledger, custody, trust_domain, plan=plan, now=now, serial=serial)
    shop = Workshop(ledger, custody, trust_domain, plan, now, serial)
    records = await ledger.authorities()
    made = await new_root(shop, records, old)
    below = []
    for record in await ledger.certificates(profile=ISSUING.name, state=CertificateState.ISSUED):
        if record.issuer_key_id == old.key_id and record.not_after > now:
            certificate = x509.load_der_x509_certificate(record.der)
            below.append(await recertified(shop, certificate, supported(certificate.public_key()), made.as_issuer))
    await _put_offline(shop, records, old, made, principal)
    return (made.certificate, made.cross, *below)


async def import_authority(
    ledger: Ledger,
    custody: KeyCustody,
    trust_domain: TrustDomain,
    certificates: Sequence[x509.Certificate],
    key: PrivateKey | None,
    *,
    role: Role | None = None,
    now: datetime,
    principal: str = OPERATOR,
) -> AuthorityRecord:
    """Take over an authority that exists: the certificate for ``key`` and those above it, in any order.

    ``role`` None is told from the certificate: a root if it signed itself, else for clients and servers both. A root
    may come without its key: it is trusted, and signs nothing here. The first authority for its purpose is ACTIVE,
    a later one PUBLISHED, the first step of a rotation. Again: nothing changes, but that a key which was not here is
    taken now. Refused: AUTHORITY_UNUSABLE,
    ROTATION_UNDER_WAY, CONFIG_CONFLICT, and HSM_UNAVAILABLE from a custody that takes no keys.
    """
    if not certificates:
        raise pedigree.unusable("there is no certificate", "Give the authority's certificate too.")
    await check_trust_domain(ledger, trust_domain)
    records = await ledger.authorities()
    spki = pedigree.spki_of(certificates[0]) if key is None else spki_sha256(supported(key.public_key()))
    if spki is None:
        raise pedigree.unusable("its key is of a kind that is not used here", "Give another authority.")
    own = next((one for one in certificates if pedigree.spki_of(one) == spki), certificates[0])
    role = role or (Role.ROOT if pedigree.is_self_signed(own) else Role.ISSUING)
    found = pedigree.path(spki, certificates, role, now)
    if (role is Role.ROOT) != (len(found) == 1):
        raise pedigree.unusable(
            "only a certificate that signed itself is a root's, and such a one is nothing else",
            "Give another role, or leave it away.",
        )
    if key is None and role is not Role.ROOT:
        raise pedigree.unusable("its key is missing", "Give the private key too; only a root can do without.")
    for record in records:
        if record.spki_sha256 == spki:
            if key is not None:
                await custody.take(record.name, key)
            return record
    await plan_once(ledger, custody, trust_domain, now)
    name = free_name(records, role)
    take_key = None if key is None else partial(custody.take, name, key)
    return await adopt(ledger, records, found, name, role, now=now, principal=principal, take_key=take_key)


async def _csr(custody: KeyCustody, name: str, subject: x509.Name, public: PublicKey) -> bytes:
    """A request signed by a key in custody: built with the null signer, then the signature put in its place."""
    algorithm = signature_algorithm(public)
    builder = x509.CertificateSigningRequestBuilder(subject_name=subject).add_extension(
        x509.BasicConstraints(ca=True, path_length=ISSUING.path_length), critical=True
    )
    unsigned = builder.sign(null_signer(public), algorithm.hash)
    tbs = unsigned.tbs_certrequest_bytes
    signed = der.signed(tbs, algorithm.identifier, await custody.sign(name, tbs))
    return x509.load_der_x509_csr(signed).public_bytes(Encoding.PEM)


async def _check_root_key(ledger: Ledger, custody: KeyCustody, root: SigningAuthority) -> None:
    record = active(await ledger.authorities(), Role.ROOT)
    assert record is not None
    assert record.name == root.name
    await check_key(custody, record, needed=True)


async def _put_offline(
    shop: Workshop, records: Sequence[AuthorityRecord], old: SigningAuthority, made: NewRoot, principal: str
) -> None:
    """Offline nobody confirms anything: the new root signs from now on, and the old one is done."""
    before = next(one for one in records if one.name == old.name)
    changes: list[Change] = [
        (None, made.record(AuthorityState.ACTIVE, shop.now)),
        (before.state, replace(before, state=AuthorityState.RETIRED, changed_at=shop.now)),
    ]
    await put(shop.ledger, changes, "authority.renewed", shop.now, principal)
