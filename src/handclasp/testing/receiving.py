"""Those who are told: a small server of HTTP that keeps what was posted to it and answers from a script.

with receiving() as receiver:
    receiver.url, receiver.posts
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from handclasp.testing.servers.material import Material

Answer = tuple[int, Mapping[str, str]]
OK: Answer = (200, {})


@dataclass(frozen=True, slots=True)
class Post:
    """One request, with its headers by lower-case name."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body read."""
        return json.loads(self.body)


@dataclass(slots=True)
class Receiving:
    """A running receiver. ``answers`` are given in turn, the last one again and again."""

    url: str
    answers: list[Answer]
    posts: list[Post] = field(default_factory=list)

    def answer(self, post: Post) -> Answer:
        """Keep it, and say what the script has."""
        self.posts.append(post)
        return self.answers[min(len(self.posts), len(self.answers)) - 1]


@contextmanager
def receiving(*answers: Answer, tls: Material | None = None) -> Iterator[Receiving]:
    """A receiver on a loopback port: 127.0.0.1, or localhost with TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = found.answer(Post(self.path, headers, body))
            self.send_response(status)
            for name, value in {"content-length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """A test's output is for the test."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Who does not trust the certificate goes away in the middle of the handshake."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.server.chain, tls.server.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    base = "http://127.0.0.1" if tls is None else "https://localhost"
    found = Receiving(f"{base}:{server.server_port}", list(answers) or [OK])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
