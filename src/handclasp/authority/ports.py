"""What the authority needs of the world: a ledger that remembers, and a custody that keeps the keys.

The records are in ``records``. Every writing method of the ledger is one transaction with its audit event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from handclasp.authority.records import (
    AuthorityRecord,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    ChainedEvent,
    Checkpoint,
    Confirmation,
    CrlRecord,
    Event,
    Page,
    PendingRequest,
    RequestState,
    Revocation,
    Search,
)
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey


class SerialInUse(Exception):
    """The issuer has already meant a certificate of this serial: nothing was recorded, and none may be signed."""


class RequestRepeated(Exception):
    """There is already a certificate for this request id: nothing was recorded."""


class KeyBarred(Exception):
    """The key may not be certified: it is an authority's (``why`` is "authority"), it was revoked ("revoked"), or a
    certificate for it is on hold ("held"); or nobody's may be by this authority, which is "retiring" or "retired".

    Revoked means: a certificate for it was revoked for another reason than superseded, affiliationChanged or
    cessationOfOperation, which say nothing against the key.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotIntended(Exception):
    """There is no open intent for this certificate: none was recorded, or it was issued or revoked since."""


class Stale(Exception):
    """What is in the ledger is not what the caller saw: somebody else changed it meanwhile. Nothing was written."""


class Ledger(Protocol):
    """The memory of the authority. When a writing method returns, what it wrote survives a power cut.

    Every writing method is one transaction: it is there whole, with its event, or not at all. Any number of
    processes may use one ledger at a time where its database allows that.
    """

    # Certificates: from intent to issue.

    async def record_intent(self, record: CertificateRecord, event: Event) -> None:
        """Remember an INTENDED certificate before it is signed.

        Raises SerialInUse, RequestRepeated (the record's ``request_id`` is taken), and KeyBarred for a key that is
        an authority's or was revoked; an authority's own certificate (``record.is_authority``) is not asked that.
        """

    async def record_issued(self, record: CertificateRecord, event: Event) -> None:
        """Replace the intent by the ISSUED certificate. Raises NotIntended unless the intent is still open."""

    async def record_external(self, record: CertificateRecord, event: Event) -> bool:
        """Take a certificate that was issued elsewhere into the inventory; False if it is there already."""

    async def certificate(self, issuer_key_id: str, serial: int) -> CertificateRecord | None:
        """The certificate of that issuer and serial."""

    async def certificate_for(self, request_id: str) -> CertificateRecord | None:
        """The certificate that was made for this request id."""

    async def certificates(
        self,
        *,
        identity: str | None = None,
        profile: str | None = None,
        state: CertificateState | None = None,
    ) -> tuple[CertificateRecord, ...]:
        """The certificates that match all of what is given, oldest first (by issued_at)."""

    async def search(self, search: Search) -> Page:
        """A page of the certificates that match all of what is asked, newest first."""

    async def tally(self, profile: str, now: datetime) -> Mapping[tuple[CertificateState, bool], int]:
        """How many certificates of the profile there are, by state and whether they have expired; none is read."""

    # Certificates: revoke, hold and release.

    async def revoke(
        self,
        identity: str,
        *,
        expires_after: datetime,
        at: datetime,
        reason: str,
        event_of: Callable[[CertificateRecord], Event],
    ) -> tuple[CertificateRecord, ...]:
        """Revoke what the identity holds and what is being signed for it (ISSUED, HELD and INTENDED).

        Only certificates with not_after later than ``expires_after``; one event each, made by ``event_of`` from
        the record as it is afterwards. Returns those changed, oldest first: none the second time.
        """

    async def change_state(
        self,
        issuer_key_id: str,
        serial: int,
        *,
        allowed_from: frozenset[CertificateState],
        to: CertificateState,
        at: datetime | None,
        reason: str | None,
        event_of: Callable[[CertificateRecord], Event],
    ) -> CertificateRecord | None:
        """Move one certificate to another state, with ``revoked_at`` and ``reason`` as given; O(1).

        Returns the record as it is afterwards, or None if it is in none of ``allowed_from`` (or unknown): then
        nothing was written.
        """

    # Revocation lists.

    async def revocations(
        self,
        issuer_key_id: str,
        *,
        expires_after: datetime | None = None,
        since: datetime | None = None,
        shard: int | None = None,
    ) -> tuple[Revocation, ...]:
        """What the issuer has revoked or holds: with not_after later than ``expires_after``, revoked after
        ``since``, of one shard or (None) of all; by serial."""

    async def revocation_mark(self, issuer_key_id: str, shard: int | None) -> int:
        """A number that grows whenever a certificate of that shard (None: of any) is revoked, held or released.

        From 0."""

    async def next_crl_number(self, issuer_key_id: str, now: datetime) -> int:
        """A CRL number greater than every one before it (RFC 5280 §5.2.3), over restarts and replicas, and after an
        old backup was restored: the greater of the last one plus 1 and the seconds since 1970."""

    async def record_crl(self, crl: CrlRecord) -> bool:
        """Keep a signed list for all replicas, in place of the one before; False if the one there is later: if its
        number or its mark is greater. A list may have the greater number and yet have read less."""

    async def latest_crl(self, issuer_key_id: str, shard: int) -> CrlRecord | None:
        """The list last kept."""

    # The authorities and who has confirmed them.

    async def authorities(self) -> tuple[AuthorityRecord, ...]:
        """Every authority there ever was here, oldest first."""

    async def put_authorities(
        self, changes: Sequence[tuple[AuthorityState | None, AuthorityRecord]], events: Sequence[Event]
    ) -> None:
        """Add and change authorities in one transaction: each with the state that it is expected to have now, None
        for one that is new. Raises Stale if one has another."""

    async def confirm(self, confirmation: Confirmation) -> None:
        """Remember what an enforcement point or a holder has taken over; replaces what it confirmed before."""

    async def confirmations(self) -> tuple[Confirmation, ...]:
        """What each has confirmed last, by name."""

    async def forget(self, point: str, event: Event) -> bool:
        """Expect nothing of it any more; False if it was not known."""

    # Requests that wait for approval.

    async def add_request(self, request: PendingRequest, event: Event) -> None:
        """Keep a request. One with the same id that is there already stays as it is."""

    async def pending_request(self, id: str) -> PendingRequest | None:
        """The request of that id, in whatever state."""

    async def pending_requests(self, state: RequestState | None = None) -> tuple[PendingRequest, ...]:
        """The requests in that state, or all; oldest first."""

    async def decide_request(
        self, id: str, *, allowed_from: frozenset[RequestState], to: RequestState, by: str, event: Event
    ) -> PendingRequest | None:
        """Move a request to another state; None if it is in none of ``allowed_from``."""

    # The audit log.

    async def append(self, event: Event) -> None:
        """Add an event to the audit log."""

    async def events(self, *, kind: str | None = None, subject: str | None = None) -> tuple[ChainedEvent, ...]:
        """The audit log, by writer and seq: the whole, or the events of one kind or about one subject."""

    def all_events(self, *, after: tuple[str, int] | None = None) -> AsyncIterator[ChainedEvent]:
        """The whole audit log by writer and seq, or what follows one (writer, seq); read piece by piece, so that its
        size is no matter."""

    async def heads(self) -> dict[str, tuple[int, str]]:
        """The last seq and hash of every writer's chain."""

    async def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed statement about all heads. Raises Stale if its number is not the next one."""

    async def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All of them, by number."""


