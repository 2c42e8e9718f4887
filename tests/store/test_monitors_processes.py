"""Several processes share the work: one is killed, one stopped for longer than its lease; nothing is lost or double."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from handclasp.store import database
from handclasp.store.monitor_entries import unpack
from handclasp.store.monitors import SqlMonitors
from handclasp.store.rows import instant, microseconds
from handclasp.store.schema import monitor_results, monitors
from handclasp.testing.monitor_contract_scenes import MINUTE, NOON, watch, watched

CHILD = Path(__file__).with_name("monitoring_child.py")
NAMES = [f"m{number}" for number in range(2000)]
DUES = [NOON, NOON + MINUTE]
NOW = NOON + 1.5 * MINUTE


def _start(target: str, *, stop_after: int | None = None) -> subprocess.Popen[str]:
    arguments = [
        sys.executable,
        str(CHILD),
        target,
        NOW.isoformat(),
        *([] if stop_after is None else [str(stop_after)]),
    ]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def _lines(child: subprocess.Popen[str], *, status: int = 0) -> list[list[str]]:
    printed, _ = child.communicate(timeout=60)
    assert child.returncode == status
    return [line.split() for line in printed.splitlines(keepends=True) if line.endswith("\n")]


def _checked(printed: list[list[str]]) -> list[tuple[str, str]]:
    return [(line[1], line[2]) for line in printed if line[0] == "did"]


def _prepare(target: str | Path) -> None:
    async def scene() -> None:
        with database.open(target) as opened:
            await watch(SqlMonitors(opened), *(watched(name) for name in NAMES))

    asyncio.run(scene())


def _recorded(target: str | Path) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """What the store says of it: each result by name and time, and each alert by its monitor."""

    query = sa.select(monitors.c.name, monitor_results).join(monitors, monitors.c.id == monitor_results.c.monitor_id)

    async def scene() -> tuple[Counter[tuple[str, str]], Counter[str]]:
        with database.open(target) as opened:
            store = SqlMonitors(opened)
            assert {one.next_due for one in await store.standings()} == {NOON + 2 * MINUTE}
            rows = await opened.read(lambda connection: connection.execute(query).all())
            found = [
                (row.name, instant(entry.at).isoformat())
                for row in rows
                for entry in unpack(microseconds(row.hour), row.entries)
            ]
            alerts = await store.claim_deliveries("test", NOW, timedelta(hours=1), 10_000)
            return Counter(found), Counter(one.transition.monitor for one in alerts)

    return asyncio.run(scene())


def test_each_is_checked_once_whatever_happens_to_a_worker(postgres_url: str) -> None:
    """Four workers, 2,000 monitors that are due twice. Each due time has one result, and each result its one alert."""
    _prepare(postgres_url)
    steady = [_start(postgres_url) for _ in range(2)]
    killed = _start(postgres_url)
    stopped = _start(postgres_url, stop_after=3)
    assert killed.stdout is not None
    before_death = [killed.stdout.readline() for _ in range(60)]
    os.kill(killed.pid, signal.SIGKILL)
    of_killed = [line.split() for line in before_death] + _lines(killed, status=-signal.SIGKILL)
    # These two end only when everything is done, also what the others held: that needs the ends of both leases.
    of_steady = [_lines(child) for child in steady]
    os.kill(stopped.pid, signal.SIGCONT)
    of_stopped = _lines(stopped)

    results, alerts = _recorded(postgres_url)
    assert results == Counter((name, due.isoformat()) for name in NAMES for due in DUES)
    assert alerts == Counter(NAMES)
    promised = [one for lines in (*of_steady, of_killed, of_stopped) for one in _checked(lines)]
    assert max(Counter(promised).values()) == 1
    # What the stopped one held was another's when it woke up, all of it, and it was told so.
    took = [int(line[1]) for line in of_stopped if line[0] == "took"]
    assert len([line for line in of_stopped if line[0] == "lost"]) == took[2] > 0


def test_two_processes_at_one_sqlite_file(tmp_path: Path) -> None:
    """It is not how a file is meant to be used (D10), and it goes well: they wait for each other, and each monitor is
    checked once."""
    path = tmp_path / "ledger.db"
    _prepare(path)
    both = [_start(str(path)), _start(str(path))]
    printed = [_lines(child) for child in both]
    assert Counter(_checked(printed[0] + printed[1])) == Counter((n, due.isoformat()) for n in NAMES for due in DUES)
    assert _recorded(path)[0] == Counter((name, due.isoformat()) for name in NAMES for due in DUES)
