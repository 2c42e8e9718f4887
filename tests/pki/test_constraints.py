"""Name constraints: what is written for an authority, and what may stand below one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import issue, keys, pem
from handclasp.pki.constraints import NOBODY, NameConstraints, outside
from handclasp.pki.issue import Names
from handclasp.pki.profile import CLIENT, ISSUING, SERVER, Profile
from handclasp.pki.spiffe import SpiffeID, TrustDomain

if TYPE_CHECKING:
    from tests.pki.conftest import Family

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DOMAIN = TrustDomain.parse("example.org")
OURS = NameConstraints(
    dns=("example.org",), ips=(ip_network("10.0.0.0/8"),), uris=("example.org",), emails=("example.org",)
)


def directory(*names: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in names]))


def test_every_kind_of_name_is_spoken_of() -> None:
    """What is permitted is listed; of what is not, everything is excluded."""
    v4, v6 = ip_network("0.0.0.0/0"), ip_network("::/0")
    assert NameConstraints(uris=("example.org",)).extension() == x509.NameConstraints(
        [x509.UniformResourceIdentifier("example.org"), x509.RFC822Name(NOBODY)],
        [x509.DNSName(""), x509.IPAddress(v4), x509.IPAddress(v6)],
    )
    assert OURS.extension() == x509.NameConstraints(
        [
            x509.DNSName("example.org"),
            x509.IPAddress(ip_network("10.0.0.0/8")),
            x509.UniformResourceIdentifier("example.org"),
            x509.RFC822Name("example.org"),
        ],
        [x509.IPAddress(v6)],
    )


@pytest.mark.parametrize(
    ("constraints", "why"),
    [
        ({"dns": ("*.example.org",)}, "'*.example.org' has capitals or a wildcard"),
        ({"dns": ("a_b.example",)}, "'a_b.example' has the label 'a_b'; labels are letters, digits and inner hyphens"),
        ({"uris": ("spiffe://example.org",)}, "'spiffe://example.org' is no host in lower case"),
        ({"emails": ("a@.example.org",)}, "'a@.example.org' is no mailbox and no host in lower case"),
    ],
)
def test_what_constrains_nothing_is_refused(constraints: dict[str, tuple[str, ...]], why: str) -> None:
    """A constraint that no name could meet is a mistake of whoever wrote it."""
    with pytest.raises(InvalidSetting) as caught:
        NameConstraints(**constraints)  # type: ignore[arg-type]
    assert caught.value.why == why


DNS, URI, IP, MAIL = x509.DNSName, x509.UniformResourceIdentifier, x509.IPAddress, x509.RFC822Name


@pytest.mark.parametrize(
    ("permitted", "inside", "beyond"),
    [
        pytest.param(
            DNS("example.org"),
            [DNS("example.org"), DNS("a.b.example.org"), DNS("A.EXAMPLE.org"), DNS("*.example.org")],
            [DNS("badexample.org"), DNS("org"), DNS("*.org")],
            id="domain",
        ),
        pytest.param(
            IP(ip_network("10.0.0.0/8")),
            [IP(ip_address("10.255.0.1"))],
            [IP(ip_address("11.0.0.1")), IP(ip_address("::ffff:10.0.0.1"))],
            id="network",
        ),
        pytest.param(
            URI("example.org"),
            [URI("spiffe://example.org/x"), URI("https://user@EXAMPLE.org:8443/")],
            [URI("spiffe://a.example.org/x"), URI("urn:x"), URI("http://[::1")],
            id="host",
        ),
        pytest.param(
            URI(".example.org"),
            [URI("spiffe://a.example.org/x"), URI("spiffe://a.b.example.org/x")],
            [URI("spiffe://example.org/x"), URI("spiffe://badexample.org/x")],
            id="hosts below",
        ),
        pytest.param(
            MAIL("example.org"), [MAIL("a@Example.org")], [MAIL("a@b.example.org"), MAIL("a@x")], id="mail host"
        ),
        pytest.param(MAIL("a@example.org"), [MAIL("a@Example.org")], [MAIL("A@example.org")], id="mailbox"),
        pytest.param(directory("A"), [directory("A"), directory("A", "B")], [directory("B")], id="directory"),
    ],
)
def test_a_name_is_inside_or_beyond(
    permitted: x509.GeneralName, inside: list[x509.GeneralName], beyond: list[x509.GeneralName]
) -> None:
    """RFC 5280 §4.2.1.10, for each kind of name; a name of another kind is not constrained."""
    constraints = x509.NameConstraints([permitted], None)
    assert list(outside(constraints, inside)) == []
    assert len(list(outside(constraints, beyond))) == len(beyond)
    assert list(outside(constraints, [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))])) == []


def test_a_wildcard_that_covers_an_excluded_name_is_excluded() -> None:
    """*.example.org stands for secret.example.org too."""
    constraints = x509.NameConstraints(None, [DNS("secret.example.org")])
    assert list(outside(constraints, [DNS("*.example.org"), DNS("*.x.example.org")])) == [
        "*.example.org is excluded by its issuer's name constraints"
    ]


def constrained(family: Family, constraints: NameConstraints) -> x509.Certificate:
    prepared = issue.prepare(
        ISSUING,
        subject=issue.authority_subject(ISSUING, DOMAIN, family.issuing_key.public_key()),
        names=Names(),
        public_key=family.issuing_key.public_key(),
        issuer=family.root,
        serial=0xCA << 120,
        now=NOW,
        constraints=constraints,
    )
    return issue.assemble(prepared, keys.sign(family.root_key, prepared.tbs))


def leaf(family: Family, issuing: x509.Certificate, profile: Profile, names: Names) -> x509.Certificate:
    prepared = issue.prepare(
        profile,
        subject=x509.Name([]),
        names=names,
        public_key=family.leaf_key.public_key(),
        issuer=issuing,
        serial=0xCAFE << 120,
        now=NOW,
    )
    return issue.assemble(prepared, keys.sign(family.issuing_key, prepared.tbs))


CHECKOUT = SpiffeID.named(DOMAIN, "checkout")
OTHER = SpiffeID.parse("spiffe://example.com/checkout")
UNCONSTRAINED: dict[str, tuple[Names, str | None]] = {
    "own identity": (Names(CHECKOUT, ("a.example.org",), (ip_address("10.0.0.1"),)), None),
    "another trust domain": (Names(OTHER), "spiffe://example.com/checkout is outside of"),
    "another domain": (Names(CHECKOUT, ("a.example.com",)), "a.example.com is outside of"),
    "another network": (Names(CHECKOUT, (), (ip_address("192.0.2.1"),)), "192.0.2.1 is outside of"),
    "an address of the other family": (Names(CHECKOUT, (), (ip_address("::1"),)), "::1 is excluded by"),
}


@pytest.mark.parametrize("name", UNCONSTRAINED)
def test_a_name_outside_is_refused_before_anything_is_signed(family: Family, name: str) -> None:
    """What a verifier would refuse, the authority does not sign."""
    names, why = UNCONSTRAINED[name]
    issuing = constrained(family, OURS)
    if why is None:
        leaf(family, issuing, SERVER, names)
        return
    with pytest.raises(Refused) as caught:
        leaf(family, issuing, SERVER, names)
    ending = "its issuer's name constraints" + (" permit" if "outside" in why else "")
    expected = f"{why} what {ending}" if "outside" in why else f"{why} {ending}"
    assert (caught.value.code, caught.value.why) == (Code.REQUEST_LINT, expected)


@pytest.mark.parametrize("name", UNCONSTRAINED)
def test_openssl_agrees_about_every_name(
    family: Family, tmp_path: Path, openssl_verify: Callable[..., tuple[int, str]], name: str
) -> None:
    """openssl verify accepts and refuses the same certificates below the same constraints."""
    names, why = UNCONSTRAINED[name]
    certificate = leaf(family, family.issuing, SERVER, names)
    code, output = openssl_verify(certificate, constrained(family, OURS), "sslserver", tmp_path)
    assert (code == 0) is (why is None), output
    assert ("permitted subtree violation" in output or "excluded subtree violation" in output) is (why is not None)


def test_openssl_lets_nothing_through_that_is_not_mentioned(
    family: Family, tmp_path: Path, openssl_verify: Callable[..., tuple[int, str]]
) -> None:
    """With the trust domain alone permitted, hosts and addresses are excluded, and the identity is fine."""
    issuing = constrained(family, NameConstraints(uris=("example.org",)))
    for names, fine in ((Names(CHECKOUT), True), (Names(CHECKOUT, ("a.example",)), False), (Names(OTHER), False)):
        code, output = openssl_verify(leaf(family, family.issuing, CLIENT, names), issuing, "sslclient", tmp_path)
        assert (code == 0) is fine, output
    assert pem.load_chain(pem.pem(issuing)) == (issuing,)
