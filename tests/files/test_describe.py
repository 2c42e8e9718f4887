"""What a file is said to hold, compared as a whole."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID as AIA
from tests.files.conftest import NOW, House, certificate, crl_of, house_of, request_of, spki

from handclasp.pki import containers, describe, described_text, keys, sequence
from handclasp.pki.containers import Contents, FoundCertificate, FoundKey
from handclasp.pki.keys import KeyType


def fingerprint(one: x509.Certificate | x509.CertificateRevocationList) -> str:
    return hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest()


def text(found: Contents) -> list[str]:
    return list(described_text.lines(describe.contents(found, now=NOW)))


def held(*certificates: x509.Certificate) -> Contents:
    return Contents("PEM", tuple(FoundCertificate(one) for one in certificates))


def test_a_leaf_its_issuers_and_its_key(house: House) -> None:
    """The page a person sees, whole."""
    found = Contents("PEM", held(*house.chain).certificates, (FoundKey(house.key, False, "PKCS#8"),))
    spkis = [hashlib.sha256(spki(one)).hexdigest() for one in house.chain]
    assert text(found) == [
        "PEM: 3 certificates, 1 private key",
        "",
        "Certificate 1 of 3",
        "  SPIFFE ID     spiffe://example.org/orders",
        "  DNS           orders.example.org",
        "  Subject       CN=orders",
        "  Issuer        CN=Issuing (certificate 2 here)",
        "  Valid         2026-11-20 12:00:00 UTC to 2026-12-21 12:00:00 UTC: 30 days left",
        "  Serial        1f",
        f"  SHA-256       {fingerprint(house.leaf)}",
        "  Key           EC P-256",
        f"  Key SHA-256   {spkis[0]}",
        "  Signature     ecdsa-with-SHA256",
        "  Purposes      TLS server, TLS client",
        "  Authority     no",
        "",
        "Certificate 2 of 3",
        "  Subject       CN=Issuing",
        "  Issuer        CN=Root (certificate 3 here)",
        "  Valid         2026-11-20 12:00:00 UTC to 2026-12-21 12:00:00 UTC: 30 days left",
        "  Serial        7",
        f"  SHA-256       {fingerprint(house.issuing)}",
        "  Key           EC P-256",
        f"  Key SHA-256   {spkis[1]}",
        "  Signature     ecdsa-with-SHA384",
        "  Authority     yes, with any number of authorities below it",
        "",
        "Certificate 3 of 3",
        "  Subject       CN=Root",
        "  Issuer        itself: self-signed",
        "  Valid         2026-11-20 12:00:00 UTC to 2026-12-21 12:00:00 UTC: 30 days left",
        "  Serial        7",
        f"  SHA-256       {fingerprint(house.root)}",
        "  Key           EC P-384",
        f"  Key SHA-256   {spkis[2]}",
        "  Signature     ecdsa-with-SHA384",
        "  Authority     yes, with any number of authorities below it",
        "",
        "Private key",
        "  Key           EC P-256",
        f"  Key SHA-256   {spkis[0]}",
        "  Encrypted     no (PKCS#8)",
        "  Belongs to    certificate 1",
        "",
        "Chain: complete up to a self-signed root, leaf first",
    ]


def test_every_field_of_an_authority() -> None:
    """Usages in words, constraints, path length and addresses."""
    house = house_of(KeyType.EC_P256)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    constraints = x509.NameConstraints(
        [x509.DNSName("example.org")], [x509.IPAddress(ip_network("0.0.0.0/0")), x509.UniformResourceIdentifier("x")]
    )
    url = x509.UniformResourceIdentifier
    one = certificate(
        "Sub",
        house.key.public_key(),
        "Root",
        house.issuing_key,
        x509.BasicConstraints(ca=True, path_length=0),
        usage,
        constraints,
        x509.CRLDistributionPoints([x509.DistributionPoint([url("http://c/1.crl")], None, None, None)]),
        x509.AuthorityInformationAccess(
            [x509.AccessDescription(AIA.OCSP, url("http://o")), x509.AccessDescription(AIA.CA_ISSUERS, url("http://i"))]
        ),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    )
    assert text(held(one))[11:] == [
        "  Key usages    signing certificates, signing CRLs",
        "  Authority     yes, with no authority below it",
        "  Only          DNS example.org",
        "  Never         IP 0.0.0.0/0",
        "                URI x",
        "  CRL           http://c/1.crl",
        "  OCSP          http://o",
        "  Issuer at     http://i",
    ]
    (described,) = describe.contents(held(one), now=NOW)["certificates"]
    assert described["extensions"][-1] == {
        "oid": "1.2.3.4",
        "name": "1.2.3.4",
        "critical": False,
        "value": None,
        "der": "0500",
    }


@pytest.mark.parametrize(
    ("begin", "days", "status", "said"),
    [
        (timedelta(days=-10), 5, "expired", "EXPIRED 5 days ago"),
        (timedelta(days=-1), 1.5, "valid", "12.0 hours left"),
        (timedelta(days=1), 9, "not yet valid", "NOT YET VALID, 10 days to its end"),
    ],
    ids=["expired", "last hours", "not yet"],
)
def test_validity(house: House, begin: timedelta, days: float, status: str, said: str) -> None:
    """Expired, in its last hours, not yet valid."""
    one = certificate("x", house.key.public_key(), "y", house.issuing_key, begin=NOW + begin, days=days)
    assert describe.contents(held(one), now=NOW)["certificates"][0]["status"] == status
    assert next(line for line in text(held(one)) if "Valid" in line).endswith(f": {said}")


def test_a_request(house: House) -> None:
    """The names wished, the key, and whether the signature is the key's."""
    found = Contents("PEM", requests=(request_of(house),))
    assert text(found) == [
        "PEM: 1 certificate request",
        "",
        "Certificate request",
        "  DNS           orders.example.org",
        "  Subject       CN=orders",
        "  Key           EC P-256",
        f"  Key SHA-256   {hashlib.sha256(spki(house.key)).hexdigest()}",
        "  Signature     ecdsa-with-SHA256, valid",
    ]


