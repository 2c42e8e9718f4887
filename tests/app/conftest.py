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

    async def perform(self, operation: str, **arguments: object) -> dict[str, Any]:
        """One operation, wherever the writer is."""
        return await control.perform(self.state, self.settings, operation, **arguments)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty state directory."""
    return Place(StateDirectory(tmp_path / "state"))
