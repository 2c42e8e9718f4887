"""Many attempts at once in one thread: sockets, timers, names, and who has to wait for whom.

One turn of the loop handles at most a few dozen events before it looks at the clock again, so that a deadline is
kept within milliseconds however busy the sockets are.
"""

from __future__ import annotations

import contextlib
import heapq
import socket
import time
from collections import deque
from collections.abc import Callable

from handclasp.probe.connection import Connection
from handclasp.probe.dial import Exhausted
from handclasp.probe.evidence import Attempt, Evidence
from handclasp.probe.poller import Poller, new_poller
from handclasp.probe.resolve import Addresses, Lookups, Resolver
from handclasp.probe.shares import ShareCache
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import Offer

Done = Callable[[Attempt, Evidence], None]

_TIMERS_A_TURN = 64
_STARVED_PAUSE = 0.05
_RECOVER_AFTER = 100
"""Attempts that end well before the limit is raised again."""


class Waker:
    """Wakes the loop from another thread."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._woken = False
        self.fd = self._ours.fileno()

    def wake(self) -> None:
        """From any thread; many calls are one event."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):
                self._theirs.send(b"\0")

    def clear(self) -> None:
        """The loop has heard."""
        self._woken = False
        with contextlib.suppress(OSError):
            while len(self._ours.recv(64)) == 64:
                pass

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self._theirs.close()


