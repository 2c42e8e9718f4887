"""Names to addresses without waiting: a few threads ask, the loop collects.

A resolver may be slow, dead, or lie. What it says is read as text and kept only where it is an address; its threads
are daemons, so that one which hangs never keeps the process from ending.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Resolver = Callable[[str], Iterable[str]]
"""The addresses of a name, in order of preference, in text. Blocks; raises OSError (socket.gaierror)."""

MAX_ADDRESSES = 6
"""Addresses of one name that are tried at most."""

_THREADS = 32
_MAX_THREADS = 128
_LOST_AFTER = 20.0
"""Seconds after which a thread that has not come back is replaced by another."""
_KEPT, _KEPT_FAILURE = 60.0, 5.0
_MAX_KEPT = 50_000
_MAX_READ = 64
"""Addresses that are read of one reply."""

_REASONS = {
    socket.EAI_NONAME: "the name does not exist",
    socket.EAI_AGAIN: "the resolver does not answer",
    socket.EAI_FAIL: "the resolver failed",
    socket.EAI_MEMORY: "out of memory",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a name resolved to, best first; where nothing, ``why``."""

    found: tuple[str, ...]
    why: str = ""


def literal(host: str) -> str | None:
    """The address that ``host`` is itself; None if it is a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return host
    return None


def system(host: str) -> list[str]:
    """The resolver of the operating system (getaddrinfo)."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


class Lookups:
    """Lookups under way and done. All methods are for the loop's thread; ``wake`` is called by others when there is
    something to collect."""

    def __init__(self, resolver: Resolver, wake: Callable[[], None]) -> None:
        self._resolver = resolver
        self._wake = wake
        self._kept: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self._waiting: dict[str, list[int]] = {}
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answered: deque[tuple[str, Addresses]] = deque()
        self._busy: dict[int, float] = {}
        """Since when each thread has been at its lookup."""
        self._threads = 0
        self._closed = False

    def ask(self, host: str, serial: int, now: float) -> Addresses | None:
        """The addresses if they are known; otherwise ``collect`` returns them later with this number."""
        if (found := literal(host)) is not None:
            return Addresses((found,))
        if (kept := self._kept.get(host)) is not None:
            if now < kept[0]:
                return kept[1]
            del self._kept[host]
        if (waiting := self._waiting.get(host)) is not None:
            waiting.append(serial)
            return None
        self._waiting[host] = [serial]
        self._hire(now)
        self._asked.put(host)
        return None

    def collect(self, now: float) -> list[tuple[list[int], Addresses]]:
        """What was found since: who asked, and the answer."""
        found = []
        while self._answered:
            host, addresses = self._answered.popleft()
            self._kept[host] = (now + (_KEPT if addresses.found else _KEPT_FAILURE), addresses)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
            found.append((self._waiting.pop(host, []), addresses))
        return found

    def close(self) -> None:
        """Let the threads go; those which wait for a resolver go when it answers."""
        self._closed = True
        for _ in range(self._threads):
            self._asked.put(None)

    def _hire(self, now: float) -> None:
        """One more thread, if all that are not lost have something to do."""
        under_way = len(self._waiting)
        if under_way <= self._threads - len(self._busy) or self._threads >= _MAX_THREADS:
            return
        if self._threads >= _THREADS:
            lost = sum(now - since > _LOST_AFTER for since in list(self._busy.values()))
            if self._threads - lost >= _THREADS:
                return
        self._threads += 1
        threading.Thread(target=self._work, args=(self._threads,), name="handclasp-resolve", daemon=True).start()

    def _work(self, number: int) -> None:
        while (host := self._asked.get()) is not None and not self._closed:
            self._busy[number] = time.monotonic()
            addresses = _look_up(self._resolver, host)
            self._busy.pop(number, None)
            self._answered.append((host, addresses))
            self._wake()


def _look_up(resolver: Resolver, host: str) -> Addresses:
    try:
        said = [str(one)[:64] for one, _ in zip(resolver(host), range(_MAX_READ), strict=False)]
    except socket.gaierror as error:
        return Addresses((), _REASONS.get(error.errno or 0, error.strerror or "the lookup failed"))
    except UnicodeError:
        return Addresses((), "the name cannot stand in a query")
    except Exception as error:
        return Addresses((), f"the lookup failed ({type(error).__name__})")
    if not said:
        return Addresses((), "the name has no address")
    addresses = tuple(dict.fromkeys(one for one in map(_address, said) if one is not None))
    if not addresses:
        return Addresses((), "the resolver answered with something that is no address")
    return Addresses(_in_turn(addresses)[:MAX_ADDRESSES])


def _address(text: str) -> str | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A connection to "any address" would reach this machine, one to many cannot be made.
    return None if found.is_unspecified or found.is_multicast else text


def _in_turn(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """The families in turn, the first one's first (RFC 8305 §4)."""
    first = [one for one in addresses if (":" in one) == (":" in addresses[0])]
    second = [one for one in addresses if (":" in one) != (":" in addresses[0])]
    mixed: list[str] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return tuple(mixed)
