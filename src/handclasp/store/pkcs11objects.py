"""Keys as PKCS#11 has them (v3.1): how each kind is made, found, read and used in a token.

Imports python-pkcs11, so it is imported itself only where there is a token. The calls raise its PKCS11Error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pkcs11 import Attribute, Mechanism, ObjectClass

from handclasp.pki import der
from handclasp.pki.keys import KeyType, PrivateKey, PublicKey, signature_algorithm, supported

_OCTET_STRING: Final = 0x04

# DER of the curve's name (RFC 5480 §2.1.1.1, RFC 8410 §3), as CKA_EC_PARAMS has it.
_P256: Final = bytes.fromhex("06082a8648ce3d030107")
_P384: Final = bytes.fromhex("06052b81040022")
_EDWARDS: Final = bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519"
_PARAMETERS: Final[Mapping[KeyType, bytes]] = MappingProxyType(
    {KeyType.EC_P256: _P256, KeyType.EC_P384: _P384, KeyType.ED25519: _EDWARDS[0]}
)
_CURVES: Final[Mapping[bytes, ec.EllipticCurve]] = MappingProxyType({_P256: ec.SECP256R1(), _P384: ec.SECP384R1()})
_RSA_BITS: Final = MappingProxyType({KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096})
_RSA_MECHANISMS: Final = MappingProxyType({"sha256": Mechanism.SHA256_RSA_PKCS, "sha384": Mechanism.SHA384_RSA_PKCS})

# What a token must have for a kind: how it is made, and how it signs.
_NEEDS: Final = MappingProxyType(
    {
        KeyType.EC_P256: (Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
        KeyType.EC_P384: (Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
        KeyType.ED25519: (Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA),
        **dict.fromkeys(_RSA_BITS, (Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.SHA256_RSA_PKCS)),
    }
)
# The key never leaves the token, not even encrypted by another key of it; and every use is a signature.
_PRIVATE: Final = MappingProxyType(
    {
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: True,
        Attribute.DECRYPT: False,
        Attribute.UNWRAP: False,
        Attribute.DERIVE: False,
    }
)
_PUBLIC: Final = MappingProxyType(
    {
        Attribute.TOKEN: True,
        Attribute.PRIVATE: False,
        Attribute.VERIFY: True,
        Attribute.ENCRYPT: False,
        Attribute.WRAP: False,
        Attribute.DERIVE: False,
    }
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A key of a token: the handle of its private half, and its public half."""

    private: Any
    public: PublicKey


class Unusable(ValueError):
    """What the token has under the label is not one key pair of a kind in use."""


def can(session: pkcs11.Session, kind: KeyType) -> bool:
    """Whether the token makes keys of this kind and signs with them."""
    needs = _NEEDS.get(kind)
    return needs is not None and set(needs) <= set(session.token.slot.get_mechanisms())


def generate(session: pkcs11.Session, label: str, kind: KeyType) -> None:
    """Make a key pair in the token, for good. ``can`` has said that it can."""
    private, public = ({**template, Attribute.LABEL: label} for template in (_PRIVATE, _PUBLIC))
    named: dict[str, Any] = {
        "id": label.encode(),
        "label": label,
        "store": True,
        "private_template": private,
        "public_template": public,
    }
    if kind in _RSA_BITS:
        session.generate_keypair(pkcs11.KeyType.RSA, _RSA_BITS[kind], **named)
        return
    type_ = pkcs11.KeyType.EC_EDWARDS if kind is KeyType.ED25519 else pkcs11.KeyType.EC
    parameters = session.create_domain_parameters(type_, {Attribute.EC_PARAMS: _PARAMETERS[kind]}, local=True)
    parameters.generate_keypair(mechanism=_NEEDS[kind][0], **named)


def store(session: pkcs11.Session, label: str, key: PrivateKey) -> None:
    """Put a key that was made elsewhere into the token. Many tokens refuse that, as they should."""
    private, public = _halves(key)
    named = {Attribute.LABEL: label, Attribute.ID: label.encode()}
    session.create_object({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **_PRIVATE, **named, **private})
    session.create_object({Attribute.CLASS: ObjectClass.PUBLIC_KEY, **_PUBLIC, **named, **public})


