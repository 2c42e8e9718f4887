"""An authority on a real ledger and real key files, and a clock and serial numbers that a test can read."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from handclasp.authority.hierarchy import Plan, establish
from handclasp.authority.issue import Authority, Issued, issue
from handclasp.authority.ports import Ledger
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.profile import CLIENT
from handclasp.pki.request import Request, create, parse
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.store import database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

T = TypeVar("T")

TRUST_DOMAIN = TrustDomain("example.org")
ALICE = SpiffeID(TRUST_DOMAIN, "alice")


@dataclass
class Place:
    """A state directory: everything in it is found again by the next Place there."""

    directory: Path
    now: datetime = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    trust_domain: TrustDomain = TRUST_DOMAIN
    alice: SpiffeID = ALICE
    plan: Plan = field(default_factory=Plan)
    serials: Iterator[int] = field(default_factory=lambda: itertools.count((1 << 100) + 1))

    @property
    def custody(self) -> KeyFiles:
        return KeyFiles(self.directory / "ca")

    def serial(self) -> int:
        return next(self.serials)

    def with_ledger(self, scenario: Callable[[Ledger], Awaitable[T]]) -> T:
        """Open the ledger, run the scenario, close it."""

        async def scene() -> T:
            with database.open(self.directory / "ledger.db") as opened:
                return await scenario(SqlLedger(opened, writer="test"))

        return asyncio.run(scene())

    def with_authority(self, scenario: Callable[[Authority], Awaitable[T]]) -> T:
        """The same with an established authority."""

        async def scene(ledger: Ledger) -> T:
            custody = self.custody
            hierarchy = await establish(ledger, custody, TRUST_DOMAIN, plan=self.plan, now=self.now, serial=self.serial)
            return await scenario(Authority(ledger, custody, hierarchy, self.plan))

        return self.with_ledger(scene)

    def request(self) -> Request:
        """A request with a key of its own."""
        return parse(create(generate(KeyType.EC_P256), ALICE))

    async def client(
        self,
        authority: Authority,
        identity: SpiffeID = ALICE,
        *,
        lifetime: timedelta | None = None,
        dns: str = "alice.example.org",
    ) -> Issued:
        """A client certificate, as the operator makes it."""
        return await issue(
            authority,
            self.request(),
            Names(identity, (dns,)),
            CLIENT,
            "operator",
            now=self.now,
            serial=self.serial(),
            lifetime=lifetime,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty state directory."""
    return Place(tmp_path / "state")
