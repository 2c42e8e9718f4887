"""Issuing, renewing, revoking, and the lists made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.authority.issue import Authority, Issued, issue
from handclasp.authority.ports import Ledger, SerialInUse
from handclasp.authority.records import CertificateState
from handclasp.authority.renew import renew
from handclasp.authority.revoke import revoke
from handclasp.findings import Code, Refused
from handclasp.pki.issue import Names
from handclasp.pki.profile import CLIENT, SERVER
from handclasp.pki.spiffe import SpiffeID, TrustDomain

if TYPE_CHECKING:
    from tests.authority.conftest import Place


async def _refusal(of: Coroutine[Any, Any, object]) -> Code:
    with pytest.raises(Refused) as caught:
        await of
    return caught.value.code


def _renew(place: Place, authority: Authority, identity: SpiffeID) -> Coroutine[Any, Any, Issued]:
    return renew(authority, identity, now=place.now, serial=place.serial(), request=place.request())


def test_what_is_issued_is_recorded(place: Place) -> None:
    """The certificate given out is the one in the ledger, byte for byte, and its chain leads to the root."""

    async def scenario(authority: Authority) -> None:
        made = await place.client(authority)
        record = await authority.ledger.certificate(made.record.issuer_key_id, made.certificate.serial_number)
        assert record == made.record
        assert record is not None
        assert record.der == made.certificate.public_bytes(Encoding.DER)
        assert record.fingerprint == made.certificate.fingerprint(hashes.SHA256()).hex()
        assert made.chain == (made.certificate, authority.hierarchy.clients.certificate)
        made.certificate.verify_directly_issued_by(authority.hierarchy.clients.certificate)
        log = await authority.ledger.events(subject=str(place.alice))
        assert [found.event.kind for found in log] == ["certificate.intended", "certificate.issued"]
        assert log[1].event.data["fingerprint"] == record.fingerprint

    place.with_authority(scenario)


def test_a_serial_in_use_is_not_signed(place: Place) -> None:
    """A serial number that comes twice stops the second certificate before it is signed."""

    async def scenario(authority: Authority) -> None:
        made = await place.client(authority)
        again = place.request()
        with pytest.raises(SerialInUse):
            await issue(
                authority, again, Names(place.alice), CLIENT, "operator", now=place.now, serial=made.record.serial
            )

    place.with_authority(scenario)


@pytest.mark.parametrize(
    ("identity", "principal"),
    [("spiffe://example.org/handclasp/gateway", "operator"), ("spiffe://other.example/alice", "gateway")],
    ids=["reserved", "foreign"],
)
def test_names_that_are_not_the_principals_are_refused(place: Place, identity: str, principal: str) -> None:
    """Reserved names, and names of another trust domain: refused, and nothing is recorded."""

    async def scenario(authority: Authority) -> None:
        names = Names(SpiffeID.parse(identity))
        attempt = issue(authority, place.request(), names, CLIENT, principal, now=place.now, serial=place.serial())
        assert await _refusal(attempt) is Code.REQUEST_NAME_NOT_ALLOWED
        assert await authority.ledger.certificates(identity=identity) == ()

    place.with_authority(scenario)


def test_the_gateway_has_reserved_names(place: Place) -> None:
    """The principal ``gateway`` gets a certificate under handclasp/, and one for host names alone."""

    async def scenario(authority: Authority) -> None:
        own = SpiffeID.named(TrustDomain("example.org"), "handclasp/gateway", reserved=True)
        for names in (Names(own, ("localhost",)), Names(None, ("localhost",))):
            made = await issue(
                authority, place.request(), names, SERVER, "gateway", now=place.now, serial=place.serial()
            )
            assert made.record.dns == ("localhost",)

    place.with_authority(scenario)


def test_renewing_gives_the_same_names(place: Place) -> None:
    """The names of the newest valid certificate, a new serial; the old one stays valid."""

    async def scenario(authority: Authority) -> None:
        old = await place.client(authority)
        new = await _renew(place, authority, place.alice)
        assert (new.record.identity, new.record.dns) == (old.record.identity, old.record.dns)
        held = await authority.ledger.certificates(identity=str(place.alice), state=CertificateState.ISSUED)
        assert held == (old.record, new.record)

    place.with_authority(scenario)


def test_nobody_unknown_revoked_or_expired_renews(place: Place) -> None:
    """Each is refused with its code."""

    async def scenario(authority: Authority) -> None:
        assert await _refusal(_renew(place, authority, place.alice)) is Code.REQUEST_IDENTITY_UNKNOWN
        await place.client(authority, lifetime=timedelta(minutes=1))
        place.now += timedelta(minutes=2)
        assert await _refusal(_renew(place, authority, place.alice)) is Code.REQUEST_IDENTITY_REVOKED
        await place.client(authority)
        await revoke(authority, place.alice, now=place.now)
        assert await _refusal(_renew(place, authority, place.alice)) is Code.REQUEST_IDENTITY_REVOKED
        await place.client(authority)
        await _renew(place, authority, place.alice)

    place.with_authority(scenario)


@pytest.mark.parametrize("moment", ["record_intent", "sign"])
def test_a_revocation_during_a_renewal_is_not_outrun(place: Place, moment: str) -> None:
    """Revoked just before the intent, or while custody signs: the renewal is refused, nothing valid remains."""

    async def scenario(authority: Authority) -> None:
        await place.client(authority)

        class Revoking:
            """Passes every call on; at the moment revokes first."""

            def __init__(self, real: object) -> None:
                self._real = real

            def __getattr__(self, name: str) -> object:
                if name != moment:
                    return getattr(self._real, name)

                async def call(*args: object) -> object:
                    await revoke(authority, place.alice, now=place.now)
                    return await getattr(self._real, name)(*args)

                return call

        raced = replace(
            authority,
            ledger=cast("Ledger", Revoking(authority.ledger)),
            custody=cast("Any", Revoking(authority.custody)),
        )
        assert await _refusal(_renew(place, raced, place.alice)) is Code.REQUEST_IDENTITY_REVOKED
        held = await authority.ledger.certificates(identity=str(place.alice), state=CertificateState.ISSUED)
        assert held == ()

    place.with_authority(scenario)


def test_revoking_twice_is_revoking_once(place: Place) -> None:
    """The first call returns what it revoked, the second nothing; a stranger's name is refused."""

    async def scenario(authority: Authority) -> None:
        made = [await place.client(authority) for _ in range(2)]
        first = await revoke(authority, place.alice, now=place.now, reason=x509.ReasonFlags.key_compromise)
        assert [record.serial for record in first] == [one.record.serial for one in made]
        assert {record.reason for record in first} == {"keyCompromise"}
        assert await revoke(authority, place.alice, now=place.now + timedelta(days=1)) == ()
        assert len(await authority.ledger.events(kind="certificate.revoked")) == 2
        stranger = SpiffeID(TrustDomain("example.org"), "alic")
        assert await _refusal(revoke(authority, stranger, now=place.now)) is Code.REQUEST_IDENTITY_UNKNOWN

    place.with_authority(scenario)


def test_many_at_once(place: Place) -> None:
    """A hundred certificates asked for together are all recorded, each once."""

    async def scenario(authority: Authority) -> None:
        made = await asyncio.gather(*(place.client(authority) for _ in range(100)))
        listed = await authority.ledger.certificates(profile="client", state=CertificateState.ISSUED)
        assert {record.fingerprint for record in listed} == {one.record.fingerprint for one in made}

    place.with_authority(scenario)
