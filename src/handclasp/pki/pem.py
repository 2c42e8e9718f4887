"""Certificates as files and records keep them: PEM text (RFC 7468 §5) and DER."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import InvalidSetting


def pem(*certificates: x509.Certificate) -> bytes:
    """The certificates one after the other, in the order given (a chain: the leaf first)."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def load_chain(data: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file in its order, at least one. Raises InvalidSetting."""
    allowed = "one or more certificates in PEM (-----BEGIN CERTIFICATE-----)"
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise InvalidSetting("", "there is no certificate in it", allowed)
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except (ValueError, x509.InvalidVersion) as error:
        raise InvalidSetting("", "a certificate in it cannot be read", allowed) from error
