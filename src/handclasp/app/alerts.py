"""What expires when, and whether a receiver can be told, by the local API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from handclasp.app import ambient
from handclasp.app.alerting import Contexts, dispatch_of, origin_of, unknown_receiver
from handclasp.app.vault import Vault
from handclasp.app.watch import sync
from handclasp.findings import Code, Refused
from handclasp.monitor import calendar, digest
from handclasp.monitor.alerts.wire import NotSent
from handclasp.monitor.ports import Standing
from handclasp.store.monitors import SqlMonitors

Json = dict[str, Any]


async def expiring(vault: Vault, *, days: float) -> Json:
    """The digest of what expires in so many days, as JSON and as text."""
    found = digest.digest(
        await _standings(vault), ambient.now(), origin=origin_of(vault.settings), within=timedelta(days=days)
    )
    return {"digest": digest.as_json(found), "text": digest.text(found)}


async def feed(vault: Vault) -> Json:
    """The ends of all certificates as a calendar (RFC 5545)."""
    return {"calendar": calendar.feed(await _standings(vault), ambient.now()).decode()}


async def test(vault: Vault, *, name: str) -> Json:
    """Send a test to a receiver of the settings; its digest, where it gets digests. Refused(ALERT_NOT_SENT)."""
    with ThreadPoolExecutor(1) as threads:
        dispatch = dispatch_of(vault.settings, SqlMonitors(vault.database), contexts=Contexts(vault), threads=threads)
        if name not in dispatch.receivers:
            raise unknown_receiver(name, vault.settings)
        try:
            await dispatch.test(name)
        except NotSent as error:
            raise Refused(
                Code.ALERT_NOT_SENT,
                f"The receiver {name} could not be told",
                error.why,
                f"Correct alerts.{name} in handclasp.yaml, or what is there, and try again.",
            ) from None
    return {"name": name, "digest": dispatch.receivers[name].digest is not None}


async def _standings(vault: Vault) -> tuple[Standing, ...]:
    store = SqlMonitors(vault.database)
    if vault.settings is not None:
        await sync(vault, store, vault.settings)
    return await store.standings()
