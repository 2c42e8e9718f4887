"""Time that passes only when there is nothing to do: hours of waiting in milliseconds, and the same every time.

    with virtual_time() as run:
        run(main())

The clock of the loop stands still while anything is ready and jumps to the next timer when nothing is. What waits for
the world outside (sockets, threads) would never be ready in time: for code that waits for timers only.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2027, 3, 1, tzinfo=UTC)
"""A Monday: what ``now`` begins with."""


class _Jumping(selectors.SelectSelector):
    """A selector that never waits, but notes for how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        if not ready and timeout is not None:
            self.passed += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is that of its selector."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.passed


@contextmanager
def virtual_time() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """A way to run coroutines in such a loop."""
    loop = VirtualLoop()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            yield runner.run
    finally:
        loop.close()


def now() -> datetime:
    """The date and time in the running loop."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())
