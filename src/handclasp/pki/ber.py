"""Reading ASN.1 that others encoded (ITU-T X.690): DER, and the BER with open lengths of old PKCS#12 and PKCS#7 files.

``der.py`` is for our own bytes and strict; this is for files from anywhere, so it takes longer lengths than
needed, never copies more than it must, and goes no deeper than ``MAX_DEPTH``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handclasp.pki import der

INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
SEQUENCE = 0x30
SET = 0x31
CONSTRUCTED = 0x20

MAX_DEPTH = 40  # of constructed elements in each other; a PKCS#12 file has about ten
_OPEN = -1  # a length that is only known when the end-of-contents octets come (X.690 §8.1.3.6)


@dataclass(frozen=True, slots=True)
class Node:
    """One element: its first identifier octet, its contents, and all of its bytes."""

    tag: int
    content: bytes
    encoded: bytes


def each(data: bytes) -> Iterator[Node]:
    """The elements that follow each other in ``data``, read one by one. Raises ValueError where it is no BER."""
    at = 0
    while at < len(data):
        tag, start, length = _header(data, at)
        if length == _OPEN:
            raise ValueError("an element has an open length")
        end = start + length
        yield Node(tag, data[start:end], data[at:end])
        at = end


def children(node: Node, tag: int = SEQUENCE) -> tuple[Node, ...]:
    """The elements in a constructed element of this tag. Raises ValueError."""
    if node.tag != tag:
        raise ValueError(f"an element has the tag {node.tag:#04x} where {tag:#04x} belongs")
    return tuple(each(node.content))


def one(data: bytes) -> Node:
    """The first element of ``data``, which may have bytes after it. Raises ValueError, also where there is none."""
    for node in each(data):
        return node
    raise ValueError("there is no element")


def integer(node: Node) -> int:
    """The value of an INTEGER. Raises ValueError."""
    if node.tag != INTEGER or not node.content:
        raise ValueError("there is no INTEGER where one belongs")
    return int.from_bytes(node.content, "big", signed=True)


def octets(node: Node) -> bytes:
    """The value of an OCTET STRING. Raises ValueError."""
    if node.tag != OCTET_STRING:
        raise ValueError("there is no OCTET STRING where one belongs")
    return node.content


def oid(node: Node) -> str:
    """The value of an OBJECT IDENTIFIER, with dots. Raises ValueError."""
    if node.tag != OBJECT_IDENTIFIER or not 0 < len(node.content) <= 64 or node.content[-1] & 0x80:
        raise ValueError("there is no OBJECT IDENTIFIER where one belongs")
    arcs, value = [], 0
    for octet in node.content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def definite(data: bytes) -> bytes:
    """The first element of ``data`` with every length written out and every OCTET STRING in one piece.

    What is encoded so already stays as it is, byte for byte: signatures in it go on to verify. Raises ValueError.
    """
    return _rewritten(data, 0, 0)[0]


def _rewritten(data: bytes, at: int, depth: int) -> tuple[bytes, int]:
    if depth > MAX_DEPTH:
        raise ValueError(f"elements are nested deeper than {MAX_DEPTH}")
    tag, start, length = _header(data, at)
    if length != _OPEN and not tag & CONSTRUCTED:
        return data[at : start + length], start + length
    end = None if length == _OPEN else start + length
    parts, here = [], start
    while here != end:
        if end is None and data[here : here + 2] == b"\x00\x00":
            break
        part, after = _rewritten(data, here, depth + 1)
        if end is not None and after > end:
            raise ValueError("an element ends after the one that holds it")
        parts.append(part)
        here = after
    whole = here if end is not None else here + 2
    pieces = tag == OCTET_STRING | CONSTRUCTED
    if pieces:
        return der.encode(OCTET_STRING, b"".join(octets(one(part)) for part in parts)), whole
    content = b"".join(parts)
    if end is not None and content == data[start:end]:
        return data[at:whole], whole
    return der.encode(tag, content), whole


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the element at ``at``, where its contents start, and their length."""
    if len(data) < at + 2 or data[at] & 0x1F == 0x1F:
        raise ValueError("an element starts with a one-byte tag and a length")
    tag, length, start = data[at], data[at + 1], at + 2
    if length == 0x80:
        if not tag & CONSTRUCTED:
            raise ValueError("a primitive element has an open length")
        return tag, start, _OPEN
    if length > 0x80:
        start += length & 0x7F
        if length > 0x88 or len(data) < start:
            raise ValueError("the length of an element cannot be read")
        length = int.from_bytes(data[at + 2 : start], "big")
    if len(data) < start + length:
        raise ValueError("an element ends before its length says")
    return tag, start, length
