"""A root, an issuing CA and a leaf of every kind of key, made once, and as files as openssl writes them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from handclasp.pki import keys
from handclasp.pki.keys import KeyType, PrivateKey

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSPHRASE = b"correct horse"
READ_BY_OPENSSL = [KeyType.EC_P256, KeyType.EC_P384, KeyType.ED25519, KeyType.RSA_2048]


@dataclass(frozen=True, slots=True)
class House:
    """A leaf with its key, and its issuers."""

    key: PrivateKey
    leaf: x509.Certificate
    issuing: x509.Certificate
    root: x509.Certificate
    issuing_key: PrivateKey

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return (self.leaf, self.issuing, self.root)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate(
    name: str,
    public: object,
    issuer: str,
    signer: PrivateKey,
    *extensions: x509.ExtensionType,
    serial: int = 7,
    begin: datetime = NOW - timedelta(days=1),
    days: float = 31,
) -> x509.Certificate:
    """A certificate with these names and extensions; nothing is critical."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        public_key=public,  # type: ignore[arg-type]
        serial_number=serial,
        not_valid_before=begin,
        not_valid_after=begin + timedelta(days=days),
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, keys.signature_algorithm(signer.public_key()).hash)


@cache
def house_of(kind: KeyType) -> House:
    """The house whose leaf has a key of this kind."""
    key, root_key, issuing_key = keys.generate(kind), keys.generate(KeyType.EC_P384), keys.generate(KeyType.EC_P256)
    names = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier("spiffe://example.org/orders"), x509.DNSName("orders.example.org")]
    )
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    return House(
        key=key,
        leaf=certificate("orders", key.public_key(), "Issuing", issuing_key, names, purposes, serial=0x1F),
        issuing=certificate("Issuing", issuing_key.public_key(), "Root", root_key, authority),
        root=certificate("Root", root_key.public_key(), "Root", root_key, authority),
        issuing_key=issuing_key,
    )


@pytest.fixture(scope="session")
def house() -> House:
    """The house of a P-256 leaf."""
    return house_of(KeyType.EC_P256)


Openssl = Callable[..., bytes]


@pytest.fixture
def openssl(tmp_path: Path) -> Openssl:
    """Run openssl in the test's directory; what it prints."""

    def run(*words: str, data: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *words], check=False, input=data, capture_output=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def written(house: House, tmp_path: Path) -> Path:
    """key.pem, leaf.pem, issuing.pem, root.pem, request.pem, crl.pem and pass in the test's directory."""
    write(house, tmp_path)
    return tmp_path


def write(house: House, directory: Path) -> None:
    """The files of a house."""
    (directory / "key.pem").write_bytes(house.key_pem)
    for name, one in zip(("leaf", "issuing", "root"), house.chain, strict=True):
        (directory / f"{name}.pem").write_bytes(one.public_bytes(Encoding.PEM))
    (directory / "request.pem").write_bytes(request_of(house).public_bytes(Encoding.PEM))
    (directory / "crl.pem").write_bytes(crl_of(house, 12).public_bytes(Encoding.PEM))
    (directory / "pass").write_bytes(PASSPHRASE + b"\n")


def request_of(house: House) -> x509.CertificateSigningRequest:
    """A request with the leaf's key."""
    builder = x509.CertificateSigningRequestBuilder(house.leaf.subject)
    names = x509.SubjectAlternativeName([x509.DNSName("orders.example.org")])
    algorithm = keys.signature_algorithm(house.key.public_key()).hash
    return builder.add_extension(names, critical=False).sign(house.key, algorithm)


def crl_of(house: House, count: int) -> x509.CertificateRevocationList:
    """A list of the issuing CA with this many entries, number 5."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=house.issuing.subject, last_update=NOW - timedelta(hours=1), next_update=NOW + timedelta(days=1)
    )
    for serial in range(1, count + 1):
        reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
        entry = x509.RevokedCertificateBuilder(serial, NOW - timedelta(hours=2)).add_extension(reason, critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.add_extension(x509.CRLNumber(5), critical=False).sign(house.issuing_key, hashes.SHA256())


def spki(key: object) -> bytes:
    """What two halves of one key have in common."""
    public = key.public_key()  # type: ignore[attr-defined]
    found: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found
