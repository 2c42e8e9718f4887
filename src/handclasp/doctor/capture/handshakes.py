"""A TLS handshake as it can be read off the wire, without keys: all of TLS 1.2 up to ChangeCipherSpec, the hellos of
TLS 1.3, and what the lengths of its encrypted records tell.

Lengths in TLS 1.3 (RFC 8446 §5.2): an encrypted record is as long as its content, one octet for its type, and a tag
of 16 octets, unless it is padded, which hardly anybody does. So an alert takes 19 octets; a Finished 53 or 69, for
SHA-256 or SHA-384; an empty Certificate 25, and with the Finished in the same record 61 or 77.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from handclasp.doctor.capture.hello import ClientHello, client_hello
from handclasp.doctor.capture.streams import Connection, Event, What
from handclasp.tlswire import messages
from handclasp.tlswire.messages import ServerHello
from handclasp.tlswire.records import Records
from handclasp.tlswire.seen import CertificateRequest, Step
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Broken

TLS12: Final = 0x0303
TLS13: Final = 0x0304
_FATAL: Final = 2
_AROUND: Final = 17
"""What encryption adds to a record of TLS 1.3."""
_ALERT: Final = 2
_EMPTY_CERTIFICATE: Final = 8
_FINISHED: Final = {True: 52, False: 36}
_SHA384: Final = 0x1302
_PLAIN_KEPT: Final = 512
_HEAD: Final = 64 * 1024
_METHODS: Final = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"PRI * ")
_PROXY1, _PROXY2 = b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n"


class Kind(StrEnum):
    """What a connection carries."""

    NOTHING = "nothing"
    """The client sent no data."""
    TLS = "tls"
    HTTP = "http"
    TUNNEL = "tunnel"
    """A CONNECT to a proxy that was not granted."""
    MIDWAY = "midway"
    """It began before the capture."""
    OTHER = "other"


class Shown(StrEnum):
    """What a client of TLS 1.3 answered, by the lengths of its encrypted records."""

    NOTHING_YET = "nothing yet"
    NOT_ASKED = "not asked"
    EMPTY = "empty"
    CERTIFICATE = "certificate"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Alert:
    """``number`` is None where the alert is encrypted. ``at`` is the packet's number."""

    client: bool
    number: int | None
    fatal: bool
    step: Step
    at: int


@dataclass(frozen=True, slots=True)
class End:
    """Who ended the connection first, how, and how long nothing had come before (seconds)."""

    client: bool
    reset: bool
    silence: float


@dataclass(slots=True)
class Handshake:
    """What was seen; None is not seen. Chains are DER, leaf first; a client's that is empty was asked for and not
    given. ``shown`` is TLS 1.3's, ``spoke``: after the client's flight the server sent what is no alert. ``answer``
    is what the server said in plain."""

    kind: Kind
    hello: ClientHello | None = None
    retried: bool = False
    server_hello: ServerHello | None = None
    server_chain: tuple[bytes, ...] | None = None
    request: CertificateRequest | None = None
    hello_done: bool = False
    client_chain: tuple[bytes, ...] | None = None
    client_flight: bool = False
    shown: Shown = Shown.NOTHING_YET
    protected: dict[bool, bool] = field(default_factory=lambda: {True: False, False: False})
    finished: dict[bool, bool] = field(default_factory=lambda: {True: False, False: False})
    spoke: bool = False
    alerts: list[Alert] = field(default_factory=list)
    answer: bytes = b""
    fault: str = ""
    gaps: list[bool] = field(default_factory=list)
    end: End | None = None

    @property
    def version(self) -> int | None:
        """As chosen."""
        return None if self.server_hello is None else self.server_hello.version

    @property
    def encrypted(self) -> bool:
        """TLS 1.3 was chosen: certificates and most alerts cannot be seen."""
        return self.version is not None and self.version >= TLS13

    @property
    def resumed(self) -> bool:
        """TLS 1.2 took up an old session: no certificates are sent."""
        return not self.encrypted and self.protected[False] and self.server_chain is None

    @property
    def complete(self) -> bool:
        """Both sides have finished, as far as can be seen; in TLS 1.3 the client's certificate may still be refused."""
        if self.encrypted:
            return self.client_flight
        return self.finished[True] and self.finished[False]

    @property
    def step(self) -> Step:
        """Where it stands."""
        if self.server_hello is None:
            return Step.CLIENT_HELLO
        if not self.client_flight:
            return Step.SERVER_FLIGHT
        if not self.complete:
            return Step.CLIENT_FLIGHT
        return Step.FIRST_READ if self.encrypted and not self.spoke else Step.APPLICATION


