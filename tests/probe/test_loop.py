"""The driver: many attempts at once, each with its end, and nothing left over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from handclasp.findings import Code
from handclasp.probe.evidence import Attempt, Evidence
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.testing.scripted import Conversation, Scripted
from handclasp.tlswire.offer import Offer

OFFER = Offer("localhost")
REFUSAL = b"\x15\x03\x03\x00\x02\x02\x28"
"""Alert 40: the shortest end of a handshake."""


def refuse(conversation: Conversation) -> None:
    """Answer the hello by an alert."""
    conversation.sock.recv(65536)
    conversation.sock.sendall(REFUSAL)


def stay(conversation: Conversation) -> None:
    """Say nothing until the client goes."""
    conversation.wait_for_end()


def to(port: int, host: str = "127.0.0.1", deadline: float = 5.0) -> Attempt:
    return Attempt(target(f"{host}:{port}"), OFFER, deadline=deadline)


def run(driver: Driver, *attempts: Attempt | None) -> list[Evidence]:
    """The evidence in the order in which the attempts ended."""
    found: list[Evidence] = []
    driver.run(iter(attempts), lambda _, evidence: found.append(evidence))
    return found


def code(evidence: Evidence) -> tuple[Code, str] | None:
    return None if evidence.failure is None else (evidence.failure.code, evidence.failure.phase)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver(new_random=os.urandom)
    yield made
    made.close()


@contextlib.contextmanager
def refusing_in_asyncio() -> Iterator[int]:
    """A server for thousands; yields its port."""

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(REFUSAL)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        port.append(server.sockets[0].getsockname()[1])
        stopped.append((asyncio.get_running_loop(), asyncio.Event()))
        started.set()
        async with server:
            await stopped[0][1].wait()

    port: list[int] = []
    stopped: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait(5)
    yield port[0]
    stopped[0][0].call_soon_threadsafe(stopped[0][1].set)
    thread.join(5)


@contextlib.contextmanager
def silent(host: str = "127.0.0.1") -> Iterator[int]:
    """An address that takes no connection and refuses none: the queue of its listener is full. Yields the port."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def test_thousands_of_attempts(driver: Driver) -> None:
    """Each is made once and ends once, and no descriptor is left."""
    before = descriptors()
    made = 0

    def attempts(port: int) -> Iterator[Attempt]:
        nonlocal made
        for _ in range(2000):
            made += 1
            yield to(port)

    counts: Counter[tuple[Code, str] | None] = Counter()
    with refusing_in_asyncio() as port:
        driver.run(attempts(port), lambda _, evidence: counts.update([code(evidence)]))
    assert counts == {(Code.TLS_NO_SHARED_CIPHER, "handshake"): 2000}
    assert made == 2000
    assert descriptors() == before


def test_attempts_are_pulled_only_when_there_is_room() -> None:
    """No more are taken from the iterator than can be under way."""
    pulled, ended, most = 0, 0, 0

    def attempts(port: int) -> Iterator[Attempt]:
        nonlocal pulled, most
        for _ in range(60):
            pulled += 1
            most = max(most, pulled - ended)
            yield to(port)

    def done(_: Attempt, __: Evidence) -> None:
        nonlocal ended
        ended += 1

    with Scripted(refuse) as server:
        Driver(new_random=os.urandom, concurrency=7).run(attempts(server.port), done)
    assert (ended, most) == (60, 7)


def test_an_iterator_that_has_nothing_right_now(driver: Driver) -> None:
    """It is asked again, and what is under way goes on meanwhile."""
    with Scripted(refuse) as server:
        found = run(driver, None, to(server.port), None, None, to(server.port), None)
    assert [code(one) for one in found] == [(Code.TLS_NO_SHARED_CIPHER, "handshake")] * 2


def test_an_error_of_the_caller_ends_the_run(driver: Driver) -> None:
    """It comes out, and nothing stays open."""
    before = descriptors()

    def done(_: Attempt, __: Evidence) -> None:
        raise KeyError("mine")

    with Scripted(refuse) as server, pytest.raises(KeyError):
        driver.run(iter([to(server.port)] * 20), done)
    assert descriptors() == before


