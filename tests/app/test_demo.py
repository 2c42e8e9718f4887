"""The demo API, called over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any

import pytest

from handclasp.app.demo import DemoApi


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoApi]:
    """A demo that serves."""
    api = DemoApi(0)
    api.start()
    yield api
    api.stop()


def call(demo: DemoApi, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    connection = HTTPConnection("127.0.0.1", demo.port, timeout=5)
    try:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_lists_orders_and_names_the_caller(demo: DemoApi) -> None:
    """The caller is the one that the gateway names."""
    status, answer = call(demo, "GET", "/v1/orders?x=1", headers={"X-Client-SPIFFE-ID": "spiffe://example.org/a"})
    assert status == 200
    assert answer["caller"] == "spiffe://example.org/a"
    assert answer["orders"][0] == {"id": 1, "item": "lamp", "quantity": 2}


def test_an_order_that_is_added_is_there(demo: DemoApi) -> None:
    """POST answers 201 with the order, and GET finds it."""
    status, order = call(demo, "POST", "/v1/orders", {"item": "desk", "quantity": 1})
    assert (status, order["item"]) == (201, "desk")
    assert call(demo, "GET", f"/v1/orders/{order['id']}") == (200, order)


@pytest.mark.parametrize("path", ["/", "/v1/orders/99", "/v1/orders/x", "/v1/orders/-1", "/v1/orders/²", "/v2"])
def test_what_is_not_there_is_404(demo: DemoApi, path: str) -> None:
    """No path breaks it."""
    assert call(demo, "GET", path.replace("²", "%C2%B2"))[0] == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b""], ids=["cut", "list", "bytes", "empty"])
def test_a_body_that_is_no_order_is_400(demo: DemoApi, body: bytes) -> None:
    """Told what to send."""
    assert call(demo, "POST", "/v1/orders", body)[0] == 400


SMUGGLED = b"GET /v1/orders HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /v1/orders HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n" + SMUGGLED.ljust(70_000),
        b"GET /v1/orders HTTP/1.1\r\nhost: a\r\ncontent-length: 36\r\n\r\n" + SMUGGLED,
        b"POST /v1/orders HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n24\r\n"
        + SMUGGLED
        + b"\r\n0\r\n\r\n",
    ],
    ids=["too large", "of a GET", "in chunks"],
)
def test_a_body_that_is_not_read_is_not_the_next_request(demo: DemoApi, request_: bytes) -> None:
    """The gateway reuses its connections: what one caller sends must not be answered to another."""
    with socket.create_connection(("127.0.0.1", demo.port), timeout=0.5) as caller:
        caller.sendall(request_)
        answers = b""
        with suppress(TimeoutError, ConnectionResetError):
            while chunk := caller.recv(65536):
                answers += chunk
    assert answers.count(b"HTTP/1.1 ") == 1


def test_whoami_shows_what_the_gateway_said_and_no_more(demo: DemoApi) -> None:
    """The identity headers, and not Authorization or the like."""
    told = {"x-client-verify": "SUCCESS", "authorization": "secret"}
    assert call(demo, "GET", "/whoami", headers=told) == (200, {"x-client-verify": "SUCCESS"})


def test_stop_frees_the_port() -> None:
    """After stop somebody else can have the port."""
    api = DemoApi(0)
    api.start()
    api.stop()
    again = DemoApi(api.port)
    again.start()
    again.stop()


def test_stop_without_start() -> None:
    """A start-up that failed stops a demo that never served: it must not wait for ever."""
    api = DemoApi(0)
    stopping = threading.Thread(target=api.stop, daemon=True)
    stopping.start()
    stopping.join(3)
    assert not stopping.is_alive()
