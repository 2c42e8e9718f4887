"""Reading and writing DER elements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.pki import der

TAGS = st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F)


@given(st.lists(st.tuples(TAGS, st.binary(max_size=300)), max_size=5))
def test_elements_survive_being_written_and_read(pairs: list[tuple[int, bytes]]) -> None:
    """elements() gives back what encode() wrote."""
    data = b"".join(der.encode(tag, content) for tag, content in pairs)
    assert list(der.elements(data)) == [der.Element(tag, content) for tag, content in pairs]


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65535, 65536])
def test_lengths_are_written_in_their_shortest_form(size: int) -> None:
    """The borders between the forms of X.690 §8.1.3 are read back as they were written."""
    assert [len(e.content) for e in der.elements(der.encode(der.SEQUENCE, bytes(size)))] == [size]


@given(st.binary(max_size=200))
def test_any_bytes_are_der_or_a_value_error(data: bytes) -> None:
    """Reading raises nothing but ValueError, and what it accepts is what encode() would write."""
    try:
        found = list(der.elements(data))
    except ValueError:
        return
    assert b"".join(der.encode(e.tag, e.content) for e in found) == data
