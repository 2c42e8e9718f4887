"""Servers that do not speak TLS, each in one way: for what a client sees of the wrong port."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

KINDS = ("http", "ssh", "silent", "close", "reset", "refused", "dns")
_GREETINGS = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@contextmanager
def faulty(kind: str) -> Iterator[tuple[str, int]]:
    """The host and port of such a server, for as long as the block runs."""
    if kind == "dns":
        yield "no-such-name.invalid", 443
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if kind == "refused":
            listener.close()
            yield "localhost", port
            return
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, kind, stop), daemon=True)
        thread.start()
        try:
            yield "localhost", port
        finally:
            stop.set()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
            thread.join(5)


def _serve(listener: socket.socket, kind: str, stop: threading.Event) -> None:
    held = []
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        connection.settimeout(5)
        with suppress(OSError):
            if kind == "silent":
                held.append(connection)
                continue
            if kind == "ssh":
                connection.sendall(_GREETINGS[kind])
            connection.recv(4096)
            if kind == "http":
                connection.sendall(_GREETINGS[kind])
            if kind == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    for one in held:
        one.close()
