"""What every Ledger must do, as a suite: subclass it in a test module and say how to open one.

    class TestSqlLedger(LedgerContract):
        def open(self, directory): ...

The same suite runs on every database, so that no caller needs to know which one it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handclasp.authority.audit import Head, verify
from handclasp.authority.ports import (
    CertificateRecord,
    CertificateState,
    Event,
    Ledger,
    NotIntended,
    Revocation,
    SerialInUse,
)

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ISSUER = "aa" * 20
ALICE = "spiffe://example.org/alice"

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
        spki_sha256="cc" * 32,
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


class LedgerContract:
    """The suite. ``open`` gives the ledger kept in ``directory``; closing and opening again finds the same."""

    def open(self, directory: Path) -> AbstractContextManager[Ledger]:
        """The ledger of that directory, made if there is none."""
        raise NotImplementedError

    def play(self, directory: Path, scenario: Scenario) -> None:
        """Run the scenario on the ledger of ``directory``."""

        async def scene() -> None:
            with self.open(directory) as ledger:
                await scenario(ledger)

        asyncio.run(scene())

    def test_gives_back_an_intent_whole(self, tmp_path: Path) -> None:
        """Every field of an intent comes back as it went in, microseconds and all."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.record_intent(intended(1), happened("meant"))
            assert await ledger.certificate(ISSUER, 1) == intended(1)

        self.play(tmp_path, scenario)

    def test_gives_back_an_issued_certificate_whole(self, tmp_path: Path) -> None:
        """Every field of an issued certificate comes back as it went in."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            assert await ledger.certificate(ISSUER, 1) == issued(intended(1))

        self.play(tmp_path, scenario)

    def test_does_not_know_what_it_was_not_told(self, tmp_path: Path) -> None:
        """A serial that was never recorded is None, also if another issuer has it."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(1))
            assert await ledger.certificate(ISSUER, 2) is None
            assert await ledger.certificate("bb" * 20, 1) is None

        self.play(tmp_path, scenario)

    @pytest.mark.parametrize(
        "serial", [1, 1 << 64, (1 << 159) - 1], ids=["smallest", "65-bits", "largest-of-20-octets"]
    )
    def test_keeps_serials_of_every_size(self, tmp_path: Path, serial: int) -> None:
        """Serial numbers of up to 20 octets are kept exactly."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(serial))
            assert [record.serial for record in await ledger.certificates()] == [serial]

        self.play(tmp_path, scenario)

    def test_refuses_a_serial_twice(self, tmp_path: Path) -> None:
        """An issuer's serial is used once; the refused intent leaves no event."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(1))
            with pytest.raises(SerialInUse):
                await ledger.record_intent(intended(1, identity=None), happened("meant again"))
            assert await ledger.certificates() == (intended(1),)
            assert [found.event.kind for found in await ledger.events()] == ["meant"]

        self.play(tmp_path, scenario)

    def test_lets_two_issuers_use_the_same_serial(self, tmp_path: Path) -> None:
        """A serial is unique per issuer, not altogether."""

        async def scenario(ledger: Ledger) -> None:
            other = replace(intended(1), issuer_key_id="bb" * 20)
            await put(ledger, intended(1), other)
            assert await ledger.certificates() == (intended(1), other)

        self.play(tmp_path, scenario)

    def test_issues_nothing_that_was_not_intended(self, tmp_path: Path) -> None:
        """Without an intent there is no certificate and no event."""

        async def scenario(ledger: Ledger) -> None:
            with pytest.raises(NotIntended):
                await ledger.record_issued(issued(intended(1)), happened("issued"))
            assert (await ledger.certificates(), await ledger.events()) == ((), ())

        self.play(tmp_path, scenario)

    def test_issues_an_intent_once(self, tmp_path: Path) -> None:
        """An intent is closed by the first certificate."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            with pytest.raises(NotIntended):
                await ledger.record_issued(replace(issued(intended(1)), der=b"another"), happened("issued"))
            assert await ledger.certificates() == (issued(intended(1)),)

        self.play(tmp_path, scenario)

    def test_lists_oldest_first(self, tmp_path: Path) -> None:
        """Certificates come by the time of issue; those of one instant in the order of recording."""

        async def scenario(ledger: Ledger) -> None:
            late = issued(intended(1, at=NOON + timedelta(microseconds=1)))
            await put(ledger, late, intended(9), intended(3))
            assert [record.serial for record in await ledger.certificates()] == [9, 3, 1]

        self.play(tmp_path, scenario)

    def test_filters_by_all_that_is_given(self, tmp_path: Path) -> None:
        """Identity, profile and state narrow the list, each and together."""

        async def scenario(ledger: Ledger) -> None:
            bob = "spiffe://example.org/bob"
            server = replace(issued(intended(3, identity=bob)), profile="server")
            await put(ledger, intended(1), issued(intended(2)), server)
            listed = ledger.certificates
            assert [r.serial for r in await listed(identity=ALICE)] == [1, 2]
            assert [r.serial for r in await listed(profile="server")] == [3]
            assert [r.serial for r in await listed(state=CertificateState.ISSUED)] == [2, 3]
            assert [r.serial for r in await listed(identity=ALICE, state=CertificateState.ISSUED)] == [2]
            assert await listed(identity=bob, profile="client") == ()

        self.play(tmp_path, scenario)

    def test_finds_the_authorities(self, tmp_path: Path) -> None:
        """Only issued certificates of authorities are authorities."""

        async def scenario(ledger: Ledger) -> None:
            root = replace(issued(intended(1)), profile="root", issuer_key_id="")
            issuing = replace(issued(intended(2)), profile="issuing")
            await put(ledger, root, issuing, replace(intended(3), profile="issuing"), issued(intended(4)))
            assert await ledger.authorities() == (root, issuing)

        self.play(tmp_path, scenario)

    def test_revokes_what_is_held_and_what_is_being_made(self, tmp_path: Path) -> None:
        """A revocation covers issued certificates and open intents, each with its event."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), intended(2))
            then = {"state": CertificateState.REVOKED, "revoked_at": NOON, "reason": "keyCompromise"}
            expected = (replace(issued(intended(1)), **then), replace(intended(2), **then))  # type: ignore[arg-type]
            assert await revoke_alice(ledger) == expected
            assert await ledger.certificates() == expected
            assert [found.event for found in await ledger.events(kind="revoked")] == [
                revoked_event(record) for record in expected
            ]

        self.play(tmp_path, scenario)

    def test_revokes_once(self, tmp_path: Path) -> None:
        """The second revocation changes nothing: not the time, not the log."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            await revoke_alice(ledger)
            before = (await ledger.certificates(), await ledger.events())
            assert await revoke_alice(ledger, at=NOON + timedelta(days=1)) == ()
            assert (await ledger.certificates(), await ledger.events()) == before

        self.play(tmp_path, scenario)

    def test_revokes_nobody_else(self, tmp_path: Path) -> None:
        """Other identities, and what expired long ago, stay as they are."""

        async def scenario(ledger: Ledger) -> None:
            others = (
                issued(intended(1, identity=ALICE + "/batch")),
                issued(intended(2, identity=None)),
                issued(intended(3, at=NOON - timedelta(days=90))),
            )
            await put(ledger, *others)
            assert await revoke_alice(ledger) == ()
            assert {r.state for r in await ledger.certificates()} == {CertificateState.ISSUED}

        self.play(tmp_path, scenario)

    def test_a_revoked_intent_is_never_issued(self, tmp_path: Path) -> None:
        """A certificate that was being signed when its identity was revoked does not come out."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(1))
            await revoke_alice(ledger)
            with pytest.raises(NotIntended):
                await ledger.record_issued(issued(intended(1)), happened("issued"))

        self.play(tmp_path, scenario)

    def test_a_revocation_whose_event_fails_revokes_nothing(self, tmp_path: Path) -> None:
        """Certificates and events change together or not at all."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), issued(intended(2)))
            before = (await ledger.certificates(), await ledger.events())

            def fails_at_the_second(record: CertificateRecord) -> Event:
                if record.serial == 2:
                    raise ValueError("no words for this one")
                return revoked_event(record)

            with pytest.raises(ValueError, match="no words"):
                await ledger.revoke(
                    ALICE, expires_after=NOON, at=NOON, reason="unspecified", event_of=fails_at_the_second
                )
            assert (await ledger.certificates(), await ledger.events()) == before

        self.play(tmp_path, scenario)

    def test_lists_revocations(self, tmp_path: Path) -> None:
        """Revocations of one issuer by serial, narrowed by expiry and by time of revocation."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(2, days=1)), issued(intended(1, days=90)))
            await revoke_alice(ledger)
            await put(ledger, issued(intended(3)), issued(intended(4, identity="spiffe://example.org/bob")))
            later = NOON + timedelta(hours=2)
            await revoke_alice(ledger, at=later)
            one, two, three = (
                Revocation(serial, f"{serial:064x}", at, "keyCompromise")
                for serial, at in ((1, NOON), (2, NOON), (3, later))
            )
            assert await ledger.revocations(ISSUER) == (one, two, three)
            assert await ledger.revocations(ISSUER, expires_after=NOON + timedelta(days=1)) == (one, three)
            assert await ledger.revocations(ISSUER, since=NOON) == (three,)
            assert await ledger.revocations("bb" * 20) == ()

        self.play(tmp_path, scenario)

    def test_counts_crl_numbers_up_over_restarts(self, tmp_path: Path) -> None:
        """CRL numbers begin with 1, never repeat, and each issuer has its own."""

        async def first(ledger: Ledger) -> None:
            assert [await ledger.next_crl_number(ISSUER) for _ in range(2)] == [1, 2]
            assert await ledger.next_crl_number("bb" * 20) == 1

        async def after_restart(ledger: Ledger) -> None:
            numbers = await asyncio.gather(*(ledger.next_crl_number(ISSUER) for _ in range(20)))
            assert sorted(numbers) == list(range(3, 23))

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_remembers_over_restarts(self, tmp_path: Path) -> None:
        """What was recorded is there when the ledger is opened again."""

        async def first(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), intended(2))

        async def after_restart(ledger: Ledger) -> None:
            assert await ledger.certificates() == (issued(intended(1)), intended(2))

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_chains_events_over_restarts(self, tmp_path: Path) -> None:
        """The audit log is one chain that verifies from its first event, whatever was written when."""

        async def first(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            await ledger.append(happened("noted", "café \N{SNOWMAN}", word="§"))

        async def after_restart(ledger: Ledger) -> None:
            await asyncio.gather(*(ledger.append(happened("noted", str(n))) for n in range(30)))
            log = await ledger.events()
            assert list(verify(log).values()) == [Head(33, log[-1].hash)]
            assert log[2].event == happened("noted", "café \N{SNOWMAN}", word="§")

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_finds_events_by_kind_and_subject(self, tmp_path: Path) -> None:
        """The log is narrowed by kind, by subject, and by both."""

        async def scenario(ledger: Ledger) -> None:
            for kind, subject in (("x", "1"), ("y", "1"), ("x", "2")):
                await ledger.append(happened(kind, subject))
            assert [e.event.subject for e in await ledger.events(kind="x")] == ["1", "2"]
            assert [e.event.kind for e in await ledger.events(subject="1")] == ["x", "y"]
            assert [e.seq for e in await ledger.events(kind="x", subject="2")] == [3]

        self.play(tmp_path, scenario)

    def test_one_failing_write_leaves_its_neighbours_alone(self, tmp_path: Path) -> None:
        """Of many writes at once, those that fail are undone alone, and the chain has no gap."""

        async def scenario(ledger: Ledger) -> None:
            serials = [n // 2 + 1 for n in range(100)]  # each twice: the second one fails
            outcomes = await asyncio.gather(
                *(ledger.record_intent(intended(serial), happened("meant")) for serial in serials),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [type(None), SerialInUse] * 50
            assert [record.serial for record in await ledger.certificates()] == list(range(1, 51))
            log = await ledger.events()
            assert verify(log) == {log[0].writer: Head(50, log[-1].hash)}

        self.play(tmp_path, scenario)
