"""The packets of a capture file: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

A file that ends in the middle of a packet, or that is damaged, gives the packets before that place and a note.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_PACKETS: Final = 500_000
"""The most packets that are read: a handshake has about ten."""
_MAX_LENGTH: Final = 262_144
"""The longest packet that capture programs write (their default snapshot length)."""
_MAX_INTERFACES: Final = 1024

_PCAP: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""By the magic number: the byte order, and the nanoseconds of one unit of the fraction."""
_PCAP_HEADER: Final = 24
_RECORD_HEADER: Final = 16

_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED, _SECRETS = 1, 2, 3, 6, 10
_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_RESOLUTION, _OFFSET = 9, 14
_BILLION: Final = 1_000_000_000
_LATEST: Final = 1 << 63  # nanoseconds: what is later is no time

_OTHERS: Final = (
    (b"\x1f\x8b", "it is compressed with gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd: unpack it first"),
    (b"\xfd7zXZ\x00", "it is compressed with xz: unpack it first"),
    (b"BZh", "it is compressed with bzip2: unpack it first"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (b"snoop\x00\x00\x00", "it is a capture of Solaris snoop: convert it first: editcap FILE FILE.pcap"),
    (b"\xa1\xb2\xcd\x34", "it is pcap in a form of old patches: convert it first: editcap FILE FILE.pcap"),
    (b"\x34\xcd\xb2\xa1", "it is pcap in a form of old patches: convert it first: editcap FILE FILE.pcap"),
)


class NotACapture(Exception):
    """The file is no capture; the text says what it looks like, or what was expected."""


class Packet(NamedTuple):
    """One packet. ``link`` is the LINKTYPE (tcpdump.org/linktypes), ``at`` nanoseconds since 1970 (0: not told).
    ``cut``: it was longer on the wire."""

    link: int
    at: int
    data: bytes
    cut: bool


@dataclass(slots=True)
class Capture:
    """What the file holds. ``notes`` say what could not be read, ``secrets`` that it has the keys of sessions."""

    form: str
    packets: list[Packet] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: bool = False

    def add(self, packet: Packet) -> bool:
        """False where there is no more room."""
        if len(self.packets) >= MAX_PACKETS:
            self.notes.append(f"only the first {MAX_PACKETS} packets were read")
            return False
        self.packets.append(packet)
        return True


def read(data: bytes) -> Capture:
    """All packets of the file, in its order. Raises NotACapture, and nothing else, for octets that are no capture."""
    magic = data[:4]
    if magic in _PCAP and len(data) >= _PCAP_HEADER:
        return _pcap(data)
    if magic == _SECTION and data[8:12] in _ORDERS:
        return _pcapng(data)
    for start, what in _OTHERS:
        if data.startswith(start):
            raise NotACapture(what)
    if not data:
        raise NotACapture("it is empty")
    raise NotACapture("it begins neither as pcap nor as pcapng: capture with tcpdump -w FILE, without other options")


def _pcap(data: bytes) -> Capture:
    order, unit = _PCAP[data[:4]]
    # The upper bits of the link type tell the length of frame check sequences.
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    header = struct.Struct(order + "IIII")
    capture = Capture("pcap")
    at, end = _PCAP_HEADER, len(data)
    while at < end:
        if end - at < _RECORD_HEADER:
            capture.notes.append("the file ends in the middle of a packet")
            break
        seconds, fraction, length, whole = header.unpack_from(data, at)
        at += _RECORD_HEADER
        if length > _MAX_LENGTH:
            capture.notes.append(f"the file is damaged after {len(capture.packets)} packets")
            break
        if length > end - at:
            capture.notes.append("the file ends in the middle of a packet")
        packet = Packet(link, seconds * _BILLION + fraction * unit, data[at : at + length], whole > length)
        if not capture.add(packet):
            break
        at += length
    return capture


class _Interface(NamedTuple):
    link: int
    longest: int
    resolution: int
    offset: int

    def time(self, high: int, low: int) -> int:
        """In nanoseconds; the resolution is a power of ten, or of two where its upper bit is set."""
        units, power = (high << 32) | low, self.resolution & 0x7F
        if self.resolution & 0x80:
            at = (units * _BILLION) >> power
        else:
            at = units * 10 ** (9 - power) if power <= 9 else units // 10 ** (power - 9)
        at += self.offset * _BILLION
        return at if 0 <= at < _LATEST else 0


def _pcapng(data: bytes) -> Capture:
    capture = Capture("pcapng")
    interfaces: list[_Interface] = []
    order = "<"
    at, end = 0, len(data)
    while at < end:
        if data[at : at + 4] == _SECTION:
            order = _ORDERS.get(data[at + 8 : at + 12], order)
            interfaces = []
        if end - at < 12:
            capture.notes.append("the file ends in the middle of a block")
            break
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or length % 4:
            capture.notes.append(f"the file is damaged after {len(capture.packets)} packets")
            break
        body = data[at + 8 : at + length - 4]
        if length > end - at:
            capture.notes.append("the file ends in the middle of a block")
            break
        at += length
        if kind == _INTERFACE and len(interfaces) < _MAX_INTERFACES:
            interfaces.append(_interface(body, order))
        elif kind == _SECRETS:
            capture.secrets = True
        elif (packet := _packet(kind, body, order, interfaces)) is not None and not capture.add(packet):
            break
    return capture


def _interface(body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        return _Interface(-1, 0, 6, 0)
    link, longest = struct.unpack_from(order + "HxxI", body)
    resolution, offset, at = 6, 0, 8
    while len(body) - at >= 4:
        kind, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if kind == 0:
            break
        if kind == _RESOLUTION and len(value) == 1:
            resolution = value[0]
        elif kind == _OFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
        at += 4 + length + -length % 4
    return _Interface(link, longest, resolution, offset)


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Packet | None:
    if kind == _SIMPLE and len(body) >= 4 and interfaces:
        whole: int = struct.unpack_from(order + "I", body)[0]
        length = min(whole, interfaces[0].longest or whole, len(body) - 4)
        return Packet(interfaces[0].link, 0, body[4 : 4 + length], whole > length)
    if kind == _ENHANCED and len(body) >= 20:
        number, high, low, length, whole = struct.unpack_from(order + "IIIII", body)
    elif kind == _OLD_PACKET and len(body) >= 20:
        number, _, high, low, length, whole = struct.unpack_from(order + "HHIIII", body)
    else:
        return None
    if number >= len(interfaces):
        return None
    interface = interfaces[number]
    return Packet(interface.link, interface.time(high, low), body[20 : 20 + length], whole > length)
