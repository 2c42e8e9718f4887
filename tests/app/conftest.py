"""A real state directory and its authority, without a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from handclasp.app import control, settings
from handclasp.app.settings import Settings
from handclasp.app.site import Site, open_site
from handclasp.app.state import StateDirectory
from handclasp.app.vault import DATABASE, Vault, open_vault
from handclasp.findings import InvalidSetting, Refused
from handclasp.testing.requests import a_request

T = TypeVar("T")

SETTINGS = """\
trust_domain: example.org
services:
  orders:
    listen: 8443
    hosts: [orders.example.org, 192.0.2.7]
    upstream: http://127.0.0.1:8000
"""


@dataclass
class Place:
    """A state directory, and ways to work on it."""

    state: StateDirectory
    text: str = SETTINGS

    def settings(self) -> Settings:
        return settings.parse(self.text, "handclasp.yaml")

    def with_site(self, scenario: Callable[[Site], Awaitable[T]]) -> T:
        """Open the site, run the scenario, close it."""

        async def scene() -> T:
            with self.state.lock():
                async with open_site(self.state, self.settings()) as site:
                    return await scenario(site)

        return asyncio.run(scene())

    def with_vault(self, scenario: Callable[[Vault], Awaitable[T]]) -> T:
        """The same for the vault, which needs no authority."""

        async def scene() -> T:
            with self.state.lock(), open_vault(self.state, self.settings()) as vault:
                return await scenario(vault)

        return asyncio.run(scene())

    async def perform(self, operation: str, **arguments: object) -> dict[str, Any]:
        """One operation, wherever the writer is."""
        return await control.perform(self.state, self.settings, operation, **arguments)

    def do(self, operation: str, **arguments: object) -> dict[str, Any]:
        """One operation, here."""
        return asyncio.run(self.perform(operation, **arguments))

    def refused(self, operation: str, **arguments: object) -> Refused:
        """How it is refused."""
        with pytest.raises(Refused) as caught:
            self.do(operation, **arguments)
        return caught.value

    def invalid(self, operation: str, **arguments: object) -> InvalidSetting:
        """What in it cannot be."""
        with pytest.raises(InvalidSetting) as caught:
            self.do(operation, **arguments)
        return caught.value

    def issue(self, csr: str | None = None, **asked: object) -> dict[str, Any]:
        """A certificate of the profile client for the caller alice, where nothing else is asked."""
        return self.do("cert.issue", **self.asking(csr, **asked))

    def not_issued(self, csr: str | None = None, **asked: object) -> Refused:
        """How that is refused."""
        return self.refused("cert.issue", **self.asking(csr, **asked))

    def asking(self, csr: str | None = None, **asked: object) -> dict[str, object]:
        """The arguments of cert.issue: with a request its own names, else alice."""
        names: dict[str, object] = {"name": "alice" if csr is None else None, "dns": [], "ips": []}
        rest = {"profile": "client", "seconds": None, "request_id": None}
        return {"csr": csr or a_request(), **names, **rest, **asked}

    def found(self, **asked: object) -> list[dict[str, Any]]:
        """The certificates that a search finds, on its first page."""
        certificates: list[dict[str, Any]] = self.page(**asked)["certificates"]
        return certificates

    def page(self, **asked: object) -> dict[str, Any]:
        """The whole answer to a search."""
        words = ("contains", "prefix", "identity", "serial", "fingerprint", "key", "profile", "state", "issuer")
        nothing: dict[str, object] = dict.fromkeys((*words, "expires_within", "after"))
        return self.do("cert.search", **nothing | {"limit": 100} | asked)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty state directory, and nothing about it in the environment."""
    for variable in (DATABASE, "HANDCLASP_CA_PASSPHRASE"):
        monkeypatch.delenv(variable, raising=False)
    return Place(StateDirectory(tmp_path / "state"))


@pytest.fixture(scope="session")
def place_at() -> Callable[[Path], Place]:
    """For what several tests only look at: a place at a path of its own."""
    return lambda path: Place(StateDirectory(path))
