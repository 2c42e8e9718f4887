"""A PostgreSQL for the tests of this folder, started when the first one needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# The contract suite is in the package; its assertions should explain themselves like those of a test module.
TOPICS = ("audit", "authorities", "certificates", "requests", "revocations", "search")
MONITORING = ("alerts", "checks", "definitions", "history", "scenes")
pytest.register_assert_rewrite(*(f"handclasp.testing.ledger_contract_{topic}" for topic in TOPICS))
pytest.register_assert_rewrite(*(f"handclasp.testing.monitor_contract_{topic}" for topic in MONITORING))

from handclasp.store import database  # noqa: E402
from handclasp.testing.postgres import Postgres, postgres  # noqa: E402 - the line above must come first

TEMPLATE = "with_tables"
"""A database that has the tables already: to copy it is quicker than to make them."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for each worker; it does not wait for the disk."""
    with postgres() as server:
        database.open(server.create(TEMPLATE)).close()
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database for this test."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    yield postgres_server.create(name)
    postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")
