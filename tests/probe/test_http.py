"""One HTTP request, and the response of a server that may say anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.findings import InvalidSetting
from handclasp.probe.evidence import Request, Response
from handclasp.probe.http import MAX_HEAD, MAX_HEADERS, MalformedResponse, ResponseReader, encode
from handclasp.probe.target import Target

TARGET = Target("t", "api.example.org", 443)


def read(
    data: bytes, *, method: str = "GET", most: int = 64, piece: int = 1 << 20, end: bool = True
) -> Response | None:
    """The response that is in these octets, which come in pieces of that size."""
    reader = ResponseReader(method, most)
    for at in range(0, len(data), piece):
        reader.receive(data[at : at + piece])
        if reader.done:
            return reader.response
    if end:
        reader.end()
    return reader.response


def ok(body: bytes, *headers: tuple[str, str], whole: bool = True) -> Response:
    """A response as it should be read."""
    return Response(200, "OK", headers, body, whole)


RESPONSES = {
    "sized": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiGARBAGE", ok(b"hi", ("content-length", "2"))),
    "no body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ok(b"", ("content-length", "0"))),
    "to the end": (b"HTTP/1.0 200 OK\r\n\r\nhello", ok(b"hello")),
    "bare line feeds": (b"HTTP/1.1 200 OK\nA: b\n\nhello", ok(b"hello", ("a", "b"))),
    "folded": (b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\r\n", ok(b"", ("a", "b c"))),
    "repeated length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", ok(b"x", ("content-length", "1, 1"))),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\n",
        ok(b"abcd", ("transfer-encoding", "chunked")),
    ),
    "longer than wanted": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
        ok(b"x" * 64, ("content-length", "100"), whole=False),
    ),
    "exactly as long as wanted": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 64, ok(b"x" * 64)),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65, ok(b"x" * 64, whole=False)),
    "chunks without end": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"40\r\n" + b"x" * 64 + b"\r\n1\r\ny\r\n",
        ok(b"x" * 64, ("transfer-encoding", "chunked"), whole=False),
    ),
    "after interim ones": (
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204\r\n\r\n",
        Response(204, "", (), b"", True),
    ),
}


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", RESPONSES)
def test_a_response(name: str, piece: int) -> None:
    """It is read alike in whatever pieces it comes."""
    data, expected = RESPONSES[name]
    assert read(data, piece=piece) == expected


def test_head_has_no_body() -> None:
    """Whatever its Content-Length says (RFC 9112 §6.3)."""
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    assert read(data, method="HEAD", end=False) == ok(b"", ("content-length", "10"))


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : space\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * MAX_HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("piece", [13, 1 << 20])
def test_what_is_no_response(data: bytes, piece: int) -> None:
    """It is said to be malformed; nothing else is raised."""
    with pytest.raises(MalformedResponse):
        read(data, piece=piece)


_PARTS = st.sampled_from([b"HTTP/1.1 200 OK", b"\r\n", b"\n", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"a",
                          b"3\r\nabc\r\n", b"0\r\n\r\n", b": ", b" ", b"5", b"HTTP/1.1 100 C\r\n\r\n"])  # fmt: skip


@given(st.lists(_PARTS | st.binary(max_size=8), max_size=20).map(b"".join), st.integers(1, 9))
def test_any_octets_are_read_alike_in_any_pieces(data: bytes, piece: int) -> None:
    """A response, or malformed: the same whichever pieces they come in."""
    results: list[object] = []
    for size in (piece, 1 << 20):
        try:
            results.append(read(data, most=4, piece=size))
        except MalformedResponse as error:
            results.append(str(error))
    assert results[0] == results[1]


def test_the_request() -> None:
    """Host without the port of HTTPS, our agent, and the connection is not kept."""
    assert encode(Request(), TARGET, "handclasp/1") == (
        b"GET / HTTP/1.1\r\nHost: api.example.org\r\nUser-Agent: handclasp/1\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    )


def test_a_request_with_its_own_headers() -> None:
    """They replace ours, except those that say how long the request is."""
    request = Request("POST", "/v1?a", (("host", "other"), ("X-A", "b"), ("Connection", "keep-alive")), b"{}")
    assert encode(request, Target("t", "::1", 8443), "us") == (
        b"POST /v1?a HTTP/1.1\r\nUser-Agent: us\r\nAccept: */*\r\nContent-Length: 2\r\nhost: other\r\nX-A: b\r\n"
        b"Connection: close\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (Target("t", "::1", 8443), "[::1]:8443"),
        (Target("t", "192.0.2.7", 443, server_name="api.example.org"), "api.example.org"),
        (Target("t", "localhost", 0, path="/run/a.sock"), "localhost"),
    ],
)
def test_the_host_of_a_request(target: Target, host: str) -> None:
    """The target's name, with its port unless it is 443."""
    assert f"\r\nHost: {host}\r\n".encode() in encode(Request(), target, "us")


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET /x", "/"),
        Request("GET", "/a b"),
        Request("GET", "/a\r\nX: y"),
        Request("GET", "/", (("A", "b\r\nX: y"),)),
        Request("GET", "/", (("A\r\nX", "y"),)),
    ],
)
def test_nothing_is_smuggled_into_a_request(request_: Request) -> None:
    """What would end a line is refused before anything is sent."""
    with pytest.raises(InvalidSetting):
        encode(request_, TARGET, "us")
