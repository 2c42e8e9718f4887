"""PKCS#7 files of certificates (RFC 2315 §9.1, degenerate SignedData: nobody signs), as Windows and Java read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from handclasp.pki import ber, der

SIGNED_DATA = "1.2.840.113549.1.7.2"
_CERTIFICATES, _CRLS = 0xA0, 0xA1
_DATA = bytes.fromhex("300b06092a864886f70d010701")  # ContentInfo { data } without contents
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_OTHERS = {
    "1.2.840.113549.1.7.1": "plain data",
    "1.2.840.113549.1.7.3": "an encrypted message",
    "1.2.840.113549.1.7.4": "a signed and encrypted message",
    "1.2.840.113549.1.7.5": "a digest",
    "1.2.840.113549.1.7.6": "encrypted data",
}


@dataclass(frozen=True, slots=True)
class Collection:
    """The DER of each certificate and each CRL in a file; ``signed`` where it is a signed message besides."""

    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    signed: bool


def decode(data: bytes) -> Collection:
    """The certificates and CRLs that a PKCS#7 file in DER or BER carries. No signature is looked at.

    Raises ValueError for what is no SignedData, saying what it is.
    """
    info = ber.children(ber.one(ber.definite(data)))
    kind = ber.oid(info[0])
    if kind != SIGNED_DATA:
        raise ValueError(f"it is {_OTHERS.get(kind, 'a PKCS#7 structure')}, which holds no certificates")
    if len(info) != 2:
        raise ValueError("it has no contents")
    parts = ber.children(ber.one(ber.children(info[1], _CERTIFICATES)[0].encoded))
    if len(parts) < 4:
        raise ValueError("it ends too early")
    found: dict[int, tuple[bytes, ...]] = {}
    for part in parts[3:]:
        if part.tag in (_CERTIFICATES, _CRLS):
            # Choices other than certificates and CRLs have tags of their own (RFC 5652 §10.2).
            found[part.tag] = tuple(node.encoded for node in ber.each(part.content) if node.tag == ber.SEQUENCE)
    return Collection(found.get(_CERTIFICATES, ()), found.get(_CRLS, ()), signed=bool(parts[-1].content))


def encode(certificates: Iterable[bytes], crls: Iterable[bytes] = ()) -> bytes:
    """The DER of a PKCS#7 file with these certificates and CRLs (each DER), in the order given.

    A set has no order and DER would sort it; everybody writes the order of the chain instead, and some readers
    take the first certificate for the leaf.
    """
    parts = b"\x02\x01\x01" + der.encode(ber.SET, b"") + _DATA
    for tag, members in ((_CERTIFICATES, b"".join(certificates)), (_CRLS, b"".join(crls))):
        if members:
            parts += der.encode(tag, members)
    signed = der.encode(ber.SEQUENCE, parts + der.encode(ber.SET, b""))
    return der.encode(ber.SEQUENCE, _SIGNED_DATA + der.encode(0xA0, signed))
