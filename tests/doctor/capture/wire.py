"""Captures for tests: what two sides sent, wrapped in TCP, IP, a link layer and a file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIN, SYN, RST, PUSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
BEGAN = 1_780_315_200  # 2026-06-01 12:00:00 UTC, when what handclasp.testing.chains makes is in date

CLIENT, SERVER = (bytes((10, 0, 0, 1)), 40001), (bytes((10, 0, 0, 2)), 8443)
CLIENT_TEXT, SERVER_TEXT = "10.0.0.1:40001", "10.0.0.2:8443"

Said = tuple[bool, bytes]
"""By the client or not, and what."""


@dataclass(frozen=True)
class Frame:
    """One segment, not wrapped yet. ``at`` is in seconds after the beginning."""

    client: bool
    sequence: int
    acknowledged: int
    flags: int
    data: bytes = b""
    at: float = 0.0


def conversation(
    said: Iterable[Said], *, end: str = "fin", by_client: bool = False, largest: int = 1400, first: int = 0xFFFFFF00
) -> list[Frame]:
    """A whole connection. ``end`` is fin, rst or nothing. Sequence numbers wrap around early on."""
    numbers = {True: first, False: 5000}
    frames = [Frame(True, numbers[True], 0, SYN), Frame(False, numbers[False], numbers[True] + 1, SYN | ACK)]
    numbers = {side: (number + 1) % 2**32 for side, number in numbers.items()}
    frames.append(Frame(True, numbers[True], numbers[False], ACK))
    for client, data in said:
        for begin in range(0, len(data), largest):
            piece = data[begin : begin + largest]
            frames.append(Frame(client, numbers[client], numbers[not client], PUSH | ACK, piece))
            numbers[client] = (numbers[client] + len(piece)) % 2**32
    if end == "fin":
        frames.append(Frame(by_client, numbers[by_client], numbers[not by_client], FIN | ACK))
        frames.append(Frame(not by_client, numbers[not by_client], (numbers[by_client] + 1) % 2**32, FIN | ACK))
    elif end == "rst":
        frames.append(Frame(by_client, numbers[by_client], 0, RST))
    return [
        Frame(one.client, one.sequence, one.acknowledged, one.flags, one.data, i / 1000) for i, one in enumerate(frames)
    ]


def tcp(frame: Frame, ports: tuple[int, int] = (CLIENT[1], SERVER[1])) -> bytes:
    source, to = ports if frame.client else ports[::-1]
    acknowledged = frame.acknowledged % 2**32
    return (
        struct.pack(">HHIIBBHHH", source, to, frame.sequence, acknowledged, 0x50, frame.flags, 65535, 0, 0) + frame.data
    )


def ipv4(frame: Frame, *, fragment: int = 0, client: bytes = CLIENT[0]) -> bytes:
    payload = tcp(frame)
    ends = (client, SERVER[0]) if frame.client else (SERVER[0], client)
    length = 20 + len(payload)
    return struct.pack(">BBHHHBBH", 0x45, 0, length, 1, fragment, 64, 6, 0) + b"".join(ends) + payload


def ipv6(frame: Frame, *, headers: bytes = b"", first: int = 6) -> bytes:
    payload = headers + tcp(frame)
    ends = (bytes(15) + b"\1", bytes(15) + b"\2")
    return (
        struct.pack(">IHBB", 6 << 28, len(payload), first, 64)
        + b"".join(ends if frame.client else ends[::-1])
        + payload
    )


def ethernet(packet: bytes, *, tags: bytes = b"") -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return bytes(12) + tags + kind + packet


def pcap(
    packets: Sequence[tuple[float, bytes]],
    *,
    link: int = 1,
    order: str = "<",
    nano: bool = False,
    snap: int = 1 << 18,
    began: float = BEGAN,
) -> bytes:
    """A file; times in seconds after the beginning."""
    unit = 10**9 if nano else 10**6
    file = [struct.pack(order + "IHHIIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snap, link)]
    for at, data in packets:
        seconds, fraction = divmod(round(began) * unit + round(at * unit), unit)
        file += [struct.pack(order + "IIII", seconds, fraction, len(data[:snap]), len(data)), data[:snap]]
    return b"".join(file)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """One block of pcapng."""
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(packets: Sequence[tuple[float, bytes]], *, link: int = 1, order: str = "<", simple: bool = False) -> bytes:
    """A file with one section and one interface, whose times are in nanoseconds."""
    options = struct.pack(order + "HHBxxx", 9, 1, 9) + bytes(4)
    file = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    file += block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)
    for at, data in packets:
        time = BEGAN * 10**9 + round(at * 10**9)
        header = struct.pack(order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
        file += (
            block(3, struct.pack(order + "I", len(data)) + data, order) if simple else block(6, header + data, order)
        )
    return file


def capture(frames: Iterable[Frame], began: float = BEGAN) -> bytes:
    """The usual file: pcap with Ethernet and IPv4."""
    return pcap([(one.at, ethernet(ipv4(one))) for one in frames], began=began)
