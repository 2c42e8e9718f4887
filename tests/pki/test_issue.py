"""The builder of certificates: what it makes, what it refuses, and that the signed bytes are the linted ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import issue, keys
from handclasp.pki.issue import Names, Prepared, prepare
from handclasp.pki.keys import KeyType
from handclasp.pki.lint import lint
from handclasp.pki.names import rfc4514
from handclasp.pki.profile import CLIENT, ISSUING, PROFILES, ROOT, SERVER, Presence
from handclasp.pki.spiffe import SpiffeID, TrustDomain

if TYPE_CHECKING:
    from tests.pki.conftest import Family

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
SERIAL = 0xFACE << 120
ORG = TrustDomain.parse("example.org")
CHECKOUT = SpiffeID.named(ORG, "checkout")


def client(family: Family, **changes: Any) -> Prepared:
    """A client certificate for CHECKOUT, with these changes to what is asked for."""
    wanted: dict[str, Any] = {
        "profile": CLIENT,
        "subject": issue.subject_for(CHECKOUT),
        "names": Names(CHECKOUT),
        "public_key": family.leaf_key.public_key(),
        "issuer": family.issuing,
        "serial": SERIAL,
        "now": NOW,
        **changes,
    }
    return prepare(wanted.pop("profile"), **wanted)


def refused(family: Family, **changes: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        client(family, **changes)
    return caught.value


@pytest.mark.parametrize("name", ["root", "issuing", "server", "client"])
def test_what_was_prepared_is_what_is_signed(family: Family, name: str) -> None:
    """The assembled certificate verifies with its issuer, and lints clean as the null-signed one did."""
    certificate = family.certificates()[name]
    issuer = {"root": family.root, "issuing": family.root}.get(name, family.issuing)
    certificate.verify_directly_issued_by(issuer)
    assert lint(certificate, PROFILES[name], None if name == "root" else issuer) == ()


def test_a_signature_by_another_key_makes_no_certificate(family: Family) -> None:
    """assemble() verifies with the issuer's key before it gives anything away."""
    prepared = client(family)
    with pytest.raises(keys.WrongSignature):
        issue.assemble(prepared, keys.sign(family.leaf_key, prepared.tbs))


def test_a_signature_over_other_bytes_makes_no_certificate(family: Family) -> None:
    """A signature of the right key over another certificate is refused too."""
    prepared = client(family)
    with pytest.raises(keys.WrongSignature):
        issue.assemble(prepared, keys.sign(family.issuing_key, client(family, serial=SERIAL + 1).tbs))


def test_the_same_arguments_give_the_same_bytes(family: Family) -> None:
    """There is no clock and no randomness in prepare()."""
    assert client(family) == client(family)


def test_the_algorithm_follows_the_issuers_key(family: Family) -> None:
    """P-384 signs with SHA-384, P-256 with SHA-256, whatever the subject's key is."""
    oids = [c.signature_algorithm_oid.dotted_string for c in (family.root, family.issuing, family.client)]
    assert oids == ["1.2.840.10045.4.3.3", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.2"]


def test_a_client_certificate_holds_exactly_what_its_profile_says(family: Family) -> None:
    """The extensions of a client certificate, whole."""
    checkout = [
        x509.UniformResourceIdentifier("spiffe://example.org/checkout"),
        x509.DNSName("checkout.example.org"),
    ]
    issuer_id = x509.SubjectKeyIdentifier.from_public_key(family.issuing_key.public_key())
    assert [(e.critical, e.value) for e in family.client.extensions] == [
        (True, x509.BasicConstraints(ca=False, path_length=None)),
        (True, CLIENT.key_usage(KeyType.EC_P256)),
        (False, x509.ExtendedKeyUsage(CLIENT.extended_key_usages)),
        (False, x509.SubjectAlternativeName(checkout)),
        (False, x509.SubjectKeyIdentifier.from_public_key(family.leaf_key.public_key())),
        (False, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id)),
    ]


