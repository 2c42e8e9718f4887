"""The path verifier: every fault with its certificate and field, names, paths, limits, and what is proved."""

from __future__ import annotations

import time
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.x509.oid import NameOID

from handclasp.findings import Code
from handclasp.pki.chain import (
    ChainRefused,
    ExpectedName,
    Limits,
    PolicyDemand,
    Purpose,
    Rules,
    Trust,
    Verdict,
    VerifiedPeer,
    examine,
    verify,
)
from handclasp.pki.spiffe import SpiffeID
from handclasp.testing.chains import AT, CLIENT, SERVER, Holder, common_name, key_usage, make

SPIFFE = "spiffe://example.org/checkout"
NAMES = [x509.UniformResourceIdentifier(SPIFFE), x509.DNSName("api.example.org")]
ROOT = make("root", authority=True)
ISSUING = make("issuing", ROOT, authority=True, path_length=0)
LEAF = make("leaf", ISSUING, names=NAMES)
TRUST = Trust.of([ROOT.der])


def ask(
    leaf: Holder | bytes,
    *chain: Holder,
    trust: Trust | None = None,
    purpose: Purpose = Purpose.CLIENT,
    name: ExpectedName | None = None,
    **more: Any,
) -> Verdict:
    first = leaf if isinstance(leaf, bytes) else leaf.der
    return examine(first, [one.der for one in chain], trust or TRUST, at=AT, purpose=purpose, name=name, **more)


def told(verdict: Verdict) -> list[tuple[Code, str, str]]:
    """Code, position and field of every finding."""
    return [(found.code, found.facts["position"], found.facts["field"]) for found in verdict.findings]


def test_a_good_chain_is_a_path_without_findings() -> None:
    """The path goes from the leaf to its anchor, whether certificates or their DER are given."""
    expected = Verdict(
        (LEAF.certificate, ISSUING.certificate, ROOT.certificate),
        (),
        (),
        (LEAF.certificate, ISSUING.certificate, ROOT.certificate),
    )
    assert ask(LEAF, ISSUING) == expected
    trust = Trust.of([ROOT.certificate], intermediates=[ISSUING.certificate])
    assert examine(LEAF.certificate, [], trust, at=AT, purpose=Purpose.CLIENT) == expected


def test_verify_returns_what_was_proved() -> None:
    """The names by kind, and the SPIFFE ID where there is exactly one URI."""
    leaf = make(
        "leaf", ISSUING, names=[*NAMES, x509.IPAddress(ip_address("192.0.2.7")), x509.RFC822Name("a@example.org")]
    )
    assert verify(leaf.der, [ISSUING.der], TRUST, at=AT, purpose=Purpose.CLIENT) == VerifiedPeer(
        path=(leaf.certificate, ISSUING.certificate, ROOT.certificate),
        spiffe_id=SpiffeID.parse(SPIFFE),
        dns=("api.example.org",),
        ips=(ip_address("192.0.2.7"),),
        uris=(SPIFFE,),
        emails=("a@example.org",),
    )


def test_verify_raises_with_every_finding() -> None:
    """The exception is a refusal for people, and carries the findings of the verdict."""
    late = make("leaf", ISSUING, names=NAMES, ends=AT - timedelta(days=1), usages=[SERVER])
    with pytest.raises(ChainRefused) as raised:
        verify(late.der, [ISSUING.der], TRUST, at=AT, purpose=Purpose.CLIENT)
    assert raised.value.findings == ask(late, ISSUING).findings
    assert raised.value.code is Code.CHAIN_EXPIRED
    assert raised.value.why == "chain[0] CN=leaf: it expired on 2026-05-31 12:00:00 UTC (and 1 more)"


def test_a_finding_names_certificate_field_and_section() -> None:
    """All facts of one finding, as machines read them."""
    late = make("leaf", ISSUING, names=NAMES, ends=AT - timedelta(days=1), serial=0x1234)
    (finding,) = ask(late, ISSUING).findings
    assert (finding.where, finding.facts) == (
        "chain[0] CN=leaf",
        {
            "field": "validity",
            "section": "RFC 5280 §4.1.2.5",
            "position": "0",
            "subject": "CN=leaf",
            "serial": "1234",
            "not_before": "2026-05-02T12:00:00+00:00",
            "not_after": "2026-05-31T12:00:00+00:00",
            "at": "2026-06-01T12:00:00+00:00",
        },
    )


