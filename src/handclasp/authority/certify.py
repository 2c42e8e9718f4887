"""The certificates of authorities: one builder for the first ones, for ceremonies and for rotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority import publication
from handclasp.authority.lineage import Plan, SigningAuthority, uri
from handclasp.authority.pipeline import complete, intend, revoked_meanwhile
from handclasp.authority.ports import KeyCustody, Ledger, NotIntended
from handclasp.authority.records import AuthorityRecord, AuthorityState, CertificateState, Event, Role
from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki.constraints import NameConstraints, read_back
from handclasp.pki.issue import Names, authority_subject, prepare
from handclasp.pki.keys import PublicKey, key_id, spki_sha256
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import INTERMEDIATE, ISSUING, ROOT, Profile
from handclasp.pki.spiffe import TrustDomain

PRINCIPAL = "handclasp"
"""Who makes authorities, in the audit log."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What making authorities takes. ``serial`` gives a fresh serial number at each call."""

    ledger: Ledger
    custody: KeyCustody
    trust_domain: TrustDomain
    plan: Plan
    now: datetime
    serial: Callable[[], int]


def subject_of(role: Role, trust_domain: TrustDomain, public: PublicKey) -> x509.Name:
    """The name of an authority: its trust domain, its role, and the start of its key's identifier."""
    profile = ROOT if role is Role.ROOT else replace(ISSUING, name=role.value)
    return authority_subject(profile, trust_domain, public)


async def self_signed_root(shop: Workshop, name: str) -> x509.Certificate:
    """The certificate of the root whose key in custody is ``name``, by that key."""
    public = await shop.custody.create(name, shop.plan.root_key)
    return await _certify(
        shop,
        ROOT,
        public=public,
        subject=subject_of(Role.ROOT, shop.trust_domain, public),
        issuer=None,
        key_name=name,
        lifetime=shop.plan.root_lifetime,
        path_length=shop.plan.root_path_length,
    )


async def issuing_certificate(
    shop: Workshop, role: Role, public: PublicKey, root: SigningAuthority
) -> x509.Certificate:
    """The certificate of an issuing authority's key by that root, with the plan's name constraints."""
    return await _certify(
        shop,
        ISSUING,
        public=public,
        subject=subject_of(role, shop.trust_domain, public),
        issuer=root,
        key_name=root.name,
        lifetime=shop.plan.issuing_lifetime,
        path_length=shop.plan.issuing_path_length,
        constraints=shop.plan.constraints,
    )


async def cross_certificate(
    shop: Workshop, new: x509.Certificate, public: PublicKey, old: SigningAuthority
) -> x509.Certificate:
    """The new root's key under its own name, certified by the old root: who knows only the old one still verifies."""
    return await _certify(
        shop,
        INTERMEDIATE,
        public=public,
        subject=new.subject,
        issuer=old,
        key_name=old.name,
        lifetime=INTERMEDIATE.max_lifetime,
        path_length=INTERMEDIATE.path_length,
    )


async def recertified(
    shop: Workshop,
    issuing: x509.Certificate,
    public: PublicKey,
    root: SigningAuthority,
    *,
    above: Sequence[x509.Certificate] = (),
) -> x509.Certificate:
    """The same key under the same name by another root, so that what it signed verifies under both; it may sign what
    it may sign now, and no more.

    Refused(AUTHORITY_UNUSABLE) for a certificate made elsewhere whose key identifier is another than we would give
    (with two of them a verifier would not find the way), or which is limited in a way that we cannot repeat: by name
    constraints of another form, or by an authority between it and its root (``above``).
    """
    name = rfc4514(issuing.subject)
    if subject_key_id(issuing) != key_id(public):
        raise _not_yet(f"the key identifier of {name} was made in another way than ours are")
    names, usages = limits(issuing)
    if any(limits(one) != (None, ()) for one in above):
        raise _not_yet(f"{name} is limited by the authority above it, which the new root would not be")
    try:
        constraints = shop.plan.constraints if names is None else read_back(names)
    except InvalidSetting:
        raise _not_yet(f"the name constraints of {name} were made in another way than ours are") from None
    return await _certify(
        shop,
        replace(ISSUING, extended_key_usages=usages),
        public=public,
        subject=issuing.subject,
        issuer=root,
        key_name=root.name,
        lifetime=shop.plan.issuing_lifetime,
        path_length=_path_length(issuing),
        constraints=constraints,
    )


