"""TCP connections out of segments: what each side sent, in the order in which it became readable, and who ended it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple

from handclasp.doctor.capture.packets import ACK, FIN, RST, SYN, Endpoint, Segment

MAX_CONNECTIONS: Final = 5_000
MAX_STREAM: Final = 384 * 1024
"""Octets of one direction that are kept, from its start: more than any handshake that is read has."""
MAX_TOTAL: Final = 64 << 20
"""Octets that are kept of all connections together."""
_MAX_PIECES: Final = 4_096
_OVERHEAD: Final = 128
"""What a piece costs beside its octets: no flood of tiny segments takes more memory than is meant."""
_HALF: Final = 1 << 31
_BEFORE: Final = 1 << 16
"""How far before the first segment seen the stream may begin, where its SYN was not captured."""


class What(StrEnum):
    """What happened in a connection."""

    DATA = "data"
    GAP = "gap"
    """Octets that the capture does not have; nothing of this direction follows."""
    FIN = "fin"
    RST = "rst"


class Event(NamedTuple):
    """``number`` is the packet's, ``at`` its time in nanoseconds; ``client``: done by the client."""

    number: int
    at: int
    client: bool
    what: What
    data: bytes = b""


class _Piece(NamedTuple):
    offset: int
    number: int
    at: int
    data: bytes


@dataclass(slots=True)
class _Direction:
    base: int | None = None
    synchronized: bool = False
    pieces: list[_Piece] = field(default_factory=list)
    fin: tuple[int, int] | None = None
    rst: tuple[int, int] | None = None
    packets: int = 0
    syns: int = 0
    acknowledging: bool = False
    """Its SYN was an answer."""

    def take(self, one: Segment) -> int:
        """Keep what the segment brings; returns what that costs in octets."""
        self.packets += 1
        start = one.sequence
        if one.flags & SYN:
            self.syns += 1
            start = (start + 1) % (1 << 32)
            self.base, self.synchronized = start, True
            self.acknowledging = bool(one.flags & ACK)
        if one.flags & FIN and self.fin is None:
            self.fin = one.number, one.at
        if one.flags & RST:
            if self.rst is None:
                self.rst = one.number, one.at
            return 0  # what some stacks put into it is no data of the stream
        if not one.payload:
            return 0
        if self.base is None:
            self.base = start
        offset = (start - self.base + _HALF) % (1 << 32) - _HALF
        if not -_BEFORE < offset < MAX_STREAM or len(self.pieces) >= _MAX_PIECES:
            return 0
        self.pieces.append(_Piece(offset, one.number, one.at, one.payload))
        return len(one.payload) + _OVERHEAD

    def delivered(self, client: bool) -> Iterator[Event]:
        """The stream's octets in order, each when nothing before it was missing any more; then a gap, if any."""
        pieces = sorted(self.pieces, key=itemgetter(0))  # what came first wins where octets overlap
        position = 0 if self.synchronized or not pieces else pieces[0].offset
        number = at = 0
        for piece in pieces:
            if piece.offset > position:
                yield Event(max(number, piece.number), max(at, piece.at), client, What.GAP)
                return
            fresh = piece.data[position - piece.offset :]
            if fresh:
                number, at = max(number, piece.number), max(at, piece.at)
                yield Event(number, at, client, What.DATA, fresh)
                position += len(fresh)

    def events(self, client: bool) -> list[Event]:
        events = list(self.delivered(client))
        last = events[-1].number if events else 0
        if self.fin is not None:
            events.append(Event(max(last, self.fin[0]), self.fin[1], client, What.FIN))
        if self.rst is not None:
            events.append(Event(max(last, self.rst[0]), self.rst[1], client, What.RST))
        return events


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection. ``begun`` and ``last`` are nanoseconds since 1970, 0 where the capture tells no times.

    ``opened``: its SYN is in the capture (``syns`` of them, with those that were sent again). ``answered``: the server
    sent anything but a reset. ``accepted``: with a SYN and an ACK.
    """

    client: Endpoint
    server: Endpoint
    begun: int
    last: int
    opened: bool
    syns: int
    answered: bool
    accepted: bool
    cut: bool
    events: tuple[Event, ...]

    def octets(self, client: bool, count: int) -> bytes:
        """The first octets that one side sent."""
        found = (one.data for one in self.events if one.client is client and one.what is What.DATA)
        taken = b""
        for data in found:
            taken += data[: count - len(taken)]
            if len(taken) >= count:
                break
        return taken


@dataclass(slots=True)
class _Open:
    ends: tuple[Endpoint, Endpoint]
    begun: int
    last: int
    cut: bool = False
    sides: tuple[_Direction, _Direction] = field(default_factory=lambda: (_Direction(), _Direction()))

    def over_by(self, one: Segment) -> bool:
        """The segment begins another connection between the same ports."""
        if not one.flags & SYN or one.flags & ACK:
            return False
        side = self.sides[self.ends.index(one.source)]
        return side.packets > 0 and (not side.synchronized or side.base != (one.sequence + 1) % (1 << 32))

    def whole(self) -> Connection:
        client = self._client()
        mine, theirs = self.sides[client], self.sides[1 - client]
        events = sorted((*mine.events(True), *theirs.events(False)), key=attrgetter("number"))
        return Connection(
            client=self.ends[client],
            server=self.ends[1 - client],
            begun=self.begun,
            last=self.last,
            opened=mine.synchronized,
            syns=mine.syns,
            answered=theirs.packets > (theirs.rst is not None),
            accepted=theirs.synchronized,
            cut=self.cut,
            events=tuple(events),
        )

    def _client(self) -> int:
        for index, side in enumerate(self.sides):
            if side.synchronized:
                return 1 - index if side.acknowledging else index
        for index, side in enumerate(self.sides):
            first = next(side.delivered(True), None)
            # A ClientHello or a ServerHello, where the opening is not in the capture.
            if first is not None and first.data[:1] == b"\x16" and first.data[5:6] in {b"\x01", b"\x02"}:
                return index if first.data[5:6] == b"\x01" else 1 - index
        return 0 if self.ends[0].port >= self.ends[1].port else 1


@dataclass(frozen=True, slots=True)
class Connections:
    """Those of a capture, in the order of their beginning. ``left_out`` segments belong to more than are followed,
    ``full``: the memory for them was used up, so that later octets are missing."""

    found: tuple[Connection, ...]
    left_out: int
    full: bool


def connections(segments: Iterable[Segment]) -> Connections:
    """Sort segments, in the order of the capture, into connections."""
    current: dict[tuple[Endpoint, Endpoint], _Open] = {}
    found: list[_Open] = []
    left_out = total = 0
    full = False
    for one in segments:
        key = (one.source, one.to) if one.source <= one.to else (one.to, one.source)
        connection = current.get(key)
        if connection is None or connection.over_by(one):
            if len(found) >= MAX_CONNECTIONS:
                left_out += 1
                continue
            connection = current[key] = _Open(key, one.at, one.at)
            found.append(connection)
        connection.last = max(connection.last, one.at)
        connection.cut |= one.cut
        if total > MAX_TOTAL and one.payload:
            full = True
            one = one._replace(payload=b"")
        total += connection.sides[connection.ends.index(one.source)].take(one)
    return Connections(tuple(one.whole() for one in islice(found, MAX_CONNECTIONS)), left_out, full)
