"""DogStatsD: readings as datagrams to the Datadog Agent (or to any server of that protocol), by UDP or a Unix socket.

Sending never waits: what the other end cannot take now is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final

from handclasp.monitor.outputs.datadog import Gauge, Reading, ServiceCheck
from handclasp.monitor.outputs.destination import StatsdAddress
from handclasp.monitor.outputs.exposition import number

MOST_OCTETS: Final = 1432
"""Of one datagram: what fits into an Ethernet frame with IPv6 and a tunnel around it."""

_RESOLVED_FOR: Final = 60.0  # seconds
_LONGEST_MESSAGE: Final = 300  # characters

Address = tuple[Any, ...] | str
"""As ``socket`` takes it."""

_log = logging.getLogger("handclasp.monitor")


def line(reading: Reading) -> bytes:
    """One reading, without a line break."""
    match reading:
        case Gauge(name, value, tags):
            # Rounded, or digits of no meaning would be a third of each datagram.
            text = f"{name}:{number(round(value, 6))}|g|#{','.join(tags)}"
        case ServiceCheck(name, status, tags, message):
            text = f"_sc|{name}|{int(status)}|#{','.join(tags)}"
            if message:
                text += f"|m:{_message(message)}"
    return text.encode(errors="replace")


def datagrams(readings: Iterable[Reading]) -> Iterator[bytes]:
    """As few as hold them, a line each; a line that is longer than a datagram may be goes nowhere."""
    held: list[bytes] = []
    size = 0
    for reading in readings:
        one = line(reading)
        if len(one) > MOST_OCTETS:
            continue
        if held and size + 1 + len(one) > MOST_OCTETS:
            yield b"\n".join(held)
            held, size = [], 0
        size += len(one) + bool(held)
        held.append(one)
    if held:
        yield b"\n".join(held)


class StatsdSender:
    """An open socket. ``dropped`` counts datagrams."""

    def __init__(self, address: StatsdAddress) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._to: Address = ""
        self._resolving: asyncio.Task[None] | None = None
        self.dropped = 0

    async def start(self) -> None:
        """Open the socket, and find the host where it is a name."""
        if self._address.path is not None:
            self._open(socket.AF_UNIX, self._address.path)
        else:
            await self._resolve()
            if not _is_address(self._address.host):
                self._resolving = asyncio.create_task(self._resolve_again())

    def close(self) -> None:
        """Nothing is sent any more."""
        if self._resolving is not None:
            self._resolving.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, readings: Iterable[Reading]) -> None:
        """Send what can be sent at once."""
        for datagram in datagrams(readings):
            if self._socket is None:
                self.dropped += 1
                continue
            try:
                # Not connected: an agent that starts again needs nothing of us, and its absence no repair.
                self._socket.sendto(datagram, self._to)
            except OSError:
                self.dropped += 1

    def _open(self, family: int, to: Address) -> None:
        if self._socket is None or self._socket.family != family:
            if self._socket is not None:
                self._socket.close()
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._to = to

    async def _resolve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            _log.warning("the host of statsd %s is not found: %s", self._address, error)
            return
        self._open(found[0][0], found[0][4])

    async def _resolve_again(self) -> None:
        while True:
            await asyncio.sleep(_RESOLVED_FOR)
            await self._resolve()


def _message(text: str) -> str:
    cut = text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."
    return cut.replace("\r", " ").replace("\n", "\\n").replace("m:", "m\\:").replace("|", "/")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
