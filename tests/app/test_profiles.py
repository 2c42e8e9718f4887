"""Certificates of the profiles that the settings describe: what is given, and which rule refuses the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType, key_type
from handclasp.pki.pem import load_chain
from handclasp.testing.requests import a_request

if TYPE_CHECKING:
    from tests.app.conftest import Place

PROFILES = """\
lifetimes: {client: 40d}
profiles:
  partner:
    extends: client
    lifetime: 30d
    max_lifetime: 60d
    key_types: [ec-p384, ed25519]
    names:
      spiffe: [partners/*]
      dns: ['*.partner.example.org']
  both:
    extends: client
    usages: [client, server]
  device:
    extends: server
    names:
      ips: [10.0.0.0/8]
  batch:
    extends: workload
    lifetime: 1h
  quantum:
    extends: client
    key_types: [ml-dsa-65, ec-p256]
"""


@pytest.fixture
def place(place: Place) -> Place:
    """With profiles of its own."""
    place.text += PROFILES
    return place


def made(told: dict[str, Any]) -> x509.Certificate:
    """The certificate itself."""
    return load_chain(told["chain"].encode())[0]


def lifetime(told: dict[str, Any]) -> timedelta:
    """How long it is valid from when it was issued: it is backdated by a minute."""
    certificate = made(told)
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc - timedelta(minutes=1)


def usages(told: dict[str, Any]) -> list[x509.ObjectIdentifier]:
    """What it is for."""
    return list(made(told).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def said(refused: Refused) -> tuple[Code, str]:
    """The code, and all that a person is told."""
    return refused.code, f"{refused.what}: {refused.why}. {refused.fix}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"profile": "partner", "name": "partners/a", "csr": KeyType.EC_P384}, timedelta(days=30)),
        ({"profile": "partner", "name": "partners/a", "csr": KeyType.EC_P384, "seconds": 86400.0}, timedelta(days=1)),
        ({"profile": "batch", "name": "nightly"}, timedelta(hours=1)),
        ({"profile": "client"}, timedelta(days=40)),
        ({"profile": "both"}, timedelta(days=90)),
        ({"profile": "server", "name": None, "dns": ["a.example.org"]}, timedelta(days=7)),
    ],
    ids=["profile", "asked", "workload", "lifetimes.client", "built-in below", "built-in"],
)
def test_the_lifetime_is_that_of_the_profile(place: Place, asked: dict[str, Any], expected: timedelta) -> None:
    """What was asked for, else the profile's, which for the callers' own profile the settings say elsewhere."""
    kind = asked.pop("csr", KeyType.EC_P256)
    told = place.issue(a_request(kind=kind), **{"name": "alice"} | asked)
    assert lifetime(told) == expected


def test_a_lifetime_over_the_limit_is_refused(place: Place) -> None:
    """REQUEST_LIFETIME_NOT_ALLOWED, with the profile and both of its limits; nothing is recorded."""
    refused = place.not_issued(
        a_request(kind=KeyType.EC_P384), profile="partner", name="partners/a", seconds=61 * 86400.0
    )
    code, text = said(refused)
    assert code is Code.REQUEST_LIFETIME_NOT_ALLOWED
    assert "partner" in text
    assert "60 days" in text
    assert place.found(profile="partner") == []


@pytest.mark.parametrize("kind", [KeyType.EC_P384, KeyType.ED25519])
def test_a_key_of_a_kind_that_the_profile_names(place: Place, kind: KeyType) -> None:
    """It is certified."""
    told = place.issue(a_request(kind=kind), profile="partner", name="partners/a")
    assert key_type(made(told).public_key()) is kind


def test_a_key_of_another_kind_is_refused(place: Place) -> None:
    """REQUEST_KEY_NOT_ALLOWED, with the kinds that the profile names."""
    code, text = said(place.not_issued(a_request(kind=KeyType.EC_P256), profile="partner", name="partners/a"))
    assert code is Code.REQUEST_KEY_NOT_ALLOWED
    assert "partner" in text
    assert "ec-p384, ed25519" in text


def test_the_usages_are_those_of_the_profile(place: Place) -> None:
    """Client and server where the settings say both; of a built-in what it has."""
    assert usages(place.issue(profile="both")) == [Usage.CLIENT_AUTH, Usage.SERVER_AUTH]
    assert usages(place.issue(profile="client")) == [Usage.CLIENT_AUTH]


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        (
            {"name": "partners/a/b"},
            "spiffe://example.org/partners/a/b is none of the SPIFFE IDs it allows (partners/*)",
        ),
        (
            {"name": "partners/a", "dns": ["other.example.org"]},
            "other.example.org is none of the DNS names it allows (*.partner.example.org)",
        ),
        ({"name": None, "dns": ["a.partner.example.org"]}, "the profile partner needs one"),
        ({"name": "partners/a", "ips": ["10.0.0.1"]}, "the profile partner allows no IP addresses"),
    ],
    ids=["SPIFFE ID", "DNS name", "no SPIFFE ID", "address"],
)
def test_a_name_that_no_pattern_allows_is_refused(place: Place, asked: dict[str, Any], rule: str) -> None:
    """REQUEST_NAME_NOT_ALLOWED, with the rule."""
    code, text = said(place.not_issued(a_request(kind=KeyType.EC_P384), profile="partner", **asked))
    assert code is Code.REQUEST_NAME_NOT_ALLOWED
    assert rule in text


def test_an_address_outside_of_the_networks_is_refused(place: Place) -> None:
    """And one inside is not."""
    assert place.issue(profile="device", name=None, ips=["10.1.2.3"])["ips"] == ["10.1.2.3"]
    code, text = said(place.not_issued(profile="device", name=None, ips=["192.0.2.1"]))
    assert code is Code.REQUEST_NAME_NOT_ALLOWED
    assert "192.0.2.1 is in none of the networks it allows (10.0.0.0/8)" in text


@pytest.mark.parametrize(
    ("profile", "why"),
    [("parner", "no setting and no built-in has it"), ("issuing", "Handclasp makes those itself (handclasp ca)")],
    ids=["unknown", "an authority's"],
)
def test_a_profile_that_is_none_for_this_is_refused(place: Place, profile: str, why: str) -> None:
    """REQUEST_PROFILE_UNKNOWN, with those that there are, and none of an authority among them."""
    refused = place.not_issued(profile=profile)
    assert (refused.code, refused.why, refused.fix) == (
        Code.REQUEST_PROFILE_UNKNOWN,
        why,
        "Use one of these: batch, both, client, device, partner, quantum, server, workload.",
    )


def test_the_names_of_a_request_are_taken(place: Place) -> None:
    """All of them, where none is given beside it."""
    told = place.issue(
        a_request(
            x509.UniformResourceIdentifier("spiffe://example.org/partners/a"),
            x509.DNSName("A.partner.example.org"),
            kind=KeyType.EC_P384,
        ),
        profile="partner",
    )
    assert (told["identity"], told["dns"]) == ("spiffe://example.org/partners/a", ["a.partner.example.org"])


def test_the_names_that_are_given_stand_before_those_of_the_request(place: Place) -> None:
    """Whoever operates the authority decides; the request gives the key."""
    told = place.issue(a_request(x509.UniformResourceIdentifier("spiffe://example.org/mallory")), name="alice")
    assert (told["identity"], told["dns"]) == ("spiffe://example.org/alice", [])


@pytest.mark.parametrize(
    ("names", "profile", "rule"),
    [
        ([x509.RFC822Name("a@example.org")], "client", "no certificate of the profile client has such names"),
        (
            [x509.UniformResourceIdentifier("spiffe://example.org/a"), x509.DNSName("x.example.org")],
            "partner",
            "is none of the SPIFFE IDs it allows (partners/*)",
        ),
        (
            [x509.UniformResourceIdentifier(f"spiffe://example.org/{n}") for n in "ab"],
            "client",
            "a certificate has at most one SPIFFE ID",
        ),
        ([x509.UniformResourceIdentifier("spiffe://other.org/a")], "client", "the trust domain other.org"),
        ([x509.UniformResourceIdentifier("spiffe://example.org/handclasp/x")], "client", "belong to Handclasp itself"),
        ([x509.UniformResourceIdentifier("https://example.org/a")], "client", "it asks for a name that is none"),
    ],
    ids=["mailbox", "pattern", "two", "trust domain", "reserved", "no SPIFFE ID"],
)
def test_one_wish_too_many_refuses_the_request(
    place: Place, names: list[x509.GeneralName], profile: str, rule: str
) -> None:
    """REQUEST_NAME_NOT_ALLOWED with the rule: no name is dropped, and no certificate made of the rest."""
    refused = place.not_issued(a_request(*names, kind=KeyType.EC_P384), profile=profile)
    code, text = said(refused)
    assert code is Code.REQUEST_NAME_NOT_ALLOWED
    assert rule in text
    assert place.found(profile=profile) == []


@pytest.mark.parametrize(
    ("extension", "rule"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "makes no authorities"),
        (x509.ExtendedKeyUsage([Usage.SERVER_AUTH]), "the extended key usage 1.3.6.1.5.5.7.3.1"),
        (x509.OCSPNoCheck(), "the extension 1.3.6.1.5.5.7.48.1.5, and the profile client does not give it"),
    ],
    ids=["authority", "usage", "other"],
)
def test_an_extension_that_is_not_given_refuses_the_request(
    place: Place, extension: x509.ExtensionType, rule: str
) -> None:
    """REQUEST_EXTENSION_NOT_ALLOWED with what was asked for."""
    identity = x509.UniformResourceIdentifier("spiffe://example.org/a")
    code, text = said(place.not_issued(a_request(identity, extensions=[extension])))
    assert code is Code.REQUEST_EXTENSION_NOT_ALLOWED
    assert rule in text


LETS_IN = """\
    rules:
      - allow: spiffe://example.org/partners/**
"""


@pytest.fixture
def guarded(place: Place) -> Place:
    """Its service lets partners in."""
    place.text = place.text.replace("lifetimes:", f"{LETS_IN}lifetimes:")
    return place


def test_a_key_that_the_gateway_cannot_verify_is_refused_for_whom_it_lets_in(guarded: Place) -> None:
    """REQUEST_KEY_NOT_VERIFIABLE, with the kind of key and the service; nothing is recorded."""
    code, text = said(guarded.not_issued(a_request(kind=KeyType.ML_DSA_65), profile="quantum", name="partners/a"))
    assert code is Code.REQUEST_KEY_NOT_VERIFIABLE
    assert "ml-dsa-65" in text
    assert "orders" in text
    assert guarded.found(profile="quantum") == []


def test_such_a_key_is_certified_for_whom_no_service_lets_in(guarded: Place) -> None:
    """Where the profile names the kind."""
    told = guarded.issue(a_request(kind=KeyType.ML_DSA_65), profile="quantum", name="archive")
    assert key_type(made(told).public_key()) is KeyType.ML_DSA_65


def test_such_a_key_is_refused_by_a_profile_that_does_not_name_it(guarded: Place) -> None:
    """ML-DSA is for those who ask for it: the client profile does not."""
    refused = guarded.not_issued(a_request(kind=KeyType.ML_DSA_65), name="archive")
    assert refused.code is Code.REQUEST_KEY_NOT_ALLOWED


def test_renewing_is_no_way_around(guarded: Place) -> None:
    """To a key that the gateway cannot verify: refused as if asked for at once."""
    told = guarded.issue(a_request(kind=KeyType.EC_P256), profile="quantum", name="partners/a")
    csr = a_request(kind=KeyType.ML_DSA_65)
    refused = guarded.refused("cert.renew", which=told["serial"], csr=csr, seconds=None, supersede=False)
    assert refused.code is Code.REQUEST_KEY_NOT_VERIFIABLE


def test_client_add_asks_the_same(guarded: Place) -> None:
    """The other way to a certificate for a caller."""
    csr = a_request(kind=KeyType.ML_DSA_65)
    refused = guarded.refused("client.add", name="partners/a", csr=csr, dns=[], seconds=None)
    assert refused.code is Code.REQUEST_KEY_NOT_VERIFIABLE