def follow(connection: Connection) -> Handshake:
    """Read one connection. Never raises."""
    kind, skip = _kind(connection)
    seen = Handshake(kind)
    reading = _Reading(seen)
    last = 0
    for event in connection.events:
        if event.what is What.GAP:
            seen.gaps.append(event.client)
        elif event.what in {What.FIN, What.RST}:
            if seen.end is None:
                silence = (event.at - last) / 1e9 if last and event.at > last else 0.0
                seen.end = End(event.client, event.what is What.RST, silence)
        else:
            data = event.data[skip[event.client] :]
            skip[event.client] = max(skip[event.client] - len(event.data), 0)
            last = event.at
            if not event.client and len(seen.answer) < _PLAIN_KEPT:
                seen.answer += data[: _PLAIN_KEPT - len(seen.answer)]
            if data and kind is Kind.TLS:
                reading.take(event, data)
    return seen


def _kind(connection: Connection) -> tuple[Kind, dict[bool, int]]:
    """What it is, and how many octets of each direction come before it: a tunnel's opening or a PROXY header."""
    skip = {True: 0, False: 0}
    begin = connection.octets(True, 16)
    if begin.startswith(b"CONNECT "):
        said = connection.octets(False, _HEAD)
        if said.startswith(b"HTTP/1.") and said[9:12] != b"200":
            return Kind.TUNNEL, skip
        asked = connection.octets(True, _HEAD)
        skip = {True: asked.find(b"\r\n\r\n") + 4, False: said.find(b"\r\n\r\n") + 4}
        begin = asked[skip[True] :][:16]
    elif begin.startswith(_PROXY1):
        skip[True] = connection.octets(True, 128).find(b"\r\n") + 2
        begin = connection.octets(True, 144)[skip[True] :]
    elif begin.startswith(_PROXY2):
        skip[True] = 16 + int.from_bytes(begin[14:16], "big")
        begin = connection.octets(True, skip[True] + 16)[skip[True] :]
    if begin[:1] == b"\x16" and begin[1:2] in {b"", b"\x03"}:
        return Kind.TLS, skip
    if not begin:
        return (Kind.NOTHING if connection.opened else Kind.MIDWAY), skip
    if begin.startswith(_METHODS):
        return Kind.HTTP, skip
    return (Kind.OTHER if connection.opened else Kind.MIDWAY), skip


