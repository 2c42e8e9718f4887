"""Servers that mean harm, or are broken: every attempt ends by its deadline, with a code of the catalogue."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from handclasp.findings import CATALOGUE, Code
from handclasp.probe.evidence import Attempt, Evidence, Request
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.testing.scripted import Conversation, Scripted, server_context
from handclasp.tlswire.offer import Offer

DEADLINE = 1.0
SLACK = 0.1
OFFER = Offer("localhost")
FREE, FREE_12 = server_context(), server_context(newest=ssl.TLSVersion.TLSv1_2)
REQUIRED = server_context(client=ssl.CERT_REQUIRED)
OPTIONAL = server_context(client=ssl.CERT_OPTIONAL)
OPTIONAL.num_tickets = 0

Script = Callable[[Conversation], None]


def _say(octets: bytes) -> Script:
    """Say it once the client has spoken, then stay."""

    def script(conversation: Conversation) -> None:
        conversation.sock.recv(65536)
        conversation.sock.sendall(octets)
        conversation.wait_for_end()

    return script


def _then_close(octets: bytes) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.sock.recv(65536)
        conversation.sock.sendall(octets)

    return script


def _for_ever(octets: bytes, pause: float = 0.0) -> Script:
    """Say it again and again, until the client has had enough."""

    def script(conversation: Conversation) -> None:
        conversation.sock.recv(65536)
        while True:
            conversation.sock.sendall(octets)
            time.sleep(pause)

    return script


def _drip(context: ssl.SSLContext) -> Script:
    """A true handshake, one octet every 100 ms."""

    def script(conversation: Conversation) -> None:
        for octet in conversation.first_flight(context)[3]:
            conversation.sock.sendall(bytes((octet,)))
            time.sleep(0.1)

    return script


def _reset(octets: bytes = b"") -> Script:
    def script(conversation: Conversation) -> None:
        conversation.sock.recv(65536)
        conversation.sock.sendall(octets)
        conversation.reset()

    return script


def _half_close(conversation: Conversation) -> None:
    conversation.sock.recv(65536)
    conversation.sock.shutdown(socket.SHUT_WR)
    conversation.wait_for_end()


def _handshake(context: ssl.SSLContext, then: Callable[[Conversation, ssl.SSLSocket], None]) -> Script:
    def script(conversation: Conversation) -> None:
        then(conversation, conversation.tls(context))

    return script


def _answer(octets: bytes) -> Script:
    """An HTTP response, and then stay."""

    def then(conversation: Conversation, stream: ssl.SSLSocket) -> None:
        conversation.request(stream)
        stream.sendall(octets)
        conversation.wait_for_end()

    return _handshake(FREE, then)


def _answer_for_ever(start: bytes, again: bytes, pause: float = 0.0) -> Script:
    def then(conversation: Conversation, stream: ssl.SSLSocket) -> None:
        conversation.request(stream)
        stream.sendall(start)
        while True:
            stream.sendall(again)
            time.sleep(pause)

    return _handshake(FREE, then)


def _answer_and_close(octets: bytes) -> Script:
    def then(conversation: Conversation, stream: ssl.SSLSocket) -> None:
        conversation.request(stream)
        stream.sendall(octets)

    return _handshake(FREE, then)


def _stay(conversation: Conversation, _: ssl.SSLSocket) -> None:
    conversation.wait_for_end()


def _close_after(context: ssl.SSLContext) -> Script:
    """The handshake as far as the client's flight, and then an end without a word."""

    def script(conversation: Conversation) -> None:
        conversation.sock.sendall(conversation.first_flight(context)[3])
        conversation.sock.recv(65536)

    return script


def _reset_after(context: ssl.SSLContext) -> Script:
    def script(conversation: Conversation) -> None:
        conversation.sock.sendall(conversation.first_flight(context)[3])
        conversation.sock.recv(65536)
        conversation.reset()

    return script


