"""The ledger keeps the contract of the Ledger port, on each database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handclasp.authority.ports import Ledger
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.store.searchable import index_names
from handclasp.testing.ledger_contract import LedgerContract
from handclasp.testing.postgres import Postgres


class TestOnSqlite(LedgerContract):
    """On one file."""

    @contextmanager
    def open(self, directory: Path) -> Iterator[Ledger]:
        with database.open(directory / "ledger.db") as opened:
            yield SqlLedger(opened)


class TestOnSqliteIndexed(TestOnSqlite):
    """The same, with the index of names made before each search by name."""

    async def settle(self, ledger: Ledger) -> None:
        assert isinstance(ledger, SqlLedger)
        await ledger._database.write(lambda connection: index_names(connection, 1000))


class TestOnPostgres(LedgerContract):
    """In one database for each test."""

    @pytest.fixture(autouse=True)
    def server(self, postgres_server: Postgres) -> Iterator[None]:
        self._server = postgres_server
        self._made: set[str] = set()
        yield
        for name in self._made:
            postgres_server.sql(f"DROP DATABASE {name}")

    @contextmanager
    def open(self, directory: Path) -> Iterator[Ledger]:
        name = "test_" + hashlib.sha256(str(directory).encode()).hexdigest()[:16]
        if name not in self._made:
            self._server.create(name, template="with_tables")
            self._made.add(name)
        with database.open(self._server.url(name)) as opened:
            yield SqlLedger(opened)
