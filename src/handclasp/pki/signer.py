"""The null signer: a private key that has no secret and writes fixed bytes where a signature goes.

With it ``cryptography`` builds a whole certificate or CRL before anybody signs, so that what is checked and
what is signed are the same bytes, and the real key can be anywhere.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

# SEQUENCE { INTEGER 1, INTEGER 1 }: an ECDSA-Sig-Value (RFC 3279 §2.2.3) that no key verifies in practice.
NULL_SIGNATURE = bytes.fromhex("3006020101020101")


class NullSigner(ec.EllipticCurvePrivateKey):
    """Stands for the private half of ``public``; its signatures are ``NULL_SIGNATURE``."""

    def __init__(self, public: ec.EllipticCurvePublicKey) -> None:
        self._public = public

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def sign(self, data: object, signature_algorithm: object) -> bytes:
        return NULL_SIGNATURE

    def exchange(self, algorithm: object, peer_public_key: object) -> NoReturn:
        raise _no_secret()

    def private_numbers(self) -> NoReturn:
        raise _no_secret()

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:
        raise _no_secret()

    def __copy__(self) -> NullSigner:
        return self

    def __deepcopy__(self, memo: object) -> NullSigner:
        return self


def _no_secret() -> TypeError:
    return TypeError("a null signer has no private key")
