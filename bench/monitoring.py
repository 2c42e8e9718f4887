"""What 100,000 monitors cost that are checked every minute: the worker's CPU and memory, the database's load, and how
late the checks are; on SQLite, on PostgreSQL, and on PostgreSQL with two workers.

The endpoints are simulated (``monitoring_worker``): what it costs to probe them is measured in ``probing``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.load import Unavailable
from bench.monitoring_worker import EVERY, monitor
from handclasp.monitor.schedule import next_due
from handclasp.store import database
from handclasp.store.monitors import SqlMonitors
from handclasp.testing.postgres import Postgres, postgres

MONITORS = 100_000
SECONDS = 60.0
_WARM_SECONDS, _WARM_MOST = 10.0, 9  # what became due while the monitors were written is caught up with first
_DUE = MONITORS / EVERY.total_seconds()
_DAY = 86_400
_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_USUAL = ("autovacuum_naptime=60", "shared_buffers=128MB", "max_wal_size=1GB")
"""What PostgreSQL does unless told otherwise; the tests' own server is smaller."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A store and how many workers share it."""

    store: str
    workers: int

    def __str__(self) -> str:
        return f"{self.store}, {self.workers} worker{'s' * (self.workers > 1)}"


@dataclass(frozen=True, slots=True)
class Load:
    """What the database had to do so far. ``written`` in octets: of the write-ahead log, or to SQLite's files."""

    cpu_us: float = 0.0
    transactions: int = 0
    rows: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A stretch of work: per second and per check. ``late`` are the median, the 99th percentile and the most, in
    seconds; ``cpu`` and ``server_cpu`` in cores; ``rss`` in megabytes, one for each worker. Of SQLite the database's
    work is in ``cpu``, and its transactions and rows are not counted."""

    checks_per_second: float
    cpu: float
    cpu_us_each: float
    rss: Sequence[float]
    late: tuple[float, float, float]
    server_cpu: float
    transactions_per_second: float
    rows_per_second: float
    written_per_day: float
    lost: int
    errors: int


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What was measured of each setup; ``skipped`` says why one was not."""

    seconds: float
    measured: Mapping[str, Measured] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """A table of its own: these numbers are many, and have no targets."""
        cells = [("", *self.measured)]
        for what, told in _TOLD.items():
            cells.append((what, *(told(one) for one in self.measured.values())))
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = [
            "  ".join(
                text.rjust(width) if column else text.ljust(width)
                for column, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in cells
        ]
        title = f"{MONITORS:,} monitors, each checked every minute: {_DUE:,.0f} a second are due; {self.seconds:.0f} s"
        return [title, *lines, *(f"{name} was not measured: {why}." for name, why in self.skipped.items())]

    def as_json(self) -> dict[str, object]:
        """Everything."""
        return asdict(self)


_TOLD: Mapping[str, Callable[[Measured], str]] = {
    "checks a second": lambda one: f"{one.checks_per_second:,.0f}",
    "CPU of the workers, cores": lambda one: f"{one.cpu:.2f}",
    "  for each check": lambda one: f"{one.cpu_us_each:.0f} us",
    "memory of each worker": lambda one: ", ".join(f"{each:.0f} MB" for each in one.rss),
    "late, median": lambda one: f"{one.late[0]:.3f} s",
    "late, 99 %": lambda one: f"{one.late[1]:.3f} s",
    "late, most": lambda one: f"{one.late[2]:.3f} s",
    "CPU of the server, cores": lambda one: f"{one.server_cpu:.2f}" if one.server_cpu else "-",
    "transactions a second": lambda one: f"{one.transactions_per_second:,.0f}" if one.server_cpu else "-",
    "rows written a second": lambda one: f"{one.rows_per_second:,.0f}" if one.server_cpu else "-",
    "written a day": lambda one: f"{one.written_per_day / 1e9:,.1f} GB",
    "results lost, errors": lambda one: f"{one.lost}, {one.errors}",
}


def run(where: Path, seconds: float = SECONDS) -> Monitoring:
    """All of it, SQLite's file in a directory made in ``where``."""
    measured: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for setup in (Setup("SQLite", 1), Setup("PostgreSQL", 1), Setup("PostgreSQL", 2)):
        try:
            measured[str(setup)] = _measure(setup, where, seconds)
        except Unavailable as missing:
            skipped[str(setup)] = str(missing)
    return Monitoring(seconds, measured, skipped)


def _measure(setup: Setup, where: Path, seconds: float) -> Measured:
    with ExitStack() as stack:
        if setup.store == "SQLite":
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handclasp-bench-", dir=where)))
            target, server = str(directory / "ledger.db"), None
        else:
            server = stack.enter_context(_server())
            target = server.create("bench")
        asyncio.run(_fill(target))
        workers = [stack.enter_context(_worker(target, f"worker-{number}")) for number in range(setup.workers)]
        for _ in range(_WARM_MOST):
            time.sleep(_WARM_SECONDS)
            late = [each for one in _ask(workers) for each in one["late"]]
            if late and median(late) < 1.0:
                break
        first, before = _ask(workers), _load(server, workers)
        began = time.monotonic()
        time.sleep(seconds)
        last, after = _ask(workers), _load(server, workers)
        return _between(first, last, before, after, time.monotonic() - began)


def _between(
    first: Sequence[Mapping[str, Any]], last: Sequence[Mapping[str, Any]], before: Load, after: Load, seconds: float
) -> Measured:
    def more(what: str) -> float:
        return float(sum(one[what] for one in last) - sum(one[what] for one in first))

    late = [each for one in last for each in one["late"]]
    return Measured(
        checks_per_second=more("checks") / seconds,
        cpu=more("cpu_us") / 1e6 / seconds,
        cpu_us_each=more("cpu_us") / max(more("checks"), 1),
        rss=[one["rss_mb"] for one in last],
        late=(median(late), quantiles(late, n=100)[98], max(late)),
        server_cpu=(after.cpu_us - before.cpu_us) / 1e6 / seconds,
        transactions_per_second=(after.transactions - before.transactions) / seconds,
        rows_per_second=(after.rows - before.rows) / seconds,
        written_per_day=(after.written - before.written) / seconds * _DAY,
        lost=int(more("lost")),
        errors=int(more("errors")),
    )


async def _fill(target: str) -> None:
    """The monitors are in the store, each due at its own time within the next minute."""
    monitors = [monitor(number) for number in range(MONITORS)]
    now = datetime.now(UTC)
    with database.open(target if target.startswith("postgresql:") else Path(target)) as opened:
        await SqlMonitors(opened).sync(monitors, now, {one.name: next_due(one, now) for one in monitors})


@contextmanager
def _worker(target: str, name: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.monitoring_worker", target, name],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.communicate()


def _ask(workers: Sequence[subprocess.Popen[str]]) -> list[Mapping[str, Any]]:
    told = []
    for worker in workers:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        told.append(json.loads(worker.stdout.readline()))
    return told


@contextmanager
def _server() -> Iterator[Postgres]:
    """PostgreSQL that waits for the disk, with its usual settings. Raises Unavailable."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres(durable=True))
        except (FileNotFoundError, RuntimeError) as missing:
            raise Unavailable(str(missing)) from missing
        control = shutil.which("pg_ctl") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
        usual = " ".join(f"-c {one}" for one in ("listen_addresses=", *_USUAL))
        subprocess.run(
            [
                *(control, "restart", "-D", str(server.directory / "data"), "-w", "-s", "-m", "fast"),
                *("-o", f"{usual} -c unix_socket_directories={server.directory}"),
                *("-l", str(server.directory / "server.log")),
            ],
            check=True,
            user=server.user,
            cwd="/",
            stdout=subprocess.DEVNULL,
        )
        yield server


def _load(server: Postgres | None, workers: Sequence[subprocess.Popen[str]]) -> Load:
    if server is None:
        lines = [line for one in workers for line in Path(f"/proc/{one.pid}/io").read_text().splitlines()]
        return Load(written=sum(int(line.split()[1]) for line in lines if line.startswith("write_bytes")))
    columns = "xact_commit + xact_rollback, tup_inserted + tup_updated + tup_deleted"
    said = server.sql(
        f"SELECT {columns}, pg_current_wal_lsn() - '0/0'::pg_lsn FROM pg_stat_database WHERE datname = 'bench'"
    )
    transactions, rows, written = map(int, said.split("|"))
    return Load(_server_us(server), transactions, rows, written)


def _server_us(server: Postgres) -> float:
    """CPU of all its processes, those that have ended included."""
    postmaster = int((server.directory / "data" / "postmaster.pid").read_text().split()[0])
    ticks = sum(_stat(postmaster)[11:15])
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = _stat(int(entry.name))
        except OSError:
            continue
        if fields[1] == postmaster:
            ticks += sum(fields[11:13])
    return ticks * _TICK_US


def _stat(pid: int) -> list[int]:
    """What follows the name and the state: from the parent on; times are from the eleventh."""
    text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, text[1:])]
