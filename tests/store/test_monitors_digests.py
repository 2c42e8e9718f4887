"""Digests in the outbox, on both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handclasp.monitor.alerts.dispatch import digest_transition
from handclasp.store import database
from handclasp.store.monitors import SqlMonitors
from handclasp.store.monitors_digests import Digests

AT = datetime(2027, 3, 1, 8, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty database."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


def test_each_is_planned_once(url: Path | str) -> None:
    """Whoever thinks of it; and it is delivered as an alert is, each receiver's for itself."""

    async def scene() -> None:
        with database.open(url) as opened:
            transition, other = digest_transition("weekly", AT), digest_transition("other", AT)
            planned = await asyncio.gather(*(Digests(opened).plan(transition, "weekly") for _ in range(5)))
            assert sorted(planned) == [False, False, False, False, True]
            assert await Digests(opened).plan(other, "other")
            store = SqlMonitors(opened)
            lease = timedelta(minutes=5)
            first, second = await store.claim_deliveries("w", AT, lease, 10)
            assert {first.receiver: first.transition, second.receiver: second.transition} == {
                "weekly": transition,
                "other": other,
            }
            assert await store.delivered(first, AT)
            assert await store.failed(second, "no", AT + timedelta(hours=1))
            assert not await Digests(opened).plan(transition, "weekly")
            assert await store.claim_deliveries("w", AT, lease, 10) == ()
            assert len(await store.claim_deliveries("w", AT + timedelta(hours=1), lease, 10)) == 1

    asyncio.run(scene())
