"""Names to addresses, by resolvers that are slow, dead, or lie."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable

import pytest

from handclasp.probe.resolve import Addresses, Lookups

NO_ADDRESS = "the resolver answered with something that is no address"


class Asking:
    """Lookups with a resolver of the test's, and the wait for their answers."""

    def __init__(self, resolver: Callable[[str], Iterable[str]]) -> None:
        self.awake = threading.Event()
        self.lookups = Lookups(resolver, self.awake.set)

    def ask(self, host: str, serial: int = 1) -> Addresses | None:
        return self.lookups.ask(host, serial, time.monotonic())

    def answer(self, host: str) -> Addresses:
        """What is found, sooner or later."""
        found = self.ask(host)
        return self.collect()[0][1] if found is None else found

    def collect(self) -> list[tuple[list[int], Addresses]]:
        assert self.awake.wait(5)
        self.awake.clear()
        return self.lookups.collect(time.monotonic())


def _raise(error: Exception) -> Iterable[str]:
    raise error


def _endless() -> Iterable[str]:
    number = 0
    while True:
        number += 1
        yield f"192.0.2.{number}"


@pytest.mark.parametrize(
    ("resolver", "expected"),
    [
        (lambda _: ["192.0.2.1"], Addresses(("192.0.2.1",))),
        (
            lambda _: ["2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::1", "192.0.2.2"],
            Addresses(("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2")),
        ),
        (lambda _: [], Addresses((), "the name has no address")),
        (lambda _: ["garbage", "0.0.0.0", "::", "224.0.0.1", "x" * 10_000], Addresses((), NO_ADDRESS)),
        (lambda _: ["garbage", "192.0.2.9"], Addresses(("192.0.2.9",))),
        (lambda _: _endless(), Addresses(tuple(f"192.0.2.{one}" for one in range(1, 7)))),
        (lambda _: _raise(socket.gaierror(socket.EAI_NONAME, "x")), Addresses((), "the name does not exist")),
        (lambda _: _raise(socket.gaierror(socket.EAI_AGAIN, "x")), Addresses((), "the resolver does not answer")),
        (lambda _: _raise(UnicodeError()), Addresses((), "the name cannot stand in a query")),
        (lambda _: _raise(RuntimeError("x")), Addresses((), "the lookup failed (RuntimeError)")),
        (lambda _: 17, Addresses((), "the lookup failed (TypeError)")),
    ],
    ids=["one", "families in turn", "none", "garbage", "some garbage", "endless", "no name", "no answer", "unicode",
         "broken", "nonsense"],
)  # fmt: skip
def test_what_a_resolver_says(resolver: Callable[[str], Iterable[str]], expected: Addresses) -> None:
    """Only addresses are kept, and a few of them; everything else is a reason."""
    asking = Asking(resolver)
    assert asking.answer("a.example") == expected
    asking.lookups.close()


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_is_asked_of_nobody(address: str) -> None:
    """It is its own answer."""
    asking = Asking(lambda _: pytest.fail("asked"))
    assert asking.ask(address) == Addresses((address,))


def test_a_name_is_asked_once() -> None:
    """Whoever else wants it waits for the same answer, and the next one has it at once."""
    asked: list[str] = []
    go = threading.Event()

    def resolver(host: str) -> list[str]:
        asked.append(host)
        go.wait(5)
        return ["192.0.2.1"]

    asking = Asking(resolver)
    assert [asking.ask("a.example", serial) for serial in (1, 2, 3)] == [None] * 3
    go.set()
    assert asking.collect() == [([1, 2, 3], Addresses(("192.0.2.1",)))]
    assert asking.ask("a.example", 4) == Addresses(("192.0.2.1",))
    assert asked == ["a.example"]
    asking.lookups.close()


def test_a_dead_resolver_keeps_nothing_and_nobody() -> None:
    """Other names are asked for while it hangs, in threads that do not keep the process from ending."""
    hung = threading.Event()

    def resolver(host: str) -> list[str]:
        if host == "dead.example":
            hung.wait(5)
        return ["192.0.2.1"]

    asking = Asking(resolver)
    assert asking.ask("dead.example") is None
    assert asking.answer("alive.example") == Addresses(("192.0.2.1",))
    threads = [one for one in threading.enumerate() if one.name == "handclasp-resolve"]
    assert threads and all(one.daemon for one in threads)
    asking.lookups.close()
    hung.set()
