"""The exporter, served: uvicorn in the running event loop, on the limited connection of what is published."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from handclasp.app.endpoints import Listen
from handclasp.findings import Code, Refused

if TYPE_CHECKING:
    import uvicorn

Application = Callable[[Any, Any, Any], Awaitable[None]]

_MOST_CONNECTIONS: Final = 256
_KEEP_ALIVE_SECONDS: Final = 75  # longer than the usual minute between two scrapes
_STOP_SECONDS: Final = 2


class HttpServer:
    """A running server of an ASGI application. ``port`` is the one it listens on."""

    def __init__(self, listener: socket.socket, application: Application) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._server = _server(application)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve from now on."""
        self._running = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started:
            if self._running.done():
                self._running.result()
                break
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End it; requests under way have two seconds."""
        self._server.should_exit = True
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        self._listener.close()


async def serve(where: Listen, application: Application) -> HttpServer:
    """Serve on an address and a port (0: any free one). Refused(CONFIG_INVALID) if it cannot be had."""
    server = HttpServer(_listener(where), application)
    await server.start()
    return server


def _listener(where: Listen) -> socket.socket:
    address = where.address or "127.0.0.1"
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, where.port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Refused(
            Code.CONFIG_INVALID,
            f"Metrics cannot be served on {where}",
            error.strerror or str(error),
            "Choose an address of this machine and a port that is free: monitoring.listen in handclasp.yaml.",
        ) from None
    return listener


def _server(application: Application) -> uvicorn.Server:
    # Imported only when used: whoever serves no metrics does not wait for it.
    import uvicorn

    from handclasp.protocols.publish.connection import LimitedConnection

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are the program's, not ours."""
            yield

    config = uvicorn.Config(
        application,
        http=LimitedConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # every stranger's broken request would be a line
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return Server(config)
