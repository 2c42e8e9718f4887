"""A process that issues for as long as it lives; test_kill.py ends it.

Prints the fingerprint of each certificate once ``issue`` has returned it: what is printed was promised.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from datetime import UTC, datetime
from pathlib import Path
from secrets import randbits

from handclasp.authority.hierarchy import establish
from handclasp.authority.issue import Authority, issue
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.profile import CLIENT
from handclasp.pki.request import create, parse
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.store import database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

TRUST_DOMAIN = TrustDomain("example.org")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def serial() -> int:
    """A fresh one, over all lives of the process."""
    return randbits(158) | 1 << 158


async def main(directory: Path, count: int | None) -> None:
    """Issue ``count`` certificates from each of eight callers, or without end."""
    with database.open(directory / "ledger.db") as opened:
        ledger, custody = SqlLedger(opened), KeyFiles(directory / "ca")
        print("begun", flush=True)
        authority = Authority(ledger, custody, await establish(ledger, custody, TRUST_DOMAIN, now=NOW, serial=serial))

        async def caller(number: int) -> None:
            identity = SpiffeID(TRUST_DOMAIN, f"caller-{number}")
            request = parse(create(generate(KeyType.EC_P256), identity))
            for _ in itertools.count() if count is None else range(count):
                made = await issue(authority, request, Names(identity), CLIENT, "operator", now=NOW, serial=serial())
                print(made.record.fingerprint, flush=True)

        await asyncio.gather(*(caller(number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
