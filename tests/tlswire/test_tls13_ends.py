"""How a connection ends: alerts, what is not TLS, the end of the stream, and what would never end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.tlswire.tls13_peer import (
    FLIGHT,
    TICKET,
    Script,
    client,
    established,
    message,
    plain,
)

from handclasp.findings import Code
from handclasp.tlswire import client as bounds
from handclasp.tlswire import messages
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.offer import TLS13
from handclasp.tlswire.seen import Alert, Fault, Step
from handclasp.tlswire.session import ALERT, APPLICATION_DATA, HANDSHAKE

MALFORMED, NOT_PROVED = Code.TLS_MALFORMED, Code.TLS_SERVER_NOT_PROVED
EE, REQ, CERT, VERIFY, FINISHED = FLIGHT


def alert_case(payload: bytes) -> TLSClient:
    ours = client()
    ours.start()
    assert ours.receive(plain(ALERT, payload)) == b""
    return ours


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (70, Code.TLS_VERSION_MISMATCH),
        (40, Code.TLS_NO_SHARED_CIPHER),
        (112, Code.TLS_SNI_UNRECOGNIZED),
        (80, Code.TLS_ALERT),
        (255, Code.TLS_ALERT),
    ],
)
def test_alert_to_our_hello(number: int, code: Code) -> None:
    """Its number tells what the server missed."""
    ours = alert_case(bytes((2, number)))
    assert ours.seen.alerts == [Alert(number, True, Step.CLIENT_HELLO)]
    assert ours.seen.fault is not None
    assert (ours.seen.fault.code, ours.over, ours.seen.closed) == (code, True, False)


def test_warnings_to_our_hello_are_borne() -> None:
    """Some servers warn of a name that they do not know, and go on; not for ever."""
    ours = client()
    script = Script()
    record = ours.start()
    ours.receive(plain(ALERT, b"\x01\x70") * bounds.MAX_QUIET)
    assert (ours.over, len(ours.seen.alerts)) == (False, bounds.MAX_QUIET)
    ours.receive(script.hello(record))
    assert ours.seen.version == TLS13
    ours = alert_case(b"\x01\x70")
    assert ours.receive(plain(ALERT, b"\x01\x70") * bounds.MAX_QUIET)[-2:] == b"\x02\x0a"
    assert (ours.over, len(ours.seen.alerts)) == (True, bounds.MAX_QUIET + 1)


def test_close_to_our_hello() -> None:
    """close_notify is no fault of the protocol: the server has ended it."""
    ours = alert_case(b"\x01\x00")
    assert (ours.over, ours.seen.closed, ours.seen.fault) == (True, True, None)


def test_alert_in_the_flight() -> None:
    """Sealed, before the server's Finished: it ended the handshake."""
    script, ours = Script(), client()
    assert ours.receive(script.hello(ours.start()) + script.seal(ALERT, b"\x01\x50")) == b""
    assert ours.seen.alerts == [Alert(80, True, Step.SERVER_FLIGHT)]
    what = "the server ended the handshake with alert 80 (internal_error)"
    assert ours.seen.fault == Fault(Code.TLS_ALERT, what, Step.SERVER_FLIGHT)


def test_alerts_after_our_flight() -> None:
    """They are kept with their step; what they mean is judged elsewhere. The level means nothing (RFC 8446 §6)."""
    script, ours = established()
    ours.receive(
        script.seal(ALERT, b"\x01\x5a") + script.seal(ALERT, b"\x01\x2a") + script.seal(APPLICATION_DATA, b"x")
    )
    assert ours.seen.alerts == [Alert(90, False, Step.FIRST_READ), Alert(42, True, Step.FIRST_READ)]
    assert (ours.over, ours.seen.fault, ours.seen.closed, ours.take()) == (True, None, False, b"")
    assert (ours.write(b"x"), ours.close()) == (b"", b"")


NOT_TLS: dict[str, tuple[bytes, Code, str]] = {
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", Code.PROTO_TLS_TO_PLAIN, "the server answered with plain HTTP"),
    "a page": (b"<!DOCTYPE HTML PUBLIC", Code.PROTO_TLS_TO_PLAIN, "the server answered with plain HTTP"),
    "SSH": (b"SSH-2.0-x\r\n", Code.PROTO_NOT_TLS, "the server began with 'SSH-2.0-x', which is not TLS"),
    "mail": (b"220 ready\r\n", Code.PROTO_NOT_TLS, "the server began with '220 ready', which is not TLS"),
    "MySQL": (b"\x4a\0\0\0\x0a8.0", Code.PROTO_NOT_TLS, "the server began with 4a0000000a382e30, which is not TLS"),
    "a type and no version": (
        b"\x16\x02\0\0\0",
        Code.PROTO_NOT_TLS,
        "the server began with 1602000000, which is not TLS",
    ),
    "SSL 2": (b"\x80\x2e\x04\0\2", Code.PROTO_NOT_TLS, "the server began with 802e040002, which is not TLS"),
}


