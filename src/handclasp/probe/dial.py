"""Connecting to the first address of several that answers (RFC 8305, in small).

The addresses are tried in their order: the next one when one fails, or has been silent for 250 ms; the first that
answers wins and the others are closed.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Protocol

from handclasp.findings import Code
from handclasp.probe.poller import ERR, HUP

NEXT_AFTER = 0.25
"""Seconds of silence after which the next address is tried too (RFC 8305 §5)."""

_NONBLOCK: int = getattr(socket, "SOCK_NONBLOCK", 0)
_STREAM = socket.SOCK_STREAM | _NONBLOCK
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
_REFUSED = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOENT})
_ORDER = (Code.NET_CONNECT_TIMEOUT, Code.NET_CONNECTION_REFUSED, Code.NET_UNREACHABLE)
_QUEUE_FULL_PAUSE = 0.02


class Sockets(Protocol):
    """What a dial needs of the loop."""

    def watch(self, sock: socket.socket, serial: int) -> None:
        """Events of this socket are the attempt's from now on. Raises OSError."""

    def drop(self, sock: socket.socket) -> None:
        """Forget and close it."""


class Exhausted(Exception):
    """This process has no file descriptor left, or the system no memory for sockets: try again later."""


class NotConnected(Exception):
    """None of the addresses could be reached: the code, and what each of them said."""

    def __init__(self, code: Code, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what


class Dial:
    """One attempt's way to a connected socket. ``winner`` is it; ``address`` where it leads, ``trip`` the seconds that
    connecting took (a round trip)."""

    __slots__ = (
        "_addresses",
        "_errors",
        "_next",
        "_obstacle",
        "_pending",
        "_port",
        "_serial",
        "_sockets",
        "address",
        "again_at",
        "trip",
        "winner",
    )

    def __init__(self, sockets: Sockets, serial: int, addresses: tuple[str, ...], port: int | None) -> None:
        """``port`` is None where the address is the path of a Unix socket."""
        self._sockets = sockets
        self._serial = serial
        self._addresses = addresses
        self._port = port
        self._next = 0
        self._pending: dict[int, tuple[socket.socket, str, float]] = {}
        self._errors: list[tuple[Code, str]] = []
        self._obstacle: tuple[Code, str] | None = None
        """What keeps an address from being tried at all."""
        self.again_at: float | None = None
        """When ``go_on`` is due, if nothing happens before."""
        self.winner: socket.socket | None = None
        self.address: str | None = None
        self.trip = 0.0

    def go_on(self, now: float) -> None:
        """Try the next address, if it is time. Raises NotConnected when there is none left to hope for, and Exhausted
        (then it is to be called again)."""
        while self.winner is None and self._next < len(self._addresses):
            if self.again_at is not None and now < self.again_at:
                return
            self.again_at = None
            self._try(self._addresses[self._next], now)
            if self._pending and self._next < len(self._addresses):
                self.again_at = now + NEXT_AFTER
        if self.winner is None and not self._pending:
            raise self._failed()

    def heard(self, fd: int, mask: int, now: float) -> None:
        """An event of one of the sockets, with its bits. Raises as ``go_on`` does."""
        if (found := self._pending.pop(fd, None)) is None:
            return
        sock, address, begun = found
        if mask & (ERR | HUP) and (fault := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            self._sockets.drop(sock)
            self._note(address, fault)
            self.again_at = None
            self.go_on(now)
            return
        self._won(sock, address, now - begun)

    def timed_out(self) -> NotConnected:
        """Time is over: what is to be said of it."""
        for _, address, _ in self._pending.values():
            self._errors.append((Code.NET_CONNECT_TIMEOUT, f"{address} did not answer"))
        if self._obstacle is not None and not self._errors:
            self._errors.append(self._obstacle)
        return self._failed()

    def close(self) -> None:
        """Close what is still under way."""
        for sock, _, _ in self._pending.values():
            self._sockets.drop(sock)
        self._pending.clear()

    def _try(self, address: str, now: float) -> None:
        sock: socket.socket | None = None
        try:
            if self._port is None:
                sock = socket.socket(socket.AF_UNIX, _STREAM)
                where: str | tuple[str, int] = address
            else:
                sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _STREAM)
                where = (address, self._port)
            if not _NONBLOCK:
                sock.setblocking(False)
            fault = sock.connect_ex(where)
            if fault == errno.EAGAIN and self._port is None:
                # The socket's queue is full, and nothing will tell when it is not (connect(2)).
                sock.close()
                self._obstacle = (Code.NET_CONNECT_TIMEOUT, f"{address} takes no connections: its queue is full")
                self.again_at = now + _QUEUE_FULL_PAUSE
                return
            if fault in (0, errno.EINPROGRESS, errno.EINTR):
                self._sockets.watch(sock, self._serial)
        except OSError as error:
            if sock is not None:
                sock.close()
            fault = error.errno or errno.EINVAL
            sock = None
        if fault in _EXHAUSTED:
            if sock is not None:
                sock.close()
            self._obstacle = (Code.UNKNOWN, "this process has no file descriptor left for a connection")
            raise Exhausted
        self._next += 1
        if sock is None or fault not in (0, errno.EINPROGRESS, errno.EINTR):
            if sock is not None:
                sock.close()
            self._note(address, fault)
        elif fault == 0:
            self._won(sock, address, 0.0)
        else:
            self._pending[sock.fileno()] = (sock, address, now)

    def _won(self, sock: socket.socket, address: str, trip: float) -> None:
        self.winner, self.address, self.trip, self.again_at = sock, address, trip, None
        if self._pending:
            self.close()

    def _note(self, address: str, fault: int) -> None:
        if fault in _REFUSED:
            code = Code.NET_CONNECTION_REFUSED
        else:
            code = Code.NET_CONNECT_TIMEOUT if fault == errno.ETIMEDOUT else Code.NET_UNREACHABLE
        self._errors.append((code, f"{address}: {os.strerror(fault).lower()}"))

    def _failed(self) -> NotConnected:
        # An address that may be there says more than one to which there is no way.
        code = min((code for code, _ in self._errors), key=lambda one: _ORDER.index(one) if one in _ORDER else -1)
        return NotConnected(code, "; ".join(what for _, what in self._errors))
