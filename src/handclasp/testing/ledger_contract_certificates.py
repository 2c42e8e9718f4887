"""The Ledger contract: certificates, from intent to issue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handclasp.authority.audit import Head, verify
from handclasp.authority.ports import KeyBarred, Ledger, NotIntended, RequestRepeated, SerialInUse
from handclasp.authority.records import (
    EXTERNAL,
    AuthorityState,
    CertificateState,
)
from handclasp.testing.ledger_scenes import (
    ALICE,
    BOB,
    ISSUER,
    NOON,
    Stage,
    authority,
    change,
    happened,
    intended,
    issued,
    put,
)


class CertificateContract(Stage):
    """Intents, certificates, and what may not be certified."""

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
            assert [await ledger.certificate(ISSUER, no_serial) for no_serial in (-1, 0, 1 << 160, 1 << 999)] == [
                None
            ] * 4

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

    def test_remembers_over_restarts(self, tmp_path: Path) -> None:
        """What was recorded is there when the ledger is opened again."""

        async def first(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)), intended(2))

        async def after_restart(ledger: Ledger) -> None:
            assert await ledger.certificates() == (issued(intended(1)), intended(2))

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

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

    def test_gives_back_every_field(self, tmp_path: Path) -> None:
        """Also shard, request id, and whether it is an authority's."""

        async def scenario(ledger: Ledger) -> None:
            record = replace(
                intended(1), shard=7, request_id="order/1", is_authority=True, identity=None, dns=(), ips=()
            )
            await put(ledger, record, issued(replace(record, serial=2, request_id=None)))
            assert await ledger.certificate(ISSUER, 1) == record
            assert await ledger.certificate(ISSUER, 2) == issued(replace(record, serial=2, request_id=None))

        self.play(tmp_path, scenario)

    def test_makes_one_certificate_for_a_request(self, tmp_path: Path) -> None:
        """A request id is used once; the second intent leaves no trace, and the first is found by the id."""

        async def scenario(ledger: Ledger) -> None:
            first = replace(intended(1), request_id="order/1")
            await put(ledger, first)
            with pytest.raises(RequestRepeated):
                await ledger.record_intent(replace(intended(2), request_id="order/1"), happened("meant"))
            assert await ledger.certificate_for("order/1") == first
            assert await ledger.certificate_for("order/2") is None
            assert await ledger.certificates() == (first,)
            assert len(await ledger.events()) == 1

        self.play(tmp_path, scenario)

    def test_of_many_at_once_for_one_request_one_wins(self, tmp_path: Path) -> None:
        """Asked for at the same moment, too."""

        async def scenario(ledger: Ledger) -> None:
            outcomes = await asyncio.gather(
                *(
                    ledger.record_intent(replace(intended(serial), request_id="order/1"), happened("meant"))
                    for serial in range(1, 21)
                ),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["RequestRepeated"] * 19
            assert len(await ledger.certificates()) == 1

        self.play(tmp_path, scenario)

    @pytest.mark.parametrize(
        ("reason", "why"),
        [
            ("keyCompromise", "revoked"),
            ("unspecified", "revoked"),
            ("privilegeWithdrawn", "revoked"),
            ("superseded", None),
            ("affiliationChanged", None),
            ("cessationOfOperation", None),
        ],
    )
    def test_a_revoked_key_is_barred(self, tmp_path: Path, reason: str, why: str | None) -> None:
        """Whose key was revoked may not have it certified again, unless the reason says nothing against the key."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            await change(ledger, 1, CertificateState.REVOKED, reason=reason)
            again = replace(intended(2, identity=BOB), spki_sha256=intended(1).spki_sha256)
            if why is None:
                await ledger.record_intent(again, happened("meant"))
            else:
                with pytest.raises(KeyBarred) as caught:
                    await ledger.record_intent(again, happened("meant"))
                assert caught.value.why == why
            assert (await ledger.certificate(ISSUER, 2) is None) == (why is not None)

        self.play(tmp_path, scenario)

    def test_a_held_key_is_barred_until_it_is_released(self, tmp_path: Path) -> None:
        """Else a certificate more for the same key would get around the hold."""

        async def scenario(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            await change(ledger, 1, CertificateState.HELD)
            again = replace(intended(2), spki_sha256=intended(1).spki_sha256)
            with pytest.raises(KeyBarred) as caught:
                await ledger.record_intent(again, happened("meant"))
            assert caught.value.why == "held"
            await change(ledger, 1, CertificateState.ISSUED)
            await put(ledger, again)

        self.play(tmp_path, scenario)

    @pytest.mark.parametrize("state", [AuthorityState.RETIRING, AuthorityState.RETIRED], ids=str)
    def test_an_authority_that_retires_signs_no_more(self, tmp_path: Path, state: AuthorityState) -> None:
        """Whatever a process that has missed it still believes; but while it retires, OCSP signers."""

        async def scenario(ledger: Ledger) -> None:
            leaving = replace(authority("issuing"), key_id=ISSUER, state=state)
            await ledger.put_authorities([(None, leaving)], [happened("made")])
            with pytest.raises(KeyBarred) as caught:
                await ledger.record_intent(intended(1), happened("meant"))
            assert caught.value.why == state.value
            signer = replace(intended(2), profile="ocsp-signer")
            if state is AuthorityState.RETIRING:
                await put(ledger, signer)
            else:
                with pytest.raises(KeyBarred):
                    await ledger.record_intent(signer, happened("meant"))

        self.play(tmp_path, scenario)

    def test_an_authoritys_key_is_barred(self, tmp_path: Path) -> None:
        """Nobody but the authority itself has a certificate for its key."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.put_authorities([(None, authority("issuing"))], [happened("made")])
            reused = replace(intended(1), spki_sha256=authority("issuing").spki_sha256)
            with pytest.raises(KeyBarred) as caught:
                await ledger.record_intent(reused, happened("meant"))
            assert caught.value.why == "authority"
            await put(ledger, replace(reused, is_authority=True))

        self.play(tmp_path, scenario)

    def test_takes_in_what_others_issued(self, tmp_path: Path) -> None:
        """An external certificate is in the inventory once, with one event."""

        async def scenario(ledger: Ledger) -> None:
            found = replace(issued(intended(1)), profile=EXTERNAL, issuer_key_id="dd" * 20)
            assert await ledger.record_external(found, happened("imported"))
            assert not await ledger.record_external(found, happened("imported"))
            assert await ledger.certificates(profile=EXTERNAL) == (found,)
            assert len(await ledger.events()) == 1

        self.play(tmp_path, scenario)