def find(session: pkcs11.Session, label: str) -> Pair | None:
    """The key pair of that label; None if the token has no such private key. Raises Unusable."""
    private = _objects(session, ObjectClass.PRIVATE_KEY, label)
    public = _objects(session, ObjectClass.PUBLIC_KEY, label)
    if not private and public:
        # So it looks where somebody else has logged out; to log in again will tell.
        raise pkcs11.UserNotLoggedIn
    if not private:
        return None
    if len(private) > 1 or len(public) != 1:
        raise Unusable(f"it has {len(private)} private and {len(public)} public keys of that label, and not one each")
    return Pair(private[0], _public_key(public[0]))


def sign(pair: Pair, data: bytes) -> bytes:
    """A signature of ``data`` as X.509 wants it (RFC 5758, RFC 8017, RFC 8410)."""
    hash_ = signature_algorithm(pair.public).hash
    if hash_ is None:
        signature: bytes = pair.private.sign(data, mechanism=Mechanism.EDDSA)
        return signature
    if isinstance(pair.public, rsa.RSAPublicKey):
        signature = pair.private.sign(data, mechanism=_RSA_MECHANISMS[hash_.name])
        return signature
    digest = hashes.Hash(hash_)
    digest.update(data)
    raw: bytes = pair.private.sign(digest.finalize(), mechanism=Mechanism.ECDSA)
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def _objects(session: pkcs11.Session, class_: ObjectClass, label: str) -> list[Any]:
    return list(session.get_objects({Attribute.CLASS: class_, Attribute.LABEL: label}))


def _public_key(found: Any) -> PublicKey:
    try:
        if found.key_type == pkcs11.KeyType.RSA:
            modulus, exponent = found[Attribute.MODULUS], found[Attribute.PUBLIC_EXPONENT]
            numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
            return supported(numbers.public_key())
        parameters, point = bytes(found[Attribute.EC_PARAMS]), _bare(bytes(found[Attribute.EC_POINT]))
        if parameters in _EDWARDS:
            return ed25519.Ed25519PublicKey.from_public_bytes(point)
        if parameters in _CURVES:
            return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[parameters], point)
    except ValueError:
        raise Unusable("its public key cannot be read") from None
    raise Unusable("its key is of a kind that is not in use here")


def _bare(point: bytes) -> bytes:
    """CKA_EC_POINT without its wrapping: an OCTET STRING by the standard, but some tokens leave that away."""
    try:
        (element,) = der.elements(point)
    except ValueError:
        return point
    return element.content if element.tag == _OCTET_STRING else point


def _halves(key: PrivateKey) -> tuple[dict[Attribute, Any], dict[Attribute, Any]]:
    if isinstance(key, rsa.RSAPrivateKey):
        n = key.private_numbers()
        type_ = {Attribute.KEY_TYPE: pkcs11.KeyType.RSA}
        public = {
            Attribute.MODULUS: _octets(n.public_numbers.n),
            Attribute.PUBLIC_EXPONENT: _octets(n.public_numbers.e),
        }
        private = {
            Attribute.PRIVATE_EXPONENT: _octets(n.d),
            Attribute.PRIME_1: _octets(n.p),
            Attribute.PRIME_2: _octets(n.q),
            Attribute.EXPONENT_1: _octets(n.dmp1),
            Attribute.EXPONENT_2: _octets(n.dmq1),
            Attribute.COEFFICIENT: _octets(n.iqmp),
        }
        return {**type_, **public, **private}, {**type_, **public}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        common = {Attribute.KEY_TYPE: pkcs11.KeyType.EC_EDWARDS, Attribute.EC_PARAMS: _EDWARDS[0]}
        secret = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        point = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        parameters = next(der_ for der_, curve in _CURVES.items() if curve.name == key.curve.name)
        common = {Attribute.KEY_TYPE: pkcs11.KeyType.EC, Attribute.EC_PARAMS: parameters}
        secret = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        raise Unusable("its key is of a kind that no token takes")
    return {**common, Attribute.VALUE: secret}, {**common, Attribute.EC_POINT: der.encode(_OCTET_STRING, point)}


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
