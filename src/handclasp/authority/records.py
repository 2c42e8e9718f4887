"""What the ledger remembers, as values. Times are aware datetimes in UTC with microseconds; serials are positive
integers of at most 20 octets (RFC 5280 §4.1.2.2); key ids and fingerprints are lower-case hex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

EXTERNAL = "external"
"""The profile of a certificate in the inventory that somebody else issued."""


class CertificateState(StrEnum):
    """Where a certificate is in its life. Only HELD goes back, to ISSUED."""

    INTENDED = "intended"
    ISSUED = "issued"
    HELD = "held"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate, from the moment it is meant.

    ``issuer_key_id`` is the issuer's subject key identifier (empty for a root, which signs itself), and with
    ``serial`` it names the certificate. ``identity`` is the SPIFFE ID, or for an authority the trust domain as
    ``spiffe://<trust domain>``. While INTENDED there is ``tbs`` (what will be signed) and neither ``der`` nor
    ``fingerprint``; from ISSUED on ``der`` holds it all and ``tbs`` is empty. A certificate revoked before it
    was ever signed keeps ``tbs``. ``issued_at`` is when it was meant, then when it was issued. ``shard`` is the
    revocation list that would name it. ``request_id`` is what the one who asked calls the request, to ask twice and
    get one certificate.
    """

    serial: int
    issuer_key_id: str
    profile: str
    identity: str | None
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    subject: str
    not_before: datetime
    not_after: datetime
    spki_sha256: str
    state: CertificateState
    issued_at: datetime
    tbs: bytes = b""
    der: bytes = b""
    fingerprint: str = ""
    revoked_at: datetime | None = None
    reason: str | None = None
    shard: int = 0
    request_id: str | None = None
    is_authority: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is None is not asked. All of the rest must hold.

    ``name_prefix`` and ``name_contains`` (3 characters or more) look, without regard to case, at the SPIFFE ID, its
    path, the DNS names, the addresses and the subject. ``after`` is the cursor of the page before.
    """

    identity: str | None = None
    name_prefix: str | None = None
    name_contains: str | None = None
    serial: int | None = None
    fingerprint: str | None = None
    spki_sha256: str | None = None
    profile: str | None = None
    state: CertificateState | None = None
    expires_before: datetime | None = None
    expires_after: datetime | None = None
    issuer_key_id: str | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some of what was found; ``cursor`` asks for what follows, None where nothing does."""

    records: tuple[CertificateRecord, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation list and the gateway's deny map need to know of one revoked (or held) certificate.

    ``fingerprint`` (SHA-256) is empty for a certificate that was revoked before it was signed.
    """

    serial: int
    fingerprint: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CrlRecord:
    """A signed revocation list: of which issuer and shard, and ``mark``, the revocation mark that it has seen."""

    issuer_key_id: str
    shard: int
    number: int
    mark: int
    this_update: datetime
    next_update: datetime
    der: bytes


class Role(StrEnum):
    """What an authority is for. ISSUING signs for clients and servers both."""

    ROOT = "root"
    ISSUING = "issuing"
    CLIENTS = "clients"
    SERVERS = "servers"


class AuthorityState(StrEnum):
    """Where an authority is in its life. It only ever moves forward.

    REQUESTED: its key is here, its certificate is not yet (its CSR is with the root's keeper). PUBLISHED: everyone
    is told to trust it, it signs nothing yet. ACTIVE: it signs. RETIRING: it signs no more certificates, but CRLs;
    what it signed is still accepted. RETIRED: nobody trusts it any more.
    """

    REQUESTED = "requested"
    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class AuthorityRecord:
    """One authority: one key, and every certificate for it.

    ``name`` is also the name of its key in custody. ``certificates`` (DER) begins with the one that is sent in
    chains (a root's self-signed one); the others are for the same key by other issuers (cross-certificates).
    ``above`` (DER) is what a holder sends after that certificate, up to but without the root. ``parent`` is the name
    of the root that all this leads to, None for a root.
    """

    name: str
    role: Role
    state: AuthorityState
    key_id: str
    spki_sha256: str
    created_at: datetime
    changed_at: datetime
    certificates: tuple[bytes, ...] = ()
    above: tuple[bytes, ...] = ()
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Somebody has taken over what is trusted: ``authorities`` are the names of the authorities it trusts now.

    ``point`` is ``gateway/<name>``, ``agent/<name>``, or the SPIFFE ID of a holder that fetched the trust bundle.
    """

    point: str
    authorities: frozenset[str]
    at: datetime


class RequestState(StrEnum):
    """Where a request that needs approval is."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A certificate request whose profile wants approval. ``id`` is the request id of the certificate to come;
    ``lifetime_seconds`` None means the profile's."""

    id: str
    profile: str
    csr: bytes
    identity: str | None
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    lifetime_seconds: int | None
    principal: str
    at: datetime
    state: RequestState = RequestState.PENDING
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for the audit log: when, what kind, to whom, and the facts. Never a secret."""

    at: datetime
    kind: str
    subject: str
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """An event in its writer's chain: ``hash`` covers everything here, so also ``prev``, the hash before it."""

    writer: str
    seq: int
    prev: str
    hash: str
    event: Event


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: at ``at`` the chain of each writer had this many events and ended in this hash.

    ``number`` counts from 1 without gaps; ``prev`` is the SHA-256 of the checkpoint before, so that none can be taken
    out; ``signature`` is by the key ``audit``, over what ``audit.checkpoint_bytes`` spells.
    """

    number: int
    at: datetime
    heads: Mapping[str, tuple[int, str]]
    prev: str
    key_id: str
    signature: bytes
