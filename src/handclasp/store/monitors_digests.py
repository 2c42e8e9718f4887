"""Digests in the outbox of alerts: each once, whichever processes think of it."""

from __future__ import annotations

import sqlalchemy as sa

from handclasp.monitor.records_json import transition_to_json
from handclasp.monitor.results import Transition
from handclasp.store.monitors_part import MonitorsPart
from handclasp.store.rows import upsert
from handclasp.store.schema import monitor_deliveries, monitor_transitions

_NOBODY = 0
"""The number of the monitor that a digest is of: databases count from 1."""


class Digests(MonitorsPart):
    """A digest is a transition by its id alone; it is delivered as any other is."""

    async def plan(self, transition: Transition, receiver: str) -> bool:
        """Put it into the outbox; False where it is there already, or has been."""

        def work(connection: sa.Connection) -> bool:
            body = transition_to_json(transition)
            row = {"id": transition.id, "monitor_id": _NOBODY, "at": transition.at, "body": body}
            added = connection.execute(upsert(connection, monitor_transitions).values(row).on_conflict_do_nothing())
            if added.rowcount != 1:
                return False
            open_ = {"transition_id": transition.id, "monitor_id": _NOBODY, "receiver": receiver, "due": transition.at}
            connection.execute(monitor_deliveries.insert().values(**open_, token=0, tries=0, state="open"))
            return True

        return await self._database.write(work)