def test_names_are_written_once_and_in_order(family: Family) -> None:
    """URI, DNS names, addresses; a name given twice is there once."""
    names = Names(CHECKOUT, ("b.example", "a.example", "b.example"), (ip_address("192.0.2.1"),) * 2)
    prepared = client(family, profile=SERVER, names=names)
    certificate = issue.assemble(prepared, keys.sign(family.issuing_key, prepared.tbs))
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(found) == [
        x509.UniformResourceIdentifier("spiffe://example.org/checkout"),
        x509.DNSName("b.example"),
        x509.DNSName("a.example"),
        x509.IPAddress(ip_address("192.0.2.1")),
    ]


@pytest.mark.parametrize(
    "name", [pytest.param("Orders.example.org", id="upper case"), pytest.param("192.0.2.1", id="address")]
)
def test_names_hold_only_dns_names_as_certificates_carry_them(name: str) -> None:
    """Names cannot be made of something else."""
    with pytest.raises(InvalidSetting):
        Names(dns=(name,))


def test_the_subject_is_the_name_while_it_fits() -> None:
    """A common name has at most 64 characters (RFC 5280 appendix A.1); beyond, there is none."""
    fits, too_long = SpiffeID.named(ORG, "n" * 64), SpiffeID.named(ORG, "n" * 65)
    subjects = (rfc4514(issue.subject_for(fits)), rfc4514(issue.subject_for(too_long)))
    assert subjects == ("CN=" + "n" * 64, "")


def test_the_alternative_name_is_critical_without_a_subject(family: Family) -> None:
    """RFC 5280 §4.2.1.6: critical if and only if the subject is empty."""
    kind = x509.SubjectAlternativeName
    critical = [c.extensions.get_extension_for_class(kind).critical for c in (family.client, family.long_named)]
    assert critical == [False, True]


def test_two_authorities_never_share_a_name() -> None:
    """The key's identifier is part of the name, so a verifier never tries the wrong key."""
    names = [
        rfc4514(issue.authority_subject(ROOT, ORG, ec.derive_private_key(n, ec.SECP384R1()).public_key()))
        for n in (1, 2)
    ]
    assert names[0] != names[1]
    assert all(name.startswith("CN=example.org root CA ") for name in names)


def test_an_authority_of_a_long_trust_domain_has_a_name_that_fits() -> None:
    """The trust domain is cut, the key's identifier is not."""
    key = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    name = issue.authority_subject(ISSUING, TrustDomain.parse("t" * 255), key)
    (common_name,) = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == f"{'t' * 41}... issuing CA {keys.key_id(key)[:8]}"
    assert len(common_name.value) == issue.MAX_COMMON_NAME


def test_a_certificate_is_valid_from_a_minute_ago(family: Family) -> None:
    """Clocks differ: notBefore is backdated by 60 seconds; both ends are whole seconds."""
    prepared = client(family, now=NOW + timedelta(days=1), lifetime=timedelta(hours=1))
    assert (prepared.not_before, prepared.not_after) == (
        datetime(2026, 11, 22, 11, 59, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 13, 0, 0, tzinfo=UTC),
    )


def test_the_profile_gives_the_lifetime_that_nobody_asked_for(family: Family) -> None:
    """A client certificate lives for 90 days."""
    assert client(family).not_after == NOW.replace(microsecond=0) + timedelta(days=90)


def test_a_time_in_another_zone_is_the_same_time(family: Family) -> None:
    """Only the instant counts."""
    assert client(family, now=NOW.astimezone(timezone(timedelta(hours=9)))) == client(family)


def test_no_certificate_outlives_its_issuer(family: Family) -> None:
    """notAfter is cut to the issuer's."""
    late = family.issuing.not_valid_after_utc - timedelta(days=1)
    assert client(family, now=late).not_after == family.issuing.not_valid_after_utc


