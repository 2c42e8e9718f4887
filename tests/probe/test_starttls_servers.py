"""STARTTLS with the servers that people run."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import repeat

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from handclasp.findings import Code
from handclasp.pki import pem
from handclasp.probe.evidence import Attempt, Evidence, Failure
from handclasp.probe.loop import Driver
from handclasp.probe.prelude import Prelude, PreludeFailed, preludes
from handclasp.probe.target import Route, StartTLS, Target
from handclasp.testing.servers import Case, Material, Product, ServerAt, make_material, missing, one
from handclasp.testing.servers_starttls import DOMAIN, REFUSING, SPEAKING
from handclasp.tlswire.offer import Offer

Serve = Callable[[Product], ServerAt]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def serve(material: Material) -> Iterator[Serve]:
    """A server of this product, started when the first test wants it; all are stopped together."""
    running: dict[int, ServerAt] = {}
    stacks: list[ExitStack] = []

    def found(product: Product) -> ServerAt:
        if why := missing(product):
            pytest.skip(why)
        if id(product) not in running:
            stack = ExitStack()
            running[id(product)] = stack.enter_context(one(product, material, Case()))
            stacks.append(stack)
        return running[id(product)]

    yield found
    with ThreadPoolExecutor(16) as together:
        list(together.map(ExitStack.close, stacks))


def conversation(protocol: StartTLS, port: int) -> Prelude:
    ((_, machine),) = preludes(Target("", DOMAIN, port, starttls=protocol), Route())
    return machine


def drive(connection: socket.socket, machine: Prelude) -> None:
    connection.sendall(machine.start())
    while not machine.done:
        data = connection.recv(4096)
        assert data, f"closed instead of {machine.waiting_for}"
        connection.sendall(machine.receive(data))


def driven(protocol: StartTLS, port: int) -> list[Evidence]:
    """What the driver sees of the server, in five attempts at once."""
    attempt = Attempt(Target("", DOMAIN, port, starttls=protocol), Offer(DOMAIN), listen=0.0)
    found: list[Evidence] = []
    Driver(new_random=os.urandom).run(repeat(attempt, 5), lambda _, evidence: found.append(evidence))
    assert len(found) == 5
    return found


@pytest.mark.parametrize("protocol", list(StartTLS))
def test_a_server_changes_over(protocol: StartTLS, serve: Serve, material: Material) -> None:
    """After the conversation TLS begins on the same connection, with the certificate that openssl is shown too; and so
    it does with the driver and our own TLS."""
    server = serve(SPEAKING[protocol])
    with socket.create_connection((server.host, server.port), 10) as connection:
        drive(connection, conversation(protocol, server.port))
        context = ssl.create_default_context(cafile=str(material.roots))
        with context.wrap_socket(connection, server_hostname=DOMAIN) as secured:
            shown = secured.getpeercert(binary_form=True)
    call = ["openssl", "s_client", "-starttls", str(protocol), "-connect", f"{server.host}:{server.port}", "-showcerts"]
    extra = ["-xmpphost", DOMAIN] if protocol is StartTLS.XMPP else []
    openssl = subprocess.run([*call, *extra], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20)
    assert shown == material.server.ders[0]
    assert pem.load_chain(openssl.stdout)[0].public_bytes(Encoding.DER) == shown
    for evidence in driven(protocol, server.port):
        assert evidence.failure is None
        assert (evidence.seen.chain[:1], evidence.seen.proved) == (material.server.ders[:1], True)


SAID = {
    StartTLS.SMTP: "the SMTP server does not offer STARTTLS; it offers ",
    StartTLS.IMAP: 'the IMAP server refused STARTTLS: it said "h1 BAD TLS support isn\'t enabled."',
    StartTLS.POP3: 'the POP3 server refused STLS: it said "-ERR TLS support isn\'t enabled."',
    StartTLS.FTP: 'the FTP server refused AUTH TLS: it said "530 Please login with USER and PASS."',
    StartTLS.LDAP: 'the LDAP server refused StartTLS with 2 protocolError: it said "unsupported extended operation"',
    StartTLS.MYSQL: "the MySQL server does not offer TLS; its version is ",
    StartTLS.XMPP: "the XMPP server does not offer STARTTLS; it offers ",
}


@pytest.mark.parametrize("protocol", list(REFUSING))
def test_a_server_without_tls(protocol: StartTLS, serve: Serve) -> None:
    """It is said what it said, and the driver says it in the phase of STARTTLS."""
    server = serve(REFUSING[protocol])
    with (
        socket.create_connection((server.host, server.port), 10) as connection,
        pytest.raises(PreludeFailed) as caught,
    ):
        drive(connection, conversation(protocol, server.port))
    assert caught.value.code is Code.PROTO_STARTTLS_REFUSED
    assert caught.value.what.startswith(SAID[protocol])
    for evidence in driven(protocol, server.port):
        assert evidence.failure == Failure(Code.PROTO_STARTTLS_REFUSED, caught.value.what, "starttls")


def test_postgresql_without_tls(serve: Serve) -> None:
    """A server has none on its Unix socket, whatever it has elsewhere."""
    server = serve(SPEAKING[StartTLS.POSTGRES])
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(PreludeFailed) as caught:
        connection.settimeout(10)
        connection.connect(str(server.log.parent / f".s.PGSQL.{server.port}"))
        drive(connection, conversation(StartTLS.POSTGRES, server.port))
    what = 'the PostgreSQL server has TLS turned off: it said "N"'
    assert (caught.value.code, caught.value.what) == (Code.PROTO_STARTTLS_REFUSED, what)


@pytest.mark.parametrize("protocol", [StartTLS.POSTGRES, StartTLS.LDAP, StartTLS.XMPP])
def test_the_wrong_server(protocol: StartTLS, serve: Serve) -> None:
    """One that greets is found out at once, whatever is asked of it."""
    server = serve(SPEAKING[StartTLS.SMTP])
    with (
        socket.create_connection((server.host, server.port), 10) as connection,
        pytest.raises(PreludeFailed) as caught,
    ):
        drive(connection, conversation(protocol, server.port))
    assert caught.value.code is Code.PROTO_STARTTLS_REFUSED
    assert caught.value.what.startswith("what came is not the ")
