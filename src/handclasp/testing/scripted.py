"""Servers that do exactly what a test tells them, octet by octet, for clients that must bear anything.

    with Scripted(lambda conversation: conversation.sock.sendall(b"220 hello\\r\\n")) as server:
        server.port

A ``Conversation`` can also speak TLS over memory (``tls``), so that a script decides which octets of a true handshake
are sent, and when.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.pki.keys import private_pem
from handclasp.testing.chains import make

_PATIENCE = 10.0


class Conversation:
    """One accepted connection."""

    def __init__(self, server: Scripted, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock

    def reset(self) -> None:
        """End it by a reset instead of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_end(self) -> None:
        """Read until the client has ended the connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def first_flight(self, context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO, bytes]:
        """What the server says to the client's hello, without sending it."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while not outgoing.pending:
            incoming.write(self.sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        return tls, incoming, outgoing, outgoing.read()

    def tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """An orderly handshake. Raises ssl.SSLError and OSError where the client does not go along."""
        stream = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock = stream
        stream.do_handshake()
        return stream

    def request(self, stream: ssl.SSLSocket) -> bytes:
        """The client's HTTP request, up to its empty line."""
        request = b""
        while b"\r\n\r\n" not in request and (more := stream.recv(65536)):
            request += more
        return request


class Scripted:
    """Runs ``script`` for every connection, in a thread of its own. ``accepted`` counts them. ``path`` makes it a
    Unix socket."""

    def __init__(
        self,
        script: Callable[[Conversation], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: Path | None = None,
    ) -> None:
        if path is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
        else:
            self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
        self._listener.listen(1024)
        self.port: int = 0 if path is not None else self._listener.getsockname()[1]
        self.accepted = self._open = 0
        self._script = script
        self._guard = threading.Lock()
        self._quiet = threading.Condition(self._guard)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE)
        self._listener.close()
        with self._guard:
            self._quiet.wait_for(lambda: not self._open, _PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._guard:
                self.accepted += 1
                self._open += 1
            sock.settimeout(_PATIENCE)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        conversation = Conversation(self, sock)
        with contextlib.suppress(OSError, ssl.SSLError), sock:
            try:
                self._script(conversation)
            finally:
                conversation.sock.close()
                sock.close()
                with self._guard:
                    self._open -= 1
                    self._quiet.notify_all()


def server_context(
    *, client: ssl.VerifyMode = ssl.CERT_NONE, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """OpenSSL as a server for localhost, self-signed; it trusts clients by an authority of its own. From TLS 1.2 up to
    ``newest``."""
    begins = datetime.now(UTC) - timedelta(hours=1)
    ends = begins + timedelta(days=2)
    names = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    leaf = make("localhost", names=names, begins=begins, ends=ends)
    callers = make("Scripted Callers", authority=True, begins=begins, ends=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(leaf.certificate.public_bytes(Encoding.PEM) + private_pem(leaf.key))
        file.flush()
        context.load_cert_chain(file.name)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    context.verify_mode = client
    context.load_verify_locations(cadata=callers.certificate.public_bytes(Encoding.PEM).decode())
    return context
