"""The alerts that go out: an outbox, written with the transition that they tell of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from handclasp.monitor.ports import Delivery
from handclasp.monitor.records_json import UnknownRecord, transition_from_json
from handclasp.store.monitors_part import MonitorsPart, text_out
from handclasp.store.rows import microseconds
from handclasp.store.schema import monitor_deliveries

_MICROSECOND = timedelta(microseconds=1)


class Alerts(MonitorsPart):
    """Each alert is sent at least once: twice only if whoever sent it could not say so before its lease was over."""

    async def claim_deliveries(self, worker: str, now: datetime, lease: timedelta, limit: int) -> tuple[Delivery, ...]:
        """As MonitorStore says; leases as for ``claim``. Of one monitor and receiver only the first that is neither
        sent nor given up."""
        times = microseconds(now), lease // _MICROSECOND
        rows = await self._database.write(
            lambda connection: self._hot.claim_deliveries(connection, worker, *times, limit)
        )
        try:
            return tuple(
                [
                    Delivery(number, token, receiver, transition_from_json(body), tries)
                    for number, token, receiver, tries, body in rows
                ]
            )
        except UnknownRecord as error:
            raise self._newer(error) from error

    async def delivered(self, delivery: Delivery, now: datetime) -> bool:
        """As MonitorStore says."""
        return await self._settle(delivery, {"state": "sent", "sent_at": now, "error": None})

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> bool:
        """As MonitorStore says. The last reason is kept."""
        next_: dict[str, Any] = {"state": "given_up"} if again_at is None else {"due": again_at}
        return await self._settle(delivery, {"error": text_out(why), **next_})

    async def _settle(self, delivery: Delivery, values: dict[str, Any]) -> bool:
        table = monitor_deliveries
        held = table.c.id == delivery.id, table.c.token == delivery.token, table.c.state == "open"
        update = (
            table.update()
            .where(*held)
            .values(token=table.c.token + 1, tries=table.c.tries + 1, owner=None, lease_until=None, **values)
        )

        def work(connection: sa.Connection) -> bool:
            return connection.execute(update).rowcount == 1

        return await self._database.write(work)
