"""Whatever strangers send to the publishing server: a valid answer, an HTTP status of 400 and above, or the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from handclasp.authority.crl import FULL
from handclasp.authority.records import CrlRecord
from handclasp.findings import Code, Refused
from handclasp.protocols.publish import connection
from handclasp.protocols.publish.server import serve
from handclasp.protocols.publish.site import MAX_REQUEST
from handclasp.testing.publishing import Publishing, opened, publishing, serial

VECTORS = sorted((Path(cryptography_vectors.__file__).parent / "x509" / "ocsp").glob("*.der"))
Scene = Callable[[Publishing], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    """Run the scene with a server."""

    async def whole() -> None:
        async with publishing(directory) as found:
            await scene(found)

    asyncio.run(whole())


async def sent(port: int, data: bytes, *, wait: float = 20) -> bytes:
    """All that comes back for these octets until the server closes; nothing if it never does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), wait)
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()


def post(body: bytes, path: bytes = b"/ocsp", media_type: bytes = b"application/ocsp-request") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, media_type, len(body)) + body


def get(path: bytes, method: bytes = b"GET") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (method, path)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def test_statuses_of_http(tmp_path: Path) -> None:
    """Paths, methods, types and sizes that are not served: the status that says so."""

    async def scene(found: Publishing) -> None:
        key_id = found.authority.hierarchy.issuers[0].key_id.encode()
        cases = {
            get(b"/"): 404,
            get(b"/crl/00.crl"): 404,
            get(b"/crl/%b/99.crl" % key_id): 404,
            get(b"/crl/%b/../%b.crl" % (key_id, key_id)): 404,
            get(b"/ca/00.cer"): 404,
            get(b"/ocsp"): 405,
            get(b"/crl/%b.crl" % key_id, b"DELETE"): 405,
            get(b"/ca/%b.cer" % key_id, b"PUT"): 405,
            get(b"/ocsp/MAAA", b"PATCH"): 405,
            get(b"/ocsp/" + b"M" * (MAX_REQUEST + 1)): 414,
            post(b"", media_type=b"text/plain"): 415,
            post(b"x" * (MAX_REQUEST + 1)): 413,
            post(b"x", path=b"/crl/%b.crl" % key_id): 405,
            b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n": 413,
            b"nonsense\r\n\r\n": 400,
            get(b"/%ff%00" + bytes([200, 201])): 400,
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000: 400,
            get(b"/crl/%b.crl" % key_id) + b"trailing": 200,
        }
        found_statuses = {request: status(await sent(found.port, request)) for request in cases}
        assert found_statuses == cases

    play(tmp_path, scene)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_vectors_are_answered(tmp_path: Path, path: Path) -> None:
    """What cryptography ships, valid and malformed: each gets a response that says what is wrong, by POST and GET."""

    async def scene(found: Publishing) -> None:
        data = path.read_bytes()
        encoded = base64.b64encode(data)
        for answer in (await sent(found.port, post(data)), await sent(found.port, get(b"/ocsp/" + encoded))):
            assert status(answer) == 200
            response = ocsp.load_der_ocsp_response(body(answer))
            assert response.response_status.name in ("MALFORMED_REQUEST", "UNAUTHORIZED")

    play(tmp_path, scene)