def test_no_certificate_begins_before_its_issuer(family: Family) -> None:
    """The backdated notBefore is cut to the issuer's."""
    start = family.issuing.not_valid_before_utc
    assert client(family, now=start + timedelta(seconds=1)).not_before == start


@pytest.mark.parametrize(
    ("lifetime", "why"),
    [
        pytest.param(
            timedelta(days=399), "the profile client allows 10 seconds to 398 days, not 399 days", id="too long"
        ),
        pytest.param(
            timedelta(seconds=9.5),
            "the profile client allows 10 seconds to 398 days, not 9.5 seconds",
            id="too short",
        ),
        pytest.param(timedelta(0), "the profile client allows 10 seconds to 398 days, not 0 seconds", id="none"),
        pytest.param(
            timedelta(hours=-1), "the profile client allows 10 seconds to 398 days, not -1 hours", id="negative"
        ),
    ],
)
def test_a_lifetime_outside_the_profile_is_refused(family: Family, lifetime: timedelta, why: str) -> None:
    """The message names the limits and what was asked for."""
    found = refused(family, lifetime=lifetime)
    assert (found.code, found.why, found.fix) == (
        Code.REQUEST_LIFETIME_NOT_ALLOWED,
        why,
        "Ask for 10 seconds to 398 days.",
    )


def test_an_expired_issuer_issues_nothing(family: Family) -> None:
    """Less is left than the profile's shortest lifetime."""
    found = refused(family, now=family.issuing.not_valid_after_utc - timedelta(seconds=9))
    assert (found.code, found.fix) == (
        Code.REQUEST_LIFETIME_NOT_ALLOWED,
        "Make a new authority; this one cannot issue any more.",
    )


def test_a_clock_before_the_issuer_began_issues_nothing(family: Family) -> None:
    """A clock that is wrong by years is said to be so."""
    found = refused(family, now=datetime(1970, 1, 1, tzinfo=UTC))
    assert (found.code, found.why) == (
        Code.REQUEST_LIFETIME_NOT_ALLOWED,
        "it is 1970-01-01 00:00:00 UTC by this clock, and the authority's own certificate begins "
        "at 2026-11-21 11:59:00 UTC",
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param(
            {"names": Names(dns=("a.example",))},
            "the certificate has no SPIFFE ID, and the profile client needs one",
            id="client without identity",
        ),
        pytest.param(
            {"names": Names(CHECKOUT, (), (ip_address("192.0.2.1"),))},
            "the certificate would name 192.0.2.1, and the profile client allows no IP addresses",
            id="client with address",
        ),
        pytest.param(
            {"profile": SERVER, "names": Names()},
            "the certificate names nobody, and the profile server needs a name",
            id="server without names",
        ),
        pytest.param(
            {"profile": ISSUING, "public_key": ec.derive_private_key(3, ec.SECP256R1()).public_key()},
            "the certificate would name spiffe://example.org/checkout, and the profile issuing allows none",
            id="authority with identity",
        ),
        pytest.param(
            {
                "profile": ISSUING,
                "names": Names(dns=("a.example",)),
                "public_key": ec.derive_private_key(3, ec.SECP256R1()).public_key(),
            },
            "the certificate would name a.example, and the profile issuing allows no DNS names",
            id="authority with DNS name",
        ),
    ],
)
def test_names_that_the_profile_does_not_allow_are_refused(
    family: Family, changes: dict[str, object], why: str
) -> None:
    """Each profile names what it names and nothing else."""
    found = refused(family, **changes)
    assert (found.code, found.why) == (Code.REQUEST_NAME_NOT_ALLOWED, why)


def test_a_key_that_the_profile_does_not_allow_is_refused(family: Family) -> None:
    """The kinds that the profile allows are named."""
    found = refused(family, profile=replace(CLIENT, key_types=frozenset({KeyType.EC_P384, KeyType.ED25519})))
    assert (found.code, found.why, found.fix) == (
        Code.REQUEST_KEY_NOT_ALLOWED,
        "the profile client does not allow keys of the kind ec-p256",
        "Make a key of one of these kinds: ec-p384, ed25519.",
    )


