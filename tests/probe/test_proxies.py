"""The way through proxies: what is said to them, what they answer, and how that compares with curl's way."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import Code
from handclasp.probe.dialogue import MAX_RECEIVED, Dialogue, PreludeFailed
from handclasp.probe.proxies import KINDS, MAX_HEAD, proxy_protocol, through
from handclasp.probe.target import Proxy

NAME, ADDRESS4, ADDRESS6 = "db.example.org", "192.0.2.7", "2001:db8::7"
LOGIN = ("porter", "open sesame")
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
GRANTED5, GRANTED4 = bytes.fromhex("05000001 00000000 0000"), bytes.fromhex("005a 0000 00000000")
TO_NAME5 = bytes.fromhex("050100 03 0e") + NAME.encode() + bytes.fromhex("01bb")


def machine(kind: str, host: str = NAME, login: tuple[str | None, str | None] = (None, None)) -> Dialogue:
    script = through(Proxy(kind, "proxy.example.org", 1, *login), host, 443)
    return Dialogue(script, Code.NET_PROXY_REFUSED, then_tls=False)


def connect(to: str, *headers: str) -> bytes:
    return "\r\n".join((f"CONNECT {to} HTTP/1.1", f"Host: {to}", *headers, "", "")).encode()


def basic(login: str) -> str:
    return f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}"


Login = tuple[str | None, str | None]
NOBODY: Login = (None, None)
CONNECTED: dict[str, tuple[str, str, Login, list[bytes], list[bytes]]] = {
    "http name": ("http", NAME, NOBODY, [OPEN], [connect("db.example.org:443")]),
    "http IPv6": ("http", ADDRESS6, NOBODY, [b"HTTP/1.0 200\nVia: x\n\n"], [connect("[2001:db8::7]:443")]),
    "http login": ("http", NAME, LOGIN, [OPEN], [connect("db.example.org:443", basic("porter:open sesame"))]),
    "http user only": ("http", NAME, ("a", None), [OPEN], [connect("db.example.org:443", basic("a:"))]),
    "http after 103": (
        "http",
        NAME,
        NOBODY,
        [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"],
        [connect("db.example.org:443")],
    ),
    "socks5 name": ("socks5", NAME, NOBODY, [b"\x05\x00", GRANTED5], [b"\x05\x01\x00", TO_NAME5]),
    "socks5 IPv4": (
        "socks5",
        ADDRESS4,
        NOBODY,
        [b"\x05\x00", bytes.fromhex("050000 03 02") + b"ab\x00\x00"],
        [b"\x05\x01\x00", bytes.fromhex("050100 01 c0000207 01bb")],
    ),
    "socks5 IPv6": (
        "socks5",
        ADDRESS6,
        NOBODY,
        [b"\x05\x00", bytes.fromhex("050000 04") + bytes(18)],
        [b"\x05\x01\x00", bytes.fromhex("050100 04 20010db8000000000000000000000007 01bb")],
    ),
    "socks5 login": (
        "socks5",
        NAME,
        LOGIN,
        [b"\x05\x02", b"\x01\x00", GRANTED5],
        [b"\x05\x02\x00\x02", b"\x01\x06porter\x0bopen sesame", TO_NAME5],
    ),
    "socks5 login not wanted": (
        "socks5",
        NAME,
        LOGIN,
        [b"\x05\x00", GRANTED5],
        [b"\x05\x02\x00\x02", TO_NAME5],
    ),
    "socks4a name": (
        "socks4a",
        NAME,
        ("porter", None),
        [GRANTED4],
        [bytes.fromhex("0401 01bb 00000001") + b"porter\x00db.example.org\x00"],
    ),
    "socks4a IPv4": ("socks4a", ADDRESS4, NOBODY, [GRANTED4], [bytes.fromhex("0401 01bb c0000207 00")]),
}


@pytest.mark.parametrize("size", [None, 1], ids=["whole", "by octet"])
@pytest.mark.parametrize("case", CONNECTED.values(), ids=CONNECTED)
def test_connected(case: tuple[str, str, Login, list[bytes], list[bytes]], size: int | None) -> None:
    """What is sent and when, and that what the target says at once is left over for what comes next."""
    kind, host, login, answers, requests = case
    through_it = machine(kind, host, login)
    sent = [through_it.start()]
    for answer in answers:
        assert not through_it.done
        step = size or len(answer)
        sent.append(b"".join(through_it.receive(answer[at : at + step]) for at in range(0, len(answer), step)))
    assert [said for said in sent if said] == requests
    assert (through_it.done, through_it.rest) == (True, b"")
    assert through_it.receive(b"220 mail\r\n") == b""
    assert through_it.rest == b"220 mail\r\n"


NOT_THAT = 'what came is not the {}: "{}"'
REFUSED: dict[str, tuple[str, list[bytes], str]] = {
    "http 403": ("http", [b"HTTP/1.1 403 Not \x1bhere\r\nX: y\r\n\r\n"], "the proxy answered 403 Not \\1bhere"),
    "http 407": (
        "http",
        [b'HTTP/1.1 407 Who?\r\nA: b\r\nproxy-authenticate:  Basic realm="x"\r\n\r\n'],
        'the proxy answered 407 Who?; it asks for "Basic realm="x""',
    ),
    "http 302": ("http", [b"HTTP/1.1 302\r\n\r\n"], "the proxy answered 302"),
    "http endless": (
        "http",
        [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEAD // 6)],
        f"the head of the proxy's answer is longer than {MAX_HEAD} octets",
    ),
    "http only interim": (
        "http",
        [b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD // 20)],
        f"the head of the proxy's answer is longer than {MAX_HEAD} octets",
    ),
    "http from smtp": ("http", [b"220 mail\r\n"], NOT_THAT.format("HTTP proxy's answer", "220 mail")),
    "http version 2": ("http", [b"HTTP/2 200\r\n"], NOT_THAT.format("HTTP proxy's answer", "HTTP/2 200")),
    "socks5 no method": ("socks5", [b"\x05\xff"], "the proxy takes nobody without a password (method 0xff)"),
    "socks5 wants a password": ("socks5", [b"\x05\x02"], "the proxy takes nobody without a password (method 0x02)"),
    "socks5 closed port": ("socks5", [b"\x05\x00", b"\x05\x05\x00\x01"], "the proxy answered 5: connection refused"),
    "socks5 odd": (
        "socks5",
        [b"\x05\x00", b"\x05\x63\x00\x01"],
        "the proxy answered 99: a reply that RFC 1928 does not have",
    ),
    "socks5 odd address": (
        "socks5",
        [b"\x05\x00", b"\x05\x00\x00\x07"],
        "the proxy's answer has an address of the unknown type 7",
    ),
    "socks5 from http": (
        "socks5",
        [b"HTTP/1.1 400"],
        NOT_THAT.format("SOCKS5 proxy's choice of a method", "HTTP/1.1 400"),
    ),
    "socks4a rejected": ("socks4a", [b"\x00\x5b" + bytes(6)], "the proxy answered 91: request rejected or failed"),
    "socks4a from socks5": ("socks4a", [b"\x05\xff"], NOT_THAT.format("SOCKS4 proxy's answer", "\\05\\xff")),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: tuple[str, list[bytes], str]) -> None:
    """With the status, and what it means."""
    kind, answers, what = case
    through_it = machine(kind)
    through_it.start()
    with pytest.raises(PreludeFailed) as caught:
        for answer in answers:
            through_it.receive(answer)
    assert (caught.value.code, caught.value.what) == (Code.NET_PROXY_REFUSED, what)


def test_a_wrong_password() -> None:
    """RFC 1929 §2: every status but 0."""
    through_it = machine("socks5", NAME, LOGIN)
    through_it.start()
    through_it.receive(b"\x05\x02")
    with pytest.raises(PreludeFailed) as caught:
        through_it.receive(b"\x01\x01")
    refused = (Code.NET_PROXY_REFUSED, "the proxy refused the user's name or password")
    assert (caught.value.code, caught.value.what) == refused


UNSAYABLE: dict[str, tuple[str, str, Login, str]] = {
    "http colon": ("http", NAME, ("a:b", "c"), "a user's name for an HTTP proxy cannot have a colon (RFC 7617)"),
    "http two lines": ("http", "a\r\nX: y", NOBODY, 'no proxy connects to "a\\0d\\0aX: y"'),
    "socks5 long": (
        "socks5",
        NAME,
        ("a", "b" * 256),
        "a user's name and password for SOCKS5 have at most 255 octets (RFC 1929)",
    ),
    "socks4a IPv6": ("socks4a", ADDRESS6, NOBODY, "SOCKS4a has no IPv6 addresses: use socks5, or a name"),
    "socks4a password": (
        "socks4a",
        NAME,
        LOGIN,
        "SOCKS4a has no passwords: use socks5, or leave the password away",
    ),
    "socks4a NUL": (
        "socks4a",
        NAME,
        ("a\x00b", None),
        "a user's name for SOCKS4a has at most 255 octets, and none is NUL",
    ),
    "https": ("https", NAME, NOBODY, f"a proxy of the kind 'https' is not known; there are {', '.join(KINDS)}"),
}


@pytest.mark.parametrize("case", UNSAYABLE.values(), ids=UNSAYABLE)
def test_what_cannot_be_said(case: tuple[str, str, Login, str]) -> None:
    """Nothing is sent then, and no password is in the message."""
    kind, host, login, what = case
    with pytest.raises(PreludeFailed) as caught:
        machine(kind, host, login).start()
    assert (caught.value.code, caught.value.what) == (Code.NET_PROXY_REFUSED, what)


CURL: dict[str, tuple[str, str, Login, list[bytes], list[str]]] = {
    "http": ("http", NAME, LOGIN, [OPEN], ["--proxytunnel", "--proxy", "http://{}", "-U", "porter:open sesame"]),
    "socks5": (
        "socks5",
        NAME,
        LOGIN,
        [b"\x05\x02", b"\x01\x00", GRANTED5],
        ["--socks5-hostname", "{}", "-U", "porter:open sesame"],
    ),
    "socks5 IPv4": ("socks5", ADDRESS4, NOBODY, [b"\x05\x00", GRANTED5], ["--socks5-hostname", "{}"]),
    "socks4a": ("socks4a", NAME, ("porter", None), [GRANTED4], ["--proxy", "socks4a://porter@{}"]),
}


@pytest.mark.parametrize("case", CURL.values(), ids=CURL)
def test_it_is_said_as_curl_says_it(case: tuple[str, str, Login, list[bytes], list[str]]) -> None:
    """To one and the same proxy: octet for octet, but for the order of methods and headers, and headers of its own."""
    kind, host, login, answers, options = case
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        at = f"127.0.0.1:{listening.getsockname()[1]}"

        def listen() -> None:
            connection, _ = listening.accept()
            with connection:
                for answer in answers:
                    heard.append(connection.recv(4096))
                    connection.sendall(answer)

        proxy = threading.Thread(target=listen)
        proxy.start()
        call = ["curl", "-q", "-s", "-k", "--noproxy", "", *(option.format(at) for option in options)]
        subprocess.run([*call, f"https://{host}/"], check=False, timeout=20, capture_output=True)
        proxy.join(20)
    ours = machine(kind, host, login)
    said = [ours.start(), *(ours.receive(answer) for answer in answers)]
    assert [_comparable(one) for one in said if one] == [_comparable(one) for one in heard]


def _comparable(said: bytes) -> object:
    if said.startswith(b"CONNECT"):
        first, *headers = said.decode().split("\r\n")
        mine = {line for line in headers if not line.startswith(("User-Agent:", "Proxy-Connection:"))}
        return first, mine
    if said.startswith(b"\x05") and len(said) == 2 + said[1]:
        return said[0], set(said[2:]) - {1}  # curl offers GSSAPI as well
    return said


@pytest.mark.parametrize(
    ("version", "header"),
    [(1, b"PROXY UNKNOWN\r\n"), (2, b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")],
)
def test_the_header_of_the_proxy_protocol(version: int, header: bytes) -> None:
    """It speaks for no other caller, and nothing comes back."""
    machine = Dialogue(proxy_protocol(version), Code.NET_PROXY_REFUSED, then_tls=False)
    assert (machine.start(), machine.done, machine.rest) == (header, True, b"")


def test_another_version_of_the_proxy_protocol() -> None:
    """There are two."""
    machine = Dialogue(proxy_protocol(3), Code.NET_PROXY_REFUSED, then_tls=False)
    with pytest.raises(PreludeFailed):
        machine.start()


PIECES = sorted({piece for _, _, _, answers, _ in CONNECTED.values() for piece in answers})
SHOWN = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,700}")


@given(
    st.sampled_from(KINDS),
    st.booleans(),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=8),
)
def test_anything(kind: str, known: bool, pieces: list[bytes]) -> None:
    """Whatever a proxy says: the way is open, or PreludeFailed with a message that can be shown."""
    through_it = machine(kind, NAME, ("porter", None if kind == "socks4a" else "x") if known else NOBODY)
    sent = len(through_it.start())
    try:
        for piece in pieces:
            sent += len(through_it.receive(piece))
    except PreludeFailed as failed:
        assert failed.code is Code.NET_PROXY_REFUSED
        assert SHOWN.fullmatch(failed.what)
    assert sent < 1000


@pytest.mark.parametrize("piece", [b"\n", b"HTTP/1.1 100 \r\n\r\n", b"\x05\x00", b"\x05", b"\x00", b"H"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_end(kind: str, piece: bytes) -> None:
    """A proxy that goes on and on is cut off; once the way is open, what is kept for what comes next has a bound."""
    through_it = machine(kind)
    through_it.start()
    received = 0
    with pytest.raises(PreludeFailed):
        while received <= 2 * MAX_RECEIVED:
            through_it.receive(piece * 100)
            received += 100 * len(piece)
    assert received <= MAX_RECEIVED
