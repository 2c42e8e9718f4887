"""Every product once, with a port for each case, and what a client of ours is compared with.

The servers of one product start once in a session: its tests stay in one process of the test run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from handclasp.testing.servers import (
    PRODUCTS,
    Case,
    Client,
    Material,
    Product,
    ServerAt,
    Versions,
    make_material,
    missing,
    serving,
)
from handclasp.testing.servers.refusals import refusal
from handclasp.testing.servers.s_client import Shown, shown

ONE_VERSION = (Versions.TLS12, Versions.TLS13)
CASES = (
    *(Case(client, versions) for client in Client for versions in ONE_VERSION),
    Case(Client.REQUIRED),
    *(Case(versions=versions, rsa=True) for versions in ONE_VERSION),
    *(Case(versions=versions, staple=True) for versions in ONE_VERSION),
)


@dataclass(frozen=True)
class Laboratory:
    """One product that is running, with all of the cases that it can serve."""

    product: Product
    material: Material
    servers: Mapping[Case, ServerAt]

    @property
    def cases(self) -> list[Case]:
        return list(self.servers)

    @property
    def asking(self) -> list[Case]:
        """Those in which it asks for a certificate, sooner or later."""
        return [case for case in self.servers if case.client is not Client.NONE]

    @cached_property
    def witness(self) -> Mapping[Case, Shown]:
        """What ``openssl s_client`` is shown, by case."""
        return asyncio.run(self._witness())

    async def _witness(self) -> Mapping[Case, Shown]:
        async def one(case: Case) -> Shown:
            # Whoever is refused by TLS waits for it: one that writes is often cut off before it has read the alert.
            expected = refusal(self.product.name, case)
            ask = expected is None or expected.status is not None or case.client is Client.LOCATION
            return await shown(self.servers[case], self.material.roots, ask=ask)

        return dict(zip(self.cases, await asyncio.gather(*map(one, self.cases)), strict=True))


def group(product: Product) -> str:
    """Which process of the test run tests it. Both servers in Java are one compilation."""
    return f"lab-{product.programs[0] if product.programs else product.name}"


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Certificates and keys for all of them."""
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was compiled is kept."""
    return tmp_path_factory.getbasetemp().parent / "handclasp-compiled"


@pytest.fixture(
    scope="session",
    params=[pytest.param(one, marks=pytest.mark.xdist_group(group(one)), id=one.name) for one in PRODUCTS],
)
def lab(request: pytest.FixtureRequest, material: Material, kept: Path) -> Iterator[Laboratory]:
    """A product with its cases."""
    product: Product = request.param
    if why := missing(product):
        pytest.skip(why)
    cases = [case for case in CASES if product.can(case)]
    with serving(product, material, cases, kept=kept) as servers:
        yield Laboratory(product, material, servers)
