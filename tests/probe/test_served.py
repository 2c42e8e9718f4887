"""What a report says of a certificate, against what ``handclasp inspect`` says of it."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from handclasp.pki import describe
from handclasp.pki.containers import FoundCertificate
from handclasp.probe import served
from handclasp.testing import chains

_URL = x509.UniformResourceIdentifier("http://ca.test/list")
_POINTS = x509.CRLDistributionPoints([x509.DistributionPoint([_URL], None, None, None)])
_ACCESS = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, _URL)])
_BROKEN = x509.UnrecognizedExtension(ExtensionOID.CRL_DISTRIBUTION_POINTS, b"\x30\x03\x02")
_ODD_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'a, "b" + c'), x509.NameAttribute(NameOID.TITLE, "é")])
_ROOT = chains.make("Root", authority=True)

CERTIFICATES = {
    "an authority": _ROOT,
    "a server": chains.make("a.test", _ROOT, names=[x509.DNSName("a.test"), x509.IPAddress(IPv4Address("192.0.2.1"))]),
    "addresses of lists and issuers": chains.make("a.test", _ROOT, add=[(_POINTS, False), (_ACCESS, False)]),
    "a name with everything": chains.make(_ODD_NAME, _ROOT, names=[x509.DirectoryName(_ODD_NAME)]),
    "no name": chains.make("", _ROOT, names=[x509.RFC822Name("a@b.test")]),
    "Ed25519": chains.make("a.test", _ROOT, key=ed25519.Ed25519PrivateKey.generate()),
    "RSA": chains.make("a.test", _ROOT, key=rsa.generate_private_key(65537, 2048)),
    "an extension that cannot be read": chains.make("a.test", _ROOT, add=[(_BROKEN, False)]),
}


@pytest.mark.parametrize("which", CERTIFICATES)
def test_it_is_described_as_elsewhere(which: str) -> None:
    certificate = CERTIFICATES[which].certificate
    whole = describe.certificate(FoundCertificate(certificate), now=datetime(2026, 1, 1, tzinfo=UTC))
    found = served.read(CERTIFICATES[which].der)
    assert found.fault is None
    assert (found.subject, found.issuer, found.serial) == (whole["subject"], whole["issuer"], whole["serial"])
    assert (found.key, found.spki) == (whole["key"]["kind"], whole["key"]["spki_sha256"])
    assert (found.signature, found.fingerprint) == (whole["signature_algorithm"], whole["sha256"])
    assert list(found.names) == [name["value"] for name in whole["names"]]
    assert (list(found.crls), list(found.issuer_urls)) == (whole["crl_urls"], whole["issuer_urls"])


def test_what_is_no_certificate_is_said_to_be_none() -> None:
    assert served.read(b"\x30\x03\x02\x01\x00").fault
