"""The cipher suites of TLS 1.2 and their key exchange: ECDHE, DHE and RSA (RFC 5246 §7.4.3, §7.4.7; RFC 8422 §5.4).

What is random here is made by the key generation of ``cryptography``: nothing is drawn by ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from handclasp.tlswire import protect12 as bulk
from handclasp.tlswire.exchange import make
from handclasp.tlswire.messages import Reader, malformed
from handclasp.tlswire.names import group_name
from handclasp.tlswire.offer import CLASSICAL, TLS12, KeyShares

MIN_PRIME, MAX_PRIME = 512, 8192
"""Bits of a prime for DHE. Below, anyone can read along; above, the server makes us work."""

_NAMED_CURVE = 3
_EXPONENT = 32


class Exchange(StrEnum):
    """How the premaster secret comes about."""

    ECDHE = "ECDHE"
    DHE = "DHE"
    RSA = "RSA"


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite. ``ecdsa`` tells whether the server's key is one of an elliptic curve (ECDSA, Ed25519, Ed448:
    RFC 8422 §5.3) or RSA; ``hash_name`` is that of the PRF."""

    exchange: Exchange
    ecdsa: bool
    bulk: bulk.Bulk
    hash_name: str = "sha256"


_E, _D, _R = Exchange.ECDHE, Exchange.DHE, Exchange.RSA
SUITES: Final[Mapping[int, Suite]] = MappingProxyType(
    {
        0xC02B: Suite(_E, True, bulk.AES128_GCM),
        0xC02F: Suite(_E, False, bulk.AES128_GCM),
        0xC02C: Suite(_E, True, bulk.AES256_GCM, "sha384"),
        0xC030: Suite(_E, False, bulk.AES256_GCM, "sha384"),
        0xCCA9: Suite(_E, True, bulk.CHACHA20),
        0xCCA8: Suite(_E, False, bulk.CHACHA20),
        0x009E: Suite(_D, False, bulk.AES128_GCM),
        0x009F: Suite(_D, False, bulk.AES256_GCM, "sha384"),
        0xCCAA: Suite(_D, False, bulk.CHACHA20),
        0xC023: Suite(_E, True, bulk.AES128_SHA256),
        0xC027: Suite(_E, False, bulk.AES128_SHA256),
        0xC024: Suite(_E, True, bulk.AES256_SHA384, "sha384"),
        0xC028: Suite(_E, False, bulk.AES256_SHA384, "sha384"),
        0xC009: Suite(_E, True, bulk.AES128_SHA1),
        0xC013: Suite(_E, False, bulk.AES128_SHA1),
        0xC00A: Suite(_E, True, bulk.AES256_SHA1),
        0xC014: Suite(_E, False, bulk.AES256_SHA1),
        0x0033: Suite(_D, False, bulk.AES128_SHA1),
        0x0039: Suite(_D, False, bulk.AES256_SHA1),
        0x0067: Suite(_D, False, bulk.AES128_SHA256),
        0x006B: Suite(_D, False, bulk.AES256_SHA256),
        0x009C: Suite(_R, False, bulk.AES128_GCM),
        0x009D: Suite(_R, False, bulk.AES256_GCM, "sha384"),
        0x003C: Suite(_R, False, bulk.AES128_SHA256),
        0x003D: Suite(_R, False, bulk.AES256_SHA256),
        0x002F: Suite(_R, False, bulk.AES128_SHA1),
        0x0035: Suite(_R, False, bulk.AES256_SHA1),
    }
)
"""All that are known here: what ``offer`` has for TLS 1.2."""


@dataclass(frozen=True, slots=True)
class CurveShare:
    """The server's share on a curve: the point as RFC 8422 §5.4 has it."""

    group: int
    point: bytes


@dataclass(frozen=True, slots=True)
class FieldShare:
    """The server's share in a finite field that it chose itself (RFC 5246 §7.4.3)."""

    prime: int
    generator: int
    public: int


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """The message of that name. The signature is over both randoms and ``parameters``."""

    share: CurveShare | FieldShare
    parameters: bytes
    scheme: int
    signature: bytes


