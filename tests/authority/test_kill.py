"""kill -9 at any moment: nothing that was promised is lost, and the next start goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from handclasp.authority.audit import verify
from handclasp.authority.records import CertificateRecord, ChainedEvent
from handclasp.store import database
from handclasp.store.ledger import SqlLedger

CHILD = Path(__file__).with_name("issuing_child.py")
KILLED = Path(__file__).with_name("killed_child.py")


def _killed_after(directory: Path, lines: int) -> list[str]:
    """Run the child until it has printed so many lines, kill it, and return all that it printed."""
    with subprocess.Popen([sys.executable, str(CHILD), str(directory)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        printed = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        printed += child.stdout.readlines()
        assert child.wait() == -signal.SIGKILL
    # The last line may have been cut by the end of the process.
    return [line.strip() for line in printed if line.endswith("\n") and line != "begun\n"]


async def _remembered(path: Path) -> tuple[tuple[CertificateRecord, ...], tuple[ChainedEvent, ...]]:
    with database.open(path) as opened:
        ledger = SqlLedger(opened)
        assert len(await ledger.authorities()) == 2
        return await ledger.certificates(profile="client"), await ledger.events()


@pytest.mark.parametrize("lives", [(0, 1, 1), (2, 30), (9, 100)], ids=["at-the-start", "first-and-later", "busy"])
def test_kill_9_while_issuing_loses_nothing(tmp_path: Path, lives: tuple[int, ...]) -> None:
    """Killed again and again: every certificate reported is in the ledger, the chain verifies, issuing goes on."""
    promised = [line for lines in lives for line in _killed_after(tmp_path, lines)]
    done = subprocess.run([sys.executable, str(CHILD), str(tmp_path), "2"], check=True, capture_output=True, text=True)
    promised += done.stdout.split()[1:]

    records, log = asyncio.run(_remembered(tmp_path / "ledger.db"))
    verify(log)
    kept = Counter(record.fingerprint for record in records if record.fingerprint)
    logged = Counter(found.event.data["fingerprint"] for found in log if found.event.kind == "certificate.issued")
    assert set(kept.values()) == {1}
    assert kept == logged
    assert set(promised) <= set(kept)


@pytest.mark.parametrize("after", ["before", "after"])
def test_kill_9_at_every_step_issues_nothing_twice(tmp_path: Path, after: str) -> None:
    """Killed at each call, from the first on an empty directory to the last of the second request, and begun again:
    every request gets one certificate, which is the one promised before, and there are two authorities, made once."""
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path), after], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    promised = {int(lines.split()[0]): lines.split()[1:] for lines in done.stdout.split("directory ")[1:]}
    assert len(promised) > 30
    for number, fingerprints in promised.items():
        records, log = asyncio.run(_remembered(tmp_path / str(number) / "ledger.db"))
        verify(log)
        assert {record.fingerprint: record.request_id for record in records} == {
            fingerprint: f"request-{at}" for at, fingerprint in enumerate(fingerprints[-2:])
        }
        assert set(fingerprints) == set(fingerprints[-2:])
        made = Counter(found.event.kind for found in log)
        assert (made["certificate.issued"], made["authority.created"]) == (2, 2)