def test_no_more_connections_to_a_host_than_allowed() -> None:
    """By its address, whatever it is called; and who waits for its turn loses nothing of its time."""

    now, most, guard = 0, 0, threading.Lock()

    def script(conversation: Conversation) -> None:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with guard:
            now -= 1
        refuse(conversation)

    driver = Driver(new_random=os.urandom, per_host=3, resolve=lambda _: ["127.0.0.1"])
    with Scripted(script) as server:
        hosts = ["a.example", "b.example", "127.0.0.1"] * 10
        found = run(driver, *(to(server.port, host, deadline=0.3) for host in hosts))
        assert {code(one) for one in found} == {(Code.TLS_NO_SHARED_CIPHER, "handshake")}
        assert (len(found), server.accepted, most) == (30, 30, 3)


def test_a_busy_host_holds_up_no_other() -> None:
    """Others are taken from the list past those that wait."""
    driver = Driver(new_random=os.urandom, per_host=1, concurrency=2)
    order: list[str] = []

    def slow(conversation: Conversation) -> None:
        time.sleep(0.1)
        refuse(conversation)

    with Scripted(slow) as busy, Scripted(refuse, host="127.0.0.2") as free:
        attempts = [to(busy.port)] * 4 + [to(free.port, "127.0.0.2")]
        driver.run(iter(attempts), lambda one, _: order.append(one.target.host))
    assert order == ["127.0.0.2"] + ["127.0.0.1"] * 4


def test_addresses_that_cannot_be_reached(driver: Driver, tmp_path: Path) -> None:
    """Refused, without a route, silent, and a socket that is not there."""
    with silent() as port:
        begun = time.monotonic()
        attempts = [
            to(1),
            to(port, deadline=0.3),
            to(443, "255.255.255.255"),
            Attempt(target(f"unix:{tmp_path}/none"), OFFER),
        ]
        found = {one.target.text: one for one in run(driver, *attempts)}
        took = time.monotonic() - begun
    assert [code(found[one.target.text]) for one in attempts] == [
        (Code.NET_CONNECTION_REFUSED, "connect"),
        (Code.NET_CONNECT_TIMEOUT, "connect"),
        (Code.NET_UNREACHABLE, "connect"),
        (Code.NET_CONNECTION_REFUSED, "connect"),
    ]
    assert 0.3 <= took < 0.4


def test_addresses_are_tried_in_turn() -> None:
    """The next after one that refuses at once, and after a quarter of a second beside one that is silent."""
    with silent("127.0.0.2") as port, Scripted(refuse, port=port) as server:
        addresses = {
            "refused": ["127.0.0.3", "127.0.0.1"],
            "silent": ["127.0.0.2", "127.0.0.1"],
            "none": ["127.0.0.3"] * 2,
        }
        driver = Driver(new_random=os.urandom, resolve=lambda host: addresses[host])
        found = {one.target.host: one for one in run(driver, *(to(server.port, host) for host in addresses))}
    assert {host: (one.address, code(one)) for host, one in found.items()} == {
        "refused": ("127.0.0.1", (Code.TLS_NO_SHARED_CIPHER, "handshake")),
        "silent": ("127.0.0.1", (Code.TLS_NO_SHARED_CIPHER, "handshake")),
        "none": (None, (Code.NET_CONNECTION_REFUSED, "connect")),
    }
    connected = found["silent"].timings.connected
    assert connected is not None and 0.25 <= connected < 0.4


def test_names_that_cannot_be_resolved() -> None:
    """A resolver that lies, fails or hangs gives a code, and holds up nobody else."""
    hung = threading.Event()

    def resolver(host: str) -> list[str]:
        if host == "hangs.example":
            hung.wait(5)
        return {"lies.example": ["not an address"], "empty.example": []}[host]

    with Scripted(refuse) as server:
        hosts = ["hangs.example", "lies.example", "empty.example", "breaks.example", "127.0.0.1"]
        driver = Driver(new_random=os.urandom, resolve=resolver)
        found = run(driver, *(to(server.port, host, deadline=0.3) for host in hosts))
    hung.set()
    assert [(one.target.host, code(one)) for one in found[-1:]] == [
        ("hangs.example", (Code.NET_DNS_FAILURE, "resolve"))
    ]
    assert 0.3 <= found[-1].timings.ended < 0.4
    assert {one.target.host: code(one) for one in found[:-1]} == {
        "127.0.0.1": (Code.TLS_NO_SHARED_CIPHER, "handshake"),
        "lies.example": (Code.NET_DNS_FAILURE, "resolve"),
        "empty.example": (Code.NET_DNS_FAILURE, "resolve"),
        "breaks.example": (Code.NET_DNS_FAILURE, "resolve"),
    }


