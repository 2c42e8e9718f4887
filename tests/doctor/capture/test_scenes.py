"""Connections of every other kind: what TCP did, what is no TLS, and who was silent."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from tests.doctor.capture import wire
from tests.doctor.capture.wire import ACK, BEGAN, RST, SYN, Frame, capture, conversation, ethernet, ipv4

from handclasp.doctor.capture import examine
from handclasp.doctor.diagnosis import Diagnosis
from handclasp.findings import Code

AT = datetime.fromtimestamp(BEGAN, UTC)
ALERT_TO_HTTP = b"\x15\x03\x01\x00\x02\x02\x46"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PLAIN_400 = b"HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>"


def client_hello(name: str = "api.example") -> bytes:
    """The first record of Python's own client."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(into, out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


HELLO = client_hello()


def examined(frames: list[Frame]) -> Diagnosis:
    return examine(capture(frames), "x.pcap", AT)


def codes(diagnosis: Diagnosis) -> list[Code]:
    return [one.code for one in diagnosis.candidates]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param(
            [Frame(True, 1, 0, SYN), Frame(False, 0, 2, RST | ACK)], [Code.NET_CONNECTION_REFUSED], id="refused"
        ),
        pytest.param([Frame(True, 1, 0, SYN)] * 3, [Code.NET_CONNECT_TIMEOUT], id="no answer"),
        pytest.param(conversation([(True, HELLO)], end=""), [Code.NET_HANDSHAKE_TIMEOUT], id="silence after the hello"),
        pytest.param(
            conversation([(True, HELLO)], end="rst"),
            [Code.NET_RESET_DURING_HANDSHAKE, Code.TLS_SNI_UNRECOGNIZED, Code.TLS_VERSION_MISMATCH],
            id="reset after the hello",
        ),
        pytest.param(
            conversation([(True, HELLO)]),
            [Code.NET_CLOSED_DURING_HANDSHAKE, Code.TLS_SNI_UNRECOGNIZED, Code.TLS_VERSION_MISMATCH],
            id="closed after the hello",
        ),
        pytest.param(conversation([]), [Code.NET_CLOSED_DURING_HANDSHAKE], id="closed before the hello"),
        pytest.param(conversation([(True, HELLO), (False, PLAIN_400)]), [Code.PROTO_TLS_TO_PLAIN], id="HTTP answer"),
        pytest.param(conversation([(True, HELLO), (False, b"SSH-2.0-x\r\n")]), [Code.PROTO_NOT_TLS], id="SSH answer"),
        pytest.param(
            conversation([(True, REQUEST), (False, PLAIN_400)]), [Code.PROTO_PLAIN_HTTP_TO_TLS], id="HTTP, nginx's page"
        ),
        pytest.param(
            conversation([(True, REQUEST), (False, ALERT_TO_HTTP)]), [Code.PROTO_PLAIN_HTTP_TO_TLS], id="HTTP, an alert"
        ),
        pytest.param(conversation([(True, REQUEST)]), [Code.PROTO_PLAIN_HTTP_TO_TLS], id="HTTP, a silent end"),
        pytest.param(
            conversation([(True, HELLO), (False, b"\x15\x03\x03\x00\x02\x02\x70")]),
            [Code.TLS_SNI_UNRECOGNIZED, Code.TLS_ALERT],
            id="alert 112",
        ),
        pytest.param(
            conversation([(True, b"CONNECT api.example:443 HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 407 No\r\n\r\n")]),
            [Code.NET_PROXY_REFUSED],
            id="proxy",
        ),
    ],
)
def test_scene(frames: list[Frame], expected: list[Code]) -> None:
    """Each scene has its causes, the best first."""
    assert codes(examined(frames)) == expected


