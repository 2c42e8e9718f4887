"""One attempt, from the name to the evidence: resolve > connect > the conversation.

Whatever happens, it ends once, by its deadline, with a code where it ended early. A write that fails ends nothing: what
is still to be read is read first, since a server that refuses says why before it closes.
"""

from __future__ import annotations

import socket
import time
from typing import Protocol

from handclasp.findings import Code
from handclasp.probe.conversation import Conversation
from handclasp.probe.dial import Dial, NotConnected, Sockets
from handclasp.probe.evidence import Attempt, Evidence, Failure, Timings
from handclasp.probe.poller import GONE, IN, OUT
from handclasp.probe.resolve import Addresses
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import Offer
from handclasp.tlswire.seen import Seen

_READ = 16 * 1024
_READS_A_TURN = 8


class Surroundings(Sockets, Protocol):
    """What a connection needs of the loop."""

    def writing(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to hear when it is writable."""

    def later(self, serial: int, when: float) -> None:
        """Call ``tick`` at that time, or a little after."""

    def soon(self, serial: int) -> None:
        """Call ``read_on`` in the next turn."""

    def client(self, offer: Offer, *, fresh: bool, trace: bool) -> TLSClient:
        """A TLS client with its randomness and key shares."""


class Connection:
    """The state of one attempt. ``evidence`` is None until it has ended; everything that comes later is ignored.

    The loop calls ``resolved``, ``heard``, ``tick`` and ``read_on``. They raise Exhausted while connecting only.
    """

    __slots__ = (
        "_address",
        "_around",
        "_begun",
        "_connected",
        "_conversation",
        "_dial",
        "_ends",
        "_outbox",
        "_paused",
        "_resolved",
        "_sock",
        "_wakes_at",
        "_write_fault",
        "attempt",
        "evidence",
        "serial",
    )

    def __init__(self, attempt: Attempt, serial: int, around: Surroundings, now: float) -> None:
        self.attempt = attempt
        self.serial = serial
        self.evidence: Evidence | None = None
        self._around = around
        self._begun = now
        self._ends = now + attempt.deadline
        self._paused = False
        self._dial: Dial | None = None
        self._sock: socket.socket | None = None
        self._conversation: Conversation | None = None
        self._outbox = b""
        self._write_fault: OSError | None = None
        self._wakes_at: float | None = None
        self._address: str | None = None
        self._resolved: float | None = None
        self._connected: float | None = None
        around.later(serial, self._ends)

    @property
    def host(self) -> str | None:
        """The name or address that is connected to; None for a Unix socket."""
        route, target = self.attempt.route, self.attempt.target
        if route.proxy is not None:
            return route.proxy.host
        return None if target.path is not None else route.address or target.host

    @property
    def phase(self) -> str:
        """Where it is, as ``Failure`` has it."""
        if self._conversation is not None:
            return self._conversation.phase
        return "resolve" if self._dial is None else "connect"

    def pause(self, now: float) -> None:
        """It has to wait its turn; that does not count."""
        self._begun -= now
        self._ends -= now
        self._paused = True

    def resume(self, now: float) -> None:
        """It is its turn."""
        self._begun += now
        self._ends += now
        self._paused = False
        self._around.later(self.serial, self._ends)

    def resolved(self, found: Addresses, now: float) -> None:
        """Where the host is; connecting begins. Raises Exhausted (then ``tick`` is to be called later)."""
        if self.evidence is not None:
            return
        if not found.found:
            self._end(Failure(Code.NET_DNS_FAILURE, f"{self.host}: {found.why}", "resolve"))
            return
        port = None
        if self.host is not None:
            self._resolved = now
            proxy = self.attempt.route.proxy
            port = self.attempt.target.port if proxy is None else proxy.port
        self._dial = Dial(self._around, self.serial, found.found, port)
        self._dialled(now)

    def heard(self, fd: int, mask: int, now: float) -> None:
        """An event of one of its sockets. Raises Exhausted."""
        if self.evidence is not None:
            return
        if self._sock is None:
            self._dialled(now, fd, mask)
        # A server that speaks first may have done so already: there is no second event for that.
        if self._sock is None or self._sock.fileno() != fd:
            return
        if mask & OUT and self._outbox:
            pending, self._outbox = self._outbox, b""
            self._send(pending)
        if mask & (IN | GONE):
            self._read(now, gone=bool(mask & GONE))

    def tick(self, now: float) -> None:
        """It is time for something. Raises Exhausted."""
        if self.evidence is not None or self._paused:
            return
        if self._conversation is not None:
            # While the loop was busy, what is awaited may have come.
            self._read(now, gone=False)
            if self.evidence is not None:
                return
        if now >= self._ends:
            self._end(self._out_of_time())
        elif self._conversation is not None:
            self._send(self._conversation.tick(now))
            self._after(self._conversation)
        elif self._dial is not None and (self._dial.again_at is None or now >= self._dial.again_at):
            self._dialled(now)

    def read_on(self, now: float) -> None:
        """There was more to read than one turn takes, or a write failed."""
        if self.evidence is None and self._sock is not None:
            self._read(now, gone=True)

    def abort(self, now: float, why: str) -> None:
        """End it now."""
        if self._paused:
            self.resume(now)
        if self.evidence is None:
            self._end(Failure(Code.UNKNOWN, why, self.phase))

    def _dialled(self, now: float, fd: int = -1, mask: int = 0) -> None:
        """Go on connecting; ``fd`` and ``mask`` are those of an event of one of the sockets."""
        dial = self._dial
        if dial is None:
            return
        try:
            if fd < 0:
                dial.go_on(now)
            else:
                dial.heard(fd, mask, now)
        except NotConnected as error:
            self._end(Failure(error.code, error.what, "connect"))
            return
        if dial.winner is None:
            if dial.again_at is not None:
                self._around.later(self.serial, dial.again_at)
            return
        self._sock, self._address, self._connected = dial.winner, dial.address, now
        self._around.writing(self._sock, False)
        self._conversation = conversation = Conversation(self.attempt, self._around.client, dial.trip)
        self._send(conversation.begin(now))
        self._after(conversation)

    def _send(self, data: bytes) -> None:
        if not data or self._sock is None or self._write_fault is not None:
            return
        if self._outbox:
            self._outbox += data
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            # There may be an alert to be read all the same.
            self._write_fault = error
            self._around.soon(self.serial)
            return
        if sent < len(data):
            self._outbox = data[sent:]
            self._around.writing(self._sock, True)

    def _read(self, now: float, *, gone: bool) -> None:
        conversation = self._conversation
        for _ in range(_READS_A_TURN):
            sock = self._sock
            if sock is None or conversation is None:
                return
            data, fault = b"", self._write_fault
            try:
                data = sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                if fault is None:
                    return
            except OSError as error:
                fault = error
            if data:
                self._send(conversation.receive(now, data))
            else:
                conversation.end_of_stream(reset=isinstance(fault, ConnectionResetError))
            self._after(conversation)
            if 0 < len(data) < _READ and not gone and self._write_fault is None:
                return
        if self.evidence is None:
            self._around.soon(self.serial)

    def _after(self, conversation: Conversation) -> None:
        """What follows from what the conversation has come to."""
        if conversation.over:
            self._end(conversation.failure)
        elif conversation.wake_at is not None and conversation.wake_at != self._wakes_at:
            self._wakes_at = conversation.wake_at
            self._around.later(self.serial, conversation.wake_at)

    def _out_of_time(self) -> Failure:
        within = f"within {self.attempt.deadline:g} s"
        phase, conversation = self.phase, self._conversation
        if conversation is None:
            if self._dial is None:
                return Failure(Code.NET_DNS_FAILURE, f"{self.host}: the resolver did not answer {within}", phase)
            timeout = self._dial.timed_out()
            return Failure(timeout.code, f"{timeout.what} ({within})", phase)
        match phase:
            case "proxy" | "proxy_protocol":
                code, what = Code.NET_CONNECT_TIMEOUT, f"{conversation.awaited or 'an answer'} did not come"
            case "starttls":
                code, what = Code.NET_HANDSHAKE_TIMEOUT, f"{conversation.awaited or 'an answer'} did not come"
            case "http":
                code, what = Code.UPSTREAM_TIMEOUT, "the response did not come"
            case "listen":
                code, what = Code.NET_HANDSHAKE_TIMEOUT, "the server said nothing to our Finished"
            case _:
                code, what = Code.NET_HANDSHAKE_TIMEOUT, "the handshake was not done"
        return Failure(code, f"{what} {within}", phase)

    def _end(self, failure: Failure | None) -> None:
        if self.evidence is not None:
            return
        conversation, begun = self._conversation, self._begun
        seen = conversation.seen if conversation is not None else None
        clear_text = b"" if conversation is None else conversation.clear_text
        if failure is not None and seen is not None and seen.version is None and self._met_itself():
            what = f"{self._address}: nothing listens there, the connection led back to itself"
            failure, seen, clear_text = Failure(Code.NET_CONNECTION_REFUSED, what, "connect"), None, b""
        self.evidence = Evidence(
            self.attempt.target,
            Seen() if seen is None else seen,
            self._address,
            failure,
            None if conversation is None else conversation.response,
            Timings(
                _since(begun, self._resolved),
                _since(begun, self._connected),
                None if conversation is None else _since(begun, conversation.secured),
                None if conversation is None else _since(begun, conversation.first_byte),
                time.monotonic() - begun,
            ),
            clear_text,
        )
        if self._dial is not None:
            self._dial.close()
        if self._sock is not None:
            self._around.drop(self._sock)
        self._sock = self._dial = self._conversation = None

    def _met_itself(self) -> bool:
        """On a port of this machine where nothing listens, TCP may connect a socket with itself."""
        try:
            return self._sock is not None and self._sock.getsockname() == self._sock.getpeername() != ""
        except OSError:
            return False


def _since(begun: float, moment: float | None) -> float | None:
    return None if moment is None else moment - begun
