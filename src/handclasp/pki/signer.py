"""Null signers: private keys that have no secret and write fixed bytes where a signature goes.

With one of them ``cryptography`` builds a whole certificate or CRL before anybody signs, so that what is checked
and what is signed are the same bytes, and the real key can be anywhere. ``cryptography`` finds the algorithm by the
class of the key, so there is a class for each.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from handclasp.pki.keys import PrivateKey, PublicKey

# SEQUENCE { INTEGER 1, INTEGER 1 }: an ECDSA-Sig-Value (RFC 3279 §2.2.3) that no key verifies in practice.
ECDSA_NULL = bytes.fromhex("3006020101020101")


def null_signer(public: PublicKey) -> PrivateKey:
    """Stands for the private half of ``public``; what it signs, no key verifies."""
    signer = next(signer for kind, signer in _SIGNERS if isinstance(public, kind))
    return cast("PrivateKey", signer(public))


class _Null:
    """What all have in common: a public key, and nothing to give away."""

    signature: ClassVar[bytes]

    def __init__(self, public: Any) -> None:
        self._public = public

    def public_key(self) -> Any:
        return self._public

    @property
    def key_size(self) -> Any:
        return self._public.key_size

    def sign(self, *_data_and_algorithm: object) -> bytes:
        return self.signature

    def _refuse(self, *_arguments: object) -> NoReturn:
        raise TypeError("a null signer has no private key")

    private_bytes = private_bytes_raw = private_numbers = exchange = decrypt = sign_mu = _refuse

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


class _NullEC(_Null, ec.EllipticCurvePrivateKey):
    signature = ECDSA_NULL

    @property
    def curve(self) -> Any:
        return self._public.curve


class _NullEd25519(_Null, ed25519.Ed25519PrivateKey):
    signature = b"\xff" * 64  # S is not below the group's order (RFC 8032 §5.1.7)


class _NullRSA(_Null, rsa.RSAPrivateKey):
    def sign(self, *_data_and_algorithm: object) -> bytes:
        size: int = self._public.key_size
        return b"\xff" * (size // 8)  # no number below the modulus (RFC 8017 §5.2.2)


class _NullMLDSA44(_Null, mldsa.MLDSA44PrivateKey):
    signature = bytes(2420)


class _NullMLDSA65(_Null, mldsa.MLDSA65PrivateKey):
    signature = bytes(3309)


class _NullMLDSA87(_Null, mldsa.MLDSA87PrivateKey):
    signature = bytes(4627)


_SIGNERS: tuple[tuple[type, type[_Null]], ...] = (
    (ec.EllipticCurvePublicKey, _NullEC),
    (ed25519.Ed25519PublicKey, _NullEd25519),
    (rsa.RSAPublicKey, _NullRSA),
    (mldsa.MLDSA44PublicKey, _NullMLDSA44),
    (mldsa.MLDSA65PublicKey, _NullMLDSA65),
    (mldsa.MLDSA87PublicKey, _NullMLDSA87),
)
