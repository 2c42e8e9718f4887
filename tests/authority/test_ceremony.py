"""The root offline: requested here, signed there, installed here; and authorities that existed before."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.authority.conftest import TRUST_DOMAIN, Place
from tests.authority.test_rotation import openssl_accepts

from handclasp.authority.ceremony import import_authority, install, renew_root, request, sign
from handclasp.authority.hierarchy import Plan, establish, establish_root, load
from handclasp.authority.issue import Authority
from handclasp.authority.ports import Ledger
from handclasp.authority.records import AuthorityState, Role
from handclasp.authority.rotation import Step, advance, start, status
from handclasp.findings import Code, Refused
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType, PrivateKey, generate
from handclasp.pki.request import create

Chain = tuple[x509.Certificate, ...]


@pytest.fixture
def offline(tmp_path: Path) -> Place:
    """The machine that has the root."""
    return Place(tmp_path / "offline")


async def refusal(of: Coroutine[Any, Any, object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await of
    return caught.value


def csr_of(place: Place, role: Role = Role.ISSUING) -> bytes:
    async def scenario(ledger: Ledger) -> bytes:
        return (await request(ledger, place.custody, TRUST_DOMAIN, role, plan=place.plan, now=place.now)).csr

    return place.with_ledger(scenario)


def signed(offline: Place, csr: bytes, plan: Plan | None = None) -> Chain:
    async def scenario(ledger: Ledger) -> Chain:
        return await sign(
            ledger,
            offline.custody,
            TRUST_DOMAIN,
            csr,
            plan=plan or offline.plan,
            now=offline.now,
            serial=offline.serial,
        )

    return offline.with_ledger(scenario)


def installed(place: Place, chain: Chain) -> tuple[str, AuthorityState]:
    async def scenario(ledger: Ledger) -> tuple[str, AuthorityState]:
        record = await install(ledger, TRUST_DOMAIN, chain, now=place.now)
        assert await install(ledger, TRUST_DOMAIN, chain, now=place.now) == record
        return record.name, record.state

    return place.with_ledger(scenario)


def test_a_whole_ceremony(place: Place, offline: Place) -> None:
    """Request, sign, install: the online side issues, has never had the root's key, and openssl accepts the chain."""
    chain = signed(offline, csr_of(place))
    assert installed(place, chain) == ("issuing", AuthorityState.ACTIVE)
    assert sorted(path.name for path in (place.directory / "ca").iterdir()) == ["issuing.key"]
    assert sorted(path.name for path in (offline.directory / "ca").iterdir()) == ["root.key"]
    made = place.with_authority(place.client)
    assert openssl_accepts(place.directory, made.chain, chain[-1])


def test_separate_authorities_are_requested_one_by_one(place: Place, offline: Place) -> None:
    """One for clients and one for servers; the authority serves when both are installed."""
    place.plan = Plan(separate=True)
    for role in (Role.CLIENTS, Role.SERVERS):
        assert installed(place, signed(offline, csr_of(place, role))) == (role.value, AuthorityState.ACTIVE)

    async def names(authority: Authority) -> tuple[str, str]:
        return authority.hierarchy.clients.name, authority.hierarchy.servers.name

    assert place.with_authority(names) == ("clients", "servers")


def test_each_step_again_is_the_same(place: Place, offline: Place) -> None:
    """A request asked for again is for the same key, and signed again is the same certificate."""
    first, second = csr_of(place), csr_of(place)
    assert x509.load_pem_x509_csr(first).public_key() == x509.load_pem_x509_csr(second).public_key()
    assert signed(offline, first) == signed(offline, second)


def test_until_it_is_installed_nothing_is_made(place: Place) -> None:
    """A state with an open request does not help itself to a root of its own."""
    csr_of(place)

    async def scenario(ledger: Ledger) -> None:
        attempt = establish(ledger, place.custody, TRUST_DOMAIN, now=place.now, serial=place.serial)
        assert (await refusal(attempt)).code is Code.STATE_KEY_MISSING
        assert await load(ledger, place.custody, TRUST_DOMAIN) is None

    place.with_ledger(scenario)