def test_an_issuing_ca_makes_no_further_authority(family: Family) -> None:
    """Its path length is 0 (RFC 5280 §4.2.1.9)."""
    subject = issue.authority_subject(ISSUING, ORG, family.leaf_key.public_key())
    found = refused(family, profile=ISSUING, names=Names(), subject=subject)
    assert (found.code, found.why) == (
        Code.REQUEST_LINT,
        "its issuer may not certify other authorities (its path length is 0)",
    )


def test_a_client_certificate_issues_nothing(family: Family) -> None:
    """Only an authority signs certificates."""
    found = refused(family, issuer=family.client, lifetime=timedelta(days=1))
    assert (found.code, found.why) == (
        Code.REQUEST_LINT,
        "its issuer is no authority; its issuer's key may not sign certificates",
    )


def test_a_common_name_that_is_no_alternative_name_is_refused(family: Family) -> None:
    """A common name alone is never an identity, so it may only repeat one."""
    found = refused(family, subject=issue.subject_for(SpiffeID.named(ORG, "admin")))
    assert (found.code, found.why) == (
        Code.REQUEST_LINT,
        "its common name 'admin' is none of its subject alternative names",
    )


@pytest.mark.parametrize("serial", [0, -1, (1 << 63) - 1, 1 << 159], ids=["zero", "negative", "63 bits", "160 bits"])
def test_a_serial_number_out_of_range_is_a_fault_of_the_program(family: Family, serial: int) -> None:
    """64 to 159 bits, positive (RFC 5280 §4.1.2.2)."""
    with pytest.raises(ValueError, match=r"serial= must be positive and have 64 to 159 bits"):
        client(family, serial=serial)


def test_a_clock_without_zone_is_a_fault_of_the_program(family: Family) -> None:
    """A naive time would mean something else on each machine."""
    with pytest.raises(ValueError, match="now= has no time zone"):
        client(family, now=NOW.replace(tzinfo=None))


@settings(max_examples=50)
@given(
    path=st.from_regex(r"[a-z0-9]{1,70}(/[a-z0-9]{1,10})?", fullmatch=True),
    dns=st.lists(st.sampled_from(["a.example", "b.example", "*.c.example"]), max_size=3),
    ips=st.lists(st.ip_addresses(), max_size=3),
    seconds=st.integers(10, 398 * 86400),
    serial=st.integers(1 << 63, (1 << 159) - 1),
    profile=st.sampled_from([SERVER, CLIENT]),
)
def test_whatever_is_issued_is_clean_and_verifies(
    *,
    family: Family,
    path: str,
    dns: list[str],
    ips: list[Any],
    seconds: int,
    serial: int,
    profile: Any,
) -> None:
    """Every allowed combination gives a certificate that lints clean and verifies with its issuer."""
    identity = SpiffeID.named(ORG, path)
    names = Names(identity, tuple(dns), tuple(ips) if profile.ip_addresses else ())
    prepared = client(
        family,
        profile=profile,
        subject=issue.subject_for(identity),
        names=names,
        lifetime=timedelta(seconds=seconds),
        serial=serial,
    )
    certificate = issue.assemble(prepared, keys.sign(family.issuing_key, prepared.tbs))
    certificate.verify_directly_issued_by(family.issuing)
    assert certificate.tbs_certificate_bytes == prepared.tbs
    assert certificate.serial_number == serial
    assert lint(certificate, profile, family.issuing) == ()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_profile_does_not_contradict_itself(profile: Any) -> None:
    """Its own lifetime lies within its limits, and an authority names no callers."""
    assert profile.min_lifetime <= profile.lifetime <= profile.max_lifetime
    assert profile.key_types <= set(KeyType)
    assert not profile.is_ca or profile.spiffe_id is Presence.NONE
    assert profile.default_key in profile.key_types
    assert profile.is_ca == (not profile.extended_key_usages)
