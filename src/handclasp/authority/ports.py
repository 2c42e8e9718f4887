"""What the authority needs of the world: a ledger that remembers, and a custody that keeps the keys.

The records are what is remembered. Times are aware datetimes in UTC with microseconds; serials are positive
integers of at most 20 octets (RFC 5280 §4.1.2.2); key ids and fingerprints are lower-case hex.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from handclasp.pki.keys import KeyType, PublicKey


class CertificateState(StrEnum):
    """Where a certificate is in its life. It only ever moves forward."""

    INTENDED = "intended"
    ISSUED = "issued"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate, from the moment it is meant.

    ``issuer_key_id`` is the issuer's subject key identifier (empty for a root, which signs itself), and with
    ``serial`` it names the certificate. ``identity`` is the SPIFFE ID, or for an authority the trust domain as
    ``spiffe://<trust domain>``. While INTENDED there is ``tbs`` (what will be signed) and neither ``der`` nor
    ``fingerprint``; from ISSUED on ``der`` holds it all and ``tbs`` is empty. A certificate revoked before it
    was ever signed keeps ``tbs``. ``issued_at`` is when it was meant, then when it was issued.
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


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation list and the gateway's deny map need to know of one revoked certificate.

    ``fingerprint`` (SHA-256) is empty for a certificate that was revoked before it was signed.
    """

    serial: int
    fingerprint: str
    at: datetime
    reason: str


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


class SerialInUse(Exception):
    """The issuer has already meant a certificate of this serial: nothing was recorded, and none may be signed."""


class NotIntended(Exception):
    """There is no open intent for this certificate: none was recorded, or it was issued or revoked since."""


class Ledger(Protocol):
    """The memory of the authority. When a writing method returns, what it wrote survives a power cut.

    Every writing method is one transaction: it is there whole, with its event, or not at all.
    """

    async def record_intent(self, record: CertificateRecord, event: Event) -> None:
        """Remember an INTENDED certificate before it is signed. Raises SerialInUse."""

    async def record_issued(self, record: CertificateRecord, event: Event) -> None:
        """Replace the intent by the ISSUED certificate. Raises NotIntended unless the intent is still open."""

    async def certificate(self, issuer_key_id: str, serial: int) -> CertificateRecord | None:
        """The certificate of that issuer and serial."""

    async def certificates(
        self,
        *,
        identity: str | None = None,
        profile: str | None = None,
        state: CertificateState | None = None,
    ) -> tuple[CertificateRecord, ...]:
        """The certificates that match all of what is given, oldest first (by issued_at)."""

    async def authorities(self) -> tuple[CertificateRecord, ...]:
        """The ISSUED certificates of certificate authorities, oldest first."""

    async def revoke(
        self,
        identity: str,
        *,
        expires_after: datetime,
        at: datetime,
        reason: str,
        event_of: Callable[[CertificateRecord], Event],
    ) -> tuple[CertificateRecord, ...]:
        """Revoke what the identity holds and what is being signed for it (ISSUED and INTENDED), in one transaction.

        Only certificates with not_after later than ``expires_after``; one event each, made by ``event_of`` from
        the record as it is afterwards. Returns those changed, oldest first: none the second time.
        """

    async def revocations(
        self, issuer_key_id: str, *, expires_after: datetime | None = None, since: datetime | None = None
    ) -> tuple[Revocation, ...]:
        """What the issuer has revoked: with not_after later than ``expires_after``, revoked after ``since``."""

    async def next_crl_number(self, issuer_key_id: str) -> int:
        """A CRL number greater than every one before it, over restarts too (RFC 5280 §5.2.3). The first is 1."""

    async def append(self, event: Event) -> None:
        """Add an event to the audit log."""

    async def events(self, *, kind: str | None = None, subject: str | None = None) -> tuple[ChainedEvent, ...]:
        """The audit log, by writer and seq: the whole, or the events of one kind or about one subject."""


class KeyCustody(Protocol):
    """The keeper of the authority's private keys. They never leave it: it gives public keys and signatures.

    Names are ``root`` and ``issuing``. Every method raises Refused(STATE_DAMAGED) for a key that cannot be read.
    """

    async def create(self, name: str, kind: KeyType) -> PublicKey:
        """Make a key and keep it for good. A key of that name that is there already is returned as it is:

        a crash between making a key and recording its certificate must not strand us.
        """

    async def public_key(self, name: str) -> PublicKey | None:
        """The public half, or None if the key is not here."""

    async def available(self, name: str) -> bool:
        """Whether the key can sign now."""

    async def sign(self, name: str, tbs: bytes) -> bytes:
        """A signature over exactly these bytes; the key's kind decides the hash. Refused(STATE_KEY_MISSING)."""

    def where(self, name: str) -> str:
        """Where a person finds the key: the path of its file."""