def test_the_offline_machine_signs_what_its_plan_says(place: Place, offline: Place) -> None:
    """Lifetime and path length are those of the ceremony, whatever the request says."""
    chain = signed(offline, csr_of(place), Plan(issuing_lifetime=timedelta(days=30), issuing_path_length=2))
    own = chain[0]
    assert own.not_valid_after_utc - offline.now == timedelta(days=30)
    assert own.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 2)


def test_only_requests_for_authorities_are_signed(place: Place, offline: Place) -> None:
    """A caller's request that strays into a ceremony gets no authority's certificate."""
    stray = create(generate(KeyType.EC_P256), place.alice)

    async def scenario(ledger: Ledger) -> None:
        attempt = sign(ledger, offline.custody, TRUST_DOMAIN, stray, now=offline.now, serial=offline.serial)
        assert (await refusal(attempt)).code is Code.AUTHORITY_UNUSABLE

    offline.with_ledger(scenario)


def test_a_later_authority_begins_a_rotation(place: Place, offline: Place) -> None:
    """The second that is installed is published, and signs when the rotation has advanced."""
    installed(place, signed(offline, csr_of(place)))
    assert installed(place, signed(offline, csr_of(place))) == ("issuing-2", AuthorityState.PUBLISHED)

    async def scenario(ledger: Ledger) -> None:
        await advance(ledger, now=place.now + timedelta(minutes=1))
        loaded = await load(ledger, place.custody, TRUST_DOMAIN)
        assert loaded is not None
        assert loaded.clients.name == "issuing-2"

    place.with_ledger(scenario)


def test_an_offline_root_is_rotated(place: Place, offline: Place) -> None:
    """The offline machine makes the new root and certifies the authorities anew; the online one installs, advances,
    and its chains verify with either root."""
    chain = signed(offline, csr_of(place))
    installed(place, chain)

    async def renewed(ledger: Ledger) -> Chain:
        return await renew_root(ledger, offline.custody, TRUST_DOMAIN, now=offline.now, serial=offline.serial)

    made = offline.with_ledger(renewed)
    assert installed(place, made) == ("root-2", AuthorityState.PUBLISHED)

    async def activate(ledger: Ledger) -> None:
        assert (await advance(ledger, now=place.now + timedelta(minutes=1))).step is Step.RETIRE

    place.with_ledger(activate)
    issued = place.with_authority(place.client)
    for roots in ((chain[-1],), (made[0],), (chain[-1], made[0])):
        assert openssl_accepts(place.directory, issued.chain, *roots)
    # And the next issuing authority is signed by the new root.
    place.with_ledger(lambda ledger: advance(ledger, without=[str(place.alice)], now=place.now + timedelta(hours=1)))
    assert installed(place, signed(offline, csr_of(place))) == ("issuing-2", AuthorityState.PUBLISHED)


def _without(chain: Chain, *left_out: int) -> Chain:
    return tuple(one for at, one in enumerate(chain) if at not in left_out)


@pytest.mark.parametrize("left_out", [(1,), (2,)], ids=["cross-certificate", "issuing"])
def test_half_a_new_root_is_refused(place: Place, offline: Place, left_out: tuple[int, ...]) -> None:
    """Without the cross-certificate, or without an authority's new certificate, somebody would be cut off."""
    installed(place, signed(offline, csr_of(place)))

    async def renewed(ledger: Ledger) -> Chain:
        return await renew_root(ledger, offline.custody, TRUST_DOMAIN, now=offline.now, serial=offline.serial)

    made = _without(offline.with_ledger(renewed), *left_out)

    async def scenario(ledger: Ledger) -> None:
        attempt = install(ledger, TRUST_DOMAIN, made, now=place.now)
        assert (await refusal(attempt)).code is Code.AUTHORITY_UNUSABLE
        assert (await status(ledger, now=place.now)).step is Step.NONE

    place.with_ledger(scenario)


