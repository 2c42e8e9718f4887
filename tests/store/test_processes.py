"""Several processes at one PostgreSQL, and one of them killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from handclasp.authority.audit import verify
from handclasp.authority.records import CertificateState
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.testing.ledger_scenes import ISSUER, NOON
from handclasp.testing.postgres import postgres

CHILD = Path(__file__).with_name("working_child.py")


def _start(url: str, writer: str, rounds: int | None = None) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(CHILD), url, writer, *([] if rounds is None else [str(rounds)])]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _kill_after(child: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill it once it has printed so many lines; all that it printed whole."""
    assert child.stdout is not None
    printed = [child.stdout.readline() for _ in range(lines)]
    os.kill(child.pid, signal.SIGKILL)
    printed += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [line.strip() for line in printed if line.endswith("\n")]


def _finished(child: subprocess.Popen[str]) -> list[str]:
    printed, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    return printed.splitlines()


def _numbers(printed: list[str], kind: str) -> list[int]:
    return [int(line.split()[1]) for line in printed if line.startswith(f"{kind} ")]


def _check(url: str, printed: list[list[str]]) -> int:
    """What the processes promised is in the ledger, once, and the ledger is in order; how many certificates it has."""

    async def scene() -> int:
        with database.open(url) as opened:
            ledger = SqlLedger(opened, writer="check")
            records, log = await ledger.certificates(), await ledger.events()
            heads = verify(log)
            assert {writer: (head.count, head.hash) for writer, head in heads.items()} == await ledger.heads()
            # No serial and no request twice.
            assert max(Counter(record.serial for record in records).values()) == 1
            assert max(Counter(record.request_id for record in records).values()) == 1
            # No event lost, none for what did not happen.
            kinds = Counter(found.event.kind for found in log)
            made = [record for record in records if record.state is not CertificateState.INTENDED and record.der]
            gone = [record for record in records if record.state is CertificateState.REVOKED]
            assert kinds == Counter({"meant": len(records), "issued": len(made), "revoked": len(gone)})
            # What was promised is there, and each thing was promised by one process only.
            promised = [serial for lines in printed for serial in _numbers(lines, "issued")]
            assert max(Counter(promised).values()) == 1
            assert set(promised) <= {record.serial for record in made}
            revoked = [serial for lines in printed for serial in _numbers(lines, "revoked")]
            assert max(Counter(revoked).values()) == 1
            assert set(revoked) <= {record.serial for record in gone}
            # CRL numbers never repeat, and the next one is greater than all.
            numbers = [number for lines in printed for number in _numbers(lines, "number")]
            assert max(Counter(numbers).values()) == 1
            assert await ledger.next_crl_number(ISSUER, NOON) > max(numbers)
            assert await ledger.revocation_mark(ISSUER, 0) == len(gone)
            assert len(await ledger.revocations(ISSUER)) == len(gone)
            return len(records)

    return asyncio.run(scene())


def test_three_at_once(postgres_url: str) -> None:
    """They start on an empty database together, use the same serials and requests, and nothing is double or lost."""
    children = [_start(postgres_url, f"writer-{n}", 40) for n in range(3)]
    printed = [_finished(child) for child in children]
    records = _check(postgres_url, printed)
    # Serials 1 to 240, and a request for every two of them.
    assert records == 121


def test_killed_in_the_middle(postgres_url: str) -> None:
    """kill -9 of one process after another, while another goes on: what they promised is kept, the rest is whole."""
    survivor = _start(postgres_url, "survivor", 80)
    printed = [_kill_after(_start(postgres_url, f"killed-{lines}"), lines) for lines in (1, 3, 20, 60)]
    printed.append(_finished(survivor))
    _check(postgres_url, printed)


def test_the_server_is_killed() -> None:
    """kill -9 of PostgreSQL itself, durable as in production: what was promised is there after its recovery."""
    with postgres(durable=True) as server:
        url = server.create("durable")
        child = _start(url, "writer")
        assert child.stdout is not None
        printed = [child.stdout.readline() for _ in range(40)]
        server.kill()
        printed += child.stdout.readlines()
        child.stdout.close()
        assert child.wait() == 1
        server.start()
        _check(url, [[line.strip() for line in printed if line.endswith("\n")]])
