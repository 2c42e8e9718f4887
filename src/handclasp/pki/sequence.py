"""What belongs together in a heap of certificates and keys: the leaf first, its issuers after it, each key to its own.

Nothing is trusted here and no dates are looked at: that is the verifier's work (chain.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAX_CHECKS = 2_000  # signatures; many certificates of one name would cost their square

_UNREADABLE = (ValueError, TypeError, InternalError, UnsupportedAlgorithm)


def spki(public: PublicKeyTypes) -> bytes:
    """The SubjectPublicKeyInfo of a key: one key, one value."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_of(private: PrivateKeyTypes) -> bytes:
    """That of the public half of a private key."""
    return spki(private.public_key())


def certified(certificate: x509.Certificate) -> bytes | None:
    """The SubjectPublicKeyInfo that a certificate is for; None where its key is of a kind that cannot be read."""
    try:
        return spki(certificate.public_key())
    except _UNREADABLE:
        return None


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own key signed it, under its own name."""
    return issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` has the name and the key that signed it."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def issuers(certificates: Sequence[x509.Certificate]) -> tuple[int | None, ...]:
    """For each certificate the index of the one that issued it: its own if self-signed, None where it is not there."""
    by_name: dict[bytes, list[int]] = defaultdict(list)
    for index, certificate in enumerate(certificates):
        by_name[_name(certificate, "subject")].append(index)
    found: list[int | None] = []
    checks = MAX_CHECKS
    for index, certificate in enumerate(certificates):
        candidates = by_name.get(_name(certificate, "issuer"), [])
        match: int | None = None
        # The certificate itself first: a root that came twice under two serials is not issued by its twin.
        for candidate in sorted(candidates, key=lambda one: one != index)[:checks]:
            checks -= 1
            if issued_by(certificate, certificates[candidate]):
                match = candidate
                break
        found.append(match)
    return tuple(found)


def ordered(certificates: Sequence[x509.Certificate], first: int | None = None) -> tuple[int, ...]:
    """The indices of the certificates, each leaf followed by its issuers up to its root; ``first`` is begun with.

    Leaves are those that issued no other, in the order given. All are in the answer, once.
    """
    above = issuers(certificates)
    used = {issuer for index, issuer in enumerate(above) if issuer is not None and issuer != index}
    leaves = [index for index in range(len(certificates)) if index not in used]
    order: dict[int, None] = {}
    for start in (*([] if first is None else [first]), *leaves, *range(len(certificates))):
        at: int | None = start
        while at is not None and at not in order:
            order[at] = None
            at = above[at]
    return tuple(order)


def chain(certificates: Sequence[x509.Certificate], leaf: int) -> tuple[int, ...]:
    """The indices of ``leaf`` and its issuers, as far up as they are there."""
    above = issuers(certificates)
    order: dict[int, None] = {}
    at: int | None = leaf
    while at is not None and at not in order:
        order[at] = None
        at = above[at]
    return tuple(order)


def _name(certificate: x509.Certificate, which: str) -> bytes:
    try:
        name: x509.Name = getattr(certificate, which)
        return name.public_bytes()
    except _UNREADABLE:
        return b""
