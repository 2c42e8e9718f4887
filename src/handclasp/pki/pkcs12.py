"""PKCS#12 files (RFC 7292): key and chain in one file, as browsers, Windows and Java read them."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from handclasp.findings import InvalidSetting
from handclasp.pki.keys import PrivateKey


def encode(name: str, key: PrivateKey, chain: tuple[x509.Certificate, ...], passphrase: bytes) -> bytes:
    """A PKCS#12 file: ``chain`` is the certificate of ``key`` and its issuers, ``name`` the friendly name.

    AES-256-CBC with PBKDF2-HMAC-SHA256 and a SHA-256 MAC (RFC 8018, RFC 7292 §4). OpenSSL's count of rounds
    for the MAC (2048) cannot be raised here and is what a guesser works against, so more rounds elsewhere
    would buy nothing: the passphrase must be a good one. Raises InvalidSetting for an empty passphrase, and
    ValueError if the first certificate is not the key's.
    """
    if not passphrase:
        allowed = "at least one character"
        raise InvalidSetting("", "the passphrase of a PKCS#12 file is empty", allowed)
    if not chain or chain[0].public_key() != key.public_key():
        raise ValueError("the first certificate of the chain does not belong to the key")
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(passphrase)
    )
    return pkcs12.serialize_key_and_certificates(name.encode(), key, chain[0], chain[1:], encryption)