def test_what_cannot_be_read_is_not_taken_over(place: Place) -> None:
    """A key of a kind that nobody knows, a name that is none: refused, whatever a file has."""
    root, _ = made_elsewhere(place)
    der = root.public_bytes(Encoding.DER)
    odd_key = x509.load_der_x509_certificate(der.replace(bytes.fromhex("06072a8648ce3d0201"), b"\x06\x07" + b"*" * 7))
    odd_name = x509.load_der_x509_certificate(der.replace(b"\x06\x03\x55\x04\x03\x0c", b"\x06\x03\x55\x04\x03\x69"))

    async def scenario(ledger: Ledger) -> None:
        for odd in (odd_key, odd_name):
            taking = import_authority(ledger, place.custody, TRUST_DOMAIN, (odd,), None, now=place.now)
            assert (await refusal(taking)).code is Code.AUTHORITY_UNUSABLE
            installing = install(ledger, TRUST_DOMAIN, (odd,), now=place.now)
            assert (await refusal(installing)).code is Code.AUTHORITY_UNUSABLE

    place.with_ledger(scenario)


def test_what_does_not_fit_is_not_installed(place: Place, offline: Place, tmp_path: Path) -> None:
    """Without its root, for another key, of another root, expired: each says what is wrong, nothing is recorded."""
    chain = signed(offline, csr_of(place))
    stranger = Place(tmp_path / "stranger")
    foreign = signed(stranger, csr_of(place))

    async def scenario(ledger: Ledger) -> None:
        for given, now in (
            (chain[:1], place.now),
            (chain[1:], place.now),
            (chain, place.now + timedelta(days=9000)),
            ((chain[0], foreign[1]), place.now),
        ):
            attempt = install(ledger, TRUST_DOMAIN, given, now=now)
            assert (await refusal(attempt)).code is Code.AUTHORITY_UNUSABLE
        assert [one.state for one in await ledger.authorities()] == [AuthorityState.REQUESTED]
        await install(ledger, TRUST_DOMAIN, chain, now=place.now)
        other = await request(ledger, place.custody, TRUST_DOMAIN, Role.ISSUING, now=place.now)
        by_stranger = signed_elsewhere(stranger, other.csr)
        attempt = install(ledger, TRUST_DOMAIN, by_stranger, now=place.now)
        assert "the root here is another one" in (await refusal(attempt)).why

    def signed_elsewhere(machine: Place, csr: bytes) -> Chain:
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(signed, machine, csr).result()

    place.with_ledger(scenario)


# Authorities that existed before.


def made_elsewhere(
    place: Place,
    issuer: tuple[x509.Certificate, PrivateKey] | None = None,
    *,
    ca: bool = True,
    usage: bool = True,
    path_length: int | None = None,
    kind: KeyType = KeyType.EC_P384,
    eku: Sequence[x509.ObjectIdentifier] = (),
    constraints: x509.NameConstraints | None = None,
) -> tuple[x509.Certificate, PrivateKey]:
    """An authority as other programs make them, with names of its own."""
    key = generate(kind)
    called = "Corp Root CA" if issuer is None else f"Below {issuer[0].subject.rfc4514_string().removeprefix('CN=')}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer[0].subject)
        .public_key(public)
        .serial_number(place.serial())
        .not_valid_before(place.now - timedelta(days=100))
        .not_valid_after(place.now + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if usage:
        flags = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only", "digital_signature"), False)  # fmt: skip
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **flags), critical=True)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if issuer is not None:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
        builder = builder.add_extension(above, critical=False)
    signer = key if issuer is None else issuer[1]
    return builder.sign(signer, hashes.SHA256()), key


