"""TLS 1.2 servers of OpenSSL to talk to: in memory by the standard library, or a process of ``openssl s_server``."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from handclasp.testing.chains import Holder, make
from handclasp.tlswire import messages
from handclasp.tlswire.client import TLSClient
from handclasp.tlswire.exchange import make as make_shares
from handclasp.tlswire.flight12 import Flight12
from handclasp.tlswire.hello import client_hello
from handclasp.tlswire.names import CIPHERS
from handclasp.tlswire.offer import TLS12, X25519, ClientCredential, Offer
from handclasp.tlswire.records import Messages, Records
from handclasp.tlswire.session import CHANGE_CIPHER_SPEC, HANDSHAKE, Session

NAME = "server.example.org"
ALWAYS: Any = {"begins": datetime(2001, 1, 1, tzinfo=UTC), "ends": datetime(2101, 1, 1, tzinfo=UTC)}
RANDOM, SESSION_ID = b"R" * 32, b"S" * 32
ALL = "ALL:@SECLEVEL=0"
SECONDS = 10.0

NO_EXTENDED_MASTER_SECRET = 1
"""SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3, which the standard library has no name for."""


@cache
def key(kind: str) -> Any:
    """One private key of each kind for all tests of a process."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


@cache
def authority() -> Holder:
    """Who issued all certificates here."""
    return make("authority", authority=True, **ALWAYS)


@cache
def holder(kind: str, name: str = NAME) -> Holder:
    """A certificate with a key of this kind, for servers and clients."""
    return make(name, authority(), key=key(kind), names=[x509.DNSName(name)], hash_=hashes.SHA256(), **ALWAYS)


def credential(kind: str, schemes: tuple[int, ...]) -> ClientCredential:
    """A client certificate, which signs with the first scheme that the server takes."""
    own = holder(kind, "client.example.org")

    def sign(data: bytes, scheme: int) -> bytes:
        if kind == "ed25519":
            return own.key.sign(data)  # type: ignore[no-any-return] # keys of a Holder are of any kind
        if kind == "rsa":
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if scheme == 0x0804 else padding.PKCS1v15()
            return own.key.sign(data, salted, hashes.SHA256())  # type: ignore[no-any-return] # as above
        return own.key.sign(data, ec.ECDSA(hashes.SHA256()))  # type: ignore[no-any-return] # as above

    return ClientCredential((own.der, authority().der), schemes, sign)


