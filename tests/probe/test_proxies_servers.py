"""Real proxies, and real servers that stand behind a load balancer."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from handclasp.findings import Code
from handclasp.probe.evidence import Attempt, Evidence, Request
from handclasp.probe.loop import Driver
from handclasp.probe.prelude import PreludeFailed, preludes
from handclasp.probe.target import Proxy, Route, StartTLS, Target
from handclasp.testing.servers import Case, Material, Product, ServerAt, make_material, missing, one
from handclasp.testing.servers_proxies import BEHIND_A_BALANCER, MICROSOCKS, PASSWORD, TINYPROXY, USER
from handclasp.testing.servers_starttls import DOMAIN, SPEAKING
from handclasp.tlswire.offer import Offer

_NAMES = [product.name for product in BEHIND_A_BALANCER]
PROXIES = {"socks5": MICROSOCKS, "http": TINYPROXY}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("material"))


@contextmanager
def running(product: Product, material: Material) -> Iterator[ServerAt]:
    """The product; the test is skipped where it is not installed."""
    if why := missing(product):
        pytest.skip(why)
    with one(product, material, Case()) as server:
        yield server


@pytest.fixture(scope="module", params=list(PROXIES))
def proxy(request: pytest.FixtureRequest, material: Material) -> Iterator[Proxy]:
    """A proxy that knows one user."""
    with running(PROXIES[request.param], material) as server:
        yield Proxy(request.param, server.host, server.port, USER, PASSWORD)


@pytest.fixture(scope="module")
def mail(material: Material) -> Iterator[Target]:
    """A server that speaks first: its greeting may come together with the proxy's answer."""
    with running(SPEAKING[StartTLS.SMTP], material) as server:
        yield Target("", DOMAIN, server.port, starttls=StartTLS.SMTP)


def drive(connection: socket.socket, target: Target, route: Route) -> None:
    """All that is to be said before TLS."""
    rest = b""
    for _, machine in preludes(target, route):
        connection.sendall(machine.start())
        while not machine.done:
            data = rest or connection.recv(4096)
            assert data, f"closed instead of {machine.waiting_for}"
            rest = b""
            connection.sendall(machine.receive(data))
        rest = rest or machine.rest
    assert rest == b""


def refusal(target: Target, proxy: Proxy) -> str:
    """Why the proxy does not connect there."""
    with socket.create_connection((proxy.host, proxy.port), 10) as connection, pytest.raises(PreludeFailed) as caught:
        drive(connection, target, Route(proxy))
    assert caught.value.code is Code.NET_PROXY_REFUSED
    return caught.value.what


def test_through_a_proxy(proxy: Proxy, mail: Target, material: Material) -> None:
    """The proxy resolves the name; then the server changes over to TLS, and shows its certificate."""
    context = ssl.create_default_context(cafile=str(material.roots))
    with socket.create_connection((proxy.host, proxy.port), 10) as connection:
        drive(connection, mail, Route(proxy))
        with context.wrap_socket(connection, server_hostname=DOMAIN) as secured:
            assert secured.getpeercert(binary_form=True) == material.server.ders[0]


def test_a_proxy_that_does_not_know_the_caller(proxy: Proxy, mail: Target) -> None:
    """Without a password, and with a wrong one."""
    nobody = "the proxy takes nobody without a password (method 0xff)"
    wrong = "the proxy refused the user's name or password"
    if proxy.kind == "http":
        nobody = 'the proxy answered 407 Proxy Authentication Required; it asks for "Basic realm="Tinyproxy""'
        wrong = "the proxy answered 401 Unauthorized"
    assert refusal(mail, replace(proxy, user=None, password=None)) == nobody
    assert refusal(mail, replace(proxy, password="guessed")) == wrong


def test_a_proxy_that_cannot_connect(proxy: Proxy) -> None:
    """Nothing listens there: it says so in its way."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = Target("", DOMAIN, closed.getsockname()[1])
        what = refusal(target, proxy)
    assert (
        what
        == {
            "socks5": "the proxy answered 5: connection refused",
            "http": "the proxy answered 500 Unable to connect",
        }[proxy.kind]
    )


@pytest.mark.parametrize("product", BEHIND_A_BALANCER, ids=_NAMES)
def test_behind_a_load_balancer(product: Product, material: Material) -> None:
    """Both versions of the header are taken, and the caller is who connected; without one there is no TLS."""
    context = ssl.create_default_context(cafile=str(material.roots))
    with running(product, material) as server:
        target = Target("", DOMAIN, server.port)
        for version in (1, 2):
            with socket.create_connection((server.host, server.port), 10) as connection:
                drive(connection, target, Route(proxy_protocol=version))
                with context.wrap_socket(connection, server_hostname=DOMAIN) as secured:
                    secured.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
                    answer = b"".join(iter(partial(secured.recv, 4096), b""))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert (head.split()[1], body) == (b"200", b"127.0.0.1")
        with socket.create_connection((server.host, server.port), 10) as connection, pytest.raises(OSError):
            context.wrap_socket(connection, server_hostname=DOMAIN)


def test_the_driver_goes_through_a_proxy(proxy: Proxy, mail: Target, material: Material) -> None:
    """The proxy's way, the server's STARTTLS and our own TLS on one connection; and a proxy that says no."""
    found: dict[str | None, Evidence] = {}

    def done(attempt: Attempt, evidence: Evidence) -> None:
        assert attempt.route.proxy is not None
        found[attempt.route.proxy.user] = evidence

    ways = [Route(proxy), Route(replace(proxy, user=None, password=None))]
    Driver(new_random=os.urandom).run(iter([Attempt(mail, Offer(DOMAIN), way, listen=0.0) for way in ways]), done)
    through, refused = found[USER], found[None].failure
    assert (through.failure, through.seen.chain, through.seen.proved) == (None, material.server.ders, True)
    assert refused is not None
    assert (refused.code, refused.phase) == (Code.NET_PROXY_REFUSED, "proxy")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("product", BEHIND_A_BALANCER, ids=_NAMES)
def test_the_driver_behind_a_load_balancer(product: Product, version: int, material: Material) -> None:
    """The header goes out with the hello."""
    with running(product, material) as server:
        target = Target("", DOMAIN, server.port)
        attempt = Attempt(target, Offer(DOMAIN), Route(proxy_protocol=version), listen=0.0, request=Request())
        found: list[Evidence] = []
        Driver(new_random=os.urandom).run(iter([attempt]), lambda _, evidence: found.append(evidence))
    assert found[0].failure is None
    assert found[0].response is not None
    assert (found[0].response.status, found[0].response.body) == (200, b"127.0.0.1")
