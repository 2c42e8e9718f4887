"""``python -m bench.monitoring_worker DATABASE NAME``: one worker of monitoring, as a process of its own.

The runner, the checks and the store are the real ones; what looks at the endpoints is not: it finds the same each time,
after LATENCY. For every line on standard input it tells, as a JSON object, what it has done and used so far, and how
late the checks since the line before were; when there are no more lines, it ends.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from bench.probing_sample import spent_us
from handclasp.monitor.checks import Checks
from handclasp.monitor.definition import Kind, Monitor
from handclasp.monitor.examined import Examined
from handclasp.monitor.results import CheckResult, WatchedCertificate
from handclasp.monitor.runner import Runner
from handclasp.monitor.schedule import next_due
from handclasp.store import database
from handclasp.store.monitors import SqlMonitors
from handclasp.testing.watching import FixedInventory

EVERY = timedelta(minutes=1)
LATENCY = 0.05  # seconds
_EACH = 8  # one lateness of so many is kept
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_FACTS = {"tls_version": "1.3", "cipher": "TLS_AES_128_GCM_SHA256", "group": "x25519", "alpn": "h2"}


def monitor(number: int) -> Monitor:
    """One of those that are watched."""
    name = f"host-{number}.example.org"
    return Monitor(name, Kind.TLS, f"{name}:443", every=EVERY, labels=(("team", "payments"),))


class Simulated:
    """An Examiner that finds a chain of two, as a server has it that nobody changes."""

    def __init__(self) -> None:
        self._numbers = count()

    async def examine(self, monitor: Monitor, now: datetime) -> Examined:
        """All is well."""
        await asyncio.sleep(LATENCY)
        name = monitor.target.removesuffix(":443")
        seconds = LATENCY + next(self._numbers) % 1000 / 1e6
        chain = _certificate("leaf", name, now), _certificate("intermediate", "Example issuing", now)
        return Examined((), chain, {**_FACTS, "address": "192.0.2.1:443"}, seconds, trusted=True)


def _certificate(role: str, name: str, now: datetime) -> WatchedCertificate:
    digest = f"{name.encode().hex():0>64}"[-64:]
    ends = _BEGAN.replace(year=now.year + 2)
    names = (name, f"www.{name}") if role == "leaf" else ()
    return WatchedCertificate(
        role, f"chain[{int(role != 'leaf')}]", f"CN={name}", "CN=CA", names, digest[:32], digest, digest, _BEGAN, ends
    )


async def main() -> None:
    """Work until standard input ends."""
    late = array("d")
    numbers = count()
    checks = Checks(
        examiner=Simulated(),
        inventory=FixedInventory(),
        read_secrets=lambda _: (),
        read_passphrase=lambda _: b"",
    )

    async def check(monitor: Monitor, last: CheckResult | None, now: datetime) -> CheckResult:
        if next(numbers) % _EACH == 0:
            late.append((now - next_due(monitor, now) + monitor.every).total_seconds())
        return await checks.check(monitor, last, now)

    with _opened(sys.argv[1]) as store:
        runner = Runner(store, check, worker=sys.argv[2], now=lambda: datetime.now(UTC))
        running = asyncio.create_task(runner.run())
        while await asyncio.to_thread(sys.stdin.readline):
            statistics = runner.statistics
            told = {
                "cpu_us": spent_us(),
                "checks": statistics.checks,
                "lost": statistics.lost,
                "errors": statistics.store_errors,
                "late": late.tolist(),
                "rss_mb": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6,
            }
            del late[:]
            print(json.dumps(told), flush=True)
        runner.stop()
        await running


@contextmanager
def _opened(target: str) -> Iterator[SqlMonitors]:
    with database.open(target if target.startswith("postgresql:") else Path(target)) as opened:
        yield SqlMonitors(opened)


if __name__ == "__main__":
    asyncio.run(main())