def test_changed_requests_are_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand requests with octets changed, cut and added, by POST and GET: always a response that can be read, and
    nothing is logged."""

    async def scene(found: Publishing) -> None:
        issuer = found.authority.hierarchy.issuers[0].certificate
        alice = await found.issued("alice")
        sample = ocsp.OCSPRequestBuilder().add_certificate(alice.certificate, issuer, hashes.SHA1()).build()
        good = sample.public_bytes(Encoding.DER)
        chance = random.Random(7)
        seen = set()
        for number in range(1000):
            data = bytearray(good)
            for _ in range(chance.randrange(1, 5)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            request = bytes(data[: chance.randrange(len(data))] if number % 5 == 0 else data)
            message = get(b"/ocsp/" + base64.b64encode(request)) if number % 2 else post(request)
            answer = await sent(found.port, message)
            if number % 2 and not request:
                continue
            assert status(answer) == 200
            seen.add(ocsp.load_der_ocsp_response(body(answer)).response_status.name)
        assert {"MALFORMED_REQUEST", "UNAUTHORIZED", "SUCCESSFUL"} == seen

    with caplog.at_level(logging.WARNING):
        play(tmp_path, scene)
    assert caplog.records == []


def test_octets_that_are_no_http_end_the_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Random octets, and requests with octets changed: 400 or above, an answer, or nothing; never an error of ours."""

    async def scene(found: Publishing) -> None:
        chance = random.Random(11)
        key_id = found.authority.hierarchy.issuers[0].key_id.encode()
        for number in range(300):
            data = bytearray(get(b"/crl/%b.crl" % key_id) if number % 3 else chance.randbytes(80))
            for _ in range(chance.randrange(0, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            answer = await sent(found.port, bytes(data), wait=0.1)
            assert not answer or status(answer) in (200, 304, 400, 404, 405, 413, 414)
        assert status(await sent(found.port, get(b"/crl/%b.crl" % key_id))) == 200

    with caplog.at_level(logging.WARNING):
        play(tmp_path, scene)
    assert caplog.records == []


@pytest.mark.parametrize(
    "start",
    [b"", b"GET / HT", b"\r\n", post(b"x" * 99)[:-9]],
    ids=["nothing", "half a line", "empty lines", "half a body"],
)
def test_slow_clients_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    """Who says nothing, or stops in the middle, does not keep the connection."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr("handclasp.protocols.publish.server._BODY_SECONDS", 0.3)

    async def scene(found: Publishing) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(start)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()

    play(tmp_path, scene)


def test_empty_lines_do_not_keep_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an answer, octets that begin no request do not count as one."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)

    async def scene(found: Publishing) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(get(b"/").replace(b"Connection: close\r\n", b""))
        assert await reader.readuntil(b"nothing here.\n")
        writer.write(b"\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()

    play(tmp_path, scene)


def test_requests_without_end_are_cut_off(tmp_path: Path) -> None:
    """A client that sends on and on, and reads nothing, does not fill our memory."""

    async def scene(found: Publishing) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", found.port, limit=1024)
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                writer.write(get(b"/").replace(b"Connection: close\r\n", b"") * 100)
                await asyncio.wait_for(writer.drain(), 10)
        writer.close()

    play(tmp_path, scene)


def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large list and a client that does not read it: no more than a piece of it waits, and not for long."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)

    async def whole() -> int:
        async with opened(tmp_path) as found:
            key_id = found.authority.hierarchy.anchors[0].key_id
            for path in (tmp_path / "ca").glob("root*"):
                path.unlink()  # so that the ledger's list is served, whatever it is
            now = found.clock()
            large = CrlRecord(key_id, FULL, 1, 0, now, now + timedelta(days=1), b"x" * 50_000_000)
            assert await found.authority.ledger.record_crl(large)
        async with publishing(tmp_path) as found:
            reader, writer = await asyncio.open_connection("127.0.0.1", found.port, limit=1024)
            writer.write(get(f"/crl/{key_id}.crl".encode()))
            await asyncio.sleep(2)
            size = 0
            with contextlib.suppress(ConnectionError):
                while piece := await asyncio.wait_for(reader.read(1 << 20), 10):
                    size += len(piece)
            writer.close()
            return size

    assert 0 < asyncio.run(whole()) < 50_000_000


def test_many_requests_share_a_connection(tmp_path: Path) -> None:
    """Keep-alive, and requests sent without waiting for the answers before."""

    async def scene(found: Publishing) -> None:
        key_id = found.authority.hierarchy.issuers[0].key_id.encode()
        request = get(b"/ca/%b.cer" % key_id).replace(b"Connection: close\r\n", b"")
        answer = await sent(found.port, request * 20 + get(b"/"))
        assert answer.count(b"HTTP/1.1 200 OK") == 20
        assert answer.count(b"HTTP/1.1 404") == 1

    play(tmp_path, scene)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """With a code and a word for a person."""

    async def scene(found: Publishing) -> None:
        with pytest.raises(Refused) as caught:
            await serve(lambda: found.authority, "127.0.0.1", found.port, clock=found.clock, serial=serial)
        assert caught.value.code is Code.CONFIG_INVALID

    play(tmp_path, scene)