class _Reading:
    """Takes both directions in the order of time."""

    def __init__(self, seen: Handshake) -> None:
        self._seen = seen
        self._records = {True: Records(), False: Records()}
        self._messages = {True: bytearray(), False: bytearray()}
        self._lost = {True: False, False: False}
        self._before: list[int] = []
        """Lengths of what the client has encrypted, until its flight is clear."""

    def take(self, event: Event, data: bytes) -> None:
        client = event.client
        if self._lost[client]:
            return
        try:
            for kind, _, payload in self._records[client].feed(data):
                self._record(client, kind, payload, event.number)
        except Broken as error:
            self._lost[client] = True
            self._seen.fault = self._seen.fault or f"the {'client' if client else 'server'}: {error.what}"

    def _record(self, client: bool, kind: int, payload: bytes, number: int) -> None:
        seen = self._seen
        if kind == CHANGE_CIPHER_SPEC:
            if not seen.encrypted and seen.server_hello is not None:
                seen.protected[client] = True
                seen.client_flight |= client
        elif kind == ALERT:
            self._alert(client, payload, number)
        elif kind == HANDSHAKE:
            if seen.protected[client]:
                seen.finished[client] = True
                return
            self._messages[client].extend(payload)
            for message in _whole(self._messages[client]):
                self._message(client, message[0], message[4:])
        elif kind == APPLICATION_DATA and seen.encrypted:
            if client:
                self._encrypted(len(payload) - _AROUND, number)
            elif len(payload) - _AROUND == _ALERT:
                seen.alerts.append(Alert(False, None, True, seen.step, number))
            elif seen.client_flight:
                seen.spoke = True

    def _alert(self, client: bool, payload: bytes, number: int) -> None:
        seen = self._seen
        clear = len(payload) == _ALERT and not seen.protected[client]
        level, description = (payload[0], payload[1]) if clear else (_FATAL, None)
        seen.alerts.append(Alert(client, description, level == _FATAL, seen.step, number))

    def _encrypted(self, length: int, number: int) -> None:
        """A record of the client after TLS 1.3's ServerHello, by the length of what is in it."""
        seen = self._seen
        if length == _ALERT:
            seen.alerts.append(Alert(True, None, True, seen.step, number))
            return
        if seen.client_flight:
            return
        assert seen.server_hello is not None
        finished = _FINISHED[seen.server_hello.cipher == _SHA384]
        self._before.append(length)
        match self._before:
            case [_] if seen.hello is not None and seen.hello.early:
                seen.shown = Shown.UNCLEAR  # it may be early data
            case [only] if only == finished:
                seen.shown = Shown.NOT_ASKED
            case [only] if only == _EMPTY_CERTIFICATE:
                return  # more of it comes in another record
            case [only] if only == _EMPTY_CERTIFICATE + finished:
                seen.shown = Shown.EMPTY
            case [_, last] if last == finished:
                seen.shown = Shown.EMPTY
            case [only] if only > _EMPTY_CERTIFICATE + finished:
                seen.shown = Shown.CERTIFICATE
            case _:
                seen.shown = Shown.UNCLEAR
        seen.client_flight = True

    def _message(self, client: bool, kind: int, body: bytes) -> None:
        seen = self._seen
        if client:
            if kind == messages.CLIENT_HELLO:
                seen.hello = client_hello(body)
            elif kind == messages.CERTIFICATE and seen.server_hello is not None:
                seen.client_chain = messages.certificate12(body)
                seen.client_flight = True
            elif kind == messages.CLIENT_KEY_EXCHANGE:
                seen.client_flight = True
        elif kind == messages.SERVER_HELLO:
            hello = messages.server_hello(body)
            if hello.retry:
                seen.retried = True
            else:
                seen.server_hello = hello
        elif kind == messages.CERTIFICATE:
            seen.server_chain = messages.certificate12(body)
        elif kind == messages.CERTIFICATE_REQUEST:
            seen.request = messages.certificate_request12(body, with_schemes=seen.version == TLS12)
        elif kind == messages.SERVER_HELLO_DONE:
            seen.hello_done = True


def _whole(held: bytearray) -> Iterator[bytes]:
    """Takes the whole handshake messages off the front; in time that no flood of tiny records makes quadratic, as
    ``tlswire.records.Messages`` would. Raises Broken for one that is too long."""
    while len(held) >= 4:
        size = int.from_bytes(held[1:4], "big")
        if size > messages.MAX_MESSAGE:
            raise messages.malformed(f"a handshake message has {size} octets", 47)
        if len(held) < 4 + size:
            return
        message = bytes(held[: 4 + size])
        del held[: 4 + size]
        yield message
