"""TCP segments out of packets: the link layers that capture programs write, IPv4 (RFC 791), IPv6 (RFC 8200), TCP
(RFC 9293)."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple

from handclasp.doctor.capture.pcap import Packet

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

_NULL, _ETHERNET, _LOOP, _COOKED, _COOKED2 = 0, 1, 108, 113, 276
_RAW: Final = frozenset({12, 14, 101, 228, 229})
LINKS: Final = _RAW | {_NULL, _ETHERNET, _LOOP, _COOKED, _COOKED2}
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS: Final = frozenset({0x8100, 0x88A8, 0x9100})
_MAX_TAGS: Final = 4
_MAX_HEADERS: Final = 8
_TCP: Final = 6
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_unpack_tcp: Final = struct.Struct(">HHIIBB").unpack_from


class Endpoint(NamedTuple):
    """An address, packed, and a port."""

    address: bytes
    port: int

    def __str__(self) -> str:
        address = str(ip_address(self.address))
        return f"[{address}]:{self.port}" if len(self.address) == 16 else f"{address}:{self.port}"


class Segment(NamedTuple):
    """One TCP segment. ``number`` is that of its packet, from 1; ``at`` nanoseconds since 1970, 0 if not known.
    ``cut``: the capture lacks the end of ``payload``."""

    number: int
    at: int
    source: Endpoint
    to: Endpoint
    sequence: int
    flags: int
    payload: bytes
    cut: bool


@dataclass(slots=True)
class Skipped:
    """What was in the capture beside TCP that could be read."""

    fragments: int = 0
    other: int = 0
    links: Counter[int] = field(default_factory=Counter)


def segment(number: int, packet: Packet, skipped: Skipped) -> Segment | None:
    """The segment in a packet; None where there is none, which is counted in ``skipped``."""
    data = _network(packet, skipped)
    if data:
        version = data[0] >> 4
        if version == 4:
            return _ipv4(number, packet, data, skipped)
        if version == 6:
            return _ipv6(number, packet, data, skipped)
    if packet.link in LINKS:
        skipped.other += 1
    return None


def _network(packet: Packet, skipped: Skipped) -> bytes:
    link, data = packet.link, packet.data
    if link in _RAW:
        return data
    if link in {_NULL, _LOOP}:
        return data[4:]  # the family's numbers differ between systems; the version in the header tells as much
    if link == _COOKED:
        return data[16:] if _number(data, 14) in {_IPV4, _IPV6} else _tagged(data, 14)
    if link == _COOKED2:
        return data[20:] if _number(data, 0) in {_IPV4, _IPV6} else b""
    if link == _ETHERNET:
        return _tagged(data, 12)
    skipped.links[link] += 1
    return b""


def _tagged(data: bytes, at: int) -> bytes:
    """What follows the EtherType at ``at``, behind the tags of virtual networks (IEEE 802.1Q)."""
    for _ in range(_MAX_TAGS):
        if _number(data, at) not in _TAGS:
            break
        at += 4
    return data[at + 2 :] if _number(data, at) in {_IPV4, _IPV6} else b""


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _ipv4(number: int, packet: Packet, data: bytes, skipped: Skipped) -> Segment | None:
    header = (data[0] & 0x0F) * 4
    if header < 20 or len(data) < header or data[9] != _TCP:
        skipped.other += 1
        return None
    if _number(data, 6) & 0x3FFF:
        skipped.fragments += 1
        return None
    total = _number(data, 2) or len(data)  # 0: the network card was to cut it up
    return _tcp(number, packet, data[12:16], data[16:20], data[header:total], total - header)


def _ipv6(number: int, packet: Packet, data: bytes, skipped: Skipped) -> Segment | None:
    if len(data) < 40:
        skipped.other += 1
        return None
    total = 40 + _number(data, 4)
    if total == 40:
        total = len(data)
    kind, at = data[6], 40
    for _ in range(_MAX_HEADERS):
        if kind == _TCP or len(data) < at + 8:
            break
        if kind == _FRAGMENT:
            if _number(data, at + 2) & 0xFFF9:
                skipped.fragments += 1
                return None
            length = 8
        elif kind == _AUTHENTICATION:
            length = (data[at + 1] + 2) * 4
        elif kind in {_HOP_BY_HOP, _ROUTING, _DESTINATION}:
            length = (data[at + 1] + 1) * 8
        else:
            break
        kind, at = data[at], at + length
    if kind != _TCP:
        skipped.other += 1
        return None
    return _tcp(number, packet, data[8:24], data[24:40], data[at:total], total - at)


def _tcp(number: int, packet: Packet, source: bytes, to: bytes, data: bytes, length: int) -> Segment | None:
    if len(data) < 20:
        return None
    sender, receiver, sequence, _, offset, flags = _unpack_tcp(data)
    header = (offset >> 4) * 4
    if header < 20:
        return None
    return Segment(
        number,
        packet.at,
        Endpoint(source, sender),
        Endpoint(to, receiver),
        sequence,
        flags,
        data[header:],
        length > len(data),
    )
