"""One running site for the tests that only look, and a way to start others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from handclasp.testing.site import RunningSite, free_port
from handclasp.testing.upstream import EchoApi


class Laboratory:
    """A site with two services on one port, one without client certificates, and one on a port of its own."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.api = stack.enter_context(EchoApi())
        self.other_api = stack.enter_context(EchoApi())
        self.port = free_port()
        self.alone_port = free_port()
        self.settings = f"""
trust_domain: example.org
services:
  orders:
    listen: 127.0.0.1:{self.port}
    hosts: [localhost, orders.example.org]
    upstream: {self.api.url}
    rules:
      - allow: spiffe://example.org/checkout
        methods: [GET, POST]
        paths: [/v1/orders/**]
      - allow: spiffe://example.org/audit/*
        methods: [GET]
      - allow: spiffe://example.org/all
  users:
    listen: 127.0.0.1:{self.port}
    hosts: [users.example.org]
    upstream: {self.other_api.url}
    explain: full
    rules:
      - allow: [spiffe://example.org/checkout, spiffe://example.org/all]
        methods: [GET]
        paths: [/users/*]
  public:
    listen: 127.0.0.1:{self.port}
    hosts: [public.example.org]
    upstream: {self.other_api.url}
    client_certificates: off
    rules:
      - allow: anyone
        methods: [GET]
  alone:
    listen: 127.0.0.1:{self.alone_port}
    hosts: [localhost, 127.0.0.1]
    upstream: {self.api.url}
    rules:
      - allow: spiffe://example.org/all
"""
        (directory / "handclasp.yaml").write_text(self.settings)
        self.site = stack.enter_context(RunningSite(directory))
        for name in ("checkout", "audit/nightly", "all", "stranger"):
            self.site.run("client", "add", name)

    def files(self, name: str) -> Path:
        """A caller's files."""
        return self.site.client(name)

    @property
    def trust(self) -> Path:
        """A directory with the trust bundle."""
        return self.site.client("all")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A laboratory that tests share: they look at it and leave it as it is."""
    with ExitStack() as stack:
        yield Laboratory(tmp_path_factory.mktemp("lab"), stack)


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Laboratory]:
    """A laboratory of a test's own, to change and to break."""
    with ExitStack() as stack:
        yield Laboratory(tmp_path, stack)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningSite]]:
    """Start `handclasp up ARGUMENTS` in this test's directory; stopped at its end."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(RunningSite(tmp_path, *arguments))
