"""Attempts against servers that keep to the protocols: what is read, what is sent, and when."""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from handclasp.findings import Code, Refused
from handclasp.probe.evidence import Attempt, Evidence, Failure, Request, Response
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.probe.poller import SelectorPoller
from handclasp.probe.reactor import Reactor
from handclasp.probe.resolve import system
from handclasp.probe.shares import ShareCache
from handclasp.probe.target import StartTLS
from handclasp.testing.scripted import Conversation, Scripted, server_context
from handclasp.tlswire.offer import OLD_CIPHERS, TLS12, TLS13, ClientCredential, Offer
from handclasp.tlswire.seen import Alert, Seen, Step

OFFER = Offer("localhost")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CONTEXTS = {
    (client, newest): server_context(client=client, newest=newest)
    for client in (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED)
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
}
TLS_12, TLS_13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """One for all tests here."""
    made = Driver(new_random=os.urandom, resolve=lambda _: ["127.0.0.1"])
    yield made
    made.close()


def make(driver: Driver, *attempts: Attempt) -> list[Evidence]:
    """The evidence of each, in their order; all are made at once."""
    found: dict[int, Evidence] = {}
    numbered = [replace(one, deadline=one.deadline + index * 1e-9) for index, one in enumerate(attempts)]
    driver.run(iter(numbered), lambda attempt, evidence: found.__setitem__(numbered.index(attempt), evidence))
    return [found[index] for index in range(len(attempts))]


def serve(
    context: ssl.SSLContext, answer: bytes = OK, requests: list[bytes] | None = None, **where: object
) -> Scripted:
    """A server that gives everyone the same answer."""

    def script(conversation: Conversation) -> None:
        with conversation.tls(context) as stream:
            request = conversation.request(stream)
            if requests is not None:
                requests.append(request)
            if request:
                stream.sendall(answer)
            conversation.wait_for_end()

    return Scripted(script, **where)  # type: ignore[arg-type]  # keyword arguments of Scripted, passed on


@pytest.mark.parametrize(
    ("client", "newest", "alerts", "failure", "tickets"),
    [
        (ssl.CERT_NONE, TLS_12, [], None, 0),
        (ssl.CERT_NONE, TLS_13, [], None, 0),
        (ssl.CERT_OPTIONAL, TLS_12, [], None, 0),
        (ssl.CERT_OPTIONAL, TLS_13, [], None, 2),
        (ssl.CERT_REQUIRED, TLS_12, [Alert(40, True, Step.CLIENT_FLIGHT)],
         Failure(Code.TLS_ALERT, "the server sent alert 40", "handshake"), 0),
        (ssl.CERT_REQUIRED, TLS_13, [Alert(116, True, Step.FIRST_READ)],
         Failure(Code.TLS_ALERT, "the server sent alert 116", "listen"), 0),
    ],
    ids=["none 1.2", "none 1.3", "optional 1.2", "optional 1.3", "required 1.2", "required 1.3"],
)  # fmt: skip
def test_without_a_certificate(
    driver: Driver,
    client: ssl.VerifyMode,
    newest: ssl.TLSVersion,
    alerts: list[Alert],
    failure: Failure | None,
    tickets: int,
) -> None:
    """The chain is there whatever comes after, and so is the refusal."""
    with serve(CONTEXTS[client, newest]) as server:
        (evidence,) = make(driver, Attempt(target(f"127.0.0.1:{server.port}"), OFFER, listen=3.0, deadline=5.0))
    seen = evidence.seen
    assert (seen.version, len(seen.chain), seen.proved) == (TLS13 if newest is TLS_13 else TLS12, 1, True)
    assert (seen.request is not None) == (client is not ssl.CERT_NONE)
    assert [one for one in seen.alerts if one.number] == alerts
    assert evidence.failure == failure
    assert bool(seen.tickets) == bool(tickets)
    assert (evidence.address, evidence.response) == ("127.0.0.1", None)
    timings = evidence.timings
    assert timings.connected is not None and timings.secured is not None
    # A ticket, an alert, or nothing to listen for: it took no three seconds.
    assert 0 <= timings.connected <= timings.secured <= timings.ended < 2