async def _certify(
    shop: Workshop,
    profile: Profile,
    *,
    public: PublicKey,
    subject: x509.Name,
    issuer: SigningAuthority | None,
    key_name: str,
    lifetime: timedelta | None,
    path_length: int | None,
    constraints: NameConstraints | None = None,
) -> x509.Certificate:
    """A certificate that a run before this one made and did not get to use is taken, and no second one made, unless
    it may sign something else than what is asked for now."""
    wanted = None if constraints is None else constraints.extension()
    length = profile.path_length if path_length is None else path_length
    issuer_key_id = "" if issuer is None else issuer.key_id
    spki = spki_sha256(public)
    for record in await shop.ledger.certificates(profile=profile.name, state=CertificateState.ISSUED):
        if (record.issuer_key_id, record.spki_sha256) == (issuer_key_id, spki) and record.not_after > shop.now:
            made = x509.load_der_x509_certificate(record.der)
            if (*limits(made), _path_length(made)) == (wanted, profile.extended_key_usages, length):
                return made
    base = shop.plan.publication
    prepared = prepare(
        profile,
        subject=subject,
        names=Names(),
        public_key=public,
        issuer=None if issuer is None else issuer.certificate,
        serial=shop.serial(),
        now=shop.now,
        lifetime=lifetime,
        publication=None if issuer is None else publication.for_authority(base, issuer.key_id),
        constraints=constraints,
        path_length=path_length,
    )
    intent = await intend(
        shop.ledger,
        prepared,
        issuer_key_id=issuer_key_id,
        key_name=key_name,
        identity=uri(shop.trust_domain),
        names=Names(),
        subject=subject,
        public_key=public,
        principal=PRINCIPAL,
        now=shop.now,
    )
    try:
        certificate, _ = await complete(shop.ledger, shop.custody, intent, now=shop.now)
    except NotIntended:
        raise revoked_meanwhile(intent.record) from None
    return certificate


def authority_record(
    name: str,
    role: Role,
    state: AuthorityState,
    public: PublicKey,
    certificates: tuple[x509.Certificate, ...],
    *,
    above: tuple[x509.Certificate, ...] = (),
    parent: str | None = None,
    now: datetime,
) -> AuthorityRecord:
    """The record of an authority, its key identifier taken from its certificate."""
    return AuthorityRecord(
        name=name,
        role=role,
        state=state,
        key_id=subject_key_id(certificates[0]) if certificates else key_id(public),
        spki_sha256=spki_sha256(public),
        created_at=now,
        changed_at=now,
        certificates=tuple(one.public_bytes(Encoding.DER) for one in certificates),
        above=tuple(one.public_bytes(Encoding.DER) for one in above),
        parent=parent,
    )


def authority_event(kind: str, record: AuthorityRecord, now: datetime, principal: str, **facts: str) -> Event:
    """The audit event about an authority; its subject is the authority's name."""
    data = {"by": principal, "role": record.role.value, "state": record.state.value, "key_id": record.key_id}
    return Event(now, kind, record.name, data | facts)


def limits(
    certificate: x509.Certificate,
) -> tuple[x509.NameConstraints | None, tuple[x509.ObjectIdentifier, ...]]:
    """What an authority's certificate is limited to, besides its path length: names, and extended key usages."""
    found = {extension.oid: extension.value for extension in certificate.extensions}
    names, usages = found.get(x509.NameConstraints.oid), found.get(x509.ExtendedKeyUsage.oid)
    return (
        names if isinstance(names, x509.NameConstraints) else None,
        tuple(usages) if isinstance(usages, x509.ExtendedKeyUsage) else (),
    )


def _not_yet(why: str) -> Refused:
    return Refused(
        Code.AUTHORITY_UNUSABLE,
        "The root cannot be rotated yet",
        why,
        "Rotate that authority first: handclasp ca rotate start issuing.",
    )


def _path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def subject_key_id(certificate: x509.Certificate) -> str:
    """The subject key identifier that the certificate carries, in hex. Raises ExtensionNotFound."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
