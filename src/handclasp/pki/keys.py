"""The kinds of keys in use, and what follows from a kind: how it is made, how it signs, and how that is called.

Everything that depends on the kind is one table, so that a kind more is one line more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from handclasp.findings import Code, InvalidSetting, Refused
from handclasp.pki import der
from handclasp.pki.pkcs8 import Encryption, PassphraseMissing, PassphraseWrong, encrypted_pem, load_pem

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | rsa.RSAPrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PublicKey = (
    ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | rsa.RSAPublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


class KeyType(StrEnum):
    """A kind of key, by the name that settings and records use."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    ED25519 = "ed25519"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


RSA: Final = frozenset({KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096})
ML_DSA: Final = frozenset({KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87})
CLASSICAL: Final = frozenset(KeyType) - ML_DSA
"""What every TLS library verifies; ML-DSA is not among it yet."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How keys of one kind sign: the name in RFC 5758, 8017, 8410 or 9881, and what is hashed before, None where
    the algorithm hashes by itself. ``identifier`` is the DER of the AlgorithmIdentifier (RFC 5280 §4.1.1.2)."""

    name: str
    hash: hashes.SHA256 | hashes.SHA384 | None
    identifier: bytes


class WrongSignature(ValueError):
    """A signature that the key does not verify: whoever signed used another key, or signed other bytes."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """One line of the table; ``arguments`` are what ``sign`` takes after the data, and ``verify`` too."""

    generate: Callable[[], PrivateKey]
    algorithm: SignatureAlgorithm
    arguments: tuple[object, ...] = ()


_SHA256, _SHA384 = hashes.SHA256(), hashes.SHA384()
_ECDSA_SHA256 = SignatureAlgorithm("ecdsa-with-SHA256", _SHA256, bytes.fromhex("300a06082a8648ce3d040302"))
_ECDSA_SHA384 = SignatureAlgorithm("ecdsa-with-SHA384", _SHA384, bytes.fromhex("300a06082a8648ce3d040303"))
_ED25519 = SignatureAlgorithm("Ed25519", None, bytes.fromhex("300506032b6570"))
# RFC 4055 §5: the parameters of RSA are NULL; those of all others are absent.
_RSA_SHA256 = SignatureAlgorithm("sha256WithRSAEncryption", _SHA256, bytes.fromhex("300d06092a864886f70d01010b0500"))
_ML_DSA_44 = SignatureAlgorithm("ML-DSA-44", None, bytes.fromhex("300b0609608648016503040311"))
_ML_DSA_65 = SignatureAlgorithm("ML-DSA-65", None, bytes.fromhex("300b0609608648016503040312"))
_ML_DSA_87 = SignatureAlgorithm("ML-DSA-87", None, bytes.fromhex("300b0609608648016503040313"))
_PKCS1 = (padding.PKCS1v15(), _SHA256)
_RSA_EXPONENT = 65537

_KINDS: dict[KeyType, _Kind] = {
    KeyType.EC_P256: _Kind(partial(ec.generate_private_key, ec.SECP256R1()), _ECDSA_SHA256, (ec.ECDSA(_SHA256),)),
    KeyType.EC_P384: _Kind(partial(ec.generate_private_key, ec.SECP384R1()), _ECDSA_SHA384, (ec.ECDSA(_SHA384),)),
    KeyType.ED25519: _Kind(ed25519.Ed25519PrivateKey.generate, _ED25519),
    KeyType.RSA_2048: _Kind(partial(rsa.generate_private_key, _RSA_EXPONENT, 2048), _RSA_SHA256, _PKCS1),
    KeyType.RSA_3072: _Kind(partial(rsa.generate_private_key, _RSA_EXPONENT, 3072), _RSA_SHA256, _PKCS1),
    KeyType.RSA_4096: _Kind(partial(rsa.generate_private_key, _RSA_EXPONENT, 4096), _RSA_SHA256, _PKCS1),
    KeyType.ML_DSA_44: _Kind(mldsa.MLDSA44PrivateKey.generate, _ML_DSA_44),
    KeyType.ML_DSA_65: _Kind(mldsa.MLDSA65PrivateKey.generate, _ML_DSA_65),
    KeyType.ML_DSA_87: _Kind(mldsa.MLDSA87PrivateKey.generate, _ML_DSA_87),
}
ALGORITHMS: Final = MappingProxyType({kind: line.algorithm for kind, line in _KINDS.items()})
"""The signature algorithm of each kind."""
_CURVES = {ec.SECP256R1.name: KeyType.EC_P256, ec.SECP384R1.name: KeyType.EC_P384}
_RSA_SIZES = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}
_FAMILIES: dict[type, KeyType | None] = {
    ec.EllipticCurvePublicKey: None,
    rsa.RSAPublicKey: None,
    ed25519.Ed25519PublicKey: KeyType.ED25519,
    mldsa.MLDSA44PublicKey: KeyType.ML_DSA_44,
    mldsa.MLDSA65PublicKey: KeyType.ML_DSA_65,
    mldsa.MLDSA87PublicKey: KeyType.ML_DSA_87,
}
_SEEN: dict[type, type | None] = {}
_ALLOWED = ", ".join(KeyType)


def generate(kind: KeyType) -> PrivateKey:
    """A new private key, of the randomness of the operating system."""
    return _KINDS[kind].generate()


def key_type(public: object) -> KeyType:
    """The kind of a public key. Raises Refused(REQUEST_KEY_NOT_ALLOWED) for one that is not in use here."""
    if kind := _kind(public):
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
    return cast("PublicKey", public)


def signature_algorithm(public: PublicKey) -> SignatureAlgorithm:
    """The algorithm with which the private half of this key signs."""
    return ALGORITHMS[key_type(public)]


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature of ``data``, by the algorithm that belongs to the key's kind."""
    signer: Any = key
    signature: bytes = signer.sign(data, *_KINDS[key_type(key.public_key())].arguments)
    return signature


