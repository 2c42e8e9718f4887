"""Signatures over a handshake: has the server the private key of its certificate?"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from handclasp.findings import Code
from handclasp.pki import der
from handclasp.tlswire import names
from handclasp.tlswire.session import Broken

SCHEMES: Final = (
    *(names.ECDSA_P256, names.ED25519, names.RSA_PSS_SHA256, names.ECDSA_P384, names.ECDSA_P521, names.ED448),
    *(names.RSA_PSS_SHA384, names.RSA_PSS_SHA512),
    *(names.RSA_PSS_PSS_SHA256, names.RSA_PSS_PSS_SHA384, names.RSA_PSS_PSS_SHA512),
    *(names.RSA_PKCS1_SHA256, names.RSA_PKCS1_SHA384, names.RSA_PKCS1_SHA512),
    *(names.ML_DSA_44, names.ML_DSA_65, names.ML_DSA_87),
)
"""The schemes that our hello offers and that are verified here. None with SHA-1: it would prove nothing."""
OFFERED: Final = frozenset(SCHEMES)
NOT_IN_TLS13: Final = frozenset({names.RSA_PKCS1_SHA256, names.RSA_PKCS1_SHA384, names.RSA_PKCS1_SHA512})
"""PKCS#1 v1.5 signs certificates, no TLS 1.3 handshake (RFC 8446 §4.2.3)."""

LONGEST_RSA: Final = 8192
"""Bits. A longer key would make us work for the server."""
_REMEMBERED_LENGTH: Final = 8192
"""Octets of a certificate whose key is remembered."""
_SPKI_AT: Final = 6

_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
_CURVES: Final = {names.ECDSA_P256: "secp256r1", names.ECDSA_P384: "secp384r1", names.ECDSA_P521: "secp521r1"}


def _ecdsa(algorithm: hashes.HashAlgorithm) -> tuple[type, tuple[object, ...]]:
    return ec.EllipticCurvePublicKey, (ec.ECDSA(algorithm),)


def _pss(algorithm: hashes.HashAlgorithm) -> tuple[type, tuple[object, ...]]:
    # The salt is as long as the hash (RFC 8446 §4.2.3).
    return rsa.RSAPublicKey, (padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)


def _pkcs1(algorithm: hashes.HashAlgorithm) -> tuple[type, tuple[object, ...]]:
    return rsa.RSAPublicKey, (padding.PKCS1v15(), algorithm)


_KINDS: Final[dict[int, tuple[type, tuple[object, ...]]]] = {
    names.ECDSA_P256: _ecdsa(_SHA256),
    names.ECDSA_P384: _ecdsa(_SHA384),
    names.ECDSA_P521: _ecdsa(_SHA512),
    names.RSA_PSS_SHA256: _pss(_SHA256),
    names.RSA_PSS_SHA384: _pss(_SHA384),
    names.RSA_PSS_SHA512: _pss(_SHA512),
    names.RSA_PSS_PSS_SHA256: _pss(_SHA256),
    names.RSA_PSS_PSS_SHA384: _pss(_SHA384),
    names.RSA_PSS_PSS_SHA512: _pss(_SHA512),
    names.RSA_PKCS1_SHA256: _pkcs1(_SHA256),
    names.RSA_PKCS1_SHA384: _pkcs1(_SHA384),
    names.RSA_PKCS1_SHA512: _pkcs1(_SHA512),
    names.ED25519: (ed25519.Ed25519PublicKey, ()),
    names.ED448: (ed448.Ed448PublicKey, ()),
    names.ML_DSA_44: (mldsa.MLDSA44PublicKey, ()),
    names.ML_DSA_65: (mldsa.MLDSA65PublicKey, ()),
    names.ML_DSA_87: (mldsa.MLDSA87PublicKey, ()),
}


_FITTING: Final[set[tuple[type, type]]] = set()
"""Which class is of which family: to ask an abstract class costs more than to remember the answer."""


def public_key(certificate: bytes) -> object:
    """The public key of a certificate in DER; nothing else of it is read. Keys of late are remembered.

    Raises Broken(TLS_SERVER_NOT_PROVED) where there is none that can be used.
    """
    if len(certificate) > _REMEMBERED_LENGTH:
        return _public_key(certificate)
    return _remembered(certificate)


def signature(public: object, scheme: int, signature: bytes, data: bytes) -> None:
    """Returns if the private half of ``public`` made ``signature`` over ``data``, by a scheme that our hello offers.

    TLS 1.2 does not bind an ECDSA scheme to a curve; ``bound`` says what TLS 1.3 demands.
    Raises Broken(TLS_SERVER_NOT_PROVED).
    """
    kind = _KINDS.get(scheme)
    if kind is None:
        raise not_proved(f"the server signed with {names.scheme_name(scheme)}, which was not offered", 47)
    family, arguments = kind
    concrete = type(public)
    if (concrete, family) not in _FITTING and not isinstance(public, family):
        raise not_proved(f"the key of the server's certificate does not sign with {names.scheme_name(scheme)}", 47)
    _FITTING.add((concrete, family))
    verifier: Any = public
    try:
        verifier.verify(signature, data, *arguments)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise not_proved("the server's signature is not one by the key of its certificate") from None


def bound(public: object, scheme: int) -> None:
    """What TLS 1.3 demands besides: no PKCS#1 v1.5, and the curve that belongs to an ECDSA scheme (RFC 8446 §4.2.3)."""
    curve = _CURVES.get(scheme)
    if scheme in NOT_IN_TLS13 or (curve is not None and getattr(getattr(public, "curve", None), "name", "") != curve):
        raise not_proved(f"the server signed with {names.scheme_name(scheme)}, which does not fit its key", 47)


def same(ours: bytes, theirs: bytes) -> None:
    """Both Finished values are one, compared in constant time. Raises Broken(TLS_SERVER_NOT_PROVED)."""
    if not hmac.compare_digest(ours, theirs):
        raise not_proved("the server's Finished is not over this handshake")


def chosen_scheme(ours: Iterable[int], theirs: Iterable[int], allowed: Callable[[int], bool]) -> int | None:
    """The first of ours that the server takes, and that this version allows; None without one."""
    taken = frozenset(theirs)
    return next((scheme for scheme in ours if scheme in taken and allowed(scheme)), None)


def not_proved(what: str, alert: int = 51) -> Broken:
    """The fault of a server that did not show its key; 51 is decrypt_error."""
    return Broken(Code.TLS_SERVER_NOT_PROVED, what, alert)


def _public_key(certificate: bytes) -> object:
    try:
        (whole,) = der.elements(certificate)
        tbs = next(der.elements(whole.content))
        fields = list(islice(der.elements(tbs.content), _SPKI_AT + 1))
        info = fields[_SPKI_AT if fields[0].tag == 0xA0 else _SPKI_AT - 1]
        key = load_der_public_key(der.encode(info.tag, info.content))
    except (ValueError, TypeError, IndexError, StopIteration, UnsupportedAlgorithm):
        raise not_proved("the server's certificate has no public key that can be read", 42) from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size > LONGEST_RSA:
        raise not_proved(f"the server's RSA key has {key.key_size} bits, more than {LONGEST_RSA}", 43)
    return key


_remembered = lru_cache(maxsize=1024)(_public_key)
