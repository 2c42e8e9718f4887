"""The authorities of a trust domain as values: made of the ledger's records, no key and no waiting in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.authority.records import AuthorityRecord, AuthorityState, Role
from handclasp.findings import Code, Refused
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType
from handclasp.pki.profile import ISSUING, ROOT, Profile
from handclasp.pki.spiffe import TrustDomain

TRUSTED = frozenset({AuthorityState.PUBLISHED, AuthorityState.ACTIVE, AuthorityState.RETIRING})
"""The states in which an authority is trusted."""
FOR_CLIENTS = frozenset({Role.ISSUING, Role.CLIENTS})
FOR_SERVERS = frozenset({Role.ISSUING, Role.SERVERS})


@dataclass(frozen=True, slots=True)
class Plan:
    """How authorities are made when one is missing; what is there already stays as it is.

    ``separate``: one authority for clients and one for servers, otherwise one for both. ``constraints``: the names
    below which the issuing authorities may issue. ``publication``: the base URL of ``publication``, None if nothing
    is published. ``crl_shards``: over how many lists the revoked certificates of one authority are spread.
    ``root_lifetime`` and ``issuing_lifetime``: the profiles' if None. ``root_path_length`` and
    ``issuing_path_length``: how many authorities may follow below (RFC 5280 §4.2.1.9), None for no limit.
    """

    separate: bool = False
    root_key: KeyType = KeyType.EC_P384
    issuing_key: KeyType = KeyType.EC_P256
    constraints: NameConstraints | None = None
    publication: str | None = None
    crl_shards: int = 1
    root_lifetime: timedelta | None = None
    issuing_lifetime: timedelta | None = None
    root_path_length: int | None = ROOT.path_length
    issuing_path_length: int | None = ISSUING.path_length

    @property
    def roles(self) -> tuple[Role, ...]:
        """The issuing authorities that there should be."""
        return (Role.CLIENTS, Role.SERVERS) if self.separate else (Role.ISSUING,)


DEFAULT_PLAN = Plan()
"""One issuing authority for both, nothing published."""


@dataclass(frozen=True, slots=True)
class SigningAuthority:
    """One authority: the name of its key in custody, and the certificate that is sent in chains.

    ``above`` is what follows that in a chain, up to but without the root; ``key_id`` is its subject key identifier
    in hex, which the ledger has as the issuer of what it signs.
    """

    name: str
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    role: Role
    state: AuthorityState
    key_id: str

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a holder sends after its own certificate."""
        return (self.certificate, *self.above)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The authorities that are trusted now.

    ``anchors`` are the roots, the active one first. ``issuers`` are the others (PUBLISHED, ACTIVE, RETIRING), oldest
    first: for each there are CRLs and OCSP answers. ``clients`` and ``servers`` sign; they are one where one
    authority is for both.
    """

    trust_domain: TrustDomain
    anchors: tuple[SigningAuthority, ...]
    issuers: tuple[SigningAuthority, ...]
    clients: SigningAuthority
    servers: SigningAuthority

    @property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """The trust bundle: what everybody verifies with, the active root first."""
        return tuple(anchor.certificate for anchor in self.anchors)

    @property
    def root(self) -> x509.Certificate:
        """The active root."""
        return self.anchors[0].certificate

    @property
    def accepted(self) -> tuple[SigningAuthority, ...]:
        """Those whose client certificates a gateway accepts."""
        return tuple(one for one in self.issuers if one.role in FOR_CLIENTS)

    def signer(self, profile: Profile) -> SigningAuthority:
        """Who signs certificates of the profile: the one for servers if they are good for nothing else."""
        if profile.extended_key_usages == (ExtendedKeyUsageOID.SERVER_AUTH,):
            return self.servers
        return self.clients

    def issuer(self, key_id: str) -> SigningAuthority | None:
        """The trusted issuing authority with this key identifier."""
        return next((one for one in self.issuers if one.key_id == key_id), None)

    def names(self) -> frozenset[str]:
        """What somebody who has taken over all that is trusted now confirms: the roots and the accepted."""
        return frozenset(one.name for one in (*self.anchors, *self.accepted))


def hierarchy_of(trust_domain: TrustDomain, records: Iterable[AuthorityRecord]) -> Hierarchy | None:
    """The hierarchy of these records; None unless there is an active root, and who signs for clients and servers.

    Refused(STATE_DAMAGED) if a certificate in them cannot be read.
    """
    known = [signing_authority(record) for record in records if record.state in TRUSTED]
    roots = [one for one in known if one.role is Role.ROOT]
    # The sort is stable: the active one first, the others by age.
    roots.sort(key=lambda one: one.state is not AuthorityState.ACTIVE)
    issuers = tuple(one for one in known if one.role is not Role.ROOT)
    clients, servers = _active(issuers, FOR_CLIENTS), _active(issuers, FOR_SERVERS)
    if not roots or clients is None or servers is None:
        return None
    return Hierarchy(trust_domain, tuple(roots), issuers, clients, servers)


def signing_authority(record: AuthorityRecord) -> SigningAuthority:
    """The authority of a record that has a certificate. Refused(STATE_DAMAGED)."""
    certificates = [certificate_of(record, der) for der in (record.certificates[:1] or (b"",))]
    return SigningAuthority(
        name=record.name,
        certificate=certificates[0],
        above=tuple(certificate_of(record, der) for der in record.above),
        role=record.role,
        state=record.state,
        key_id=record.key_id,
    )


def certificate_of(record: AuthorityRecord, der: bytes) -> x509.Certificate:
    """One of the record's certificates, read. Refused(STATE_DAMAGED)."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise Refused(
            Code.STATE_DAMAGED,
            "The certificate authority cannot be loaded",
            f"a certificate of the authority {record.name} in the ledger is not readable",
            "Restore the ledger from a backup.",
        ) from None


def active(records: Iterable[AuthorityRecord], role: Role) -> AuthorityRecord | None:
    """The youngest ACTIVE authority of exactly this role."""
    found = [one for one in records if one.role is role and one.state is AuthorityState.ACTIVE]
    return found[-1] if found else None


def free_name(records: Sequence[AuthorityRecord], role: Role) -> str:
    """The next name for an authority of the role, and for its key: ``issuing``, then ``issuing-2``, and so on."""
    taken = {record.name for record in records}
    name, number = role.value, 1
    while name in taken:
        number += 1
        name = f"{role.value}-{number}"
    return name


def uri(trust_domain: TrustDomain) -> str:
    """The trust domain as the SPIFFE-ID specification §2 writes it: a URI with an empty path."""
    return f"spiffe://{trust_domain}"


def _active(issuers: Sequence[SigningAuthority], roles: frozenset[Role]) -> SigningAuthority | None:
    found = [one for one in issuers if one.state is AuthorityState.ACTIVE and one.role in roles]
    return found[-1] if found else None