def test_an_existing_root_is_taken_over(place: Place) -> None:
    """The issuing authority is then made below it, and openssl accepts what that signs."""
    root, key = made_elsewhere(place, kind=KeyType.RSA_2048)

    async def scenario(ledger: Ledger) -> None:
        for _ in range(2):
            record = await import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), key, now=place.now)
            assert (record.name, record.role, record.state) == ("root", Role.ROOT, AuthorityState.ACTIVE)

    place.with_ledger(scenario)
    made = place.with_authority(place.client)
    assert openssl_accepts(place.directory, made.chain, root)


def test_an_existing_intermediate_is_taken_over(place: Place) -> None:
    """Key and chain: it signs at once, its root is trusted without a key, and openssl accepts what it signs."""
    root = made_elsewhere(place)
    middle = made_elsewhere(place, root)
    own, key = made_elsewhere(place, middle, kind=KeyType.EC_P384)

    async def scenario(ledger: Ledger) -> None:
        given = (root[0], own, middle[0])
        record = await import_authority(ledger, place.custody, TRUST_DOMAIN, given, key, now=place.now)
        assert (record.name, record.state, record.parent) == ("issuing", AuthorityState.ACTIVE, "root")

    place.with_ledger(scenario)
    made = place.with_authority(place.client)
    assert made.chain[1:] == (own, middle[0])
    assert openssl_accepts(place.directory, made.chain, root[0])


def test_a_root_without_its_key_waits_for_a_ceremony(place: Place, offline: Place) -> None:
    """It is trusted; what it signed elsewhere is installed below it."""
    offline.with_ledger(
        lambda ledger: establish_root(ledger, offline.custody, TRUST_DOMAIN, now=place.now, serial=offline.serial)
    )
    csr = csr_of(offline)  # only to see that one machine can do both
    chain = signed(offline, csr)

    async def scenario(ledger: Ledger) -> None:
        record = await import_authority(ledger, place.custody, TRUST_DOMAIN, chain[1:], None, now=place.now)
        assert (record.name, record.state) == ("root", AuthorityState.ACTIVE)
        attempt = establish(ledger, place.custody, TRUST_DOMAIN, now=place.now, serial=place.serial)
        assert (await refusal(attempt)).code is Code.STATE_KEY_MISSING

    place.with_ledger(scenario)
    assert installed(place, signed(offline, csr_of(place))) == ("issuing", AuthorityState.ACTIVE)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ca": False}, "is no authority (its basic constraints do not say CA)"),
        ({"usage": False}, "has no key usage"),
        ({"path_length": 0}, "allows 0 authorities below it, and there would be more"),
        (
            {"eku": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "is limited to extended key usages that exclude what it is for",
        ),
    ],
    ids=["no-ca", "no-key-usage", "path-length", "extended-key-usage"],
)
def test_what_is_no_authority_is_not_taken_over(place: Place, changes: dict[str, Any], why: str) -> None:
    """The rule that it breaks is said, and no key is kept."""
    root, key = made_elsewhere(place, **changes)

    async def scenario(ledger: Ledger) -> None:
        attempt = import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), key, role=Role.ROOT, now=place.now)
        refused = await refusal(attempt)
        assert (refused.code, refused.why) == (Code.AUTHORITY_UNUSABLE, f"CN=Corp Root CA {why}")
        assert await ledger.authorities() == ()

    place.with_ledger(scenario)
    assert not (place.directory / "ca").exists()


def test_a_second_root_is_not_imported(place: Place) -> None:
    """A root is replaced by a rotation, not by an import beside it."""
    place.with_authority(place.client)
    root, key = made_elsewhere(place)

    async def scenario(ledger: Ledger) -> None:
        attempt = import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), key, now=place.now)
        assert (await refusal(attempt)).code is Code.AUTHORITY_UNUSABLE

    place.with_ledger(scenario)


def test_a_key_that_was_refused_is_not_kept(place: Place) -> None:
    """Or the next authority of that name would be made for it, and others have it too."""
    place.with_authority(place.client)
    root = made_elsewhere(place)
    own, key = made_elsewhere(place, root)

    async def scenario(authority: Authority) -> None:
        given = (own, root[0])
        attempt = import_authority(authority.ledger, place.custody, TRUST_DOMAIN, given, key, now=place.now)
        assert "the root here is another one" in (await refusal(attempt)).why
        assert place.custody.names() == ("issuing", "root")

    place.with_authority(scenario)


