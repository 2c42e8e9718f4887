"""A process that checks monitors in a shared database until none is due at the time that it is given.

Prints "took N" after each claim and, once the store has answered, "did NAME DUE" or "lost NAME DUE" for each check.
With a third argument it stops itself (SIGSTOP) after that many claims, with what it holds in its hands.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import datetime, timedelta

import sqlalchemy as sa

from handclasp.store import database
from handclasp.store.monitors import SqlMonitors
from handclasp.store.schema import monitor_standings
from handclasp.testing.monitor_contract_scenes import MINUTE, bad, moved, outcome

LEASE = timedelta(seconds=1.5)


async def main(target: str, now: datetime, stop_after: int | None) -> None:
    """Claim, complete; wait for what others hold."""
    due = sa.select(monitor_standings.c.due).where(monitor_standings.c.due <= now).limit(1)
    with database.open(target) as opened:
        store = SqlMonitors(opened)
        claims_made = 0
        while True:
            claims = await store.claim(f"process-{os.getpid()}", now, LEASE, 40)
            if not claims:
                if await opened.read(lambda connection: connection.scalar(due)) is None:
                    return
                await asyncio.sleep(0.1)
                continue
            print(f"took {len(claims)}", flush=True)
            claims_made += 1
            if claims_made == stop_after:
                os.kill(os.getpid(), signal.SIGSTOP)
            done = []
            for claim in claims:
                name = claim.standing.monitor.name
                result = bad(name, claim.due)
                transition = moved(result, claim.standing.state) if claim.due < now - MINUTE else None
                done.append(outcome(claim, result, transition=transition))
            receivers = {claim.standing.monitor.name: ["mail"] for claim in claims}
            for claim, held in zip(claims, await store.complete(done, receivers), strict=True):
                print("did" if held else "lost", claim.standing.monitor.name, claim.due.isoformat())
            sys.stdout.flush()


if __name__ == "__main__":
    stop = int(sys.argv[3]) if len(sys.argv) > 3 else None
    asyncio.run(main(sys.argv[1], datetime.fromisoformat(sys.argv[2]), stop))
