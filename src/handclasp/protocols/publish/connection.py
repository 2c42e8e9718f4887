"""uvicorn's HTTP connection, with limits on what a client may send and how long it may take."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD = 32 * 1024
"""Octets of request line and headers; the parser itself has no limit."""
MAX_MESSAGE = 256 * 1024
"""Octets of a whole request, also of a body that nobody reads."""
MAX_PIPELINED = 64
"""Requests sent without waiting for the answers before; uvicorn keeps any number of them."""
HEAD_SECONDS = 10.0
"""How long a client may take over them, and over connecting without a word."""
STALL_SECONDS = 30.0
"""How long a client may leave what it is sent unread."""


class LimitedConnection(HttpToolsProtocol):
    """Aborts the connection of a client that sends too much, too slowly, or reads nothing."""

    _waiting: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _received = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset()
        if self._stalled is not None:
            self._stalled.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._received > MAX_HEAD:
            self.send_400_response("The headers are too long.")
        elif self._received > MAX_MESSAGE or len(self.pipeline) > MAX_PIPELINED:
            self.transport.abort()
        elif self._waiting is None and self._idle():
            # Octets between two requests, or of a body after its answer: uvicorn has stopped its own timer.
            self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._waiting is None:
            self._wait()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unset()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._received = 0

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def _idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _unset(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