def _record(kind: int, payload: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(payload).to_bytes(2, "big") + payload


_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_EXTENDED = b"1;" + b"x" * 3000 + b"\r\na\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """What a server does, and how the attempt has to end: ``whole`` if not before its deadline."""

    script: Script
    code: Code | None
    phase: str = "handshake"
    whole: bool = False
    http: bool = False


in_listening = partial(Case, phase="listen")
in_http = partial(Case, phase="http", http=True)

CASES = {
    "says nothing": Case(_say(b""), Code.NET_HANDSHAKE_TIMEOUT, whole=True),
    "drips": Case(_drip(FREE), Code.NET_HANDSHAKE_TIMEOUT, whole=True),
    "drips with TLS 1.2": Case(_drip(FREE_12), Code.NET_HANDSHAKE_TIMEOUT, whole=True),
    "drips a record": Case(_for_ever(b"\x16\x03\x03\x40\x00", 0.05), Code.NET_HANDSHAKE_TIMEOUT, whole=True),
    "closes": Case(_then_close(b""), Code.NET_CLOSED_DURING_HANDSHAKE),
    "half-closes": Case(_half_close, Code.NET_CLOSED_DURING_HANDSHAKE),
    "closes in a record": Case(_then_close(b"\x16\x03\x03\x00\x50\x02"), Code.NET_CLOSED_DURING_HANDSHAKE),
    "resets": Case(_reset(), Code.NET_RESET_DURING_HANDSHAKE),
    "speaks SSH": Case(_say(b"SSH-2.0-OpenSSH_9.2\r\n"), Code.PROTO_NOT_TLS),
    "speaks HTTP": Case(_say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Code.PROTO_TLS_TO_PLAIN),
    "sends zeros": Case(_for_ever(bytes(65536)), Code.PROTO_NOT_TLS),
    "sends empty records for ever": Case(_for_ever(_record(22, b"") * 100), Code.TLS_MALFORMED),
    "warns for ever": Case(_for_ever(_record(21, b"\x01\x5a") * 100), Code.TLS_MALFORMED),
    "begins an endless message": Case(_say(_record(22, b"\x02\xff\xff\xff" + bytes(1000))), Code.TLS_MALFORMED),
    "alerts: version": Case(_say(_record(21, b"\x02\x46")), Code.TLS_VERSION_MISMATCH),
    "alerts: no cipher": Case(_then_close(_record(21, b"\x02\x28")), Code.TLS_NO_SHARED_CIPHER),
    "alerts: name, then resets": Case(_reset(_record(21, b"\x02\x70")), Code.TLS_SNI_UNRECOGNIZED),
    "echoes": Case(lambda one: one.sock.sendall(one.sock.recv(65536)), Code.TLS_MALFORMED),
    "closes instead of refusing": in_listening(_close_after(REQUIRED), Code.NET_CLOSED_DURING_HANDSHAKE),
    "resets instead of refusing": in_listening(_reset_after(REQUIRED), Code.NET_RESET_DURING_HANDSHAKE),
    "closes after our flight in 1.2": Case(_close_after(FREE_12), Code.NET_CLOSED_DURING_HANDSHAKE),
    "takes all and says nothing": Case(_handshake(OPTIONAL, _stay), None),
    "does not answer": in_http(_handshake(FREE, _stay), Code.UPSTREAM_TIMEOUT, whole=True),
    "closes instead of answering": in_http(_answer_and_close(b""), Code.UPSTREAM_RESET),
    "answers in SSH": in_http(_answer(b"SSH-2.0-OpenSSH_9.2\r\n"), Code.PROTO_HTTP_MALFORMED),
    "answers with endless headers": in_http(_answer_for_ever(_OK, b"A: b\r\n" * 500), Code.PROTO_HTTP_MALFORMED),
    "answers with endless extensions": in_http(_answer_for_ever(_CHUNKED, _EXTENDED), Code.PROTO_HTTP_MALFORMED),
    "answers drop by drop": in_http(_answer_for_ever(_OK + b"A: ", b"b", 0.05), Code.UPSTREAM_TIMEOUT, whole=True),
    "answers in part": in_http(_answer_and_close(_OK + b"Content-Length: 9\r\n\r\nabc"), Code.PROTO_HTTP_MALFORMED),
    "answers without end": in_http(_answer_for_ever(_OK + b"\r\n", b"x" * 1000), None),
}


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Evidence]]:
    """All cases, made at once by one driver."""
    found: dict[str, Evidence] = {}
    with contextlib.ExitStack() as stack:
        attempts, names = [], {}
        for name, case in CASES.items():
            server = stack.enter_context(Scripted(case.script))
            request = Request(read=5000) if case.http else None
            attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, deadline=DEADLINE, listen=0.2, request=request)
            attempts.append(attempt)
            names[id(attempt)] = name
        driver = Driver(new_random=os.urandom)
        driver.run(iter(attempts), lambda one, evidence: found.__setitem__(names[id(one)], evidence))
        yield found


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_server(results: dict[str, Evidence], name: str) -> None:
    """It gets a code, and no more time than there is."""
    case, evidence = CASES[name], results[name]
    if case.code is None:
        assert evidence.failure is None
    else:
        assert evidence.failure is not None
        assert (evidence.failure.code, evidence.failure.phase) == (case.code, case.phase)
        assert case.code in CATALOGUE and evidence.failure.what.isprintable()
    assert (DEADLINE if case.whole else 0) <= evidence.timings.ended < DEADLINE + SLACK


def test_what_was_seen_is_kept(results: dict[str, Evidence]) -> None:
    """The first octets of who does not speak TLS; the chain of who fails later; the part of a body."""
    assert results["speaks SSH"].clear_text == b"SSH-2.0-OpenSSH_9.2\r\n"
    assert results["speaks HTTP"].clear_text == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert len(results["sends zeros"].clear_text) == 512
    assert results["warns for ever"].clear_text == b""
    assert len(results["resets instead of refusing"].seen.chain) == 1
    cut = results["answers in part"].response
    assert cut is not None and (cut.body, cut.whole) == (b"abc", False)
    endless = results["answers without end"].response
    assert endless is not None and (endless.body, endless.whole) == (b"x" * 5000, False)


@pytest.mark.parametrize("end", ["stall", "close", "reset"])
@pytest.mark.parametrize("context", [REQUIRED, FREE_12], ids=["1.3", "1.2"])
def test_a_handshake_that_ends_anywhere(end: str, context: ssl.SSLContext) -> None:
    """After any octet of the server's flight."""
    code = {
        "stall": Code.NET_HANDSHAKE_TIMEOUT,
        "close": Code.NET_CLOSED_DURING_HANDSHAKE,
        "reset": Code.NET_RESET_DURING_HANDSHAKE,
    }[end]

    def script(conversation: Conversation) -> None:
        flight = conversation.first_flight(context)[3]
        conversation.sock.sendall(flight[: cuts.pop() % (len(flight) - 1)])
        if end == "stall":
            conversation.wait_for_end()
        elif end == "reset":
            time.sleep(0.01)
            conversation.reset()

    cuts = list(range(0, 997, 29))
    found: list[Evidence] = []
    with Scripted(script) as server:
        # Only what stalls needs the deadline; a busy machine may take its time for the others.
        deadline = 0.5 if end == "stall" else 5.0
        attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, deadline=deadline)
        Driver(new_random=os.urandom).run(iter([attempt] * len(cuts)), lambda _, one: found.append(one))
    assert {one.failure.code for one in found if one.failure is not None} == {code}
    assert len(found) == 35 and not cuts
    assert max(one.timings.ended for one in found) < deadline + SLACK


def test_more_than_an_attempt_reads() -> None:
    """Application data without end after the handshake, while we listen: it is cut off long before the deadline."""

    def then(_: Conversation, stream: ssl.SSLSocket) -> None:
        while True:
            stream.sendall(b"x" * 16000)

    found: list[Evidence] = []
    with Scripted(_handshake(OPTIONAL, then)) as server:
        attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, deadline=20, listen=20)
        Driver(new_random=os.urandom).run(iter([attempt]), lambda _, one: found.append(one))
    (evidence,) = found
    assert evidence.failure is not None
    assert (evidence.failure.code, evidence.failure.phase) == (Code.TLS_MALFORMED, "listen")
    assert evidence.timings.ended < 10
