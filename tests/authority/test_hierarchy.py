"""Making and loading the authorities."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from tests.authority.crashing import Crash, crashing

from handclasp.authority import rotation
from handclasp.authority.audit import verify
from handclasp.authority.hierarchy import Hierarchy, Plan, establish, establish_root, load, trust_domain_of
from handclasp.authority.issue import Authority
from handclasp.authority.ports import KeyCustody, Ledger
from handclasp.findings import Code, Refused
from handclasp.pki.constraints import NameConstraints
from handclasp.pki.keys import KeyType, generate, private_pem
from handclasp.pki.profile import CLIENT, SERVER, WORKLOAD
from handclasp.pki.spiffe import SpiffeID, TrustDomain

if TYPE_CHECKING:
    from tests.authority.conftest import Place


async def _hierarchy(authority: Authority) -> Hierarchy:
    return authority.hierarchy


def _refused(place: Place) -> Refused:
    with pytest.raises(Refused) as caught:
        place.with_authority(_hierarchy)
    return caught.value


def test_the_first_time_makes_the_authorities(place: Place) -> None:
    """A root that signs itself, an issuing authority below it, both in the ledger with their events."""

    async def kinds(ledger: Ledger) -> list[str]:
        log = await ledger.events()
        verify(log)
        return [found.event.kind for found in log]

    made = place.with_authority(_hierarchy)
    made.root.verify_directly_issued_by(made.root)
    made.clients.certificate.verify_directly_issued_by(made.root)
    assert made.clients is made.servers
    assert place.with_ledger(kinds) == [
        "authority.planned",
        "certificate.intended",
        "authority.created",
        "authority.active",
        "certificate.intended",
        "authority.created",
        "authority.active",
    ]


def test_the_next_time_loads_them(place: Place) -> None:
    """The second start finds the same authorities and makes nothing."""
    assert place.with_authority(_hierarchy) == place.with_authority(_hierarchy)
    assert next(place.serials) == (1 << 100) + 3


def test_the_root_key_may_be_away(place: Place) -> None:
    """Once there is an issuing authority, neither loading nor issuing needs the root's key."""
    place.with_authority(_hierarchy)
    (place.directory / "ca" / "root.key").unlink()
    place.with_authority(place.client)


def test_a_missing_issuing_key_is_named(place: Place) -> None:
    """Refused(STATE_KEY_MISSING) names the file to put back."""
    place.with_authority(_hierarchy)
    path = place.directory / "ca" / "issuing.key"
    path.unlink()
    refused = _refused(place)
    assert refused.code is Code.STATE_KEY_MISSING
    assert str(path) in refused.fix


def test_a_key_that_is_not_the_certificates_is_refused(place: Place) -> None:
    """Another key in the file's place: Refused(STATE_DAMAGED) naming the file."""
    place.with_authority(_hierarchy)
    path = place.directory / "ca" / "issuing.key"
    path.unlink()
    path.write_bytes(private_pem(generate(KeyType.EC_P256)))
    refused = _refused(place)
    assert refused.code is Code.STATE_DAMAGED
    assert str(path) in refused.why


def test_another_root_key_is_refused_when_it_is_to_sign(place: Place) -> None:
    """It is not opened before: it may be under a passphrase that nobody needs to know for anything else."""
    place.with_authority(_hierarchy)
    path = place.directory / "ca" / "root.key"
    path.unlink()
    path.write_bytes(private_pem(generate(KeyType.EC_P384)))

    async def rotate(authority: Authority) -> None:
        await rotation.start(authority, "issuing", now=place.now, serial=place.serial)

    with pytest.raises(Refused) as caught:
        place.with_authority(rotate)
    assert caught.value.code is Code.STATE_DAMAGED
    assert str(path) in caught.value.why


def test_keys_without_their_ledger_are_refused(place: Place) -> None:
    """A lost ledger is not replaced by a new root on the old key: that would forget every revocation."""
    place.with_authority(_hierarchy)
    (place.directory / "ledger.db").unlink()
    assert _refused(place).code is Code.STATE_DAMAGED


def test_state_of_another_trust_domain_is_refused(place: Place) -> None:
    """The trust domain of a state is settled when its root is made: Refused(CONFIG_CONFLICT)."""
    place.with_authority(_hierarchy)

    async def other(ledger: Ledger) -> Hierarchy:
        td = TrustDomain("other.example")
        return await establish(ledger, place.custody, td, now=place.now, serial=place.serial)

    with pytest.raises(Refused) as caught:
        place.with_ledger(other)
    assert caught.value.code is Code.CONFIG_CONFLICT


