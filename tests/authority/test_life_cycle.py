"""One certificate's life: asked for twice, renewed, held, released, revoked, superseded, found again."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from tests.authority.conftest import ALICE, TRUST_DOMAIN, Place
from tests.authority.crashing import Crash, crashing
from tests.authority.test_ceremony import made_elsewhere

from handclasp.authority import approval, inventory, rotation
from handclasp.authority.hierarchy import load
from handclasp.authority.issue import Authority, Issued, issue
from handclasp.authority.records import EXTERNAL, CertificateState, RequestState
from handclasp.authority.renew import renew, renew_certificate
from handclasp.authority.revoke import find, hold, release, revoke, revoke_certificate
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.profile import CLIENT, SERVER
from handclasp.pki.request import Request, create, parse
from handclasp.pki.spiffe import SpiffeID

BOB = SpiffeID(TRUST_DOMAIN, "bob")
APPROVED = replace(CLIENT, name="approved", approval=True)


async def refusal(of: Coroutine[Any, Any, object]) -> Code:
    with pytest.raises(Refused) as caught:
        await of
    return caught.value.code


def asked(
    place: Place, authority: Authority, request: Request, names: Names | None = None, **more: Any
) -> Coroutine[Any, Any, Issued]:
    return issue(
        authority,
        request,
        names or Names(ALICE),
        more.pop("profile", CLIENT),
        "operator",
        now=place.now,
        serial=place.serial(),
        **more,
    )


async def kinds(authority: Authority) -> list[str]:
    return [one.event.kind for one in await authority.ledger.events(subject=str(ALICE))]


def test_asked_twice_it_is_issued_once(place: Place) -> None:
    """The same request id gives the same certificate; with another key, name or profile it is refused."""

    async def scenario(authority: Authority) -> None:
        request = place.request()
        first = await asked(place, authority, request, request_id="r1")
        assert await asked(place, authority, request, request_id="r1") == first
        assert await kinds(authority) == ["certificate.intended", "certificate.issued"]
        for attempt in (
            asked(place, authority, place.request(), request_id="r1"),
            asked(place, authority, request, Names(BOB), request_id="r1"),
            asked(place, authority, request, Names(ALICE), profile=SERVER, request_id="r1"),
        ):
            assert await refusal(attempt) is Code.REQUEST_REPEATED
        await revoke(authority, ALICE, now=place.now)
        assert await refusal(asked(place, authority, request, request_id="r1")) is Code.CERTIFICATE_REVOKED

    place.with_authority(scenario)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 5))
def test_a_request_that_a_crash_cut_short_is_completed(place: Place, step: int, after: bool) -> None:
    """Whichever call was the last one, asking again gives one certificate, and only one is ever issued."""

    async def scenario(authority: Authority) -> None:
        request = place.request()
        crash = crashing(step, after=after)
        broken = replace(authority, ledger=crash.around(authority.ledger), custody=crash.around(authority.custody))
        with pytest.raises(Crash):
            await asked(place, broken, request, request_id="r1")
        made = await asked(place, authority, request, request_id="r1")
        assert await authority.ledger.certificates(identity=str(ALICE)) == (made.record,)
        assert made.record.state is CertificateState.ISSUED

    place.with_authority(scenario)


@pytest.mark.parametrize("why", ["expired", "retiring"])
def test_what_a_crash_cut_short_is_not_completed_for_ever(place: Place, why: str) -> None:
    """Not after its time, and not by an authority that signs no more."""

    async def scenario(authority: Authority) -> None:
        request = place.request()
        crash = crashing(3, after=False)
        broken = replace(authority, ledger=crash.around(authority.ledger), custody=crash.around(authority.custody))
        with pytest.raises(Crash):
            await asked(place, broken, request, request_id="r1")
        (left,) = await authority.ledger.certificates(identity=str(ALICE))
        assert left.state is CertificateState.INTENDED
        if why == "expired":
            place.now = left.not_after
        else:
            await rotation.start(authority, "issuing", now=place.now, serial=place.serial)
            await rotation.advance(authority.ledger, now=place.now)
            hierarchy = await load(authority.ledger, authority.custody, TRUST_DOMAIN)
            assert hierarchy is not None
            authority = replace(authority, hierarchy=hierarchy)
        assert await refusal(asked(place, authority, request, request_id="r1")) is Code.REQUEST_REPEATED

    place.with_authority(scenario)


def test_names_are_the_requests_if_none_are_given(place: Place) -> None:
    """What the request wishes and the profile allows is granted."""

    async def scenario(authority: Authority) -> None:
        made = await issue(authority, place.request(), None, CLIENT, "operator", now=place.now, serial=place.serial())
        assert made.record.identity == str(ALICE)

    place.with_authority(scenario)


def test_a_barred_key_is_refused(place: Place) -> None:
    """The key of a certificate that was revoked, and an authority's own key."""

    async def scenario(authority: Authority) -> None:
        request = place.request()
        made = await asked(place, authority, request)
        await revoke_certificate(
            authority,
            made.record.issuer_key_id,
            made.record.serial,
            now=place.now,
            reason=x509.ReasonFlags.key_compromise,
        )
        assert await refusal(asked(place, authority, request, Names(BOB))) is Code.REQUEST_KEY_BARRED
        own = replace(request, public_key=authority.hierarchy.clients.certificate.public_key())  # type: ignore[arg-type]
        assert await refusal(asked(place, authority, own, Names(BOB))) is Code.REQUEST_KEY_BARRED

    place.with_authority(scenario)


