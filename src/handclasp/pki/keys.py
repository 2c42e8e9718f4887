"""The kinds of keys in use, and what follows from a kind: curve, hash and signature algorithm.

Everything that depends on the kind is one table, so that a kind more is one line more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from handclasp.findings import Code, InvalidSetting, Refused

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


class KeyType(StrEnum):
    """A kind of key, by the name that settings and records use."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How keys of one kind sign. ``identifier`` is the DER of the AlgorithmIdentifier (RFC 5758 §3.2)."""

    name: str
    hash: hashes.SHA256 | hashes.SHA384
    identifier: bytes


class WrongSignature(ValueError):
    """A signature that the key does not verify: whoever signed used another key, or signed other bytes."""


_CURVES: dict[KeyType, ec.EllipticCurve] = {KeyType.EC_P256: ec.SECP256R1(), KeyType.EC_P384: ec.SECP384R1()}
_ALGORITHMS: dict[KeyType, SignatureAlgorithm] = {
    KeyType.EC_P256: SignatureAlgorithm(
        "ecdsa-with-SHA256", hashes.SHA256(), bytes.fromhex("300a06082a8648ce3d040302")
    ),
    KeyType.EC_P384: SignatureAlgorithm(
        "ecdsa-with-SHA384", hashes.SHA384(), bytes.fromhex("300a06082a8648ce3d040303")
    ),
}
_ALLOWED = ", ".join(KeyType)


def generate(kind: KeyType) -> PrivateKey:
    """A new private key, of the randomness of the operating system."""
    return ec.generate_private_key(_CURVES[kind])


def key_type(public: object) -> KeyType:
    """The kind of a public key. Raises Refused(REQUEST_KEY_NOT_ALLOWED) for one that is not in use here."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        for kind, curve in _CURVES.items():
            if curve.name == public.curve.name:
                return kind
    raise Refused(
        Code.REQUEST_KEY_NOT_ALLOWED,
        "The key cannot be used",
        f"it is {_described(public)}",
        f"Make a key of one of these kinds: {_ALLOWED}.",
    )


def supported(public: object) -> PublicKey:
    """The same key, known to be of a kind in use here. Raises Refused(REQUEST_KEY_NOT_ALLOWED)."""
    key_type(public)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


def signature_algorithm(public: PublicKey) -> SignatureAlgorithm:
    """The algorithm with which the private half of this key signs."""
    return _ALGORITHMS[key_type(public)]


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature of ``data``, by the algorithm that belongs to the key's kind."""
    return key.sign(data, ec.ECDSA(signature_algorithm(key.public_key()).hash))


def verify(public: PublicKey, signature: bytes, data: bytes) -> None:
    """Returns if the private half of ``public`` signed ``data``; raises WrongSignature otherwise."""
    try:
        public.verify(signature, data, ec.ECDSA(signature_algorithm(public).hash))
    except InvalidSignature:
        raise WrongSignature(f"the signature is not one by the key {key_id(public)}") from None


def private_pem(key: PrivateKey) -> bytes:
    """The private key as PEM: PKCS#8, not encrypted (RFC 5958)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_private(pem: bytes) -> PrivateKey:
    """The private key of a PEM file. Raises InvalidSetting."""
    allowed = f"an unencrypted private key in PEM, of one of these kinds: {_ALLOWED}"
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise InvalidSetting("", "the private key is encrypted", allowed) from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidSetting("", "there is no readable private key in it", allowed) from None
    try:
        key_type(key.public_key())
    except Refused as refused:
        raise InvalidSetting("", f"the private key cannot be used: {refused.why}", allowed) from None
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def key_id(public: PublicKey) -> str:
    """The subject key identifier in hex: SHA-1 of the key's bits (RFC 5280 §4.2.1.2, method 1)."""
    return x509.SubjectKeyIdentifier.from_public_key(public).digest.hex()


def spki_sha256(public: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo in hex: one key, one value, whoever certified it."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _described(public: object) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"an elliptic-curve key on {public.curve.name}"
    kind = type(public).__name__.removesuffix("PublicKey")
    return f"a key of the kind {kind}"
