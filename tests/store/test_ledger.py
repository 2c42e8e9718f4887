"""The ledger on SQLite keeps the contract of the Ledger port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handclasp.authority.ports import Ledger
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.testing.ledger_contract import LedgerContract


class TestSqlLedger(LedgerContract):
    """On one file."""

    @contextmanager
    def open(self, directory: Path) -> Iterator[Ledger]:
        with database.open(directory / "ledger.db") as opened:
            yield SqlLedger(opened)
