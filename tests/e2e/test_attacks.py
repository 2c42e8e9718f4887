"""What a caller with a good certificate might try beyond its rules."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import pytest

from handclasp.app.state import BUNDLE, CHAIN, KEY
from handclasp.testing.calls import Caller, call

if TYPE_CHECKING:
    from tests.e2e.conftest import Laboratory


def statuses(lab: Laboratory, raw: bytes, name: str = "checkout") -> list[bytes]:
    """The status of every answer to these bytes on one connection for localhost."""
    with Caller(lab.port, lab.trust, lab.files(name)) as caller:
        caller.socket.sendall(raw)
        caller.socket.settimeout(2)
        received = b""
        try:
            while chunk := caller.socket.recv(65536):
                received += chunk
        except OSError:
            pass
    return [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"GET /v1/orders HTTP/1.1\r\n\r\n", [b"400"], id="no-host"),
        pytest.param(
            b"GET /v1/orders HTTP/1.1\r\nHost: localhost\r\nHost: users.example.org\r\nConnection: close\r\n\r\n",
            [b"421"],
            id="two-hosts",
        ),
        pytest.param(
            b"GET https://users.example.org/users/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            [b"421"],
            id="absolute-form-of-another-service",
        ),
        pytest.param(
            b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
            [b"400"],
            id="two-lengths",
        ),
        pytest.param(
            b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            [b"400"],
            id="two-content-lengths",
        ),
        pytest.param(
            b"GET /v1/orders HTTP/1.1\r\nHost: localhost\r\nX-Client-DN : CN=root\r\n\r\n", [b"400"], id="space-in-name"
        ),
        pytest.param(
            b"GET /v1/orders HTTP/1.1\r\nHost: localhost\r\n X-Client-DN: CN=root\r\n\r\n", [b"400"], id="folded-line"
        ),
    ],
)
def test_ambiguous_requests_are_refused(lab: Laboratory, raw: bytes, expected: list[bytes]) -> None:
    """What two servers could read in two ways is read by none."""
    assert statuses(lab, raw) == expected


def test_an_upgrade_that_is_not_served_is_no_refusal_by_rule(lab: Laboratory) -> None:
    """Only WebSocket is upgraded; the answer to another does not claim that a rule denied it."""
    headers = [("Connection", "upgrade"), ("Upgrade", "h2c")]
    answer = call(lab.alone_port, lab.trust, lab.files("all"), "GET", "/", headers=headers)
    assert (answer.status == 200 and "upgrade" not in dict(answer.json["headers"])) or (
        answer.json["code"] == "GATEWAY_BAD_REQUEST"
    )


def test_http2_host_beside_authority_reaches_no_other_service(lab: Laboratory) -> None:
    """:authority decides; a Host header that says otherwise does not come to the API as its Host."""
    files = lab.files("all")
    context = ssl.create_default_context(cafile=files / BUNDLE)
    context.load_cert_chain(files / CHAIN, files / KEY)
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", lab.alone_port), timeout=5)
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        fields = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "localhost")]
        connection.send_headers(1, [*fields, ("host", "users.example.org")], end_stream=True)
        tls.sendall(connection.data_to_send())
        body, done = b"", False
        while not done:
            received = tls.recv(65536)
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                done = done or isinstance(event, h2.events.StreamEnded | h2.events.StreamReset)
            done = done or not received
    assert b"users.example.org" not in body
