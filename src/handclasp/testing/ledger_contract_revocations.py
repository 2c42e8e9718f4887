"""The Ledger contract: revoke, hold, release, and revocation lists."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from handclasp.authority.ports import Ledger, NotIntended
from handclasp.authority.records import (
    CertificateRecord,
    CertificateState,
    CrlRecord,
    Event,
    Revocation,
)
from handclasp.testing.ledger_scenes import (
    ALICE,
    ISSUER,
    NOON,
    Stage,
    change,
    happened,
    intended,
    issued,
    put,
    revoke_alice,
    revoked_event,
)


class RevocationContract(Stage):
    """What is taken back, and the lists that say so."""

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
        """CRL numbers begin with the time, never repeat, and each issuer has its own."""
        seconds = int(NOON.timestamp())

        async def first(ledger: Ledger) -> None:
            assert [await ledger.next_crl_number(ISSUER, NOON) for _ in range(2)] == [seconds, seconds + 1]
            assert await ledger.next_crl_number("bb" * 20, NOON) == seconds

        async def after_restart(ledger: Ledger) -> None:
            numbers = await asyncio.gather(*(ledger.next_crl_number(ISSUER, NOON) for _ in range(20)))
            assert sorted(numbers) == list(range(seconds + 2, seconds + 22))

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_crl_numbers_follow_the_time(self, tmp_path: Path) -> None:
        """Later they are at least the time, so that an old backup brings no number back; a clock that is set back, or
        the year 2100, makes none repeat."""

        async def scenario(ledger: Ledger) -> None:
            far = datetime(2100, 1, 1, tzinfo=NOON.tzinfo)
            times = (NOON, NOON + timedelta(hours=1), NOON, far)
            numbers = [await ledger.next_crl_number(ISSUER, at) for at in times]
            hour = int(NOON.timestamp()) + 3600
            assert numbers == [hour - 3600, hour, hour + 1, int(far.timestamp())]

        self.play(tmp_path, scenario)

    def test_changes_the_state_of_one(self, tmp_path: Path) -> None:
        """Held, released, revoked: each returns the record as it is now, and has its event."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), issued(intended(2)))
            kept = replace(issued(intended(1)), state=CertificateState.HELD, revoked_at=NOON, reason="certificateHold")
            gone = replace(kept, state=CertificateState.REVOKED, reason="keyCompromise")
            assert await change(ledger, 1, CertificateState.HELD, reason="certificateHold") == kept
            assert await ledger.certificate(ISSUER, 1) == kept
            assert await change(ledger, 1, CertificateState.ISSUED) == issued(intended(1))
            assert await ledger.certificate(ISSUER, 1) == issued(intended(1))
            assert await change(ledger, 1, CertificateState.REVOKED, reason="keyCompromise") == gone
            assert await ledger.certificates() == (gone, issued(intended(2)))
            states = [found.event.data["state"] for found in await ledger.events(kind="revoked")]
            assert states == ["held", "issued", "revoked"]

        self.play(tmp_path, scenario)

    def test_changes_the_state_only_from_where_it_may(self, tmp_path: Path) -> None:
        """From another state, or for a certificate that is not known: None, and nothing is written."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), intended(2))
            before = (await ledger.certificates(), await ledger.events(), await ledger.revocation_mark(ISSUER, 0))
            from_held = frozenset({CertificateState.HELD})
            assert await change(ledger, 1, CertificateState.ISSUED, allowed_from=from_held) is None
            assert await change(ledger, 2, CertificateState.HELD) is None
            assert await change(ledger, 3, CertificateState.REVOKED) is None
            after = (await ledger.certificates(), await ledger.events(), await ledger.revocation_mark(ISSUER, 0))
            assert after == before

        self.play(tmp_path, scenario)

    def test_of_many_changes_at_once_one_wins(self, tmp_path: Path) -> None:
        """Revoked by many at the same moment, it is revoked once."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            changed = await asyncio.gather(*(change(ledger, 1, CertificateState.REVOKED) for _ in range(20)))
            assert sum(record is not None for record in changed) == 1
            assert len(await ledger.events(kind="revoked")) == 1

        self.play(tmp_path, scenario)

    def test_lists_what_is_held_by_shard(self, tmp_path: Path) -> None:
        """Held certificates are on the list too; a shard is that part of it; what was released is not."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, *(issued(replace(intended(n), shard=n % 2)) for n in range(1, 5)))
            for serial in (1, 2, 3):
                await change(ledger, serial, CertificateState.HELD, reason="certificateHold")
            await change(ledger, 3, CertificateState.ISSUED)
            one, two = (Revocation(n, f"{n:064x}", NOON, "certificateHold") for n in (1, 2))
            assert await ledger.revocations(ISSUER) == (one, two)
            assert await ledger.revocations(ISSUER, shard=0) == (two,)
            assert await ledger.revocations(ISSUER, shard=1) == (one,)
            assert await ledger.revocations(ISSUER, shard=2) == ()

        self.play(tmp_path, scenario)

    def test_lists_intents_that_were_revoked(self, tmp_path: Path) -> None:
        """A certificate that was revoked before it was signed is on the list, without a fingerprint."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, intended(1))
            await revoke_alice(ledger)
            assert await ledger.revocations(ISSUER) == (Revocation(1, "", NOON, "keyCompromise"),)

        self.play(tmp_path, scenario)

    def test_marks_every_change_of_a_list(self, tmp_path: Path) -> None:
        """The mark of a shard grows with each revocation, hold and release there, and with nothing else."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, *(issued(replace(intended(n), shard=n % 2)) for n in range(1, 5)))
            marks = [await ledger.revocation_mark(ISSUER, 1)]
            for state in (CertificateState.HELD, CertificateState.ISSUED, CertificateState.REVOKED):
                await change(ledger, 1, state)
                marks.append(await ledger.revocation_mark(ISSUER, 1))
            assert marks[0] == 0
            assert marks == sorted(set(marks))
            assert await ledger.revocation_mark(ISSUER, 0) == 0
            await revoke_alice(ledger)
            assert await ledger.revocation_mark(ISSUER, 0) > 0
            assert await ledger.revocation_mark(ISSUER, 1) > marks[-1]
            assert await ledger.revocation_mark("bb" * 20, 0) == 0
            each = [await ledger.revocation_mark(ISSUER, shard) for shard in (0, 1)]
            assert await ledger.revocation_mark(ISSUER, None) == sum(each)

        self.play(tmp_path, scenario)

    def test_keeps_the_latest_list(self, tmp_path: Path) -> None:
        """A list with a higher number takes the place of the one before, never the other way round."""

        async def scenario(ledger: Ledger) -> None:
            later = NOON + timedelta(days=1)
            first, second = (CrlRecord(ISSUER, 3, n, n * 10, NOON, later, b"list %d" % n) for n in (1 << 40, 1 << 41))
            assert await ledger.latest_crl(ISSUER, 3) is None
            assert await ledger.record_crl(second)
            assert not await ledger.record_crl(first)
            # Numbered later by a replica that had read less.
            assert not await ledger.record_crl(replace(second, number=second.number + 1, mark=second.mark - 1))
            assert await ledger.latest_crl(ISSUER, 3) == second
            assert await ledger.latest_crl(ISSUER, 0) is None

        self.play(tmp_path, scenario)