def test_a_crl(house: House) -> None:
    """The first ten entries for a person, all for a program."""
    crl = crl_of(house, 12)
    found = Contents("DER", crls=(crl,))
    assert text(found)[2:12] == [
        "Certificate revocation list",
        "  Issuer        CN=Issuing",
        "  Number        5",
        "  This update   2026-11-21 11:00:00 UTC",
        "  Next update   2026-11-22 12:00:00 UTC",
        f"  SHA-256       {fingerprint(crl)}",
        "  Signature     ecdsa-with-SHA256",
        "  Revoked       12 certificates",
        "                1  2026-11-21 10:00:00 UTC  keyCompromise",
        "                2  2026-11-21 10:00:00 UTC  keyCompromise",
    ]
    assert text(found)[-1] == "                and 2 more (--json gives all)"
    (whole,) = describe.contents(found, now=NOW, whole=True)["crls"]
    assert (len(whole["entries"]), whole["expired"]) == (12, False)
    assert describe.contents(found, now=NOW + timedelta(days=2))["crls"][0]["expired"] is True


def test_what_moves_the_cursor_is_escaped(house: House) -> None:
    """Colours, line ends and marks that turn the direction of writing are shown as code points."""
    name = "a\x1b[31mred\r\nCertificate 9\u202egpj.exe\u2066\u200b\x00"
    one = certificate(name, house.key.public_key(), "y", house.issuing_key)
    (line,) = [line for line in text(held(one)) if "Subject" in line]
    assert line == ("  Subject       CN=a\\u{1b}[31mred\\u{d}\\u{a}Certificate 9\\u{202e}gpj.exe\\u{2066}\\u{200b}\\00")
    assert all(line.isprintable() for line in text(held(one)))


def test_kinds_of_keys() -> None:
    """Each kind by the name that people use."""
    kinds = [KeyType.EC_P256, KeyType.EC_P384, KeyType.ED25519, KeyType.ML_DSA_44, KeyType.ML_DSA_87]
    assert [describe.kind(keys.generate(kind)) for kind in kinds] == [
        "EC P-256",
        "EC P-384",
        "Ed25519",
        "ML-DSA-44",
        "ML-DSA-87",
    ]
    assert describe.kind(rsa.generate_private_key(65537, 1024)) == "RSA 1024"


def test_an_encrypted_key_and_a_strangers_key(house: House) -> None:
    """Nothing of a closed key is known; an open one belongs to none of the certificates."""
    closed = Contents("PEM", held(house.leaf).certificates, (FoundKey(None, True, "PKCS#8", "old"),))
    assert text(closed)[-2:] == ["  Alias         old", "  Key           encrypted (PKCS#8); --password-file opens it"]
    strange = Contents("PEM", held(house.leaf).certificates, (FoundKey(house.issuing_key, False, "PKCS#8"),))
    assert text(strange)[-1] == "  Belongs to    none of the certificates here"


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ((0, 1), "leaf first; the issuer of the last is not here: CN=Root"),
        ((2, 1, 0), "complete up to a self-signed root, in the order 3, 2, 1"),
        ((0, 2), "the certificates are not one chain"),
    ],
    ids=["without the root", "upside down", "with a gap"],
)
def test_chains(house: House, which: tuple[int, ...], said: str) -> None:
    """Order and completeness."""
    assert text(held(*(house.chain[n] for n in which)))[-1] == f"Chain: {said}"


def test_order() -> None:
    """Two leaves of one issuer: each leaf first, the issuers after the first; what is asked for begins."""
    house, other = house_of(KeyType.EC_P256), house_of(KeyType.ED25519)
    sibling = certificate("sibling", other.key.public_key(), "Issuing", house.issuing_key, serial=9)
    heap = [house.root, sibling, house.issuing, house.leaf, other.root]
    assert sequence.ordered(heap) == (1, 2, 0, 3, 4)
    assert sequence.ordered(heap, 3) == (3, 2, 0, 1, 4)
    assert sequence.chain(heap, 3) == (3, 2, 0)


def test_one_malformed_extension_hides_no_other() -> None:
    """The names are still told of a certificate whose timestamps cannot be read, and the fault beside them."""
    house = house_of(KeyType.EC_P256)
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.36"), b"\xff\xff")
    names = x509.SubjectAlternativeName([x509.DNSName("a.example.org")])
    one = certificate("x", house.key.public_key(), "y", house.issuing_key, names, broken)
    (described,) = describe.contents(containers.read(one.public_bytes(Encoding.DER)), now=NOW)["certificates"]
    assert described["names"] == [{"kind": "DNS", "value": "a.example.org"}]
    assert [("error" in one, one["name"], one["der"]) for one in described["extensions"]][1] == (
        True,
        "policyConstraints",
        "ffff",
    )
    assert described["ca"] is False