def test_a_request_and_its_response(driver: Driver) -> None:
    """One request, to the target's name."""
    requests: list[bytes] = []
    with serve(CONTEXTS[ssl.CERT_OPTIONAL, TLS_13], requests=requests) as server:
        place = target(f"https://localhost:{server.port}/health?x")
        (evidence,) = make(driver, Attempt(place, OFFER, request=Request("GET", "/health?x")))
    assert evidence.failure is None
    assert evidence.response == Response(200, "OK", (("content-length", "2"),), b"ok", True)
    assert evidence.timings.first_byte is not None and evidence.timings.resolved is not None
    (request,) = requests
    assert request.startswith(f"GET /health?x HTTP/1.1\r\nHost: localhost:{server.port}\r\n".encode())
    assert b"\r\nConnection: close\r\n" in request


@pytest.mark.parametrize(
    ("client", "sent"), [(ssl.CERT_NONE, False), (ssl.CERT_OPTIONAL, True), (ssl.CERT_REQUIRED, False)]
)
def test_a_request_only_where_a_certificate_was_asked_for(driver: Driver, client: ssl.VerifyMode, sent: bool) -> None:
    """And not refused: a ticket alone does not say what HTTP will say."""
    requests: list[bytes] = []
    with serve(CONTEXTS[client, TLS_13], requests=requests) as server:
        attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, request=Request(), request_if_asked=True)
        (evidence,) = make(driver, attempt)
    assert (evidence.response is not None) == sent
    assert [one for one in requests if one] == requests[: int(sent)]


def test_no_redirect_is_followed(driver: Driver) -> None:
    """It is the answer, and the only connection."""
    with serve(
        CONTEXTS[ssl.CERT_NONE, TLS_13], b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    ) as server:
        (evidence,) = make(driver, Attempt(target(f"https://127.0.0.1:{server.port}"), OFFER, request=Request()))
        assert evidence.response is not None
        assert (evidence.response.status, evidence.response.headers[0]) == (302, ("location", "/"))
        assert server.accepted == 1


def test_nothing_is_written_while_listening(driver: Driver) -> None:
    """A quiet server hears our flight, and the request only after the time to listen."""
    moments: list[float] = []
    context = server_context(client=ssl.CERT_OPTIONAL)
    context.num_tickets = 0

    def script(conversation: Conversation) -> None:
        with conversation.tls(context) as stream:
            moments.append(time.monotonic())
            conversation.request(stream)
            moments.append(time.monotonic())
            stream.sendall(OK)

    with Scripted(script) as server:
        attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, request=Request(), listen=0.3)
        (evidence,) = make(driver, attempt)
    assert evidence.response is not None
    assert moments[1] - moments[0] > 0.25


def test_patience_with_a_server_that_does_not_speak_http(driver: Driver) -> None:
    """Where nobody said that it does, its silence is no failure."""

    def script(conversation: Conversation) -> None:
        conversation.tls(CONTEXTS[ssl.CERT_NONE, TLS_13])
        conversation.wait_for_end()

    with Scripted(script) as server:
        attempt = Attempt(target(f"127.0.0.1:{server.port}"), OFFER, request=Request(), patience=0.1)
        (evidence,) = make(driver, attempt)
    assert (evidence.failure, evidence.response) == (None, None)
    assert evidence.timings.ended < 1


def test_what_is_still_to_be_read_is_read_after_a_write_fails(driver: Driver, tmp_path: Path) -> None:
    """The server says why and closes before we write: its alert is seen, not our broken pipe."""
    ready, closed = threading.Event(), threading.Event()

    def script(conversation: Conversation) -> None:
        context = CONTEXTS[ssl.CERT_REQUIRED, TLS_12]
        conversation.sock.sendall(conversation.first_flight(context)[3])
        ready.wait(5)
        conversation.sock.sendall(b"\x15\x03\x03\x00\x02\x02\x2e")
        conversation.sock.close()
        closed.set()

    def credential(_: Seen) -> ClientCredential | None:
        ready.set()
        closed.wait(5)
        return None

    with Scripted(script, path=tmp_path / "s") as server:
        attempt = Attempt(target(f"unix:{tmp_path}/s"), OFFER, credential=credential)
        (evidence,) = make(driver, attempt)
        assert server.accepted == 1
    assert [(one.number, one.fatal) for one in evidence.seen.alerts] == [(46, True)]
    assert evidence.failure == Failure(Code.TLS_ALERT, "the server sent alert 46", "handshake")


