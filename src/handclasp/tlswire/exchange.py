"""Key exchange: our private keys for a hello, and the secret shared with what the server sends (RFC 8446 §7.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handclasp.tlswire import offer
from handclasp.tlswire.messages import malformed
from handclasp.tlswire.offer import KeyShare, KeyShares
from handclasp.tlswire.session import Broken

_X25519_LENGTH: Final = 32
_CIPHERTEXT_LENGTH: Final = 1088
"""Of ML-KEM-768 (FIPS 203, table 3)."""


class X25519Share:
    """X25519 (RFC 7748)."""

    __slots__ = ("_private", "public")

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def shared(self, peer: bytes) -> bytes:
        """Raises Broken also for a point of low order, whose secret is all zeros."""
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise _no_share("x25519") from None


class CurveShare:
    """ECDH on a NIST curve; points are uncompressed (RFC 8446 §4.2.8.2)."""

    __slots__ = ("_curve", "_private", "public")

    def __init__(self, curve: ec.EllipticCurve) -> None:
        self._curve = curve
        self._private = ec.generate_private_key(curve)
        self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def shared(self, peer: bytes) -> bytes:
        """The x coordinate, as long as the field."""
        if len(peer) != len(self.public) or peer[0] != 4:
            raise _no_share(self._curve.name)
        try:
            return self._private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(self._curve, peer))
        except (ValueError, UnsupportedAlgorithm):
            raise _no_share(self._curve.name) from None


class HybridShare:
    """X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): ML-KEM-768 first, X25519 after it, in shares and in the secret."""

    __slots__ = ("_classical", "_private", "public")

    def __init__(self) -> None:
        self._private = mlkem.MLKEM768PrivateKey.generate()
        self._classical = X25519Share()
        self.public = self._private.public_key().public_bytes_raw() + self._classical.public

    def shared(self, peer: bytes) -> bytes:
        """Of the server's ciphertext and X25519 share."""
        if len(peer) != _CIPHERTEXT_LENGTH + _X25519_LENGTH:
            raise _no_share("X25519MLKEM768")
        secret = self._private.decapsulate(peer[:_CIPHERTEXT_LENGTH])
        return secret + self._classical.shared(peer[_CIPHERTEXT_LENGTH:])


_MAKERS: Final[dict[int, Callable[[], KeyShare]]] = {
    offer.X25519: X25519Share,
    offer.SECP256R1: lambda: CurveShare(ec.SECP256R1()),
    offer.SECP384R1: lambda: CurveShare(ec.SECP384R1()),
    offer.SECP521R1: lambda: CurveShare(ec.SECP521R1()),
    offer.X25519MLKEM768: HybridShare,
}
SUPPORTED: Final = frozenset(_MAKERS)
"""The groups that there is a key exchange for."""


def make(groups: Iterable[int]) -> KeyShares:
    """New private keys, one for each of the groups. Raises KeyError for a group that is not SUPPORTED."""
    return {group: _MAKERS[group]() for group in groups}


def _no_share(group: str) -> Broken:
    return malformed(f"the server's key share is none of {group}", 47)
