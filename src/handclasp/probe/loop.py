"""The driver of probes: makes attempts, many at once, and returns what each has shown.

``run`` drives a whole list in the calling thread; ``attempt`` makes single ones for asyncio, all of them in one thread
of its own. Both return an Evidence for every attempt, by its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from handclasp.findings import Code
from handclasp.probe.descriptors import allow
from handclasp.probe.evidence import Attempt, Evidence, Failure
from handclasp.probe.reactor import Reactor
from handclasp.probe.resolve import Resolver, system
from handclasp.probe.shares import ShareCache
from handclasp.tlswire.seen import Seen

_STARTS_A_TURN = 16
_ASK_AGAIN = 0.01
_IDLE = 60.0
_JOIN = 5.0

_log = logging.getLogger("handclasp.probe")


@dataclass(eq=False, slots=True)
class _Order:
    """An attempt that a coroutine waits for."""

    attempt: Attempt
    future: asyncio.Future[Evidence]
    serial: int | None = None
    cancelled: bool = False


class Driver:
    """Makes attempts. ``concurrency`` is the most at once, ``per_host`` the most connections at once to one address
    (0: any number); waiting for one's turn does not count towards the deadline.

    ``new_random`` gives that many random octets, ``resolve`` the addresses of a name (default: the system's resolver).
    """

    def __init__(
        self,
        *,
        concurrency: int = 500,
        per_host: int = 0,
        new_random: Callable[[int], bytes],
        resolve: Resolver | None = None,
    ) -> None:
        self._concurrency = allow(max(concurrency, 1))
        self._per_host = per_host
        self._new_random = new_random
        self._resolve = resolve or system
        self._shares = ShareCache()
        self._guard = threading.Lock()
        self._background: _Background | None = None
        self._closed = False

    def run(self, attempts: Iterator[Attempt | None], done: Callable[[Attempt, Evidence], None]) -> None:
        """Make all of them in this thread, and return when they have ended; ``done`` is called for each.

        The iterator is asked for the next attempt when there is room for it; None means that there is none right now,
        and that it is to be asked again soon. What it or ``done`` raises ends the run.
        """
        reactor = self._reactor()
        try:
            more = True
            while more or not reactor.empty:
                patience = _IDLE
                for _ in range(_STARTS_A_TURN if more else 0):
                    if reactor.room <= 0:
                        break
                    try:
                        attempt = next(attempts)
                    except StopIteration:
                        more = False
                        break
                    if attempt is None:
                        patience = _ASK_AGAIN
                        break
                    reactor.start(attempt, done)
                else:
                    patience = 0.0 if more else patience
                if more or not reactor.empty:
                    reactor.turn(patience)
        finally:
            reactor.close()

    async def attempt(self, attempt: Attempt) -> Evidence:
        """Make one. Cancelling the caller closes the connection. After ``close`` the evidence says so."""
        order = _Order(attempt, asyncio.get_running_loop().create_future())
        with self._guard:
            if self._closed:
                return _closed(attempt)
            if self._background is None:
                self._background = _Background(self._reactor())
            background = self._background
        background.submit(order)
        try:
            return await order.future
        except asyncio.CancelledError:
            background.cancel(order)
            raise

    def close(self) -> None:
        """End what ``attempt`` has begun. The driver can still ``run``."""
        with self._guard:
            self._closed = True
            background, self._background = self._background, None
        if background is not None:
            background.stop()

    def _reactor(self) -> Reactor:
        return Reactor(self._concurrency, self._per_host, self._new_random, self._resolve, self._shares)


class _Background:
    """The thread that makes attempts for coroutines."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._ordered: deque[_Order] = deque()
        self._cancelled: deque[_Order] = deque()
        self._under_way: set[_Order] = set()
        self._finished: dict[asyncio.AbstractEventLoop, list[tuple[_Order, Evidence]]] = {}
        self._waker = reactor.waker
        self._stopping = False
        self._gone = False
        self._thread = threading.Thread(target=self._main, name="handclasp-probe", daemon=True)
        self._thread.start()

    def submit(self, order: _Order) -> None:
        """From any thread."""
        self._ordered.append(order)
        self._waker.wake()
        if self._gone:
            self._give_up()

    def cancel(self, order: _Order) -> None:
        """From any thread."""
        order.cancelled = True
        self._cancelled.append(order)
        self._waker.wake()

    def stop(self) -> None:
        """From any thread; returns when the thread has ended."""
        self._stopping = True
        self._waker.wake()
        self._thread.join(_JOIN)

    def _main(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception:
            _log.exception("the thread that makes connections has failed")
        finally:
            self._gone = True
            self._give_up()
            self._reactor.close()

    def _turn(self) -> None:
        reactor = self._reactor
        started = 0
        while self._ordered and reactor.room > 0 and started < _STARTS_A_TURN:
            order = self._ordered.popleft()
            if not order.cancelled:
                self._begin(order)
                started += 1
        while self._cancelled:
            order = self._cancelled.popleft()
            if order.serial is not None:
                reactor.abort(order.serial, "nobody waits for it any more")
        reactor.turn(0.0 if self._ordered and reactor.room > 0 else _IDLE)
        if self._finished:
            self._deliver()

    def _begin(self, order: _Order) -> None:
        self._under_way.add(order)

        def done(_: Attempt, evidence: Evidence) -> None:
            self._under_way.discard(order)
            if not order.cancelled:
                self._finished.setdefault(order.future.get_loop(), []).append((order, evidence))

        order.serial = self._reactor.start(order.attempt, done)

    def _deliver(self) -> None:
        """One call into each event loop for all that has ended."""
        finished, self._finished = self._finished, {}
        for loop, results in finished.items():
            # A loop that was closed has nobody waiting in it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_hand_over, results)

    def _give_up(self) -> None:
        """Nobody is left waiting when the thread has ended."""
        orders = [*self._under_way, *self._ordered]
        self._under_way.clear()
        self._ordered.clear()
        for order in orders:
            self._finished.setdefault(order.future.get_loop(), []).append((order, _closed(order.attempt)))
        self._deliver()


def _hand_over(results: list[tuple[_Order, Evidence]]) -> None:
    for order, evidence in results:
        if not order.future.done():
            order.future.set_result(evidence)


def _closed(attempt: Attempt) -> Evidence:
    return Evidence(attempt.target, Seen(), failure=Failure(Code.UNKNOWN, "the driver was closed", "resolve"))