def test_a_credential_is_asked_for_after_the_server_is_seen(driver: Driver) -> None:
    """The hook sees the chain, and the hello that it follows offers nothing old."""
    hooked: list[Seen] = []

    def credential(seen: Seen) -> None:
        hooked.append(seen)

    def script(conversation: Conversation) -> None:
        hellos.append(conversation.sock.recv(65536))

    hellos: list[bytes] = []
    with serve(CONTEXTS[ssl.CERT_REQUIRED, TLS_13]) as server, Scripted(script) as listener:
        place, other = target(f"127.0.0.1:{server.port}"), target(f"127.0.0.1:{listener.port}")
        first, second = make(driver, *(Attempt(one, OFFER, credential=credential) for one in (place, other)))
    assert hooked == [first.seen] and len(first.seen.chain) == 1
    assert second.failure is not None and second.failure.code is Code.NET_CLOSED_DURING_HANDSHAKE
    (hello,) = hellos
    at = 44 + hello[43]
    suites = {
        int.from_bytes(hello[i : i + 2], "big")
        for i in range(at + 2, at + 2 + int.from_bytes(hello[at : at + 2], "big"), 2)
    }
    assert not suites & set(OLD_CIPHERS) and 0x1301 in suites


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(Code.CREDENTIAL_EXPIRED, "a", "b", "c"), Code.CREDENTIAL_EXPIRED),
        (RuntimeError("secret"), Code.CREDENTIAL_UNUSABLE),
    ],
)
def test_a_credential_that_cannot_be_had(driver: Driver, error: Exception, code: Code) -> None:
    """The attempt ends with its code, and with what was seen until then."""

    def credential(_: Seen) -> ClientCredential | None:
        raise error

    with serve(CONTEXTS[ssl.CERT_REQUIRED, TLS_13]) as server:
        (evidence,) = make(driver, Attempt(target(f"127.0.0.1:{server.port}"), OFFER, credential=credential))
    assert evidence.failure is not None
    assert (evidence.failure.code, evidence.failure.phase) == (code, "handshake")
    assert "secret" not in evidence.failure.what
    assert len(evidence.seen.chain) == 1


def _key_shares(driver: Driver, count: int, **attempt: object) -> int:
    """How many different hellos' key shares a server sees."""
    seen = []

    def script(conversation: Conversation) -> None:
        seen.append(conversation.sock.recv(65536).partition(b"\x00\x1d\x00\x20")[2][:32])

    with Scripted(script) as server:
        base = Attempt(target(f"127.0.0.1:{server.port}"), OFFER)
        make(driver, *[replace(base, **attempt) for _ in range(count)])  # type: ignore[arg-type]  # fields of Attempt
    assert len(seen) == count and all(len(one) == 32 for one in seen)
    return len(set(seen))


def test_key_shares_are_used_again_only_where_nothing_is_secret(driver: Driver) -> None:
    """One for all that only look; a new one each with a credential, or with a request that may hold a token."""
    token = Request(headers=(("Authorization", "Bearer x"),))
    agent = Request(headers=(("User-Agent", "x"),))
    assert _key_shares(driver, 5) == 1
    assert _key_shares(driver, 5, request=agent) == 1
    assert _key_shares(driver, 5, credential=lambda _: None) == 5
    assert _key_shares(driver, 5, request=token) == 5
    assert _key_shares(driver, 5, request=Request("POST", body=b"x")) == 5


