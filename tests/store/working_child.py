"""A process that issues, revokes and counts CRL numbers in a shared database for as long as it lives.

Prints a line for each thing done, once the ledger has answered: what is printed was promised.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from handclasp.authority.ports import NotIntended, RequestRepeated, SerialInUse
from handclasp.store import database
from handclasp.store.ledger import SqlLedger
from handclasp.testing.ledger_scenes import ISSUER, NOON, happened, intended, issued, revoked_event


async def main(url: str, writer: str, rounds: int | None) -> None:
    """Six callers; all processes use the same serials, request ids and identities, so that they meet."""
    with database.open(url) as opened:
        ledger = SqlLedger(opened, writer=writer)
        print("begun", flush=True)

        async def issue(serial: int, identity: str) -> None:
            meant = replace(intended(serial, identity=identity), request_id=f"request-{serial // 2}")
            with suppress(SerialInUse, RequestRepeated, NotIntended):
                await ledger.record_intent(meant, happened("meant", identity, writer=writer))
                await ledger.record_issued(issued(meant), happened("issued", identity, writer=writer))
                print(f"issued {serial}", flush=True)

        async def revoke(identity: str) -> None:
            gone = await ledger.revoke(
                identity, expires_after=NOON, at=NOON + timedelta(hours=1), reason="superseded", event_of=revoked_event
            )
            for record in gone:
                print(f"revoked {record.serial}", flush=True)

        async def caller(number: int) -> None:
            for turn in itertools.count() if rounds is None else range(rounds):
                serial = turn * 6 + number + 1
                identity = f"spiffe://example.org/service-{number}/{turn // 3}"
                await issue(serial, identity)
                if turn % 3 == 2:
                    await revoke(identity)
                    print(f"number {await ledger.next_crl_number(ISSUER, NOON)}", flush=True)

        await asyncio.gather(*(caller(number) for number in range(6)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
