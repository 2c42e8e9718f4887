"""What every part of the store of monitoring has, and how its rows become values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from handclasp.findings import Code, Refused
from handclasp.monitor.definition import Monitor, State
from handclasp.monitor.ports import Standing
from handclasp.monitor.records_json import UnknownRecord, monitor_from_json, result_from_json
from handclasp.monitor.results import CheckResult
from handclasp.store.database import Database
from handclasp.store.monitors_hot import HotPath
from handclasp.store.monitors_postgres import OnPostgres
from handclasp.store.monitors_sqlite import OnSqlite
from handclasp.store.rows import instant

_SECOND = 1_000_000


class MonitorsPart:
    """The database, and the statements for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hot: HotPath = OnPostgres() if database.dialect == "postgresql" else OnSqlite()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    def _definition(self, text: str) -> Monitor:
        """Refused(STATE_NEWER) if a newer version wrote it."""
        try:
            return monitor_from_json(text)
        except UnknownRecord as error:
            raise self._newer(error) from error

    def _standing(self, row: Sequence[Any]) -> Standing:
        """Of a row of STANDING.

        A last result with a code of a newer version, which may work at the same database while processes are replaced,
        is as good as none: what changed since cannot be told.
        """
        definition, _, due, state, since, at, latency, attempts, body, _ = row
        monitor = self._definition(definition)
        last = None
        if body is not None and at is not None:
            try:
                last = result_of(body, monitor.name, at, latency, attempts)
            except UnknownRecord:
                last = None
        return Standing(monitor, State(state), None if since is None else instant(since), last, instant(due))

    def _newer(self, error: UnknownRecord) -> Refused:
        return Refused(
            Code.STATE_NEWER,
            f"The ledger {self._database.name} was written by a newer Handclasp",
            str(error),
            "Use the newer version.",
        )


def result_of(body: str, monitor: str, at: int, latency: int | None, attempts: int) -> CheckResult:
    """A result from its evidence and what is kept beside it. UnknownRecord if a newer version wrote it."""
    seconds = None if latency is None else latency / _SECOND
    return result_from_json(body, monitor=monitor, at=instant(at), seconds=seconds, attempts=attempts)


def text_out(text: str | None) -> str | None:
    """As JSON: what a peer sent may hold characters that PostgreSQL refuses, and with them all of its transaction."""
    return None if text is None else json.dumps(text)


def text_in(kept: str | None) -> str | None:
    """Back."""
    return None if kept is None else str(json.loads(kept))