def test_a_key_that_was_missing_is_taken_later(place: Place) -> None:
    """A root that was imported without its key can sign once the key is imported too."""
    root, key = made_elsewhere(place)

    async def scenario(ledger: Ledger) -> None:
        without = await import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), None, now=place.now)
        assert not await place.custody.available("root")
        assert await import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), key, now=place.now) == without
        assert await place.custody.available("root")

    place.with_ledger(scenario)


ONLY_EXAMPLE = NameConstraints(dns=("example.org",), uris=("example.org",))
BY_OTHERS = x509.NameConstraints([x509.DNSName("example.org"), x509.UniformResourceIdentifier("example.org")], None)


@pytest.mark.parametrize(
    ("of_middle", "of_own", "why"),
    [
        (None, ONLY_EXAMPLE.extension(), None),
        (None, BY_OTHERS, "were made in another way than ours are"),
        (BY_OTHERS, None, "limited by the authority above it"),
    ],
    ids=["like ours", "of another form", "of the one above"],
)
def test_a_new_root_widens_nothing(
    place: Place, of_middle: x509.NameConstraints | None, of_own: x509.NameConstraints | None, why: str | None
) -> None:
    """What limits an issuing authority limits it under the new root too, or there is none."""
    root = made_elsewhere(place)
    middle = made_elsewhere(place, root, constraints=of_middle) if of_middle else root
    own, key = made_elsewhere(place, middle, constraints=of_own)
    given = tuple(dict.fromkeys((own, middle[0], root[0])))

    async def imported(ledger: Ledger) -> None:
        await import_authority(ledger, place.custody, TRUST_DOMAIN, given, key, now=place.now)
        await import_authority(ledger, place.custody, TRUST_DOMAIN, root[:1], root[1], now=place.now)

    async def scenario(authority: Authority) -> None:
        begun = start(authority, "root", now=place.now, serial=place.serial)
        if why is not None:
            assert why in (await refusal(begun)).why
            return
        await begun
        (issuing,) = (one for one in await authority.ledger.authorities() if one.role is Role.ISSUING)
        by_new_root = x509.load_der_x509_certificate(issuing.certificates[-1])
        found = by_new_root.extensions.get_extension_for_class(x509.NameConstraints)
        assert (found.value, found.critical) == (of_own, True)

    place.with_ledger(imported)
    place.with_authority(scenario)


def test_what_is_signed_again_has_the_limits_of_now(place: Place, offline: Place) -> None:
    """A certificate made before the settings said otherwise is not given out again in place of what they say."""
    csr = csr_of(place)
    first = signed(offline, csr)
    second = signed(offline, csr, Plan(constraints=ONLY_EXAMPLE))
    assert first[0] != second[0]
    assert second[0].extensions.get_extension_for_class(x509.NameConstraints).value == ONLY_EXAMPLE.extension()
    assert signed(offline, csr, Plan(constraints=ONLY_EXAMPLE)) == second


def test_an_imported_root_can_be_rotated(place: Place) -> None:
    """A root with a key identifier and names of its own is cross-signed like one of ours."""
    root, key = made_elsewhere(place)
    place.with_ledger(lambda ledger: import_authority(ledger, place.custody, TRUST_DOMAIN, (root,), key, now=place.now))

    async def scenario(authority: Authority) -> None:
        await start(authority, "root", now=place.now, serial=place.serial)
        await advance(authority.ledger, now=place.now)
        loaded = await load(authority.ledger, authority.custody, TRUST_DOMAIN)
        assert loaded is not None
        made = await place.client(replace(authority, hierarchy=loaded))
        for roots in ((root,), loaded.roots[:1], loaded.roots):
            assert openssl_accepts(place.directory, made.chain, *roots)

    place.with_authority(scenario)