def test_all_faults_are_reported() -> None:
    """Faults of every certificate of the path, each once and in order."""
    root = make("root", authority=True, path_length=0, ends=AT - timedelta(days=1))
    issuing = make("issuing", root, authority=True, usage=key_usage("crl_sign"), usages=[SERVER])
    leaf = make("leaf", issuing, names=[x509.DNSName("api.example.org")], begins=AT + timedelta(days=1))
    issuing = make("issuing", root, authority=True, key=issuing.key, usage=key_usage("crl_sign"), usages=[SERVER])
    verdict = ask(leaf, issuing, trust=Trust.of([root.der]), name="db.example.org", rules=Rules.PATH)
    assert told(verdict) == [
        (Code.CHAIN_NOT_YET_VALID, "0", "validity"),
        (Code.CHAIN_NAME_MISMATCH, "0", "subjectAltName"),
        (Code.CHAIN_KEY_USAGE, "1", "keyUsage"),
        (Code.CHAIN_EXTENDED_KEY_USAGE, "1", "extendedKeyUsage"),
        (Code.CHAIN_EXPIRED, "2", "validity"),
        (Code.CHAIN_PATH_LENGTH, "2", "basicConstraints"),
    ]


def form(subject: str = "leaf", **different: Any) -> Holder:
    return make(subject, ISSUING, **{"names": NAMES} | different)


WITHOUT_KEY = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(common_name("root"))], 7)
FORM = {
    "no authority key identifier": (form(without=[x509.AuthorityKeyIdentifier]), "authorityKeyIdentifier"),
    "authority key identifier without key": (form(add=[(WITHOUT_KEY, False)]), "authorityKeyIdentifier"),
    "another key's identifier": (
        form(add=[(x509.AuthorityKeyIdentifier(b"other", None, None), False)]),
        "authorityKeyIdentifier",
    ),
    "critical subject key identifier": (
        form(add=[(x509.SubjectKeyIdentifier(b"key"), True)]),
        "subjectKeyIdentifier",
    ),
    "constraints of a leaf": (
        form(add=[(x509.NameConstraints([x509.DNSName("example.org")], None), True)]),
        "nameConstraints",
    ),
    "keyCertSign of a leaf": (form(usage=key_usage("key_cert_sign", "digital_signature")), "keyUsage"),
    "underscore": (form(names=[x509.DNSName("a_b.example.org")]), "subjectAltName"),
    "wildcard inside": (form(names=[x509.DNSName("a*.example.org")]), "subjectAltName"),
    "address as DNS name": (form(names=[x509.DNSName("192.0.2.7")]), "subjectAltName"),
    "subject and critical names": (form(add=[(x509.SubjectAlternativeName(NAMES), True)]), "subjectAltName"),
    "names not critical without subject": (
        form("", add=[(x509.SubjectAlternativeName(NAMES), False)]),
        "subjectAltName",
    ),
    "broken SPIFFE ID": (form(names=[x509.UniformResourceIdentifier("spiffe://Example.org/a")]), "subjectAltName"),
}


@pytest.mark.parametrize(("leaf", "field"), FORM.values(), ids=FORM.keys())
def test_form_is_a_fault_under_the_profile_and_a_remark_otherwise(leaf: Holder, field: str) -> None:
    """Rules.PROFILE refuses what its issuer should not have made; Rules.PATH remarks it, and accepts."""
    strict, lenient = ask(leaf, ISSUING), ask(leaf, ISSUING, rules=Rules.PATH)
    assert told(strict) == [(Code.CHAIN_EXTENSION, "0", field)]
    assert lenient.path is not None
    if "another" not in str(leaf.certificate.extensions):
        assert {remark.facts["field"] for remark in lenient.remarks} <= {field}


WEAK = {
    "RSA of 1024 bits": (rsa.generate_private_key(65537, 1024), Code.CHAIN_WEAK_KEY),
    "P-192": (ec.generate_private_key(ec.SECP192R1()), Code.CHAIN_WEAK_KEY),
    "secp256k1": (ec.generate_private_key(ec.SECP256K1()), Code.CHAIN_WEAK_KEY),
}


@pytest.mark.parametrize(("key", "code"), WEAK.values(), ids=WEAK.keys())
def test_weak_keys_are_faults_under_the_profile(key: Any, code: Code) -> None:
    """Keys that nobody should use any more."""
    assert told(ask(form(key=key), ISSUING)) == [(code, "0", "subjectPublicKeyInfo")]