def server_key_exchange(exchange: Exchange, body: bytes) -> ServerKeyExchange:
    """Read the message. Raises Broken for what is cut off or too long, and for numbers that cannot be used."""
    reader = Reader(body, "the ServerKeyExchange")
    share: CurveShare | FieldShare
    if exchange is Exchange.ECDHE:
        if reader.number(1) != _NAMED_CURVE:
            raise malformed("the ServerKeyExchange is of a curve without a name", 47)
        share = CurveShare(reader.number(2), reader.vector(1, 1))
    else:
        prime, generator, public = (int.from_bytes(reader.vector(2, 1), "big") for _ in range(3))
        share = FieldShare(prime, generator, public)
        _check_field(share)
    parameters = body[: len(body) - reader.left]
    scheme, signature = reader.number(2), reader.vector(2)
    reader.end()
    return ServerKeyExchange(share, parameters, scheme, signature)


def agree(share: CurveShare | FieldShare, shares: KeyShares) -> tuple[bytes, bytes]:
    """The premaster secret, and the body of our ClientKeyExchange. A curve that ``shares`` has no key for gets a new
    one. Raises Broken for a point that is not on its curve, and for a group that there is no key exchange for."""
    if isinstance(share, FieldShare):
        return _agree_in_field(share)
    if share.group not in CLASSICAL:
        raise malformed(f"the server takes {group_name(share.group)}, which TLS 1.2 does not know", 47)
    own = shares.get(share.group) or make((share.group,))[share.group]
    return own.shared(share.point), bytes((len(own.public),)) + own.public


def encrypt_premaster(public: object) -> tuple[bytes, bytes]:
    """A premaster secret for the RSA key exchange (RFC 5246 §7.4.7.1), and the body of our ClientKeyExchange.

    Raises Broken for a key that cannot encrypt it. There is no forward secrecy: nothing secret is sent over it.
    """
    if not isinstance(public, rsa.RSAPublicKey):
        raise malformed("the server takes RSA key exchange, and its certificate has no RSA key", 47)
    premaster = TLS12.to_bytes(2, "big") + _fresh(46)
    try:
        encrypted = public.encrypt(premaster, padding.PKCS1v15())
    except (ValueError, UnsupportedAlgorithm):
        raise malformed("the server's RSA key cannot encrypt the premaster secret", 47) from None
    return premaster, len(encrypted).to_bytes(2, "big") + encrypted


def _agree_in_field(share: FieldShare) -> tuple[bytes, bytes]:
    length = (share.prime.bit_length() + 7) // 8
    exponent = int.from_bytes(_fresh(_EXPONENT), "big")
    public = pow(share.generator, exponent, share.prime)
    secret = pow(share.public, exponent, share.prime)
    if secret <= 1:
        raise malformed("the server's Diffie-Hellman numbers make no secret", 47)
    # RFC 5246 §8.1.2: zeros in front of the secret are left away.
    return (
        secret.to_bytes((secret.bit_length() + 7) // 8, "big"),
        length.to_bytes(2, "big") + public.to_bytes(length, "big"),
    )


def _fresh(length: int) -> bytes:
    """So many octets that nobody can foresee: a new private key (251 random bits), made even by HKDF."""
    key = x25519.X25519PrivateKey.generate().private_bytes_raw()
    return HKDF(hashes.SHA256(), length, None, b"handclasp tls12 client key exchange").derive(key)


def _check_field(share: FieldShare) -> None:
    bits = share.prime.bit_length()
    if not MIN_PRIME <= bits <= MAX_PRIME:
        raise malformed(f"the server's Diffie-Hellman prime has {bits} bits: not from {MIN_PRIME} to {MAX_PRIME}", 71)
    inside = 1 < share.generator < share.prime - 1 and 1 < share.public < share.prime - 1
    if share.prime % 2 == 0 or not inside:
        raise malformed("the server's numbers are not those of a Diffie-Hellman exchange", 47)
