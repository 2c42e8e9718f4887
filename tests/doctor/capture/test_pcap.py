"""Capture files and what packets are wrapped in: every form that is read gives the same conversation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.doctor.capture import wire
from tests.doctor.capture.wire import BEGAN, Frame, conversation, ethernet, ipv4, ipv6

from handclasp.doctor.capture import pcap
from handclasp.doctor.capture.packets import Skipped, segment
from handclasp.doctor.capture.streams import Connection, What, connections

PACKETS = [(0.25, b"first packet"), (1.5, b"second")]
READ = [(1, BEGAN * 10**9 + 250_000_000, b"first packet", False), (1, BEGAN * 10**9 + 1_500_000_000, b"second", False)]


def connection(file: bytes) -> Connection:
    """The one of a capture."""
    packets = pcap.read(file).packets
    found = [segment(number, one, Skipped()) for number, one in enumerate(packets, 1)]
    (only,) = connections(one for one in found if one is not None).found
    return only


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(wire.pcap(PACKETS), id="pcap little-endian"),
        pytest.param(wire.pcap(PACKETS, order=">"), id="pcap big-endian"),
        pytest.param(wire.pcap(PACKETS, nano=True), id="pcap nanoseconds"),
        pytest.param(wire.pcap(PACKETS, order=">", nano=True), id="pcap big-endian nanoseconds"),
        pytest.param(wire.pcapng(PACKETS), id="pcapng little-endian"),
        pytest.param(wire.pcapng(PACKETS, order=">"), id="pcapng big-endian"),
    ],
)
def test_forms(file: bytes) -> None:
    """Both byte orders and resolutions of pcap, and pcapng, give the same packets."""
    assert [tuple(one) for one in pcap.read(file).packets] == READ


def test_simple_packets() -> None:
    """Simple Packet Blocks have no time, and are cut where the interface says so."""
    assert [tuple(one) for one in pcap.read(wire.pcapng(PACKETS, simple=True)).packets] == [
        (1, 0, b"first packet", False),
        (1, 0, b"second", False),
    ]


@pytest.mark.parametrize("cut", [1, 5, 10])
@pytest.mark.parametrize("write", [wire.pcap, wire.pcapng])
def test_truncated(write: Callable[..., bytes], cut: int) -> None:
    """A file that ends early gives the packets before, and says that it ended."""
    capture = pcap.read(write(PACKETS)[:-cut])
    assert tuple(capture.packets[0]) == READ[0]
    assert len(capture.notes) == 1
    assert capture.notes[0].startswith("the file ends in the middle of a ")


def test_damaged() -> None:
    """A length that no program writes ends the reading."""
    file = bytearray(wire.pcap(PACKETS))
    file[24 + 16 + 12 + 11] = 0xFF
    assert pcap.read(bytes(file)).notes == ["the file is damaged after 1 packets"]


def test_secrets_are_told_and_not_read() -> None:
    """A file with the keys of sessions is said to have them."""
    file = wire.pcapng(PACKETS) + wire.block(10, b"KSLT" + bytes(4))
    assert pcap.read(file).secrets


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\x1f\x8b\x08 gzip", "it is compressed with gzip: unpack it first"),
        (b"12:00:00.000000 IP 10.0.0.1 > 10.0.0.2: Flags [S]", None),
    ],
)
def test_no_capture(data: bytes, why: str | None) -> None:
    """What is no capture is said to be none, with what to do."""
    with pytest.raises(pcap.NotACapture) as error:
        pcap.read(data)
    assert str(error.value) == (
        why or "it begins neither as pcap nor as pcapng: capture with tcpdump -w FILE, without other options"
    )


LOOP = b"\x02\0\0\0"
COOKED = bytes(14) + b"\x08\x00"
COOKED2 = b"\x08\x00" + bytes(18)
ATOMIC = b"\x06\x00\x00\x00\x00\x00\x00\x01"
HOP_BY_HOP = b"\x2c\x00" + bytes(6)


@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        pytest.param(1, lambda one: ethernet(ipv4(one)), id="Ethernet"),
        pytest.param(1, lambda one: ethernet(ipv4(one), tags=b"\x81\x00\x00\x07"), id="one VLAN"),
        pytest.param(1, lambda one: ethernet(ipv4(one), tags=b"\x88\xa8\x00\x07\x81\x00\x00\x08"), id="two VLANs"),
        pytest.param(1, lambda one: ethernet(ipv4(one)) + bytes(30), id="padded"),
        pytest.param(1, lambda one: ethernet(ipv6(one)), id="IPv6"),
        pytest.param(1, lambda one: ethernet(ipv6(one, headers=HOP_BY_HOP + ATOMIC, first=0)), id="IPv6 extensions"),
        pytest.param(0, lambda one: LOOP + ipv4(one), id="null"),
        pytest.param(108, lambda one: LOOP[::-1] + ipv4(one), id="loop"),
        pytest.param(101, ipv4, id="raw"),
        pytest.param(229, ipv6, id="raw IPv6"),
        pytest.param(113, lambda one: COOKED + ipv4(one), id="Linux cooked"),
        pytest.param(276, lambda one: COOKED2 + ipv4(one), id="Linux cooked v2"),
    ],
)
def test_links(link: int, wrap: Callable[[Frame], bytes]) -> None:
    """Every kind of link gives the octets of both sides."""
    frames = conversation([(True, b"question"), (False, b"answer")])
    found = connection(wire.pcap([(one.at, wrap(one)) for one in frames], link=link))
    assert [(one.client, one.what, one.data) for one in found.events] == [
        (True, What.DATA, b"question"),
        (False, What.DATA, b"answer"),
        (False, What.FIN, b""),
        (True, What.FIN, b""),
    ]


def test_fragments_are_counted() -> None:
    """A fragment of IP is left out, and counted."""
    packet = bytearray(ipv4(conversation([])[0]))
    packet[6] = 0x20
    skipped = Skipped()
    assert segment(1, pcap.Packet(101, 0, bytes(packet), False), skipped) is None
    assert skipped.fragments == 1


def test_unknown_link_is_counted() -> None:
    """Wi-Fi frames are not read, and counted by their link type."""
    skipped = Skipped()
    assert segment(1, pcap.Packet(105, 0, bytes(60), False), skipped) is None
    assert dict(skipped.links) == {105: 1}
