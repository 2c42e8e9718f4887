"""TCP as captures have it: out of order, sent again, overlapping, incomplete."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.doctor.capture.wire import CLIENT_TEXT, RST, SERVER_TEXT, SYN, Frame, capture, conversation

from handclasp.doctor.capture import pcap
from handclasp.doctor.capture.packets import Skipped, segment
from handclasp.doctor.capture.streams import MAX_STREAM, Connection, What, connections

TEXT = bytes(range(256)) * 20


def found(frames: Sequence[Frame]) -> tuple[Connection, ...]:
    """The connections of these segments."""
    packets = pcap.read(capture(frames)).packets
    segments = [segment(number, one, Skipped()) for number, one in enumerate(packets, 1)]
    return connections(one for one in segments if one is not None).found


def said(connection: Connection, client: bool = True) -> bytes:
    """All that one side sent, as far as it is known."""
    return b"".join(one.data for one in connection.events if one.client is client)


@pytest.mark.parametrize("seed", range(5))
def test_out_of_order(seed: int) -> None:
    """Whatever order the segments come in after the opening, and however often, the stream is the same."""
    opening, rest = (frames := conversation([(True, TEXT)], largest=100, end=""))[:3], frames[3:]
    shuffled = random.Random(seed).sample(rest * 2, len(rest) * 2)
    (one,) = found([*opening, *shuffled])
    assert said(one) == TEXT


def test_overlap() -> None:
    """Segments that overlap (sent again, cut differently) count once."""
    frames = conversation([(True, TEXT[:1000])], end="")
    data = frames[3]
    parts = [
        replace(data, sequence=(data.sequence + at) % 2**32, data=data.data[at : at + 300])
        for at in range(0, 1000, 200)
    ]
    (one,) = found([*frames[:3], *parts])
    assert said(one) == TEXT[:1000]


def test_gap() -> None:
    """Where the capture lacks a segment the stream ends with a gap: what follows is not glued to what was before."""
    frames = conversation([(True, TEXT)], largest=1000, end="")
    (one,) = found([*frames[:4], *frames[5:]])
    assert [(event.what, event.data) for event in one.events] == [(What.DATA, TEXT[:1000]), (What.GAP, b"")]


def test_order_across_sides() -> None:
    """What was delayed counts from when it was readable: the answer to it comes after."""
    frames = conversation([(True, b"ab"), (True, b"cd"), (False, b"answer")], end="")
    late = [*frames[:3], frames[4], frames[3], frames[5]]
    (one,) = found(late)
    assert [(event.client, event.data) for event in one.events] == [(True, b"ab"), (True, b"cd"), (False, b"answer")]


def test_who_is_who() -> None:
    """The client is who sent the SYN, even if the server's packets come first in the file."""
    frames = conversation([(True, b"hello")])
    (one,) = found([frames[1], frames[0], *frames[2:]])
    assert (str(one.client), str(one.server), one.opened, one.accepted) == (CLIENT_TEXT, SERVER_TEXT, True, True)


def test_begun_before() -> None:
    """Without its opening a connection is read from its first segment."""
    (one,) = found(conversation([(True, b"one"), (False, b"two")])[3:])
    assert (one.opened, said(one), said(one, False)) == (False, b"one", b"two")


def test_port_used_again() -> None:
    """A SYN with another number, between the same ports, begins another connection."""
    both = conversation([(True, b"first")]) + conversation([(True, b"second")], first=77)
    assert [said(one) for one in found(both)] == [b"first", b"second"]


def test_refused_and_unanswered() -> None:
    """A SYN with a reset, and SYNs without an answer, are told apart."""
    syn = Frame(True, 1, 0, SYN)
    (refused,) = found([syn, Frame(False, 0, 2, RST)])
    (silent,) = found([syn, syn, syn])
    assert (refused.syns, refused.answered, [one.what for one in refused.events]) == (1, False, [What.RST])
    assert (silent.syns, silent.answered, silent.events) == (3, False, ())


def test_bounded() -> None:
    """Of a long stream no more than the bound is kept."""
    (one,) = found(conversation([(True, bytes(2 * MAX_STREAM))], end=""))
    assert MAX_STREAM <= len(said(one)) < MAX_STREAM + 1400
