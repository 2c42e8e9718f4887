"""A small orders API, to stand behind the gateway when somebody only wants to look. In memory, on loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

SERVICE = "orders"
PATH = "/v1/orders"
_MAX_BODY = 65536
_SHOWN = (
    "x-client-dn",
    "x-client-verify",
    "x-client-spiffe-id",
    "x-client-cert-serial",
    "x-client-cert-fingerprint",
    "client-cert",
    "x-forwarded-client-cert",
)


class _Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    orders: ClassVar[dict[int, dict[str, object]]] = {
        1: {"id": 1, "item": "lamp", "quantity": 2},
        2: {"id": 2, "item": "chair", "quantity": 4},
    }
    guard: ClassVar[threading.Lock] = threading.Lock()
    _read = 0

    def handle_one_request(self) -> None:
        """A request of a connection: nothing of its body is read yet."""
        self._read = 0
        super().handle_one_request()

    def do_GET(self) -> None:
        """List the orders, show one, or show what the API was told about its caller."""
        path = urlsplit(self.path).path.rstrip("/")
        if path == "/whoami":
            self._answer(200, {name: self.headers[name] for name in _SHOWN if name in self.headers})
        elif path == PATH:
            with self.guard:
                self._answer(200, {"caller": self.headers.get("x-client-spiffe-id"), "orders": [*self.orders.values()]})
        else:
            number = path.removeprefix(PATH + "/")
            with self.guard:
                order = self.orders.get(int(number)) if number.isdecimal() else None
            self._answer(*((200, order) if order else (404, {"error": "no such order"})))

    def do_POST(self) -> None:
        """Add an order: {"item": ..., "quantity": ...}."""
        body = self._body()
        if urlsplit(self.path).path.rstrip("/") != PATH:
            self._answer(404, {"error": f"orders are posted to {PATH}"})
        elif body is None:
            self._answer(400, {"error": 'send JSON: {"item": "desk", "quantity": 1}'})
        else:
            with self.guard:
                number = max(self.orders, default=0) + 1
                order = {"id": number, "item": body.get("item"), "quantity": body.get("quantity")}
                self.orders[number] = order
            self._answer(201, order)

    def _body(self) -> dict[str, object] | None:
        try:
            length = int(self.headers.get("content-length", "0"))
            if not 0 <= length <= _MAX_BODY:
                return None
            data = self.rfile.read(length)
            self._read = length
            body = json.loads(data)
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    @property
    def _unread(self) -> bool:
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0") != str(self._read)

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if self._unread:
            # What is left of the body must not be taken for the next request of a connection that callers share.
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def version_string(self) -> str:
        """The Server header."""
        return "handclasp-demo"

    def log_message(self, format: str, *args: object) -> None:
        """The gateway logs each call; the demo does not do it again."""


class DemoApi:
    """The demo, listening from construction on; serves in a thread of its own between ``start`` and ``stop``."""

    def __init__(self, port: int) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Orders)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._serving = False

    def start(self) -> None:
        """Serve."""
        self._serving = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the socket."""
        if self._serving:
            self._server.shutdown()  # waits for ever where nothing serves
        self._server.server_close()