def test_ipv6_and_unix_sockets(driver: Driver, tmp_path: Path) -> None:
    """All the same."""
    context = CONTEXTS[ssl.CERT_NONE, TLS_13]
    with serve(context, host="::1") as six, serve(context, path=tmp_path / "s"):
        by_six, by_path = make(
            driver,
            Attempt(target(f"[::1]:{six.port}"), OFFER, request=Request()),
            Attempt(target(f"unix:{tmp_path}/s"), OFFER, request=Request()),
        )
    assert [(one.failure, one.address) for one in (by_six, by_path)] == [(None, "::1"), (None, f"{tmp_path}/s")]
    assert by_six.response is not None and by_path.response is not None


def test_starttls(driver: Driver) -> None:
    """The conversation before TLS, and a server that goes on in the clear."""

    def speak(conversation: Conversation, answer: bytes) -> None:
        conversation.sock.sendall(b"+OK hello\r\n")
        while (said := conversation.sock.recv(100)) != b"STLS\r\n":
            conversation.sock.sendall(b"+OK\r\nSTLS\r\n.\r\n" if said == b"CAPA\r\n" else b"-ERR\r\n")
        conversation.sock.sendall(answer)

    def script(conversation: Conversation) -> None:
        speak(conversation, b"+OK begin\r\n")
        conversation.tls(CONTEXTS[ssl.CERT_NONE, TLS_13])
        conversation.wait_for_end()

    def refuse(conversation: Conversation) -> None:
        speak(conversation, b"-ERR never\r\n")

    with Scripted(script) as willing, Scripted(refuse) as unwilling:
        yes, no = make(
            driver,
            *(Attempt(target(f"127.0.0.1:{one.port}", starttls=StartTLS.POP3), OFFER) for one in (willing, unwilling)),
        )
    assert yes.failure is None and len(yes.seen.chain) == 1
    assert no.failure is not None
    assert (no.failure.code, no.failure.phase) == (Code.PROTO_STARTTLS_REFUSED, "starttls")


def test_where_there_is_no_epoll() -> None:
    """The poller for other systems does the same."""
    found: list[Evidence] = []
    with (
        serve(CONTEXTS[ssl.CERT_REQUIRED, TLS_13]) as required,
        serve(CONTEXTS[ssl.CERT_NONE, TLS_13], OK[:-2] + b"ok") as free,
    ):
        reactor = Reactor(10, 0, os.urandom, system, ShareCache(), SelectorPoller())
        for port in (required.port, free.port, 1):
            attempt = Attempt(target(f"127.0.0.1:{port}"), OFFER, request=Request())
            reactor.start(attempt, lambda _, evidence: found.append(evidence))
        while not reactor.empty:
            reactor.turn(1.0)
        reactor.close()
    codes = {one.target.port: one.failure and one.failure.code for one in found}
    assert codes == {required.port: Code.TLS_ALERT, free.port: None, 1: Code.NET_CONNECTION_REFUSED}
    assert [one.response.body for one in found if one.response is not None] == [b"ok"]


def test_what_came_while_the_loop_was_busy_is_read(driver: Driver) -> None:
    """Time to listen is over, but the refusal is there: it counts."""
    listening, busy = threading.Event(), threading.Event()
    context = CONTEXTS[ssl.CERT_REQUIRED, TLS_13]

    def refuse_late(conversation: Conversation) -> None:
        tls, incoming, outgoing, flight = conversation.first_flight(context)
        conversation.sock.sendall(flight)
        incoming.write(conversation.sock.recv(65536))
        listening.set()
        busy.wait(5)
        with contextlib.suppress(ssl.SSLError):
            tls.do_handshake()
        conversation.sock.sendall(outgoing.read())
        conversation.wait_for_end()

    def keep_busy(conversation: Conversation) -> None:
        listening.wait(5)
        conversation.sock.sendall(conversation.first_flight(context)[3])
        conversation.wait_for_end()

    def credential(_: Seen) -> ClientCredential | None:
        busy.set()
        time.sleep(0.4)
        return None

    with Scripted(refuse_late) as refusing, Scripted(keep_busy) as other:
        found = make(
            driver,
            Attempt(target(f"127.0.0.1:{refusing.port}"), OFFER, listen=0.2, listen_trips=0),
            Attempt(target(f"127.0.0.1:{other.port}"), OFFER, listen=0, listen_trips=0, credential=credential),
        )
    assert [one.number for one in found[0].seen.alerts] == [116]
