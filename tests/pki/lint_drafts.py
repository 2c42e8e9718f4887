"""Drafts of certificates, good but for what a test changes; what ``cryptography`` refuses to build is made by
changing the fields of the DER."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import (
    NameOID,
)

from handclasp.pki import der
from handclasp.pki.keys import KeyType, signature_algorithm, spki
from handclasp.pki.profile import CLIENT, ISSUING, Profile
from handclasp.pki.signer import ECDSA_NULL, null_signer

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
    public_key: ec.EllipticCurvePublicKey
    hash: hashes.SHA256 | hashes.SHA384
    extensions: dict[type[x509.ExtensionType], tuple[bool, x509.ExtensionType]]
    profile: Profile = CLIENT
    meant: ec.EllipticCurvePublicKey | None = None
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

    def key_meant(self) -> tuple[KeyType, bytes] | None:
        return None if self.meant is None else (KeyType.EC_P256, spki(self.meant))

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
        certificate = builder.sign(null_signer(issuer_key), self.hash)
        if not self.fields:
            return certificate
        (tbs,) = der.elements(certificate.tbs_certificate_bytes)
        changed = dict(self.fields)
        parts = [changed.get(n, der.encode(e.tag, e.content)) for n, e in enumerate(der.elements(tbs.content))]
        content = b"".join(part for part in parts if part is not None)
        algorithm = signature_algorithm(issuer_key).identifier
        whole = der.signed(der.encode(der.SEQUENCE, content), algorithm, ECDSA_NULL)
        with warnings.catch_warnings():
            # A serial number that is not positive is read with a warning.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_der_x509_certificate(whole)


def good(family: Family) -> Draft:
    """A client certificate that breaks no rule."""
    issuer_id = family.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    values: tuple[tuple[bool, x509.ExtensionType], ...] = (
        (True, x509.BasicConstraints(ca=False, path_length=None)),
        (True, CLIENT.key_usage(KeyType.EC_P256)),
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


def issued_by(d: Draft, value: x509.ExtensionType) -> Draft:
    """The draft below an authority of the same key and name whose certificate has this extension too, or instead."""
    issuing_key = d.issuer.public_key()
    assert isinstance(issuing_key, ec.EllipticCurvePublicKey)
    ski = x509.SubjectKeyIdentifier.from_public_key(issuing_key)
    any_length = replace(ISSUING, path_length=None)
    drafted = replace(authority(d, any_length), subject=d.issuer_name, public_key=issuing_key).having(ski)
    return replace(d, issuer=drafted.having(value, critical=True).build())


def point(url: str, crl_issuer: x509.Name | None = None) -> x509.DistributionPoint:
    issuer = None if crl_issuer is None else [x509.DirectoryName(crl_issuer)]
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, issuer)


def access(method: x509.ObjectIdentifier, url: str) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, x509.UniformResourceIdentifier(url))])


def authority(d: Draft, profile: Profile, **changes: object) -> Draft:
    """An authority's certificate below the draft's issuer."""
    bare = d.without(x509.SubjectAlternativeName).without(x509.ExtendedKeyUsage)
    bare = bare.having(x509.BasicConstraints(ca=True, path_length=profile.path_length), critical=True)
    return replace(bare.having(profile.key_usage(KeyType.EC_P256), critical=True), profile=profile, **changes)  # type: ignore[arg-type]


def twice(d: Draft) -> bytes:
    """The extensions field with the subject key identifier in it twice."""
    (tbs,) = der.elements(d.build().tbs_certificate_bytes)
    (sequence,) = der.elements(list(der.elements(tbs.content))[7].content)
    ski = bytes.fromhex("551d0e")
    one = next(der.encode(e.tag, e.content) for e in der.elements(sequence.content) if ski in e.content)
    return der.encode(0xA3, der.encode(der.SEQUENCE, sequence.content + one))