def test_clients_and_servers_may_have_authorities_of_their_own(place: Place) -> None:
    """By the plan; each signs what it is for, and a gateway accepts only the one for clients."""
    place.plan = Plan(separate=True)
    made = place.with_authority(_hierarchy)
    assert [made.signer(profile).name for profile in (CLIENT, WORKLOAD, SERVER)] == ["clients", "clients", "servers"]
    assert made.names() == {"root", "clients"}
    assert [one.name for one in made.issuers] == ["clients", "servers"]


def test_the_plan_is_in_the_certificates(place: Place) -> None:
    """Name constraints, lifetimes, path length, and where revocation lists and issuers are published."""
    constraints = NameConstraints(dns=("example.org",), uris=("example.org",))
    place.plan = Plan(
        constraints=constraints,
        publication="http://pki.example.org/",
        crl_shards=4,
        issuing_lifetime=timedelta(days=100),
        issuing_path_length=1,
    )

    async def scenario(authority: Authority) -> None:
        issuing = authority.hierarchy.clients.certificate
        found = issuing.extensions.get_extension_for_class(x509.NameConstraints)
        assert (found.critical, found.value) == (True, constraints.extension())
        assert issuing.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 1)
        assert issuing.not_valid_after_utc == place.now + timedelta(days=100)
        root = authority.hierarchy.anchors[0]
        assert _urls(issuing) == [f"http://pki.example.org/crl/{root.key_id}.crl"]
        leaf = await place.client(authority)
        shard = leaf.record.serial % 4
        assert leaf.record.shard == shard
        key_id = authority.hierarchy.clients.key_id
        assert _urls(leaf.certificate) == [f"http://pki.example.org/crl/{key_id}/{shard}.crl"]
        with pytest.raises(Refused):
            await place.client(authority, SpiffeID(TrustDomain("example.org"), "x"), dns="alice.example.com")

    place.with_authority(scenario)


def _urls(certificate: x509.Certificate) -> list[str]:
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return [name.value for point in points for name in point.full_name or ()]


@pytest.mark.parametrize(
    ("root", "issuing"),
    [
        (KeyType.ED25519, KeyType.EC_P384),
        (KeyType.RSA_3072, KeyType.RSA_2048),
        (KeyType.ML_DSA_65, KeyType.ML_DSA_44),
    ],
    ids=str,
)
def test_authorities_have_keys_of_every_family(place: Place, root: KeyType, issuing: KeyType) -> None:
    """The plan's kinds of keys; what they sign verifies up to the root."""
    place.plan = Plan(root_key=root, issuing_key=issuing)

    async def scenario(authority: Authority) -> None:
        made = await place.client(authority)
        for below, above in itertools.pairwise((*made.chain, authority.hierarchy.root)):
            below.verify_directly_issued_by(above)

    place.with_authority(scenario)


def test_nothing_is_loaded_where_nothing_is(place: Place) -> None:
    """An empty ledger, and one with a root alone: None, and nothing is made."""

    async def scenario(ledger: Ledger) -> None:
        assert await load(ledger, place.custody, place.trust_domain) is None
        assert await trust_domain_of(ledger) is None
        arguments: dict[str, Any] = {"now": place.now, "serial": place.serial}
        root = await establish_root(ledger, place.custody, place.trust_domain, **arguments)
        assert await establish_root(ledger, place.custody, place.trust_domain, **arguments) == root
        assert await load(ledger, place.custody, place.trust_domain) is None
        assert await trust_domain_of(ledger) == place.trust_domain

    place.with_ledger(scenario)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 28))
def test_a_crash_at_any_step_is_continued(place: Place, step: int, after: bool) -> None:
    """Whichever call was the last one, the next start ends with two authorities that fit their keys."""
    crash = crashing(step, after=after)

    async def first(ledger: Ledger) -> Hierarchy:
        custody = cast("KeyCustody", crash.around(place.custody))
        return await establish(crash.around(ledger), custody, place.trust_domain, now=place.now, serial=place.serial)

    with pytest.raises(Crash):
        place.with_ledger(first)
    made = place.with_authority(_hierarchy)
    made.clients.certificate.verify_directly_issued_by(made.root)
    assert place.with_authority(_hierarchy) == made
    assert sorted(path.name for path in Path(place.directory / "ca").iterdir()) == ["issuing.key", "root.key"]