@pytest.mark.parametrize(("begin", "code", "what"), NOT_TLS.values(), ids=NOT_TLS)
def test_not_tls(begin: bytes, code: Code, what: str) -> None:
    """Known by its first octets, and nothing is sent to it."""
    ours = client()
    ours.start()
    assert ours.receive(begin) == b""
    assert (ours.seen.fault, ours.over) == (Fault(code, what, Step.CLIENT_HELLO), True)
    drip = client()
    drip.start()
    assert [drip.receive(begin[at : at + 1]) for at in range(len(begin))] == [b""] * len(begin)
    assert drip.seen.fault is not None
    assert drip.seen.fault.code is code


def test_end_of_the_stream() -> None:
    """In the middle of a record nothing is said of the protocol; what never was TLS is told."""
    ours = client()
    record = ours.start()
    ours.receive(Script().hello(record)[:20])
    ours.end_of_stream()
    assert (ours.over, ours.seen.closed, ours.seen.fault) == (True, True, None)
    ours = client()
    ours.start()
    ours.receive(b"HTT")
    ours.end_of_stream()
    assert ours.seen.fault == Fault(
        Code.PROTO_NOT_TLS, "the server began with 'HTT', which is not TLS", Step.CLIENT_HELLO
    )


def endless(make: Callable[[Script], bytes], most: int = 5000) -> tuple[TLSClient, int]:
    """Feed it until the client has had enough; how often that was."""
    script, ours = established()
    for count in range(1, most):
        ours.receive(make(script))
        if ours.over:
            return ours, count
    raise AssertionError("there is no bound")


@pytest.mark.parametrize(
    ("make", "count"),
    [
        # One quiet record, the ChangeCipherSpec, and six messages were in the flight.
        (lambda script: script.seal(APPLICATION_DATA, b""), bounds.MAX_QUIET),
        (lambda script: script.seal(ALERT, b"\x01\x5a"), bounds.MAX_QUIET),
        (lambda script: script.seal(HANDSHAKE, message(4, TICKET)), bounds.MAX_MESSAGES - 5),
        (lambda script: script.seal(HANDSHAKE, message(4, TICKET) * 50), 4),
    ],
    ids=["empty", "warnings", "tickets", "tickets in one record"],
)
def test_endless(make: Callable[[Script], bytes], count: int) -> None:
    """What costs the server nothing ends."""
    ours, counted = endless(make)
    assert counted == count
    assert ours.seen.fault is not None
    assert ours.seen.fault.code is MALFORMED


def begun() -> tuple[Script, TLSClient]:
    """Both after EncryptedExtensions."""
    script, ours = Script(), client()
    ours.receive(script.hello(ours.start()) + script.seal(HANDSHAKE, message(EE, b"\0\0")))
    return script, ours


def test_message_that_is_announced_too_long() -> None:
    """Its first four octets are enough."""
    script, ours = begun()
    ours.receive(script.seal(HANDSHAKE, b"\x0b" + (messages.MAX_MESSAGE + 1).to_bytes(3, "big")))
    assert ours.seen.fault == Fault(
        MALFORMED, "a handshake message has 262145 octets, more than 262144", Step.SERVER_FLIGHT
    )


def test_messages_that_are_too_much_together() -> None:
    """Each would do; the sum is bounded."""
    script, ours = established()
    piece = b"\x04" + messages.MAX_MESSAGE.to_bytes(3, "big") + b"\0\0\x0e\x10" + b"\0" * 4 + b"\x00\xff\xff"
    sent = 0
    while not ours.over:
        ours.receive(script.seal(HANDSHAKE, (piece + bytes(16384))[:16384]))
        piece, sent = b"", sent + 16384
        assert sent <= bounds.MAX_HANDSHAKE
    assert ours.seen.fault is not None
    assert ours.seen.fault.code is MALFORMED


def test_message_in_many_records() -> None:
    """One octet a record is lawful, and costs a server little: it ends."""
    script, ours = begun()
    ours.receive(script.seal(HANDSHAKE, b"\x0b\x00\x10\x00"))
    for _ in range(bounds.MAX_RECORDS - 3):
        ours.receive(script.seal(HANDSHAKE, b"\0"))
    assert not ours.over
    ours.receive(script.seal(HANDSHAKE, b"\0"))
    assert ours.seen.fault is not None
    assert ours.seen.fault.what == "the server sent more than 400 records that are no application data"


def test_application_data_has_no_bound() -> None:
    """How much of a response is read is for the reader to say."""
    script, ours = established()
    total = 0
    for _ in range(bounds.MAX_RECORDS + 10):
        ours.receive(script.seal(APPLICATION_DATA, b"x" * 1000))
        total += len(ours.take())
    assert (total, ours.over) == ((bounds.MAX_RECORDS + 10) * 1000, False)
