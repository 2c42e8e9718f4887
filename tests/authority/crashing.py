"""A process that ends at a chosen call: what it was in the middle of stays behind as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


class Crash(BaseException):
    """The process ends here."""


class crashing:
    """Passes every call on, and ends the process before or after the one that is numbered ``step``."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left = step
        self._after = after

    def around(self, real: object) -> Any:
        """The same object, but that it may crash."""
        crash = self

        class Around:
            def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
                async def call(*args: object, **kwargs: object) -> object:
                    crash._left -= 1
                    if crash._left == 0 and not crash._after:
                        raise Crash
                    answer = await getattr(real, name)(*args, **kwargs)
                    if crash._left == 0:
                        raise Crash
                    return answer

                return call

        return Around()
