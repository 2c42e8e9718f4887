"""Chains for tests of verification: good ones by default, and every kind of bad one by saying what differs.

Unlike ``pki.issue`` this makes whatever it is told to make, the wrong included. P-256 unless another key is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""When everything made here is in date."""

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH

_serials = count(1001)


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def key_usage(*allowed: str) -> x509.KeyUsage:
    """The key usage with these bits, by their names in ``cryptography``."""
    return x509.KeyUsage(
        digital_signature="digital_signature" in allowed,
        content_commitment="content_commitment" in allowed,
        key_encipherment="key_encipherment" in allowed,
        data_encipherment="data_encipherment" in allowed,
        key_agreement="key_agreement" in allowed,
        key_cert_sign="key_cert_sign" in allowed,
        crl_sign="crl_sign" in allowed,
        encipher_only="encipher_only" in allowed,
        decipher_only="decipher_only" in allowed,
    )


def make(
    subject: str | x509.Name,
    issuer: Holder | None = None,
    *,
    authority: bool = False,
    key: Any = None,
    begins: datetime = AT - timedelta(days=30),
    ends: datetime = AT + timedelta(days=30),
    serial: int | None = None,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    usages: Sequence[x509.ObjectIdentifier] | None = None,
    names: Sequence[x509.GeneralName] = (),
    add: Iterable[tuple[x509.ExtensionType, bool]] = (),
    without: Iterable[type[x509.ExtensionType]] = (),
    issuer_name: x509.Name | None = None,
    hash_: Any = None,
) -> Holder:
    """One certificate, self-signed without ``issuer``. ``add`` also replaces; ``without`` leaves out what is usual."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = subject if isinstance(subject, x509.Name) else common_name(subject)
    signing = key if issuer is None else issuer.key
    issued_by = issuer_name or (name if issuer is None else issuer.certificate.subject)
    usual: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(authority, path_length), True),
        (usage or key_usage(*(("key_cert_sign", "crl_sign") if authority else ("digital_signature",))), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False),
    ]
    if usages is None and not authority:
        usages = (CLIENT, SERVER)
    if usages:
        usual.append((x509.ExtendedKeyUsage(usages), False))
    if names:
        usual.append((x509.SubjectAlternativeName(names), not list(name)))
    added = list(add)
    left_out = {kind.oid for kind in without} | {extension.oid for extension, _ in added}
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(next(_serials) if serial is None else serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension, critical in [pair for pair in usual if pair[0].oid not in left_out] + added:
        builder = builder.add_extension(extension, critical)
    if hash_ is None and hasattr(signing, "curve"):
        hash_ = hashes.SHA256()
    return Holder(builder.sign(signing, hash_), key)


def common_name(text: str) -> x509.Name:
    """A distinguished name of one common name; empty for the empty text."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def make_crl(
    issuer: Holder,
    revoked: Iterable[x509.Certificate | tuple[x509.Certificate, x509.ReasonFlags]] = (),
    *,
    number: int | None = 1,
    begins: datetime = AT - timedelta(hours=1),
    ends: datetime = AT + timedelta(days=1),
    key: Any = None,
    issuer_name: x509.Name | None = None,
    add: Iterable[tuple[x509.ExtensionType, bool]] = (),
    entry: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> x509.CertificateRevocationList:
    """A revocation list of ``issuer``, signed by its key or another; ``entry`` are extensions of every entry."""
    key = key or issuer.key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.certificate.subject)
        .last_update(begins)
        .next_update(ends)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), False)
    for extension, critical in add:
        builder = builder.add_extension(extension, critical)
    for item in revoked:
        certificate, reason = item if isinstance(item, tuple) else (item, x509.ReasonFlags.key_compromise)
        one = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(begins)
        one = one.add_extension(x509.CRLReason(reason), False)
        for extension, critical in entry:
            one = one.add_extension(extension, critical)
        builder = builder.add_revoked_certificate(one.build())
    return builder.sign(key, hashes.SHA256() if hasattr(key, "curve") else None)
