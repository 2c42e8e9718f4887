"""Reading BER of others: lengths that are open, strings in pieces, and whatever is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.pki import ber, der


def nested(depth: int) -> bytes:
    return b"\x30\x80" * depth + b"\x00\x00" * depth


def test_what_is_der_stays_as_it_is() -> None:
    """Byte for byte, also where a length is longer than it need be: signatures in it go on to verify."""
    data = der.encode(ber.SEQUENCE, b"\x02\x81\x01\x05" + der.encode(ber.SET, b""))
    assert ber.definite(data) == data


def test_open_lengths_and_pieces_are_closed() -> None:
    """A SEQUENCE of open length with an OCTET STRING in two pieces, one of them in two again."""
    pieces = b"\x24\x80" + b"\x04\x02ab" + b"\x24\x06\x04\x01c\x04\x01d" + b"\x00\x00"
    assert ber.definite(b"\x30\x80" + pieces + b"\x02\x01\x01" + b"\x00\x00") == der.encode(
        ber.SEQUENCE, der.encode(ber.OCTET_STRING, b"abcd") + b"\x02\x01\x01"
    )


@pytest.mark.parametrize("size", [1, 127, 128, 1 << 16, 1 << 20])
def test_a_length_that_takes_as_many_octets_as_before(size: int) -> None:
    """An open length is rewritten even where the bytes stay as many."""
    inner = der.encode(ber.OCTET_STRING, b"x" * size)
    assert ber.definite(b"\x30\x80" + inner + b"\x00\x00") == der.encode(ber.SEQUENCE, inner)


def test_depth_is_bounded() -> None:
    """Forty elements in each other are read, and not one more."""
    assert ber.definite(nested(ber.MAX_DEPTH)) == ber.definite(ber.definite(nested(ber.MAX_DEPTH)))
    with pytest.raises(ValueError, match="deeper"):
        ber.definite(nested(ber.MAX_DEPTH + 2))


@pytest.mark.parametrize(
    ("data", "dotted"),
    [
        (bytes.fromhex("06092a864886f70d010701"), "1.2.840.113549.1.7.1"),
        (bytes.fromhex("0603550403"), "2.5.4.3"),
        (bytes.fromhex("06038837 03".replace(" ", "")), "2.999.3"),
        (b"\x06\x01\x00", "0.0"),
    ],
)
def test_oid(data: bytes, dotted: str) -> None:
    """X.690 §8.19, with the two arcs that share their first octets."""
    assert ber.oid(ber.one(data)) == dotted


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    """ValueError and nothing else, whatever the bytes."""
    for read in (ber.definite, lambda d: list(ber.each(d)), lambda d: ber.oid(ber.one(d))):
        try:
            read(data)
        except ValueError:
            continue
