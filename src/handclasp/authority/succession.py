"""How one authority follows another, as changes of records. Pure, but for ``new_root``, which makes certificates.

What is published, active, retiring and retired at a time is all that there is to know of a rotation, so one that was
interrupted goes on from the ledger alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.certify import Workshop, authority_record, cross_certificate, self_signed_root, subject_key_id
from handclasp.authority.lineage import FOR_CLIENTS, FOR_SERVERS, SigningAuthority, free_name
from handclasp.authority.records import AuthorityRecord, AuthorityState, Role
from handclasp.pki.keys import supported

Change = tuple[AuthorityState | None, AuthorityRecord]
"""As ``Ledger.put_authorities`` takes it: the state that is expected, and the record to be."""


@dataclass(frozen=True, slots=True)
class NewRoot:
    """A root that follows another: self-signed, and ``cross`` the same key certified by the old root."""

    name: str
    certificate: x509.Certificate
    cross: x509.Certificate

    @property
    def as_issuer(self) -> SigningAuthority:
        """The root as the one who signs."""
        return SigningAuthority(
            self.name, self.certificate, (), Role.ROOT, AuthorityState.PUBLISHED, subject_key_id(self.certificate)
        )

    def record(self, state: AuthorityState, now: datetime) -> AuthorityRecord:
        """As the ledger keeps it: the self-signed certificate first, then the cross-certificate."""
        public = supported(self.certificate.public_key())
        return authority_record(self.name, Role.ROOT, state, public, (self.certificate, self.cross), now=now)


async def new_root(shop: Workshop, records: Sequence[AuthorityRecord], old: SigningAuthority) -> NewRoot:
    """The root that is to follow ``old``, whose key is needed for the cross-certificate; not recorded yet."""
    name = free_name(records, Role.ROOT)
    certificate = await self_signed_root(shop, name)
    cross = await cross_certificate(shop, certificate, supported(certificate.public_key()), old)
    return NewRoot(name, certificate, cross)


def with_new_root(
    records: Iterable[AuthorityRecord], root: AuthorityRecord, below: Mapping[str, x509.Certificate]
) -> list[Change]:
    """The new root, and beside each issuing authority's certificates the one by that root (by SPKI hash)."""
    changes: list[Change] = [(None, root)]
    for record in records:
        if record.state is AuthorityState.ACTIVE and record.spki_sha256 in below:
            der = below[record.spki_sha256].public_bytes(Encoding.DER)
            if der not in record.certificates:
                changes.append((record.state, replace(record, certificates=(*record.certificates, der))))
    return changes


def activated(records: Sequence[AuthorityRecord], now: datetime) -> list[Change]:
    """What is PUBLISHED signs from now on; those whose every purpose is served by it retire."""
    fresh = [one for one in records if one.state is AuthorityState.PUBLISHED]
    changes = [_moved(one, AuthorityState.ACTIVE, now) for one in fresh]
    root = next((one for one in fresh if one.role is Role.ROOT), None)
    for record in records:
        if record.state is not AuthorityState.ACTIVE:
            continue
        if record.role is Role.ROOT:
            if root is not None:
                changes.append(_moved(record, AuthorityState.RETIRING, now))
            continue
        if _purposes(record) <= _served(records, fresh, other_than=record):
            changes.append(_moved(record, AuthorityState.RETIRING, now))
        elif root is not None:
            changes.append((record.state, _under(record, root)))
    return changes


def retired(records: Sequence[AuthorityRecord], now: datetime) -> list[Change]:
    """What is RETIRING is trusted no more; the cross-certificates of the root that followed leave the chains."""
    leaving = [one for one in records if one.state is AuthorityState.RETIRING]
    changes = [_moved(one, AuthorityState.RETIRED, now) for one in leaving]
    if any(one.role is Role.ROOT for one in leaving):
        crosses = {der for one in records if one.role is Role.ROOT for der in one.certificates[1:]}
        for record in records:
            if record.state is AuthorityState.ACTIVE and crosses & set(record.above):
                above = tuple(der for der in record.above if der not in crosses)
                changes.append((record.state, replace(record, above=above)))
    return changes


def abandoned(records: Sequence[AuthorityRecord], now: datetime) -> list[Change]:
    """What is PUBLISHED is withdrawn, as if it had never been."""
    leaving = [one for one in records if one.state is AuthorityState.PUBLISHED]
    changes = [_moved(one, AuthorityState.RETIRED, now) for one in leaving]
    roots = {one.key_id for one in leaving if one.role is Role.ROOT}
    for record in records:
        kept = tuple(der for der in record.certificates if issuer_key_id(der) not in roots)
        if record.state is AuthorityState.ACTIVE and record.role is not Role.ROOT and kept != record.certificates:
            changes.append((record.state, replace(record, certificates=kept)))
    return changes


def issuer_key_id(der: bytes) -> str | None:
    """The authority key identifier of a certificate, in hex."""
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    identifier = found.value.key_identifier
    return None if identifier is None else identifier.hex()


def _under(record: AuthorityRecord, root: AuthorityRecord) -> AuthorityRecord:
    """The authority with its certificate by the new root first, and the cross-certificate above it in chains."""
    by_root = tuple(der for der in record.certificates if issuer_key_id(der) == root.key_id)
    others = tuple(der for der in record.certificates if der not in by_root)
    if not by_root:
        return record
    return replace(record, certificates=by_root + others, above=root.certificates[1:2], parent=root.name)


def _moved(record: AuthorityRecord, state: AuthorityState, now: datetime) -> Change:
    return record.state, replace(record, state=state, changed_at=now)


def _purposes(record: AuthorityRecord) -> frozenset[str]:
    return frozenset(
        name for name, roles in (("clients", FOR_CLIENTS), ("servers", FOR_SERVERS)) if record.role in roles
    )


def _served(
    records: Sequence[AuthorityRecord], fresh: Sequence[AuthorityRecord], *, other_than: AuthorityRecord
) -> frozenset[str]:
    """What the fresh serve, and the active ones that are younger than this one."""
    younger = [
        one
        for one in records
        if one.state is AuthorityState.ACTIVE and one.changed_at > other_than.changed_at and one.role is not Role.ROOT
    ]
    if not any(one.role is not Role.ROOT for one in fresh):
        return frozenset()
    return frozenset(purpose for one in (*fresh, *younger) for purpose in _purposes(one))
