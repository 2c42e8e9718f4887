"""The machine that follows a script, and which conversations come before TLS."""

from __future__ import annotations

import pytest

from handclasp.findings import Code
from handclasp.probe.dialogue import MAX_RECEIVED, MAX_TOLD, Dialogue, Octets, PreludeFailed, Script, Until, printable
from handclasp.probe.prelude import Prelude, preludes
from handclasp.probe.target import Proxy, Route, StartTLS, Target

CODE = Code.PROTO_STARTTLS_REFUSED


def script() -> Script:
    """A word of three octets, then a line."""
    yield b"who"
    word = yield Octets(3, "the word")
    yield b"again "
    yield word
    line = yield Until(b"\r\n", 10, "the line")
    yield line.upper()


def begun(*, then_tls: bool = False) -> Dialogue:
    machine = Dialogue(script(), CODE, then_tls=then_tls)
    assert machine.start() == b"who"
    return machine


def failed(machine: Prelude, data: bytes) -> tuple[Code, str]:
    with pytest.raises(PreludeFailed) as caught:
        machine.receive(data)
    return caught.value.code, caught.value.what


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
def test_pieces_do_not_matter(size: int) -> None:
    """However the octets come, the same is sent, and what is left belongs to what comes next."""
    machine, said, came = begun(), b"", b"foobar\r\nrest"
    awaited = [machine.waiting_for]
    while not machine.done:
        said += machine.receive(came[:size])
        came = came[size:]
        awaited.append(machine.waiting_for)
    assert said == b"again fooBAR\r\n"
    assert machine.rest + came == b"rest"
    assert list(dict.fromkeys(awaited)) == ["the word", *(["the line"] if size < 8 else []), ""]


def test_nothing_is_left_over_before_the_end() -> None:
    """Octets that are only not read yet are nobody else's."""
    machine = begun()
    machine.receive(b"foobar")
    assert (machine.done, machine.rest) == (False, b"")


def test_what_comes_before_tls_is_a_fault() -> None:
    """Somebody put octets behind the go-ahead, to be taken for the server's later: with it, or after it."""
    expected = (Code.TLS_MALFORMED, 'octets came in the clear after the change to TLS was agreed: "220 hello"')
    assert failed(begun(then_tls=True), b"foobar\r\n220 hello\r\n") == expected
    late = begun(then_tls=True)
    late.receive(b"foobar\r\n")
    assert late.done
    assert failed(late, b"220 hello\r\n") == expected
    assert not late.done


def test_what_is_too_long() -> None:
    """The limit counts the end of the line; it is said how the line begins."""
    machine = begun()
    machine.receive(b"foo" + b"b" * 9)
    expected = (CODE, 'the line is longer than 10 octets; it begins "bbbbbbbbbb"')
    assert failed(machine, b"b") == expected
    assert failed(begun(), b"foo" + b"b" * 10 + b"\r\n") == expected
    assert begun().receive(b"foo" + b"b" * 8 + b"\r\n") == b"again foo" + b"B" * 8 + b"\r\n"


def test_a_failure_is_for_good() -> None:
    """Whatever comes afterwards: the same failure, nothing kept."""
    machine = begun()
    first = failed(machine, b"x" * 50)
    assert failed(machine, b"foobar\r\n") == first
    assert (machine.done, machine.rest) == (False, b"")


def test_all_that_is_received_is_bounded() -> None:
    """Also for a script that would never end."""

    def endless() -> Script:
        while True:
            yield Octets(1, "one more")

    machine = Dialogue(endless(), CODE, then_tls=False)
    machine.start()
    machine.receive(b"x" * MAX_RECEIVED)
    assert failed(machine, b"x") == (CODE, f"the peer sent more than {MAX_RECEIVED} octets before TLS")


@pytest.mark.parametrize("alert", ["1503010002 0246", "1503030002 0232"])
def test_a_server_that_speaks_tls_at_once(alert: str) -> None:
    """It answers what it does not understand with an alert."""
    what = "the server speaks TLS at once, without STARTTLS: it answered with a TLS alert"
    assert failed(begun(then_tls=True), bytes.fromhex(alert)) == (CODE, what)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b" 220 ready\r\n", "220 ready"),
        (b"a\x1b[31m\r\nb\x00", "a\\1b[31m\\0d\\0ab\\00"),
        ("grüezi \u202e".encode(), "grüezi \\e2\\80\\ae"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"x" * MAX_TOLD, "x" * MAX_TOLD),
        (b"x" * (MAX_TOLD + 1), "x" * (MAX_TOLD - 1) + "…"),
        (b"\x00" * 5000, ("\\00" * MAX_TOLD)[: MAX_TOLD - 1] + "…"),
    ],
)
def test_what_a_peer_said_is_shown(said: bytes, shown: str) -> None:
    """One line of printable characters, and not too many."""
    assert printable(said) == shown


PROXY = Proxy("socks5", "proxy.example.org", 1080)
ROUTES = {
    (None, None, None): [],
    (None, None, StartTLS.SMTP): ["starttls"],
    (None, 2, None): ["proxy_protocol"],
    (PROXY, None, None): ["proxy"],
    (PROXY, 1, StartTLS.POSTGRES): ["proxy", "proxy_protocol", "starttls"],
}


@pytest.mark.parametrize(("way", "phases"), ROUTES.items(), ids=str)
def test_which_conversations_there_are(
    way: tuple[Proxy | None, int | None, StartTLS | None], phases: list[str]
) -> None:
    """The proxy on the way first, then the load balancer's header, then the server itself."""
    proxy, version, protocol = way
    target = Target("", "db.example.org", 5432, starttls=protocol)
    assert [phase for phase, _ in preludes(target, Route(proxy, version))] == phases


@pytest.mark.parametrize("protocol", list(StartTLS))
def test_every_protocol_has_a_script(protocol: StartTLS) -> None:
    """Each begins, or waits for the server to."""
    ((_, machine),) = preludes(Target("", "host.example.org", 1, starttls=protocol), Route())
    said = machine.start()
    assert machine.waiting_for
    assert bool(said) is (protocol in {StartTLS.LDAP, StartTLS.POSTGRES, StartTLS.XMPP})


def test_the_address_of_the_route_is_what_the_proxy_connects_to() -> None:
    """In place of the name; without it the proxy resolves the name."""
    target = Target("", "db.example.org", 5432)
    for address, asked in ((None, b"CONNECT db.example.org:5432"), ("2001:db8::7", b"CONNECT [2001:db8::7]:5432")):
        ((_, machine),) = preludes(target, Route(Proxy("http", "proxy.example.org", 3128), None, address))
        assert machine.start().split(b" HTTP/")[0] == asked


def test_no_proxy_connects_to_a_unix_socket() -> None:
    """Said before anything is sent."""
    ((_, machine),) = preludes(Target("", "localhost", 0, path="/run/api.sock"), Route(PROXY))
    with pytest.raises(PreludeFailed) as caught:
        machine.start()
    assert (caught.value.code, caught.value.what) == (Code.NET_PROXY_REFUSED, "no proxy connects to a Unix socket")