def test_a_certificate_is_held_and_released(place: Place) -> None:
    """Each verb twice changes once; on hold it is not renewed; released it is as it was."""

    async def scenario(authority: Authority) -> None:
        made = await asked(place, authority, place.request())
        which = (made.record.issuer_key_id, made.record.serial)
        assert await refusal(release(authority, *which, now=place.now)) is Code.CERTIFICATE_NOT_HELD
        held = await hold(authority, *which, now=place.now)
        assert (held.state, held.reason, held.revoked_at) == (CertificateState.HELD, "certificateHold", place.now)
        assert await hold(authority, *which, now=place.now + timedelta(days=1)) == held
        attempt = renew(authority, ALICE, now=place.now, serial=place.serial(), request=place.request())
        assert await refusal(attempt) is Code.REQUEST_IDENTITY_REVOKED
        for _ in range(2):
            assert await release(authority, *which, now=place.now) == made.record
        assert (await kinds(authority))[2:] == ["certificate.held", "certificate.released"]

    place.with_authority(scenario)


def test_a_certificate_is_revoked_once_and_for_good(place: Place) -> None:
    """Also from hold; the second time nothing changes, and it can be neither held nor released."""

    async def scenario(authority: Authority) -> None:
        made = await asked(place, authority, place.request())
        which = (made.record.issuer_key_id, made.record.serial)
        await hold(authority, *which, now=place.now)
        gone = await revoke_certificate(authority, *which, now=place.now, reason=x509.ReasonFlags.superseded)
        assert (gone.state, gone.reason) == (CertificateState.REVOKED, "superseded")
        assert await revoke_certificate(authority, *which, now=place.now + timedelta(days=1)) == gone
        for verb in (hold, release):
            assert await refusal(verb(authority, *which, now=place.now)) is Code.CERTIFICATE_REVOKED
        assert (await kinds(authority))[2:] == ["certificate.held", "certificate.revoked"]
        for verb in (hold, release, revoke_certificate):
            assert await refusal(verb(authority, which[0], 7, now=place.now)) is Code.CERTIFICATE_UNKNOWN

    place.with_authority(scenario)


