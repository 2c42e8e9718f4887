"""The HTTP server: uvicorn inside the running event loop, with limits that it does not have itself.

Whoever connects is a stranger: every wait has an end, and every buffer a size.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handclasp.authority.issue import Authority
from handclasp.findings import Code, Refused
from handclasp.protocols.ocsp.responder import Responder
from handclasp.protocols.publish.lists import Lists
from handclasp.protocols.publish.replies import HttpReply, refused
from handclasp.protocols.publish.site import MAX_REQUEST, HttpRequest, Site

if TYPE_CHECKING:
    import uvicorn

WATCH_SECONDS = 0.3
"""How soon a revocation by another process is seen."""

_MAX_CONNECTIONS = 512
_KEEP_ALIVE_SECONDS = 15
_BODY_SECONDS = 10.0
_STOP_SECONDS = 2
_CHUNK = 64 * 1024

_log = logging.getLogger("handclasp.publish")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class PublishServer:
    """A running server. ``port`` is the one it listens on; ``stop`` ends it."""

    def __init__(
        self,
        site: Site,
        lists: Lists,
        responder: Responder,
        listener: socket.socket,
        clock: Callable[[], datetime],
        watch_seconds: float,
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self._site = site
        self._lists = lists
        self._responder = responder
        self._listener = listener
        self._clock = clock
        self._watch_seconds = watch_seconds
        self._uvicorn: uvicorn.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def refresh(self) -> None:
        """Publish what was revoked before this call: to be called after every revocation. Raises as the ledger does."""
        now = self._clock()
        await self._responder.refresh(now)
        await self._lists.refresh(now)

    async def start(self) -> None:
        """Serve from now on; ``serve`` calls it."""
        self._uvicorn = _server(self._app)
        running = asyncio.create_task(self._uvicorn.serve(sockets=[self._listener]))
        self._tasks = [running, asyncio.create_task(self._watch())]
        while not self._uvicorn.started:
            if running.done():
                running.result()
                break
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End it: requests under way have two seconds."""
        if self._uvicorn is None:
            return
        running, watching = self._tasks
        watching.cancel()
        self._uvicorn.should_exit = True
        await asyncio.gather(running, watching, return_exceptions=True)
        self._listener.close()

    async def _watch(self) -> None:
        """Other processes revoke, and lists grow old."""
        failing = False
        while True:
            await asyncio.sleep(self._watch_seconds)
            try:
                await self.refresh()
                failing = False
            except Exception:
                if not failing:
                    _log.exception("what is published cannot be refreshed; the last is served on")
                failing = True

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._reply(scope, receive)
        except _ClientGone:
            return
        except Exception:
            _log.exception("a request could not be answered")
            reply = refused(503, "Try again later.", (b"retry-after", b"5"))
        headers = reply.headers
        if reply.status in (400, 408, 413):
            # The rest of the request is not read.
            headers = (*headers, (b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else reply.body
        # In pieces, so that a client that reads slowly does not make us hold the whole list for it.
        for at in range(0, len(body), _CHUNK):
            more = at + _CHUNK < len(body)
            await send({"type": "http.response.body", "body": body[at : at + _CHUNK], "more_body": more})
        if not body:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _reply(self, scope: Message, receive: Receive) -> HttpReply:
        method, path = scope["method"].encode(), scope["raw_path"]
        body = b""
        if self._site.takes_body(method, path):
            try:
                async with asyncio.timeout(_BODY_SECONDS):
                    found = await _body(receive, dict(scope["headers"]))
            except TimeoutError:
                return refused(408, "The request did not arrive in time.")
            if found is None:
                return refused(413, f"An OCSP request has at most {MAX_REQUEST} octets.")
            body = found
        return await self._site.answer(HttpRequest(method, path, dict(scope["headers"]), body), self._clock())


async def serve(
    authority_source: Callable[[], Authority],
    host: str,
    port: int,
    *,
    clock: Callable[[], datetime],
    serial: Callable[[], int],
    prefix: str = "",
    watch_seconds: float = WATCH_SECONDS,
) -> PublishServer:
    """Publish for the authority that ``authority_source`` gives now, on ``host`` and ``port`` (0: any free one).

    ``clock`` gives the time in UTC, ``serial`` fresh serial numbers for the OCSP signers, ``prefix`` is the path of the
    base URL. Refused(CONFIG_INVALID) if the address cannot be had; raises what the ledger raises.
    """
    lists, responder = Lists(authority_source), Responder(authority_source, serial=serial)
    site = Site(authority_source, lists, responder, prefix=prefix)
    listener = _listen(host, port)
    server = PublishServer(site, lists, responder, listener, clock, watch_seconds)
    try:
        await server.refresh()
        await server.start()
    except BaseException:
        listener.close()
        raise
    return server


@contextlib.asynccontextmanager
async def served(
    authority_source: Callable[[], Authority],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Callable[[], datetime],
    serial: Callable[[], int],
    prefix: str = "",
    watch_seconds: float = WATCH_SECONDS,
) -> AsyncIterator[PublishServer]:
    """``serve`` until the block ends."""
    server = await serve(
        authority_source, host, port, clock=clock, serial=serial, prefix=prefix, watch_seconds=watch_seconds
    )
    try:
        yield server
    finally:
        await server.stop()


class _ClientGone(Exception):
    """It closed the connection in the middle of its request."""


async def _body(receive: Receive, headers: dict[bytes, bytes]) -> bytes | None:
    """The body of the request, None if it is too long."""
    if len(headers.get(b"content-length", b"").lstrip(b"0")) > len(str(MAX_REQUEST)):
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _ClientGone
        body += bytes(message.get("body", b""))
        if len(body) > MAX_REQUEST:
            return None
        if not message.get("more_body", False):
            return body


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _address_refused(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _address_refused(host, port, error) from None
    return listener


def _address_refused(host: str, port: int, error: OSError) -> Refused:
    return Refused(
        Code.CONFIG_INVALID,
        f"Nothing can be published on {host}:{port}",
        error.strerror or str(error),
        "Choose an address of this machine and a port that is free.",
    )


def _server(app: Callable[[Message, Receive, Send], Any]) -> uvicorn.Server:
    # Imported only when used: whoever publishes nothing does not wait for it.
    import uvicorn

    from handclasp.protocols.publish.connection import LimitedConnection

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are the program's, not ours."""
            yield

    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        # Every stranger's broken request would be a line.
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return Server(config)