class KeyCustody(Protocol):
    """The keeper of the authority's private keys. They never leave it: it gives public keys and signatures.

    A name is that of the authority whose key it is (``root``, ``issuing``, ``issuing-2``), or ``audit``. Every
    method raises Refused: STATE_DAMAGED for a key that cannot be read, KEY_PASSPHRASE_MISSING and
    KEY_PASSPHRASE_WRONG for one that cannot be opened, HSM_UNAVAILABLE.
    """

    async def create(self, name: str, kind: KeyType) -> PublicKey:
        """Make a key and keep it for good. A key of that name that is there already is returned as it is:

        a crash between making a key and recording its certificate must not strand us.
        """

    async def take(self, name: str, key: PrivateKey) -> PublicKey:
        """Keep a key that was made elsewhere. The same key of that name that is there already is fine; another one
        is Refused(STATE_FILE_EXISTS). Refused(HSM_UNAVAILABLE) by a token that takes no keys from outside."""

    async def public_key(self, name: str) -> PublicKey | None:
        """The public half, or None if the key is not here."""

    async def available(self, name: str) -> bool:
        """Whether the key can sign now."""

    async def sign(self, name: str, tbs: bytes) -> bytes:
        """A signature over exactly these bytes; the key's kind decides the hash. Refused(STATE_KEY_MISSING)."""

    def where(self, name: str) -> str:
        """Where a person finds the key: the path of its file, or the token and label."""
