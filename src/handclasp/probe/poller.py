"""Which sockets have something to say: epoll where there is one, ``selectors`` elsewhere.

epoll is used edge-triggered: a socket is registered once, for everything, and needs no system call again until it is
closed. Whoever gets an event reads until there is nothing more.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import sys
from typing import Protocol

IN, OUT, ERR, HUP, READ_HUP = 0x001, 0x004, 0x008, 0x010, 0x2000
"""The bits of an event, as epoll has them."""
GONE = ERR | HUP | READ_HUP
"""The peer has ended the connection, or it has failed: what is still to be read is followed by that."""

MAX_EVENTS = 64
"""Events that one poll returns at most, so that timers are never far away."""


class Poller(Protocol):
    """Watches file descriptors."""

    def add(self, fd: int) -> None:
        """Watch it, until it is writable and ever when it is readable. Raises OSError."""

    def writing(self, fd: int, wanted: bool) -> None:
        """Whether to hear again when it is writable."""

    def remove(self, fd: int) -> None:
        """Forget it; it is closed next."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Descriptors and event bits; waits at most ``timeout`` seconds."""

    def close(self) -> None:
        """Give the poller's own descriptor back."""


if sys.platform == "linux":
    _EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

    class EpollPoller:
        """Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()

        def add(self, fd: int) -> None:
            self._epoll.register(fd, _EDGES)

        def writing(self, fd: int, wanted: bool) -> None:
            """Nothing to do: an edge comes by itself when a full buffer has room again."""

        def remove(self, fd: int) -> None:
            """Nothing to do: closing it removes it."""

        def poll(self, timeout: float) -> list[tuple[int, int]]:
            return self._epoll.poll(timeout, MAX_EVENTS)

        def close(self) -> None:
            self._epoll.close()


class SelectorPoller:
    """Everywhere."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, fd: int) -> None:
        self._selector.register(fd, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def writing(self, fd: int, wanted: bool) -> None:
        self._selector.modify(fd, selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0))

    def remove(self, fd: int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        # Whether a connection has failed or ended is not told apart here: the next system call on it says so.
        ready = self._selector.select(timeout)[:MAX_EVENTS]
        return [
            (
                key.fd,
                (IN | GONE if mask & selectors.EVENT_READ else 0) | (OUT | ERR if mask & selectors.EVENT_WRITE else 0),
            )
            for key, mask in ready
        ]

    def close(self) -> None:
        self._selector.close()


def new_poller() -> Poller:
    """The best that this system has."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()