@pytest.mark.parametrize("reason", [x509.ReasonFlags.remove_from_crl, x509.ReasonFlags.certificate_hold], ids=str)
def test_reasons_that_revoke_nothing_for_good_are_a_mistake(place: Place, reason: x509.ReasonFlags) -> None:
    """removeFromCRL and certificateHold are no reasons to revoke."""

    async def scenario(authority: Authority) -> None:
        with pytest.raises(ValueError):
            await revoke(authority, ALICE, now=place.now, reason=reason)

    place.with_authority(scenario)


def test_a_renewal_supersedes(place: Place) -> None:
    """Same key without a request; the old one is revoked as superseded, once, and asked again it is the same."""

    async def scenario(authority: Authority) -> None:
        old = await asked(place, authority, place.request(), Names(ALICE, ("alice.example.org",)))
        place.now += timedelta(days=1)

        def again() -> Coroutine[Any, Any, Issued]:
            return renew(
                authority,
                ALICE,
                now=place.now,
                serial=place.serial(),
                request=None,
                supersede=True,
                request_id="renewal",
            )

        new = await again()
        assert await again() == new
        assert (new.record.spki_sha256, new.record.dns) == (old.record.spki_sha256, old.record.dns)
        records = await authority.ledger.certificates(identity=str(ALICE))
        assert [(one.state, one.reason) for one in records] == [
            (CertificateState.REVOKED, "superseded"),
            (CertificateState.ISSUED, None),
        ]
        assert (await kinds(authority)).count("certificate.revoked") == 1

    place.with_authority(scenario)


def test_a_server_certificate_is_renewed_by_its_record(place: Place) -> None:
    """Any certificate of a built-in profile is renewed with its names and profile; one from elsewhere is not,
    nor is it ours to revoke."""

    async def scenario(authority: Authority) -> None:
        old = await asked(place, authority, place.request(), Names(None, ("api.example.org",)), profile=SERVER)
        new = await renew_certificate(
            authority, old.record, now=place.now, serial=place.serial(), request=place.request()
        )
        assert (new.record.profile, new.record.dns) == ("server", ("api.example.org",))
        taken = await inventory.take(authority.ledger, made_elsewhere(place)[0], now=place.now)
        assert taken is not None
        attempt = renew_certificate(authority, taken, now=place.now, serial=place.serial(), request=None)
        assert await refusal(attempt) is Code.REQUEST_PROFILE_UNKNOWN
        for verb in (revoke_certificate, hold):
            attempt_on = verb(authority, taken.issuer_key_id, taken.serial, now=place.now)
            assert await refusal(attempt_on) is Code.AUTHORITY_UNKNOWN

    place.with_authority(scenario)


def test_certificates_are_found_by_what_a_person_has(place: Place) -> None:
    """The serial number, the whole fingerprint or its first digits, with colons or capitals."""

    async def scenario(authority: Authority) -> None:
        made = (await asked(place, authority, place.request())).record
        await asked(place, authority, place.request(), Names(BOB))
        pairs = ":".join(made.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
        for text in (
            f"{made.serial:x}",
            f"0x{made.serial:X}",
            made.fingerprint,
            made.fingerprint[:10],
            pairs,
            f" {pairs} ",
        ):
            assert await find(authority, text) == made
        for text in ("", "alice", made.fingerprint[:4], "f" * 64, "-1", "0"):
            assert await refusal(find(authority, text)) is Code.CERTIFICATE_UNKNOWN

    place.with_authority(scenario)


def test_a_certificate_from_elsewhere_is_taken_into_the_inventory(place: Place) -> None:
    """Once, as "external", found like any other; our own are known already."""

    async def scenario(authority: Authority) -> None:
        certificate, _ = made_elsewhere(place)
        record = await inventory.take(authority.ledger, certificate, now=place.now)
        assert record is not None
        assert (record.profile, record.subject, record.state) == (EXTERNAL, "CN=Corp Root CA", CertificateState.ISSUED)
        assert await inventory.take(authority.ledger, certificate, now=place.now) is None
        assert await find(authority, record.fingerprint) == record
        mine = await asked(place, authority, place.request())
        for own in (mine.certificate, authority.hierarchy.root, authority.hierarchy.clients.certificate):
            assert await inventory.take(authority.ledger, own, now=place.now) is None
        assert len(await authority.ledger.events(kind="certificate.imported")) == 1

    place.with_authority(scenario)


def test_a_certificate_that_only_claims_our_authority_is_not_taken(place: Place) -> None:
    """OCSP would call it good, and a search would show it among ours."""

    async def scenario(authority: Authority) -> None:
        ours = authority.hierarchy.clients
        key = generate(KeyType.EC_P256)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
        forged = (
            x509.CertificateBuilder(ours.certificate.subject, name, key.public_key(), place.serial())
            .not_valid_before(place.now)
            .not_valid_after(place.now + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(ours.key_id), None, None), critical=False)
            .sign(key, hashes.SHA256())
        )
        assert await refusal(inventory.take(authority.ledger, forged, now=place.now)) is Code.FILE_UNRECOGNIZED
        assert await authority.ledger.certificate(ours.key_id, forged.serial_number) is None

    place.with_authority(scenario)


