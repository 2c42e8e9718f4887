"""A process of many lives; test_kill.py runs it.

Each life is a child that makes or loads the authorities, then issues two certificates, each under a request id of its
own that all lives in one directory share, and prints the fingerprint of each once ``issue`` has returned it. In the
directory N the first life kills itself (SIGKILL) at its call number N of ledger or custody, before or after it, and
the second goes on to the end; until there is no call N. They are forked from one process, to import only once.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import randbits
from typing import Any

from handclasp.authority.hierarchy import establish
from handclasp.authority.issue import Authority, issue
from handclasp.pki.issue import Names
from handclasp.pki.keys import KeyType, generate
from handclasp.pki.profile import CLIENT
from handclasp.pki.request import Request, create, parse
from handclasp.pki.spiffe import SpiffeID, TrustDomain
from handclasp.store import database
from handclasp.store.keyfiles import KeyFiles
from handclasp.store.ledger import SqlLedger

TRUST_DOMAIN = TrustDomain("example.org")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Killing:
    """Counts the calls on what it wraps; the one it waits for is the last of this process."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left = step
        self._after = after

    def around(self, real: object) -> Any:
        """The same object, with an end."""
        killing = self

        class Around:
            def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
                async def call(*args: object, **kwargs: object) -> object:
                    killing._left -= 1
                    if killing._left == 0 and not killing._after:
                        os.kill(os.getpid(), signal.SIGKILL)
                    answer = await getattr(real, name)(*args, **kwargs)
                    if killing._left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return answer

                return call

        return Around()


def serial() -> int:
    """A fresh one, over all lives of the process."""
    return randbits(158) | 1 << 158


def request_of(path: Path, identity: SpiffeID) -> Request:
    """The same request in every life: made once, kept in a file."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.write_bytes(create(generate(KeyType.EC_P256), identity))
        fresh.rename(path)
    return parse(path.read_bytes())


async def main(directory: Path, step: int, *, after: bool) -> None:
    """One life, cut short at its call number ``step`` if it has so many; 0 is whole."""
    with database.open(directory / "ledger.db") as opened:
        killing = Killing(step, after=after)
        ledger = killing.around(SqlLedger(opened, writer="child"))
        custody = killing.around(KeyFiles(directory / "ca"))
        authority = Authority(ledger, custody, await establish(ledger, custody, TRUST_DOMAIN, now=NOW, serial=serial))
        for number in range(2):
            identity = SpiffeID(TRUST_DOMAIN, f"caller-{number}")
            made = await issue(
                authority,
                request_of(directory / f"{number}.csr", identity),
                Names(identity),
                CLIENT,
                "operator",
                now=NOW,
                serial=serial(),
                request_id=f"request-{number}",
            )
            print(made.record.fingerprint, flush=True)


def life(directory: Path, step: int, *, after: bool) -> int:
    """One life in a process of its own; how it ended."""
    child = os.fork()
    if child == 0:
        asyncio.run(main(directory, step, after=after))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lives(directory: Path, *, after: bool) -> None:
    """Two in each directory, the name of the directory printed before."""
    for step in itertools.count(1):
        print(f"directory {step}", flush=True)
        ended = life(directory / str(step), step, after=after)
        if ended != -signal.SIGKILL:
            sys.exit(ended)
        if ended := life(directory / str(step), 0, after=after):
            sys.exit(ended)


if __name__ == "__main__":
    lives(Path(sys.argv[1]), after=sys.argv[2] == "after")
