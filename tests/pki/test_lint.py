"""Every rule of the linter, with a certificate that breaks it.

The bad certificates are a good one with one thing changed, made in memory; what ``cryptography`` refuses to
build is made by changing the fields of the DER.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code
from handclasp.pki import der
from handclasp.pki.keys import signature_algorithm
from handclasp.pki.lint import EXTENSIONS, RULES, lint
from handclasp.pki.profile import CLIENT, ISSUING, SERVER, Profile
from handclasp.pki.signer import NULL_SIGNATURE, NullSigner

if TYPE_CHECKING:
    from tests.pki.conftest import Family

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ID = x509.UniformResourceIdentifier("spiffe://example.org/checkout")
LEAF = ec.derive_private_key(21, ec.SECP256R1()).public_key()
OTHER = ec.derive_private_key(22, ec.SECP256R1()).public_key()


def cn(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


@dataclass(frozen=True)
class Draft:
    """All that goes into a certificate; as it stands, a good client certificate."""

    issuer: x509.Certificate
    issuer_name: x509.Name
    subject: x509.Name
    public_key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    hash: hashes.SHA256 | hashes.SHA384
    extensions: dict[type[x509.ExtensionType], tuple[bool, x509.ExtensionType]]
    profile: Profile = CLIENT
    serial: int = 0xBAD << 120
    not_before: datetime = NOW
    not_after: datetime = NOW + timedelta(days=30)
    fields: tuple[tuple[int, bytes | None], ...] = ()  # places in the TBSCertificate: new DER, or None

    def having(self, value: x509.ExtensionType, *, critical: bool = False) -> Draft:
        return replace(self, extensions={**self.extensions, type(value): (critical, value)})

    def without(self, kind: type[x509.ExtensionType]) -> Draft:
        return replace(self, extensions={k: v for k, v in self.extensions.items() if k is not kind})

    def named(self, *names: x509.GeneralName) -> Draft:
        return self.having(x509.SubjectAlternativeName(names))

    def build(self) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=self.issuer_name,
            subject_name=self.subject,
            public_key=self.public_key,
            serial_number=self.serial,
            not_valid_before=self.not_before,
            not_valid_after=self.not_after,
            extensions=[x509.Extension(v.oid, critical, v) for critical, v in self.extensions.values()],
        )
        issuer_key = self.issuer.public_key()
        assert isinstance(issuer_key, ec.EllipticCurvePublicKey)
        certificate = builder.sign(NullSigner(issuer_key), self.hash)
        if not self.fields:
            return certificate
        (tbs,) = der.elements(certificate.tbs_certificate_bytes)
        changed = dict(self.fields)
        parts = [changed.get(n, der.encode(e.tag, e.content)) for n, e in enumerate(der.elements(tbs.content))]
        content = b"".join(part for part in parts if part is not None)
        algorithm = signature_algorithm(issuer_key).identifier
        whole = der.signed(der.encode(der.SEQUENCE, content), algorithm, NULL_SIGNATURE)
        with warnings.catch_warnings():
            # A serial number that is not positive is read with a warning.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_der_x509_certificate(whole)


@pytest.fixture(scope="session")
def draft(family: Family) -> Draft:
    issuer_id = family.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    values: tuple[tuple[bool, x509.ExtensionType], ...] = (
        (True, x509.BasicConstraints(ca=False, path_length=None)),
        (True, CLIENT.key_usage),
        (False, x509.ExtendedKeyUsage(CLIENT.extended_key_usages)),
        (False, x509.SubjectAlternativeName([ID])),
        (False, x509.SubjectKeyIdentifier.from_public_key(LEAF)),
        (False, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id)),
    )
    return Draft(
        issuer=family.issuing,
        issuer_name=family.issuing.subject,
        subject=cn("checkout"),
        public_key=LEAF,
        hash=hashes.SHA256(),
        extensions={type(value): (critical, value) for critical, value in values},
    )


def validity(*times: tuple[int, bytes]) -> bytes:
    return der.encode(der.SEQUENCE, b"".join(der.encode(tag, text) for tag, text in times))


def client_that_issues(d: Draft) -> Draft:
    """The draft as if a client certificate of the same key and name as the issuing CA had issued it."""
    issuing_key = d.issuer.public_key()
    assert isinstance(issuing_key, ec.EllipticCurvePublicKey)
    ski = x509.SubjectKeyIdentifier.from_public_key(issuing_key)
    impostor = replace(d, subject=d.issuer_name, public_key=issuing_key).having(ski).build()
    return replace(d, issuer=impostor)


def authority(d: Draft, profile: Profile, **changes: object) -> Draft:
    """An authority's certificate below the draft's issuer."""
    bare = d.without(x509.SubjectAlternativeName).without(x509.ExtendedKeyUsage)
    bare = bare.having(x509.BasicConstraints(ca=True, path_length=profile.path_length), critical=True)
    return replace(bare.having(profile.key_usage, critical=True), profile=profile, **changes)  # type: ignore[arg-type]


Change = Callable[[Draft], Draft]
CASES: tuple[tuple[str, str, Change, str], ...] = (
    (
        "version",
        "version 1",
        lambda d: replace(d, fields=((0, None),)),
        "its version is v1, not v3",
    ),
    (
        "serial-number",
        "zero",
        lambda d: replace(d, fields=((1, b"\x02\x01\x00"),)),
        "its serial number is not positive",
    ),
    (
        "serial-number",
        "too few bits",
        lambda d: replace(d, serial=1),
        "its serial number has 1 bits, not 64 to 159",
    ),
    (
        "serial-number",
        "too many bits",
        lambda d: replace(d, fields=((1, der.encode(2, b"\x00\xff" + bytes(19))),)),
        "its serial number has 160 bits, not 64 to 159",
    ),
    (
        "signature-algorithm",
        "the hash of another kind of key",
        lambda d: replace(d, hash=hashes.SHA384()),
        "its signature algorithm is not ecdsa-with-SHA256, which follows from its issuer's key",
    ),
    (
        "issuer-name",
        "another authority's name",
        lambda d: replace(d, issuer_name=cn("another CA")),
        "its issuer's name is not the subject of the authority that is to sign it",
    ),
    (
        "validity-encoding",
        "GeneralizedTime before 2050",
        lambda d: replace(d, fields=((4, validity((23, b"261121120000Z"), (24, b"20261221120000Z"))),)),
        "its validity has the GeneralizedTime 20261221120000Z, which up to 2049 must be a UTCTime",
    ),
    (
        "validity-order",
        "ends before it begins",
        lambda d: replace(d, fields=((4, validity((23, b"261221120000Z"), (23, b"261121120000Z"))),)),
        "it ends before it begins",
    ),
    (
        "validity-length",
        "longer than the profile",
        lambda d: replace(d, not_after=NOW + timedelta(days=398, seconds=61)),
        "it is valid for 398 days, 0:01:01, and the profile client allows 398 days, 0:00:00",
    ),
    (
        "validity-within-issuer",
        "begins before its issuer",
        lambda d: replace(d, not_before=NOW - timedelta(seconds=61)),
        "it begins before its issuer's certificate does",
    ),
    (
        "validity-within-issuer",
        "ends after its issuer",
        lambda d: replace(
            d,
            not_before=d.issuer.not_valid_after_utc - timedelta(days=1),
            not_after=d.issuer.not_valid_after_utc + timedelta(seconds=1),
        ),
        "it ends after its issuer's certificate does",
    ),
    (
        "subject",
        "two common names",
        lambda d: replace(d, subject=cn("checkout", "checkout")),
        "its subject has more than one common name",
    ),
    (
        "common-name",
        "not among the alternative names",
        lambda d: replace(d, subject=cn("admin")),
        "its common name 'admin' is none of its subject alternative names",
    ),
    (
        "public-key",
        "a kind of key that the profile does not have",
        lambda d: replace(d, profile=replace(CLIENT, key_types=frozenset())),
        "its key is of the kind ec-p256, which the profile client does not allow",
    ),
    (
        "public-key",
        "a kind of key that is not in use",
        lambda d: replace(d, public_key=ed25519.Ed25519PrivateKey.generate().public_key()),
        "its key cannot be used: it is a key of the kind Ed25519",
    ),
    (
        "known-extensions",
        "an extension that no profile has",
        lambda d: d.having(x509.OCSPNoCheck()),
        "it has the extension 1.3.6.1.5.5.7.48.1.5, which no profile has",
    ),
    (
        "basic-constraints",
        "missing",
        lambda d: d.without(x509.BasicConstraints),
        "it has no basic constraints",
    ),
    (
        "basic-constraints",
        "not critical",
        lambda d: d.having(x509.BasicConstraints(ca=False, path_length=None)),
        "its basic constraints are not critical",
    ),
    (
        "basic-constraints",
        "a client that is an authority",
        lambda d: d.having(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        "it says that it is an authority",
    ),
    (
        "basic-constraints",
        "a longer path than the profile's",
        lambda d: replace(
            d.having(x509.BasicConstraints(ca=True, path_length=1), critical=True),
            profile=replace(CLIENT, is_ca=False, path_length=1),
        ).having(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        "its path length is None, not 1",
    ),
    (
        "key-usage",
        "missing",
        lambda d: d.without(x509.KeyUsage),
        "it has no key usage",
    ),
    (
        "key-usage",
        "not critical",
        lambda d: d.having(CLIENT.key_usage),
        "its key usage is not critical",
    ),
    (
        "key-usage",
        "a client's key that signs certificates",
        lambda d: d.having(ISSUING.key_usage, critical=True),
        "its key usage is not the one of the profile client",
    ),
    (
        "extended-key-usage",
        "missing",
        lambda d: d.without(x509.ExtendedKeyUsage),
        "its extended key usages are not those of the profile client",
    ),
    (
        "extended-key-usage",
        "a client that is a server too",
        lambda d: d.having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])),
        "its extended key usages are not those of the profile client",
    ),
    (
        "extended-key-usage",
        "critical",
        lambda d: d.having(x509.ExtendedKeyUsage(CLIENT.extended_key_usages), critical=True),
        "its extended key usage is critical, which excludes readers that know no better",
    ),
    (
        "alternative-name",
        "critical with a subject",
        lambda d: d.having(x509.SubjectAlternativeName([ID]), critical=True),
        "its subject alternative name is critical although it has a subject",
    ),
    (
        "alternative-name",
        "not critical without a subject",
        lambda d: replace(d, subject=x509.Name([])),
        "its subject alternative name is not critical although it has no subject",
    ),
    (
        "alternative-name-kinds",
        "an address in a client certificate",
        lambda d: d.named(ID, x509.IPAddress(ip_address("192.0.2.1"))),
        "it has a name of the kind IPAddress, which the profile client does not allow",
    ),
    (
        "alternative-name-kinds",
        "an e-mail address",
        lambda d: d.named(ID, x509.RFC822Name("a@example.org")),
        "it has a name of the kind RFC822Name, which the profile client does not allow",
    ),
    (
        "alternative-name-kinds",
        "the same name twice",
        lambda d: d.named(ID, x509.DNSName("a.example"), x509.DNSName("a.example")),
        "it has the same name twice",
    ),
    (
        "spiffe-id",
        "no identity",
        lambda d: d.named(x509.DNSName("checkout")),
        "it has no SPIFFE ID, which the profile client requires",
    ),
    (
        "spiffe-id",
        "two identities",
        lambda d: d.named(ID, x509.UniformResourceIdentifier("spiffe://example.org/admin")),
        "it has more than one URI, and an X.509-SVID has exactly one",
    ),
    (
        "spiffe-id",
        "a URI that is no identity",
        lambda d: (
            replace(d, profile=SERVER, subject=cn("https://example.org/checkout"))
            .named(x509.UniformResourceIdentifier("https://example.org/checkout"))
            .having(x509.ExtendedKeyUsage(SERVER.extended_key_usages))
        ),
        "its URI is no SPIFFE ID: 'https://example.org/checkout' does not begin with spiffe://",
    ),
    (
        "dns-names",
        "upper case",
        lambda d: d.named(ID, x509.DNSName("Orders.example.org")),
        "its DNS name 'Orders.example.org' is not in lower case",
    ),
    (
        "dns-names",
        "an address as a DNS name",
        lambda d: d.named(ID, x509.DNSName("192.0.2.1")),
        "its DNS name is none: '192.0.2.1' ends in a number, so it is an IP address and not a DNS name",
    ),
    (
        "subject-key-identifier",
        "missing",
        lambda d: d.without(x509.SubjectKeyIdentifier),
        "it has no subject key identifier",
    ),
    (
        "subject-key-identifier",
        "critical",
        lambda d: d.having(x509.SubjectKeyIdentifier.from_public_key(LEAF), critical=True),
        "its subject key identifier is critical",
    ),
    (
        "subject-key-identifier",
        "of another key",
        lambda d: d.having(x509.SubjectKeyIdentifier.from_public_key(OTHER)),
        "its subject key identifier is not that of its key",
    ),
    (
        "authority-key-identifier",
        "missing",
        lambda d: d.without(x509.AuthorityKeyIdentifier),
        "it has no authority key identifier",
    ),
    (
        "authority-key-identifier",
        "of another key",
        lambda d: d.having(x509.AuthorityKeyIdentifier.from_issuer_public_key(OTHER)),
        "its authority key identifier is not its issuer's subject key identifier",
    ),
    (
        "issuer-is-authority",
        "an authority below a path length of 0",
        lambda d: authority(d, ISSUING),
        "its issuer may not certify other authorities (its path length is 0)",
    ),
    (
        "issuer-is-authority",
        "issued by a client",
        client_that_issues,
        "its issuer is no authority",
    ),
    (
        "extensions",
        "the same extension twice",
        lambda d: replace(d, fields=((7, _twice(d)),)),
        "its extensions cannot be read: Duplicate 2.5.29.14 extension found",
    ),
)


def _twice(d: Draft) -> bytes:
    """The extensions field with the subject key identifier in it twice."""
    (tbs,) = der.elements(d.build().tbs_certificate_bytes)
    (sequence,) = der.elements(list(der.elements(tbs.content))[7].content)
    ski = bytes.fromhex("551d0e")
    one = next(der.encode(e.tag, e.content) for e in der.elements(sequence.content) if ski in e.content)
    return der.encode(0xA3, der.encode(der.SEQUENCE, sequence.content + one))


def test_the_good_certificate_is_clean(draft: Draft) -> None:
    """What the bad certificates were made of breaks no rule."""
    assert lint(draft.build(), draft.profile, draft.issuer) == ()


@pytest.mark.parametrize(
    ("rule", "change", "what"),
    [pytest.param(rule, change, what, id=f"{rule}: {name}") for rule, name, change, what in CASES],
)
def test_each_rule_finds_what_breaks_it(draft: Draft, rule: str, change: Change, what: str) -> None:
    """The finding names the rule, and carries the code that the catalogue explains."""
    bad = change(draft)
    findings = lint(bad.build(), bad.profile, bad.issuer)
    assert (rule, what) in [(finding.where, finding.what) for finding in findings]
    assert {finding.code for finding in findings} == {Code.REQUEST_LINT}


def test_every_rule_has_a_certificate_that_breaks_it() -> None:
    """A rule that nothing breaks would not be known to work."""
    assert {case[0] for case in CASES} == {rule.name for rule in (*RULES, EXTENSIONS)}


def test_a_broken_rule_is_named_with_its_section(draft: Draft) -> None:
    """One thing wrong gives one finding, with the section that it breaks."""
    bad = replace(draft, subject=cn("admin"))
    (finding,) = lint(bad.build(), CLIENT, draft.issuer)
    assert finding.facts == {"rule": "common-name", "section": "RFC 9525 §2"}


def test_an_authority_needs_a_subject(family: Family, draft: Draft) -> None:
    """RFC 5280 §4.1.2.6: the subject of an authority is never empty."""
    bad = authority(draft, ISSUING, subject=x509.Name([]))
    whats = [finding.what for finding in lint(bad.build(), ISSUING, family.issuing)]
    assert "it is an authority's and has no subject" in whats


def test_an_authority_with_a_common_name_needs_no_alternative_name(family: Family) -> None:
    """The common name of an authority is its name, not a caller's identity."""
    assert lint(family.issuing, ISSUING, family.root) == ()


# Bytes changed at random hit fields (serial numbers, curves) that cryptography reads with a warning.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(data=st.data())
def test_the_linter_never_fails(family: Family, data: st.DataObject) -> None:
    """Whatever certificate can be read at all is linted without an error."""
    whole = family.client.public_bytes(Encoding.DER)
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.integers(0, 255))
    try:
        certificate = x509.load_der_x509_certificate(whole[:at] + bytes([value]) + whole[at + 1 :])
    except (ValueError, x509.InvalidVersion):
        return
    assert isinstance(lint(certificate, CLIENT, family.issuing), tuple)
