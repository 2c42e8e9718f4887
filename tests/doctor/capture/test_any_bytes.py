"""Whatever the octets: a diagnosis, soon."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from tests.doctor.capture import wire
from tests.doctor.capture.test_scenes import HELLO
from tests.doctor.capture.wire import BEGAN, capture, conversation, ethernet, ipv4

from handclasp.doctor.capture import examine
from handclasp.testing import chains
from handclasp.tlswire.messages import client_certificate12

AT = datetime.fromtimestamp(BEGAN, UTC)


def record(kind: int, payload: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(payload).to_bytes(2, "big") + payload


def message(kind: int, body: bytes) -> bytes:
    return record(22, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


SERVER_HELLO = message(2, b"\x03\x03" + bytes(32) + b"\x00\xc0\x2b\x00")
CERTIFICATE = message(11, client_certificate12((chains.make("someone").der,)))
REQUESTED = message(13, b"\x01\x40\x00\x02\x04\x03\x00\x00")
WHOLE = capture(
    conversation(
        [
            (True, HELLO),
            (False, SERVER_HELLO + CERTIFICATE + REQUESTED + message(14, b"")),
            (True, CERTIFICATE + message(16, b"\x00")),
            (False, record(21, b"\x02\x30")),
        ]
    )
)
FILES = (WHOLE, wire.pcapng([(0.0, ethernet(ipv4(one))) for one in conversation([(True, HELLO)])]))
RECORDS = st.binary(max_size=200).flatmap(lambda body: st.sampled_from([20, 21, 22, 23]).map(lambda k: record(k, body)))
MESSAGES = st.builds(message, st.sampled_from([0, 1, 2, 4, 11, 13, 14, 16]), st.binary(max_size=200))


def diagnosed(data: bytes) -> None:
    """There is a diagnosis, and it can be written down."""
    assert json.dumps(examine(data, "x.pcap", AT).as_json())


@given(st.binary(max_size=2000))
@example(b"\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a")
def test_any_bytes(data: bytes) -> None:
    """Any octets."""
    diagnosed(data)


@given(st.sampled_from(FILES), st.integers(0, len(WHOLE)), st.binary(max_size=8), st.integers(0, 8))
def test_damaged_capture(file: bytes, at: int, put: bytes, gone: int) -> None:
    """A capture with octets changed, added or taken away anywhere."""
    diagnosed(file[:at] + put + file[at + gone :])


@given(st.lists(st.tuples(st.booleans(), RECORDS | MESSAGES | st.binary(max_size=50)), max_size=8), st.booleans())
def test_any_conversation(said: list[wire.Said], hellos: bool) -> None:
    """Any records and messages, also behind real hellos, in whole segments."""
    before = [(True, HELLO), (False, SERVER_HELLO)] if hellos else []
    diagnosed(capture(conversation([*before, *said])))


@given(st.binary(max_size=300), st.sampled_from([0, 1, 12, 101, 108, 113, 228, 229, 276]))
def test_any_packet(packet: bytes, link: int) -> None:
    """Any packet on any link."""
    diagnosed(wire.pcap([(0.0, packet), (0.0, packet[::-1])], link=link))


def test_many_tiny_records_take_bounded_time() -> None:
    """A long message that never ends, in records of one octet, is read in a moment."""
    said = b"\x16\x03\x03\x00\x01\x01" + record(22, b"\x03\xff\xff") + record(22, b"\x00") * 60_000
    began = time.monotonic()
    diagnosed(capture(conversation([(True, said), (False, said)])))
    assert time.monotonic() - began < 5


def test_many_tiny_segments_take_bounded_time() -> None:
    """Segments of one octet, all of them sent over and over, are read in a moment."""
    frames = [(0.0, ethernet(ipv4(one))) for one in conversation([(True, HELLO * 4)], largest=1)]
    began = time.monotonic()
    diagnosed(wire.pcap(frames * 10))
    assert time.monotonic() - began < 5