class Reactor:
    """Runs attempts. Everything but ``waker.wake`` is for one thread.

    ``concurrency`` is the most attempts at once, ``per_host`` the most connections at once to one address (0: any
    number). An attempt that waits for its turn at a host is counted apart, and the time it waits is not its own.
    """

    def __init__(
        self,
        concurrency: int,
        per_host: int,
        new_random: Callable[[int], bytes],
        resolver: Resolver,
        shares: ShareCache,
        poller: Poller | None = None,
    ) -> None:
        self._most = self._limit = concurrency
        self._per_host = per_host
        self._new_random = new_random
        self._shares = shares
        self._poller = new_poller() if poller is None else poller
        self.waker = Waker()
        self._poller.add(self.waker.fd)
        self._lookups = Lookups(resolver, self.waker.wake)
        self._serial = 0
        self._running: dict[int, tuple[Connection, Done]] = {}
        self._by_fd: dict[int, int] = {}
        self._buried: list[socket.socket] = []
        self._timers: list[tuple[float, int]] = []
        self._soon: deque[int] = deque()
        self._at_host: dict[str, int] = {}
        self._host_of: dict[int, str] = {}
        self._parked: dict[str, deque[tuple[int, Addresses]]] = {}
        self._parked_count = 0
        self._starved: dict[int, None] = {}
        """Those that wait for a descriptor, in the order in which they came."""
        self._freed: deque[str] = deque()
        self._good = 0

    @property
    def room(self) -> int:
        """How many more attempts can be started now."""
        if self._starved:
            return 0
        return min(self._limit - (len(self._running) - self._parked_count), 4 * self._most - self._parked_count)

    @property
    def empty(self) -> bool:
        """Nothing is under way."""
        return not self._running

    def start(self, attempt: Attempt, done: Done) -> int:
        """Begin an attempt; ``done`` is called from ``turn`` (or from here) when it has ended. Returns its number."""
        self._serial = serial = self._serial + 1
        now = time.monotonic()
        connection = Connection(attempt, serial, self, now)
        self._running[serial] = (connection, done)
        host = connection.host
        if host is None:
            found: Addresses | None = Addresses((attempt.target.path or "",))
        else:
            found = self._lookups.ask(host, serial, now)
        if found is not None:
            self._admit(serial, connection, found, now)
        return serial

    def abort(self, serial: int, why: str) -> None:
        """End an attempt that nobody waits for any more."""
        if (found := self._running.get(serial)) is not None:
            found[0].abort(time.monotonic(), why)
            self._ended(serial)

    def turn(self, patience: float) -> None:
        """Wait at most ``patience`` seconds for something to happen, and handle it."""
        now = time.monotonic()
        if self._soon or self._freed or self._buried:
            patience = 0.0
        elif self._timers:
            patience = min(patience, max(self._timers[0][0] - now, 0.0))
        events = self._poller.poll(patience)
        now = time.monotonic()
        running, by_fd = self._running, self._by_fd
        for fd, mask in events:
            serial = by_fd.get(fd)
            if serial is None:
                if fd == self.waker.fd:
                    self._collect(now)
                continue
            connection = running[serial][0]
            try:
                connection.heard(fd, mask, now)
            except Exhausted:
                self._starve(serial, now)
            if connection.evidence is not None:
                self._ended(serial)
            now = time.monotonic()
        for _ in range(len(self._soon)):
            serial = self._soon.popleft()
            if (found := running.get(serial)) is not None:
                found[0].read_on(time.monotonic())
                if found[0].evidence is not None:
                    self._ended(serial)
        self._tick()
        if self._buried:
            self._bury()
        while self._freed:
            self._give_turn(self._freed.popleft(), time.monotonic())

    def close(self) -> None:
        """End everything; ``done`` is not called for what was under way."""
        for connection, _ in self._running.values():
            connection.abort(time.monotonic(), "the driver was closed")
        self._running.clear()
        self._bury()
        self._lookups.close()
        self._poller.close()
        self.waker.close()

    # -- for the connections ---------------------------------------------------------------------------------------

    def watch(self, sock: socket.socket, serial: int) -> None:
        """Events of this socket are the attempt's from now on."""
        self._poller.add(sock.fileno())
        self._by_fd[sock.fileno()] = serial

    def writing(self, sock: socket.socket, wanted: bool) -> None:
        """Whether to hear when it is writable."""
        self._poller.writing(sock.fileno(), wanted)

    def drop(self, sock: socket.socket) -> None:
        """Close it at the end of the turn: its number must not be given out again while events of it may be left."""
        fd = sock.fileno()
        self._by_fd.pop(fd, None)
        self._poller.remove(fd)
        self._buried.append(sock)

    def later(self, serial: int, when: float) -> None:
        """Call ``tick`` then."""
        heapq.heappush(self._timers, (when, serial))

    def soon(self, serial: int) -> None:
        """Call ``read_on`` in this turn or the next."""
        self._soon.append(serial)

    def client(self, offer: Offer, *, fresh: bool, trace: bool) -> TLSClient:
        """A TLS client with its randomness and key shares."""
        octets = self._new_random(64)
        shares = self._shares.get(offer.shares, fresh=fresh, now=time.monotonic())
        return TLSClient(offer, random=octets[:32], session_id=octets[32:], shares=shares, trace=trace)

    # -- who has to wait -------------------------------------------------------------------------------------------

    def _admit(self, serial: int, connection: Connection, found: Addresses, now: float) -> None:
        """It knows where to go: now if the host has room, otherwise when one of its connections has ended."""
        if self._per_host and found.found:
            host = found.found[0]
            if self._at_host.get(host, 0) >= self._per_host:
                connection.pause(now)
                self._parked.setdefault(host, deque()).append((serial, found))
                self._parked_count += 1
                return
            self._at_host[host] = self._at_host.get(host, 0) + 1
            self._host_of[serial] = host
        try:
            connection.resolved(found, now)
        except Exhausted:
            self._starve(serial, now)
        if connection.evidence is not None:
            self._ended(serial)

    def _give_turn(self, host: str, now: float) -> None:
        """A connection to this host has ended: the next one's turn."""
        self._at_host[host] -= 1
        waiting = self._parked.get(host)
        while waiting:
            serial, found = waiting.popleft()
            self._parked_count -= 1
            if serial in self._running:
                connection = self._running[serial][0]
                connection.resume(now)
                self._admit(serial, connection, found, now)
                return
        self._parked.pop(host, None)
        if not self._at_host[host]:
            del self._at_host[host]

    def _starve(self, serial: int, now: float) -> None:
        """No descriptor left: fewer at once from now on, and this one again when another has ended."""
        open_now = max(len(self._by_fd), 1)
        self._limit = max(1, min(self._limit, open_now))
        self._good = 0
        self._starved[serial] = None
        self.later(serial, now + _STARVED_PAUSE)

    # -- what happens ----------------------------------------------------------------------------------------------

    def _collect(self, now: float) -> None:
        self.waker.clear()
        for serials, found in self._lookups.collect(now):
            for serial in serials:
                if serial in self._running:
                    self._admit(serial, self._running[serial][0], found, now)

    def _tick(self) -> None:
        timers, running = self._timers, self._running
        now = time.monotonic()
        for _ in range(_TIMERS_A_TURN):
            while timers and timers[0][1] not in running:
                heapq.heappop(timers)
            if not timers or timers[0][0] > now:
                return
            _, serial = heapq.heappop(timers)
            self._tick_one(serial, running[serial][0], now)
            now = time.monotonic()

    def _tick_one(self, serial: int, connection: Connection, now: float) -> None:
        self._starved.pop(serial, None)
        try:
            connection.tick(now)
        except Exhausted:
            self._starve(serial, now)
        if connection.evidence is not None:
            self._ended(serial)

    def _ended(self, serial: int) -> None:
        found = self._running.pop(serial, None)
        if found is None:
            return
        self._starved.pop(serial, None)
        connection, done = found
        evidence = connection.evidence
        assert evidence is not None
        if self._limit < self._most:
            self._good += 1
            if self._good >= _RECOVER_AFTER:
                self._good = 0
                self._limit = min(self._most, self._limit + max(1, self._limit // 10))
        if (host := self._host_of.pop(serial, None)) is not None:
            self._freed.append(host)
        done(connection.attempt, evidence)

    def _bury(self) -> None:
        closed = len(self._buried)
        for sock in self._buried:
            sock.close()
        self._buried.clear()
        for serial in list(self._starved)[:closed]:
            self._tick_one(serial, self._running[serial][0], time.monotonic())
