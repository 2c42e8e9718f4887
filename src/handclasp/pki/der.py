"""The little DER (ITU-T X.690) that ``cryptography`` keeps to itself: putting a signature beside the signed
bytes, and reading the tags that its decoded values no longer show.

``cryptography.hazmat.asn1`` could do both, but its own documentation calls it unstable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

BIT_STRING = 0x03
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30


class Element(NamedTuple):
    """One tag-length-value: ``content`` is the value without its header."""

    tag: int
    content: bytes


def encode(tag: int, content: bytes) -> bytes:
    """The element with this one-byte tag, its length in the shortest form (X.690 §10.1)."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def signed(tbs: bytes, signature_algorithm: bytes, signature: bytes) -> bytes:
    """``SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }``: a certificate or a CRL (RFC 5280 §4.1, §5.1)."""
    return encode(SEQUENCE, tbs + signature_algorithm + encode(BIT_STRING, b"\x00" + signature))


def elements(data: bytes) -> Iterator[Element]:
    """The elements that follow each other in ``data``. Raises ValueError where ``data`` is not DER."""
    at, end = 0, len(data)
    while at < end:
        if end - at < 2 or data[at] & 0x1F == 0x1F:
            raise ValueError("a DER element starts with a one-byte tag and a length")
        length, content = data[at + 1], at + 2
        if length >= 0x80:
            size = content
            content += length & 0x7F
            length = int.from_bytes(data[size:content], "big")
            if length < 0x80 or data[size] == 0 or end < content:
                raise ValueError("the length of a DER element is not in its shortest form")
        if end < content + length:
            raise ValueError("a DER element ends before its length says")
        yield Element(data[at], data[content : content + length])
        at = content + length
