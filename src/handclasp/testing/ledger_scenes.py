"""What the suites of the Ledger contract share: made-up records, and how a test is played."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handclasp.authority.ports import Ledger
from handclasp.authority.records import (
    AuthorityRecord,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    Event,
    Role,
)

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ISSUER = "aa" * 20
ALICE = "spiffe://example.org/alice"
BOB = "spiffe://example.org/bob"

Scenario = Callable[[Ledger], Awaitable[None]]


def intended(serial: int, *, identity: str | None = ALICE, at: datetime = NOON, days: int = 90) -> CertificateRecord:
    """A certificate that is meant, of a made-up key."""
    return CertificateRecord(
        serial=serial,
        issuer_key_id=ISSUER,
        profile="client",
        identity=identity,
        dns=("a.example.org", "b.example.org"),
        ips=("192.0.2.1", "2001:db8::1"),
        subject="CN=alice",
        not_before=at - timedelta(minutes=1),
        not_after=at + timedelta(days=days),
        spki_sha256=f"{serial:064x}",
        state=CertificateState.INTENDED,
        issued_at=at,
        tbs=b"to be signed",
    )


def issued(record: CertificateRecord) -> CertificateRecord:
    """The same certificate, made."""
    return replace(
        record,
        state=CertificateState.ISSUED,
        tbs=b"",
        der=b"certificate %x" % record.serial,
        fingerprint=f"{record.serial:064x}",
    )


def happened(kind: str, subject: str = ALICE, **data: str) -> Event:
    """An event at noon."""
    return Event(NOON, kind, subject, data)


async def put(ledger: Ledger, *records: CertificateRecord) -> None:
    """Record each as meant, and those that are ISSUED as issued too."""
    for record in records:
        meant = replace(record, state=CertificateState.INTENDED, tbs=b"to be signed", der=b"", fingerprint="")
        await ledger.record_intent(meant, happened("meant"))
        if record.state is CertificateState.ISSUED:
            await ledger.record_issued(record, happened("issued"))


def revoked_event(record: CertificateRecord) -> Event:
    """The event that the suite writes for a revocation."""
    return happened("revoked", serial=f"{record.serial:x}", state=record.state.value)


async def revoke_alice(
    ledger: Ledger, *, at: datetime = NOON, expires_after: datetime = NOON
) -> tuple[CertificateRecord, ...]:
    """Revoke what the identity holds."""
    return await ledger.revoke(
        ALICE, expires_after=expires_after, at=at, reason="keyCompromise", event_of=revoked_event
    )


class Stage:
    """``open`` gives the ledger kept in ``directory``; closing and opening again finds the same."""

    def open(self, directory: Path) -> AbstractContextManager[Ledger]:
        """The ledger of that directory, made if there is none."""
        raise NotImplementedError

    def play(self, directory: Path, scenario: Scenario) -> None:
        """Run the scenario on the ledger of ``directory``."""

        async def scene() -> None:
            with self.open(directory) as ledger:
                await scenario(ledger)

        asyncio.run(scene())


async def change(
    ledger: Ledger,
    serial: int,
    to: CertificateState,
    *,
    reason: str = "keyCompromise",
    allowed_from: frozenset[CertificateState] = frozenset({CertificateState.ISSUED, CertificateState.HELD}),
) -> CertificateRecord | None:
    """Move a certificate to another state, at noon."""
    back = to is CertificateState.ISSUED
    return await ledger.change_state(
        ISSUER,
        serial,
        allowed_from=allowed_from,
        to=to,
        at=None if back else NOON,
        reason=None if back else reason,
        event_of=revoked_event,
    )


def authority(name: str) -> AuthorityRecord:
    """An authority that issues, of a made-up key."""
    return AuthorityRecord(
        name=name,
        role=Role.ISSUING,
        state=AuthorityState.ACTIVE,
        key_id=hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(),
        spki_sha256=hashlib.sha256(name.encode()).hexdigest(),
        created_at=NOON,
        changed_at=NOON,
        certificates=(b"\x30\x00 sent", b"\x30\x01 cross"),
        above=(b"\x30\x02 above",),
        parent="root",
    )
