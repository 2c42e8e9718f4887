"""A connection to a receiver's server, which is over by a deadline whatever that server does.

What is said of a failure is in our words: neither what the server sent nor where exactly it is (the path of a URL may
be a secret) gets into a log.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

PATIENCE: Final = 15.0  # seconds, from the name to the answer
_MOST: Final = 256 << 10  # octets that a server may say
_ADDRESSES: Final = 4  # of a name, that are tried


class NotSent(Exception):
    """Something could not be sent. ``why`` is a part of a sentence. ``final``: to try again is no use. ``after``: not
    before so long."""

    def __init__(self, why: str, *, final: bool = False, after: timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.final = final
        self.after = after


class Line:
    """The deadline of one exchange. Blocking; for a thread.

    Every wait for the server is for what is left of the time, and what it may say is limited: one that sends without
    end is as soon done with as one that sends nothing.
    """

    def __init__(self, host: str, port: int, *, patience: float = PATIENCE) -> None:
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._host, self._port = host, port
        self._patience = patience
        self._until = time.monotonic() + patience
        self._over = False

    def connect(self) -> socket.socket:
        """A TCP connection, to the first address that takes one. Raises OSError."""
        last: OSError = OSError("no address")
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found[:_ADDRESSES]:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self.left())
                connection.connect(address)
                return connection
            except OSError as error:
                connection.close()
                last = error
        raise last

    def wrap(self, connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """TLS on it; the server is verified by the name that was asked for. Raises OSError."""
        connection.settimeout(self.left())
        return context.wrap_socket(connection, server_hostname=self._host)

    def reader(self, connection: socket.socket) -> io.BufferedReader:
        """What the server says, up to the deadline and _MOST octets. Raises OSError after that."""
        return io.BufferedReader(_Limited(self, connection))

    def left(self) -> float:
        """Seconds; TimeoutError where there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            self._over = True
            raise TimeoutError
        return left

    @contextmanager
    def told(self) -> Iterator[None]:
        """What goes wrong in the context is NotSent."""
        try:
            yield
        except (OSError, EOFError, ValueError) as error:
            raise NotSent(self._why(error)) from None

    def _why(self, error: Exception) -> str:
        if self._over or time.monotonic() >= self._until or isinstance(error, TimeoutError):
            return f"{self.where} did not answer within {self._patience:g} s"
        match error:
            case ssl.SSLCertVerificationError():
                return f"the certificate of {self.where} is not trusted ({error.verify_message})"
            case ssl.SSLError():
                return f"TLS with {self.where} failed ({(error.reason or 'no reason').replace('_', ' ').lower()})"
            case socket.gaierror():
                return f"the name in {self.where} cannot be resolved"
            case ConnectionRefusedError():
                return f"nothing listens at {self.where}"
            case OSError(errno=int()):
                return f"the connection to {self.where} failed ({error.strerror})"
        return f"{self.where} broke off, or does not speak the protocol"


class _Limited(io.RawIOBase):
    """The reading side of a connection."""

    def __init__(self, line: Line, connection: socket.socket) -> None:
        super().__init__()
        self._line = line
        self._connection = connection
        self._room = _MOST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._room <= 0:
            raise OSError("the server says too much")
        self._connection.settimeout(self._line.left())
        read = self._connection.recv_into(buffer)
        self._room -= read
        return read