@dataclass(frozen=True)
class Files:
    """What a server reads from a directory."""

    directory: Path

    def pem(self, kind: str) -> Path:
        """The chain and the key of a server."""
        path = self.directory / f"{kind}.pem"
        if not path.exists():
            own = holder(kind)
            chain = [one.certificate.public_bytes(Encoding.PEM) for one in (own, authority())]
            path.write_bytes(b"".join(chain) + own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path

    def authorities(self) -> Path:
        """Whom the server trusts."""
        path = self.directory / "ca.pem"
        path.write_bytes(authority().certificate.public_bytes(Encoding.PEM))
        return path

    def dh_parameters(self, group: str = "modp_1536") -> Path:
        """A prime that everyone uses, by OpenSSL's name of it."""
        path = self.directory / f"{group}.pem"
        if not path.exists():
            command = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", f"group:{group}"]
            path.write_bytes(subprocess.run(command, check=True, capture_output=True, timeout=SECONDS).stdout)
        return path

    def context(
        self, kind: str = "ec", *, verify: ssl.VerifyMode = ssl.CERT_NONE, options: int = 0, alpn: tuple[str, ...] = ()
    ) -> ssl.SSLContext:
        """TLS 1.2 with every cipher that there is, for a server in memory."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(ALL)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.pem(kind))
        context.load_dh_params(str(self.dh_parameters()))
        context.options |= options
        context.verify_mode = verify
        if verify is not ssl.CERT_NONE:
            context.load_verify_locations(self.authorities())
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


class MemoryServer:
    """A TLS server without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.done = False
        self.error: ssl.SSLError | None = None
        self.received = b""

    def receive(self, data: bytes) -> bytes:
        """What it sends when it gets this."""
        self._incoming.write(data)
        try:
            if not self.done:
                self.tls.do_handshake()
                self.done = True
            while piece := self.tls.read(65536):
                self.received += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = error
        return self._outgoing.read()

    def write(self, data: bytes) -> bytes:
        """Application data, sealed."""
        self.tls.write(data)
        return self._outgoing.read()


def offer(*ciphers: int, **more: Any) -> Offer:
    """A hello of TLS 1.2 alone, with these ciphers; all, if there are none."""
    plain: dict[str, Any] = {"versions": (TLS12,), **more}
    return Offer(NAME, ciphers=ciphers, **plain) if ciphers else Offer(NAME, **plain)


def client(offered: Offer | None = None, *, trace: bool = False) -> TLSClient:
    """A client; every one has the same random, session id and key, so that a server's answer can be played again."""
    return TLSClient(offered or offer(), random=RANDOM, session_id=SESSION_ID, shares=shares(), trace=trace)


@cache
def shares() -> Any:
    """The key shares of every client here."""
    return make_shares((X25519,))


def talk(ours: TLSClient, server: MemoryServer, shown: ClientCredential | None = None) -> None:
    """Let both speak until neither has anything to say."""
    to_server = ours.start()
    while to_server:
        to_us = server.receive(to_server)
        to_server = ours.receive(to_us) if to_us else b""
        if ours.ready and not ours.over:
            to_server += ours.answer(shown)


def cipher_id(cipher: int) -> str:
    """For the names of tests."""
    return CIPHERS[cipher].removeprefix("TLS_")


@dataclass(frozen=True)
class Process:
    """A running ``openssl s_server``."""

    port: int
    process: subprocess.Popen[bytes]

    def say(self, line: str) -> None:
        """To its standard input: ``r`` asks for a renegotiation, anything else is sent to the client."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def visit(self, ours: TLSClient, shown: ClientCredential | None = None) -> socket.socket:
        """Do the handshake over a connection, which is returned."""
        connection = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        connection.sendall(ours.start())
        while not ours.established and not ours.over:
            self.hear(connection, ours)
            if ours.ready and not ours.over:
                connection.sendall(ours.answer(shown))
        return connection

    @staticmethod
    def hear(connection: socket.socket, ours: TLSClient) -> None:
        """Take what the server sends next, and answer it."""
        data = connection.recv(65536)
        if not data:
            ours.end_of_stream()
        elif reply := ours.receive(data):
            connection.sendall(reply)


@contextmanager
def s_server(files: Files, kind: str, *arguments: str | Path) -> Iterator[Process]:
    """One server process on a free port."""
    command: list[str | Path] = [
        "openssl",
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        files.pem(kind),
        "-key",
        files.pem(kind),
    ]
    process = subprocess.Popen(
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"ACCEPT 127.0.0.1:" not in said or not said.endswith(b"\n"):
            assert select.select([process.stdout], [], [], SECONDS)[0], said
            piece = process.stdout.read(4096)
            assert piece, said
            said += piece
        yield Process(int(said.split(b"ACCEPT 127.0.0.1:")[1].split()[0]), process)
    finally:
        process.kill()
        process.communicate()


class Direct:
    """A Flight12 alone, without the client around it, so that a test can put in messages that no server sends.

    ``start`` says hello and takes the server's first flight; ``finish`` sends ours and returns the server's last one
    as it is on the wire.
    """

    def __init__(self, server: MemoryServer, offered: Offer | None = None) -> None:
        self._server = server
        self.session = Session(offered or offer(), RANDOM, shares(), session_id=SESSION_ID)
        self.flight: Flight12 | None = None

    def start(self) -> Flight12:
        session = self.session
        hello = client_hello(session.offer, random=RANDOM, session_id=SESSION_ID, shares=shares())
        answer = self._server.receive(session.record(HANDSHAKE, session.message(messages.CLIENT_HELLO, hello)))
        whole = Messages()
        for _, _, payload in Records().feed(answer):
            for message in whole.feed(payload):
                self.put(message[0], message[4:])
        assert self.flight is not None
        return self.flight

    def put(self, kind: int, body: bytes) -> bytes:
        """One message, as if the server had sent it."""
        if kind != messages.HELLO_REQUEST:
            self.session.transcript += bytes((kind,)) + len(body).to_bytes(3, "big") + body
        if self.flight is not None:
            return self.flight.message(kind, body)
        self.flight = Flight12(self.session, messages.server_hello(body))
        return b""

    def finish(self, shown: ClientCredential | None = None) -> list[tuple[int, bytes, bytes]]:
        assert self.flight is not None
        return list(Records().feed(self._server.receive(self.flight.answer(shown))))

    def take(self, records: list[tuple[int, bytes, bytes]]) -> None:
        """The server's last flight, as the client would take it."""
        assert self.flight is not None
        for kind, header, payload in records:
            if kind == CHANGE_CIPHER_SPEC:
                self.flight.change_cipher_spec()
                continue
            if self.session.opening is not None:
                kind, payload = self.session.opening.open(kind, header, payload)
            self.put(payload[0], payload[4:])
