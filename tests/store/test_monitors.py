"""The store of monitoring keeps the contract of the MonitorStore port, on each database and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from handclasp.monitor.ports import MonitorStore
from handclasp.store import database
from handclasp.store.monitors import SqlMonitors
from handclasp.store.schema import metadata
from handclasp.testing.monitor_contract import MonitorContract
from handclasp.testing.monitor_memory import MemoryMonitorStore
from handclasp.testing.postgres import Postgres

DATABASE = "monitoring"
TABLES = [name for name in metadata.tables if name.startswith("monitor")]


class TestOnSqlite(MonitorContract):
    """On one file."""

    @contextmanager
    def open(self, directory: Path) -> Iterator[MonitorStore]:
        with database.open(directory / "ledger.db") as opened:
            yield SqlMonitors(opened)


class TestOnPostgres(MonitorContract):
    """In one database, emptied for each test."""

    @pytest.fixture(autouse=True)
    def empty(self, postgres_server: Postgres) -> None:
        self._url = postgres_server.url(DATABASE)
        if postgres_server.sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"):
            postgres_server.sql(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY", database=DATABASE)
        else:
            postgres_server.create(DATABASE, template="with_tables")

    @contextmanager
    def open(self, directory: Path) -> Iterator[MonitorStore]:
        with database.open(self._url) as opened:
            yield SqlMonitors(opened)


class TestInMemory(MonitorContract):
    """As long as the test lasts."""

    @pytest.fixture(autouse=True)
    def kept(self) -> None:
        self._kept = MemoryMonitorStore()

    @contextmanager
    def open(self, directory: Path) -> Iterator[MonitorStore]:
        yield self._kept