def test_a_deadline_is_kept_by_many_at_once(driver: Driver) -> None:
    """Within 100 ms, for a hundred servers that say nothing."""
    with Scripted(stay) as server:
        found = run(driver, *[to(server.port, deadline=0.4)] * 100)
    assert {code(one) for one in found} == {(Code.NET_HANDSHAKE_TIMEOUT, "handshake")}
    assert 0.4 <= min(one.timings.ended for one in found) <= max(one.timings.ended for one in found) < 0.5


def test_attempts_from_asyncio(driver: Driver) -> None:
    """Many coroutines, two event loops one after the other, one driver."""

    async def ask(port: int) -> list[Evidence]:
        return await asyncio.gather(*(driver.attempt(to(port)) for _ in range(50)))

    before = descriptors()
    with Scripted(refuse) as server:
        for _ in range(2):
            found = asyncio.run(ask(server.port))
            assert [code(one) for one in found] == [(Code.TLS_NO_SHARED_CIPHER, "handshake")] * 50
    driver.close()
    assert descriptors() == before


def test_a_cancelled_attempt_closes_its_connection(driver: Driver) -> None:
    """At once, whether it had begun or not."""
    gone = threading.Event()

    def script(conversation: Conversation) -> None:
        connected.set()
        conversation.wait_for_end()
        gone.set()

    async def cancel(port: int) -> None:
        task = asyncio.create_task(driver.attempt(to(port, deadline=30)))
        await asyncio.to_thread(connected.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(gone.wait, 2)

    connected = threading.Event()
    with Scripted(script) as server:
        asyncio.run(cancel(server.port))


def test_closing_leaves_nobody_waiting(driver: Driver) -> None:
    """Who waits is told, and so is who comes too late."""

    async def wait(port: int) -> None:
        task = asyncio.create_task(driver.attempt(to(port, deadline=30)))
        await asyncio.to_thread(connected.wait, 5)
        driver.close()
        for evidence in (await task, await driver.attempt(to(port))):
            assert evidence.failure is not None
            assert evidence.failure.what == "the driver was closed"

    connected = threading.Event()

    def script(conversation: Conversation) -> None:
        connected.set()
        conversation.wait_for_end()

    with Scripted(script) as server:
        asyncio.run(wait(server.port))


_FEW_DESCRIPTORS = """
import os, resource, sys
from collections import Counter
from handclasp.probe.evidence import Attempt
from handclasp.probe.loop import Driver
from handclasp.probe.parse import target
from handclasp.tlswire.offer import Offer

port, deadline = sys.argv[1], float(sys.argv[2])
driver = Driver(new_random=os.urandom, concurrency=500)
open_now = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + int(sys.argv[3]), open_now + int(sys.argv[3])))
counts = Counter()
attempt = Attempt(target("127.0.0.1:" + port), Offer("localhost"), deadline=deadline)
driver.run(iter([attempt] * int(sys.argv[4])), lambda _, evidence: counts.update([evidence.failure.code.value]))
print(dict(counts))
"""


@pytest.mark.parametrize(
    ("descriptors_left", "attempts", "deadline", "expected"),
    [(20, 200, 5.0, {"TLS_NO_SHARED_CIPHER": 200}), (2, 2, 0.3, {"UNKNOWN": 2})],
    ids=["few", "none"],
)
def test_without_descriptors(descriptors_left: int, attempts: int, deadline: float, expected: dict[str, int]) -> None:
    """With few there are fewer at once, and all are made; with none it is said."""
    with Scripted(refuse) as server:
        arguments = [str(server.port), str(deadline), str(descriptors_left), str(attempts)]
        done = subprocess.run(
            [sys.executable, "-c", _FEW_DESCRIPTORS, *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")