def test_what_could_speak_to_a_terminal_is_escaped(place: Place) -> None:
    """Names of a stranger's certificate are printed one day."""
    key = generate(KeyType.EC_P256)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[2J\nb")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), place.serial())
        .not_valid_before(place.now)
        .not_valid_after(place.now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a\x00\x1b")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    record = inventory.external_record(certificate, place.now)
    assert (record.subject, record.dns) == (r"CN=a\1b[2J\0ab", (r"a\00\1b",))


def submitted(place: Place, authority: Authority, request: Request, id: str = "q1") -> Coroutine[Any, Any, Any]:
    return approval.submit(
        authority, request, Names(ALICE), APPROVED, "operator", id=id, now=place.now, lifetime=timedelta(days=1)
    )


def test_what_wants_approval_is_kept_until_somebody_approves(place: Place) -> None:
    """Not issued by itself; kept once; approved it is issued once, also when approved again."""

    async def scenario(authority: Authority) -> None:
        request = parse(create(generate(KeyType.EC_P256), ALICE))
        assert await refusal(asked(place, authority, request, profile=APPROVED)) is Code.REQUEST_APPROVAL_REQUIRED
        kept = await submitted(place, authority, request)
        assert await submitted(place, authority, request) == kept
        assert await refusal(submitted(place, authority, place.request())) is Code.REQUEST_REPEATED
        made = [
            await approval.approve(authority, "q1", APPROVED, by="carol", now=place.now, serial=place.serial())
            for _ in range(2)
        ]
        assert made[0] == made[1]
        assert made[0].record.request_id == "q1"
        assert made[0].record.not_after == place.now + timedelta(days=1)
        assert await refusal(approval.deny(authority, "q1", by="carol", now=place.now)) is Code.REQUEST_REPEATED
        assert await kinds(authority) == [
            "request.submitted",
            "request.approved",
            "certificate.intended",
            "certificate.issued",
        ]

    place.with_authority(scenario)


def test_what_is_denied_is_not_issued(place: Place) -> None:
    """Denied twice is denied once, and it cannot be approved; an unknown request is neither."""

    async def scenario(authority: Authority) -> None:
        await submitted(place, authority, place.request())
        for _ in range(2):
            denied = await approval.deny(authority, "q1", by="carol", now=place.now)
            assert (denied.state, denied.decided_by) == (RequestState.DENIED, "carol")

        def approve(id: str) -> Coroutine[Any, Any, Issued]:
            return approval.approve(authority, id, APPROVED, by="dave", now=place.now, serial=place.serial())

        assert await refusal(approve("q1")) is Code.REQUEST_DENIED
        assert await refusal(approve("q2")) is Code.CERTIFICATE_UNKNOWN
        assert await refusal(approval.deny(authority, "q2", by="dave", now=place.now)) is Code.CERTIFICATE_UNKNOWN
        assert await kinds(authority) == ["request.submitted", "request.denied"]

    place.with_authority(scenario)