def verify(public: PublicKey, signature: bytes, data: bytes) -> None:
    """Returns if the private half of ``public`` signed ``data``; raises WrongSignature otherwise."""
    verifier: Any = public
    try:
        verifier.verify(signature, data, *_KINDS[key_type(public)].arguments)
    except InvalidSignature:
        raise WrongSignature(f"the signature is not one by the key {key_id(public)}") from None


def private_pem(key: PrivateKey, encryption: Encryption | None = None) -> bytes:
    """The private key as PEM: PKCS#8 (RFC 5958), encrypted if ``encryption`` says how (RFC 8018 §6.2)."""
    if encryption is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encrypted_pem(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), encryption)


def load_private(pem: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """The private key of a PEM file; ``passphrase`` opens it if it is encrypted, and is not used otherwise.

    Raises InvalidSetting, whose cause is pkcs8.PassphraseMissing or pkcs8.PassphraseWrong where that is what is wrong.
    """
    allowed = f"a private key in PEM, of one of these kinds: {_ALLOWED}"
    try:
        key = load_pem(pem, passphrase)
    except PassphraseMissing as error:
        raise InvalidSetting("", str(error), f"{allowed}; and its passphrase, if it is encrypted") from error
    except PassphraseWrong as error:
        raise InvalidSetting("", str(error), "the passphrase that it was encrypted with") from error
    except ValueError as error:
        raise InvalidSetting("", str(error), allowed) from None
    try:
        key_type(key.public_key())
    except Refused as refused:
        raise InvalidSetting("", f"the private key cannot be used: {refused.why}", allowed) from None
    return cast("PrivateKey", key)


def key_id(public: PublicKey) -> str:
    """The subject key identifier in hex: SHA-1 of the key's bits (RFC 5280 §4.2.1.2, method 1)."""
    return spki_identifier(spki(public)).hex()


def spki_identifier(info: bytes) -> bytes:
    """The subject key identifier of a SubjectPublicKeyInfo in DER. Raises ValueError if it is none."""
    (whole,) = der.elements(info)
    _, bits = der.elements(whole.content)
    return hashlib.sha1(bits.content[1:], usedforsecurity=False).digest()


def spki(public: PublicKey) -> bytes:
    """The DER of the SubjectPublicKeyInfo (RFC 5280 §4.1.2.7)."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(public: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo in hex: one key, one value, whoever certified it."""
    return hashlib.sha256(spki(public)).hexdigest()


def _kind(public: Any) -> KeyType | None:
    family = _family(type(public))
    if family is ec.EllipticCurvePublicKey:
        return _CURVES.get(public.curve.name)
    if family is rsa.RSAPublicKey:
        return _RSA_SIZES.get(public.key_size)
    return None if family is None else _FAMILIES[family]


def _family(concrete: type) -> type | None:
    """Which of the abstract classes a key is of; to ask it costs more than to remember the answer."""
    if concrete not in _SEEN:
        _SEEN[concrete] = next((family for family in _FAMILIES if issubclass(concrete, family)), None)
    return _SEEN[concrete]


def _described(public: object) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"an elliptic-curve key on {public.curve.name}"
    if isinstance(public, rsa.RSAPublicKey):
        return f"an RSA key of {public.key_size} bits"
    kind = type(public).__name__.removesuffix("PublicKey")
    return f"a key of the kind {kind}"