KEYS = {
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "RSA": rsa.generate_private_key(65537, 2048),
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate(),
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate(),
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate(),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_every_kind_of_key_verifies(key: Any) -> None:
    """An authority of each kind of key; and its signature over something else is seen to be wrong."""
    hash_ = hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None
    root = make("root", authority=True, key=key, hash_=hash_)
    leaf = make("leaf", root, names=NAMES, hash_=hash_)
    assert ask(leaf, trust=Trust.of([root.der])).findings == ()
    changed = bytearray(leaf.der)
    changed[-1] ^= 1
    assert told(ask(bytes(changed), trust=Trust.of([root.der]))) == [(Code.CHAIN_BAD_SIGNATURE, "0", "signatureValue")]


HOSTS: list[tuple[x509.GeneralName, ExpectedName, bool]] = [
    (x509.DNSName("api.example.org"), "api.example.org", True),
    (x509.DNSName("API.example.org"), "api.EXAMPLE.org", True),
    (x509.DNSName("api.example.org"), "api.example.org.", True),
    (x509.DNSName("api.example.org"), "xapi.example.org", False),
    (x509.DNSName("*.example.org"), "api.example.org", True),
    (x509.DNSName("*.example.org"), "a.b.example.org", False),
    (x509.DNSName("*.example.org"), "example.org", False),
    (x509.DNSName("*.org"), "example.org", False),
    (x509.DNSName("a*.example.org"), "api.example.org", False),
    (x509.DNSName("localhost"), "localhost", True),
    (x509.DNSName("192.0.2.7"), "192.0.2.7", False),
    (x509.IPAddress(ip_address("192.0.2.7")), "192.0.2.7", True),
    (x509.IPAddress(ip_address("192.0.2.7")), ip_address("192.0.2.7"), True),
    (x509.IPAddress(ip_address("192.0.2.7")), ip_address("192.0.2.8"), False),
    (x509.IPAddress(ip_address("::1")), ip_address("::1"), True),
    (x509.UniformResourceIdentifier(SPIFFE), SpiffeID.parse(SPIFFE), True),
    (x509.UniformResourceIdentifier(SPIFFE + "/x"), SpiffeID.parse(SPIFFE), False),
    (x509.UniformResourceIdentifier("https://api.example.org/"), "api.example.org", False),
    (x509.DNSName("example.org"), SpiffeID.parse(SPIFFE), False),
]


@pytest.mark.parametrize(
    ("presented", "wanted", "matches"), HOSTS, ids=lambda value: str(getattr(value, "value", value))
)
def test_names_match_by_their_kind(presented: x509.GeneralName, wanted: ExpectedName, matches: bool) -> None:
    """RFC 9525: hosts, wildcards and addresses; a SPIFFE ID only as a URI. The common name never counts."""
    leaf = make("api.example.org", ISSUING, names=[presented])
    found = ask(leaf, ISSUING, purpose=Purpose.SERVER, name=wanted, rules=Rules.PATH)
    assert told(found) == ([] if matches else [(Code.CHAIN_NAME_MISMATCH, "0", "subjectAltName")])


def test_two_uris_are_no_spiffe_identity() -> None:
    """X509-SVID §2: exactly one URI."""
    leaf = make(
        "leaf", ISSUING, names=[x509.UniformResourceIdentifier(SPIFFE), x509.UniformResourceIdentifier("urn:a:b")]
    )
    assert told(ask(leaf, ISSUING, name=SpiffeID.parse(SPIFFE))) == [(Code.CHAIN_NAME_MISMATCH, "0", "subjectAltName")]
    assert verify(leaf.der, [ISSUING.der], TRUST, at=AT, purpose=Purpose.CLIENT).spiffe_id is None


def dn(**parts: str) -> x509.DirectoryName:
    oids = {"c": NameOID.COUNTRY_NAME, "o": NameOID.ORGANIZATION_NAME, "cn": NameOID.COMMON_NAME}
    return x509.DirectoryName(x509.Name([x509.NameAttribute(oids[part], text) for part, text in parts.items()]))


DNS, URI, EMAIL = x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name
OTHER = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
P, X = "permitted", "excluded"
CONSTRAINTS: list[tuple[str, x509.GeneralName, x509.GeneralName, bool]] = [
    (P, DNS("example.org"), DNS("example.org"), True),
    (P, DNS("example.org"), DNS("a.b.EXAMPLE.org"), True),
    (P, DNS("example.org"), DNS("notexample.org"), False),
    (P, DNS("example.org"), DNS("*.example.org"), True),
    (P, DNS("a.example.org"), DNS("*.example.org"), False),
    (P, DNS(""), DNS("example.org"), True),
    (X, DNS(""), DNS("example.org"), False),
    (X, DNS("a.example.org"), DNS("*.example.org"), False),
    (X, DNS("x.a.example.org"), DNS("*.example.org"), True),
    (X, DNS("example.org"), DNS("*.example.org"), False),
    (X, DNS("example.org"), DNS("example.com"), True),
    (P, x509.IPAddress(ip_network("192.0.2.0/24")), x509.IPAddress(ip_address("192.0.2.7")), True),
    (P, x509.IPAddress(ip_network("192.0.2.0/24")), x509.IPAddress(ip_address("192.0.3.7")), False),
    (P, x509.IPAddress(ip_network("192.0.2.0/24")), x509.IPAddress(ip_address("::1")), False),
    (X, x509.IPAddress(ip_network("::/0")), x509.IPAddress(ip_address("::1")), False),
    (X, x509.IPAddress(ip_network("::/0")), x509.IPAddress(ip_address("192.0.2.7")), True),
    (P, URI("example.org"), URI(SPIFFE), True),
    (P, URI("example.com"), URI(SPIFFE), False),
    (P, URI(".example.org"), URI(SPIFFE), False),
    (P, URI(".org"), URI(SPIFFE), True),
    (P, URI("example.org"), URI("https://u@example.org:8443/a"), True),
    (P, URI("example.org"), URI("https://example.org.example.com/"), False),
    (P, URI("example.org"), URI("urn:uuid:1"), False),
    (X, URI("example.com"), URI("urn:uuid:1"), False),
    (X, URI("example.org"), URI("https://192.0.2.7/"), False),
    (X, URI("example.org"), URI("https://example.org?a"), False),
    (X, URI(""), URI(SPIFFE), False),
    (P, EMAIL("example.org"), EMAIL("a@EXAMPLE.org"), True),
    (P, EMAIL("example.org"), EMAIL("a@mail.example.org"), False),
    (P, EMAIL(".example.org"), EMAIL("a@mail.example.org"), True),
    (P, EMAIL("a@example.org"), EMAIL("A@example.org"), False),
    (X, EMAIL("a@example.org"), EMAIL("b@example.org"), True),
    (P, dn(o="Example"), dn(o="EXAMPLE ", cn="x"), True),
    (P, dn(o="Example"), dn(cn="x", o="Example"), False),
    (X, dn(o="Example"), dn(o="example"), False),
    (X, OTHER, OTHER, False),
    (X, OTHER, DNS("example.org"), True),
    (P, DNS("example.org"), URI(SPIFFE), True),
]


@pytest.mark.parametrize(
    ("how", "base", "name", "allowed"), CONSTRAINTS, ids=lambda value: str(getattr(value, "value", value))
)
def test_name_constraints(how: str, base: x509.GeneralName, name: x509.GeneralName, allowed: bool) -> None:
    """§4.2.1.10 over every kind of name; a wildcard is every host that it stands for."""
    limits = x509.NameConstraints([base], None) if how == P else x509.NameConstraints(None, [base])
    root = make("root", authority=True, add=[(limits, True)])
    leaf = make("", root, names=[name])
    found = ask(leaf, trust=Trust.of([root.der]), rules=Rules.PATH)
    assert told(found) == ([] if allowed else [(Code.CHAIN_NAME_CONSTRAINTS, "0", "subjectAltName")])


def test_constraints_of_all_authorities_hold_together() -> None:
    """A lower authority cannot widen what a higher one permits; the subject is constrained like the names."""
    root = make("root", authority=True, add=[(x509.NameConstraints([DNS("a.example.org")], None), True)])
    issuing = make(
        "issuing", root, authority=True, add=[(x509.NameConstraints([DNS("b.example.org"), dn(o="x")], None), True)]
    )
    leaf = make("leaf", issuing, names=[DNS("b.example.org")])
    verdict = ask(leaf, issuing, trust=Trust.of([root.der]))
    assert [found.facts["constrained_by"] for found in verdict.findings] == ["CN=issuing", "CN=root"]


def test_paths_are_found_in_any_order_past_what_does_not_fit() -> None:
    """Of two certificates of one authority the one in date is taken; strangers, doubles and junk do not matter."""
    other = make("other root", authority=True)
    old = make("issuing", other, authority=True, key=ISSUING.key, ends=AT - timedelta(days=1))
    same_name = make("issuing", other, authority=True)
    verdict = ask(LEAF, same_name, old, LEAF, ROOT, ISSUING, ISSUING)
    assert verdict.path == (LEAF.certificate, ISSUING.certificate, ROOT.certificate)
    mixed = examine(LEAF.der, [b"junk", ISSUING.der], TRUST, at=AT, purpose=Purpose.CLIENT)
    assert mixed.path == verdict.path
    assert [(remark.code, remark.where) for remark in mixed.remarks] == [(Code.CHAIN_MALFORMED, "sent 1")]


def test_a_cross_signed_root_is_left_for_the_anchor_that_is_trusted() -> None:
    """Old and new root: a caller who trusts either accepts the chain with the cross-certificate in it."""
    old, new = make("old", authority=True), make("new", authority=True)
    crossed = make("new", old, authority=True, key=new.key)
    issuing = make("issuing", new, authority=True)
    leaf = make("leaf", issuing, names=NAMES)
    by_new = ask(leaf, issuing, crossed, trust=Trust.of([new.der]))
    by_old = ask(leaf, issuing, crossed, trust=Trust.of([old.der]))
    assert by_new.path == (leaf.certificate, issuing.certificate, new.certificate)
    assert by_old.path == (leaf.certificate, issuing.certificate, crossed.certificate, old.certificate)


def test_an_anchor_may_be_an_intermediate_or_the_leaf_itself() -> None:
    """A path ends at what is trusted, and what is above it is not asked."""
    assert ask(LEAF, trust=Trust.of([ISSUING.der])).path == (LEAF.certificate, ISSUING.certificate)
    assert ask(LEAF, trust=Trust.of([LEAF.der])).path == (LEAF.certificate,)
    pinned = make("pinned", names=NAMES)
    assert ask(pinned, trust=Trust.of([pinned.der])).path == (pinned.certificate,)


def test_what_leads_nowhere_says_where_it_ends() -> None:
    """Self-signed, issuer missing, root not trusted, issued by another of the same name: four answers."""
    alone = make("alone", names=NAMES)
    assert told(ask(alone)) == [(Code.CHAIN_SELF_SIGNED, "0", "issuer")]
    assert told(ask(LEAF)) == [(Code.CHAIN_UNTRUSTED, "0", "issuer")]
    other = Trust.of([make("other", authority=True).der])
    assert told(ask(LEAF, ISSUING, ROOT, trust=other)) == [(Code.CHAIN_UNTRUSTED, "2", "issuer")]
    impostor = make("root", authority=True)
    issuing = make("issuing", impostor, authority=True, path_length=0)
    leaf = make("leaf", issuing, names=NAMES)
    wrong = ask(leaf, issuing, rules=Rules.PATH)
    assert told(wrong) == [(Code.CHAIN_BAD_SIGNATURE, "1", "signatureValue")]


def test_the_best_candidate_is_the_one_with_the_fewest_faults() -> None:
    """Findings are those of one path, the closest to a valid one."""
    worse = make("issuing", ROOT, authority=True, key=ISSUING.key, ends=AT - timedelta(days=2), usages=[SERVER])
    near = make("issuing", ROOT, authority=True, key=ISSUING.key, ends=AT - timedelta(days=1))
    verdict = ask(LEAF, worse, near)
    assert (told(verdict), verdict.best[1]) == ([(Code.CHAIN_EXPIRED, "1", "validity")], near.certificate)


def test_depth_is_limited() -> None:
    """More intermediates than allowed are said to be too many."""
    limits = Limits(depth=0)
    assert told(ask(LEAF, ISSUING, limits=limits)) == [(Code.CHAIN_TOO_DEEP, "2", "path")]
    assert ask(LEAF, ISSUING, limits=Limits(depth=1)).path is not None


def test_work_is_limited() -> None:
    """Many authorities that all issued each other: an answer within a second, which says that it is no full one."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(6)]
    authorities = [
        make(
            f"a{number}", Holder(ISSUING.certificate, key), authority=True, key=other, issuer_name=common_name(f"a{by}")
        )
        for by, key in enumerate(keys)
        for number, other in enumerate(keys)
        if by != number
    ]
    leaf = make("leaf", Holder(authorities[0].certificate, keys[1]), names=NAMES, issuer_name=common_name("a1"))
    started = time.process_time()
    verdict = ask(leaf, *authorities, limits=Limits(steps=50))
    assert time.process_time() - started < 1
    assert verdict.findings[0].code is Code.CHAIN_TOO_COMPLEX
    assert verdict.findings[0].facts == {"limit": "50", "of": "steps"}
    many, large = ask(LEAF, *[ISSUING] * 201), ask(LEAF, ISSUING, limits=Limits(octets=100))
    assert [found.facts for found in (*many.findings, *large.findings)] == [
        {"limit": "200", "of": "certificates"},
        {"limit": "100", "of": "octets"},
    ]


def test_names_times_constraints_are_limited() -> None:
    """Thousands of names under thousands of constraints are not compared."""
    limits = x509.NameConstraints([DNS(f"d{number}.example.org") for number in range(400)], None)
    root = make("root", authority=True, add=[(limits, True)])
    leaf = make("leaf", root, names=[DNS("d399.example.org")] * 400)
    assert ask(leaf, trust=Trust.of([root.der])).findings[0].code is Code.CHAIN_TOO_COMPLEX


def test_what_strangers_wrote_is_shown_in_one_line() -> None:
    """No control character and no book reaches a message or a fact."""
    leaf = make("a\r\nb\x1b[31m", ISSUING, names=[DNS("x" * 5000 + ".example.org")] * 50, ends=AT - timedelta(days=1))
    verdict = ask(leaf, ISSUING, name="api.example.org")
    texts = [text for found in verdict.findings for text in (found.where, found.what, *found.facts.values())]
    assert all(text.isprintable() for text in texts)
    assert max(len(text) for found in verdict.findings for text in (found.where, found.what)) < 1500
    assert len(verdict.findings) < 30


def test_policies_that_are_asked_for_must_be_there() -> None:
    """An explicit policy is asked of every certificate below the anchor."""
    policy = x509.ObjectIdentifier("1.3.6.1.4.1.99999.5")
    stated = [(x509.CertificatePolicies([x509.PolicyInformation(policy, None)]), False)]
    issuing = make("issuing", ROOT, authority=True, add=stated)
    with_it, without = make("leaf", issuing, names=NAMES, add=stated), make("leaf", issuing, names=NAMES)
    demand = PolicyDemand(frozenset({policy.dotted_string}), explicit=True)
    assert ask(with_it, issuing, policies=demand).path is not None
    assert told(ask(without, issuing, policies=demand)) == [(Code.CHAIN_POLICY, "0", "certificatePolicies")]
    another = PolicyDemand(frozenset({"1.2.3"}), explicit=True)
    assert told(ask(with_it, issuing, policies=another)) == [(Code.CHAIN_POLICY, "0", "certificatePolicies")]


def test_a_client_may_be_without_names_and_a_server_not() -> None:
    """A partner's client may be known by its subject; a server is known by its alternative names only."""
    leaf = make("partner", ISSUING, usages=[CLIENT, SERVER])
    assert ask(leaf, ISSUING).path is not None
    assert told(ask(leaf, ISSUING, purpose=Purpose.SERVER)) == [(Code.CHAIN_NAME_MISMATCH, "0", "subjectAltName")]


def test_what_cannot_be_read_is_reported_where_it_stands() -> None:
    """A leaf that is no certificate; an anchor that is none, where no path is found."""
    assert [(found.code, found.where) for found in ask(b"junk").findings] == [(Code.CHAIN_MALFORMED, "chain[0]")]
    trust = Trust.of([b"junk"], crls=[b"junk"])
    assert [(found.code, found.where) for found in ask(LEAF, ISSUING, ROOT, trust=trust).findings] == [
        (Code.CHAIN_UNTRUSTED, "chain[2] CN=root"),
        (Code.CHAIN_MALFORMED, "anchor 1"),
        (Code.CHAIN_CRL_INVALID, "crl 1"),
    ]


def test_a_clock_without_zone_is_refused() -> None:
    """The time is an argument and must be unmistakable."""
    with pytest.raises(ValueError, match="time zone"):
        examine(LEAF.der, [], TRUST, at=AT.replace(tzinfo=None), purpose=Purpose.CLIENT)