def test_patience() -> None:
    """An end after seconds of silence is a timeout."""
    frames = conversation([(True, HELLO)], by_client=True)
    late = [*frames[:-2], *(Frame(one.client, one.sequence, 0, one.flags, at=30.0) for one in frames[-2:])]
    diagnosis = examined(late)
    assert codes(diagnosis) == [Code.NET_HANDSHAKE_TIMEOUT, Code.NET_CLOSED_DURING_HANDSHAKE]
    assert diagnosis.verdict == (
        "The client closed the connection after 30 seconds of silence, in the middle of the handshake."
    )


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(
            [(True, b"CONNECT api.example:443 HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n\r\n")], id="CONNECT"
        ),
        pytest.param([(True, b"PROXY TCP4 10.0.0.9 10.0.0.2 5 8443\r\n")], id="PROXY v1"),
        pytest.param([(True, b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12))], id="PROXY v2"),
    ],
)
def test_behind_something(before: list[wire.Said]) -> None:
    """TLS inside of a tunnel, or behind a PROXY header, is read."""
    diagnosis = examined(conversation([*before, (True, HELLO), (False, ALERT_TO_HTTP)]))
    assert diagnosis.candidates[0].code is Code.TLS_VERSION_MISMATCH


def test_hello_across_segments() -> None:
    """A ClientHello in small pieces is one ClientHello."""
    diagnosis = examined(conversation([(True, HELLO), (False, ALERT_TO_HTTP)], largest=7))
    assert diagnosis.evidence[1].facts["sni"] == "api.example"


def test_gap_in_the_handshake() -> None:
    """Where octets of the hello are missing nothing is concluded, and how to capture is said."""
    frames = conversation([(True, HELLO)], largest=100)
    diagnosis = examined([*frames[:4], *frames[5:]])
    assert (codes(diagnosis), diagnosis.decider) == (
        [Code.UNKNOWN],
        "A capture that is whole: tcpdump -s 0 -w FILE, on the client or on the server.",
    )


def test_snapshot_length() -> None:
    """Packets of which only the headers were captured are said to be so."""
    frames = [(one.at, ethernet(ipv4(one))) for one in conversation([(True, HELLO)])]
    diagnosis = examine(wire.pcap(frames, snap=80), "x.pcap", AT)
    assert "its packets were captured only in part (tcpdump needs -s 0)" in diagnosis.evidence[1].seen
    assert codes(diagnosis) == [Code.UNKNOWN]


def test_the_clearest_failure_is_the_verdict() -> None:
    """Of several connections the one that was refused with a reason is the verdict; the others are findings."""
    silent = [(0.0, ethernet(ipv4(Frame(True, 1, 0, SYN), client=b"\x0a\0\0\x09")))]
    refused = [(one.at, ethernet(ipv4(one))) for one in conversation([(True, HELLO), (False, ALERT_TO_HTTP)])]
    diagnosis = examine(wire.pcap(silent + refused), "x.pcap", AT)
    assert diagnosis.code is Code.TLS_VERSION_MISMATCH
    assert [one.code for one in diagnosis.findings] == [Code.TLS_VERSION_MISMATCH, Code.NET_CONNECT_TIMEOUT]
    assert diagnosis.verdict.endswith("(1 of 2 connections, the first from 10.0.0.1:40001 to 10.0.0.2:8443)")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"no capture", Code.FILE_UNRECOGNIZED, id="no capture"),
        pytest.param(wire.pcap([]), Code.UNKNOWN, id="no packets"),
        pytest.param(wire.pcap([(0.0, bytes(60))], link=105), Code.UNKNOWN, id="Wi-Fi"),
        pytest.param(capture(conversation([(True, b"\x17\x03\x03")])[3:]), Code.UNKNOWN, id="begun before"),
        pytest.param(capture(conversation([(True, REQUEST), (False, b"HTTP/1.1 200 OK")])), Code.UNKNOWN, id="HTTP"),
    ],
)
def test_nothing_to_examine(data: bytes, code: Code) -> None:
    """Without a handshake there is no examination: exit code 2."""
    diagnosis = examine(data, "x.pcap", AT)
    assert (diagnosis.code, diagnosis.examined, diagnosis.exit_code) == (code, False, 2)


def test_strangers_names_are_fit_to_print() -> None:
    """A server name with control characters does not reach a terminal."""
    hello = HELLO.replace(b"api.example", b"api\x1b[31m\x07le")
    told = str(examined(conversation([(True, hello), (False, ALERT_TO_HTTP)])).as_json())
    assert "\x1b" not in told
    assert "\\x1b[31m" in told
