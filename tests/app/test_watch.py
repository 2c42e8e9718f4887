"""Monitoring put together: what a process finds when another was killed before it."""

from __future__ import annotations

from datetime import timedelta

from tests.app.conftest import Place

from handclasp.app import ambient
from handclasp.app.monitors import defined
from handclasp.app.vault import Vault
from handclasp.store.monitors import SqlMonitors


def test_what_a_killed_process_held_is_free(place: Place) -> None:
    """The one process of a state directory waits for nobody's lease to end."""

    async def scenario(vault: Vault) -> tuple[int, int, int]:
        store, now, lease = SqlMonitors(vault.database), ambient.now(), timedelta(hours=1)
        await store.put(defined("one", {"target": "127.0.0.1:1"}, place.state.path), now)
        first = await store.claim("killed", now, lease, 10)
        second = await store.claim("next", now, lease, 10)
        await store.free()
        return len(first), len(second), len(await store.claim("next", now, lease, 10))

    assert place.with_vault(scenario) == (1, 0, 1)
