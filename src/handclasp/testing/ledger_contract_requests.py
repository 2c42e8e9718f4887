"""The Ledger contract: requests that wait for approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from handclasp.authority.ports import Ledger
from handclasp.authority.records import (
    PendingRequest,
    RequestState,
)
from handclasp.testing.ledger_scenes import (
    ALICE,
    NOON,
    Stage,
    happened,
)

REQUEST = PendingRequest(
    "order/1", "server", b"a csr", ALICE, ("a.example.org",), ("192.0.2.1",), 3600, "spiffe://example.org/robot", NOON
)


class RequestContract(Stage):
    """Requests and decisions."""

    def test_keeps_requests_whole(self, tmp_path: Path) -> None:
        """Every field comes back; the oldest first."""
        older = replace(REQUEST, id="order/0", identity=None, lifetime_seconds=None, at=NOON - timedelta(days=1))

        async def scenario(ledger: Ledger) -> None:
            await ledger.add_request(REQUEST, happened("asked"))
            await ledger.add_request(older, happened("asked"))
            assert await ledger.pending_request("order/1") == REQUEST
            assert await ledger.pending_request("order/2") is None
            assert await ledger.pending_requests() == (older, REQUEST)
            assert await ledger.pending_requests(RequestState.PENDING) == (older, REQUEST)
            assert await ledger.pending_requests(RequestState.DENIED) == ()

        self.play(tmp_path, scenario)

    def test_a_request_that_is_there_stays(self, tmp_path: Path) -> None:
        """The same id again changes nothing and leaves no event."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.add_request(REQUEST, happened("asked"))
            await ledger.add_request(replace(REQUEST, csr=b"another"), happened("asked"))
            assert await ledger.pending_requests() == (REQUEST,)
            assert len(await ledger.events()) == 1

        self.play(tmp_path, scenario)

    def test_is_decided_once(self, tmp_path: Path) -> None:
        """From a state that allows it, with who decided; otherwise None and nothing is written."""
        pending = frozenset({RequestState.PENDING})

        async def scenario(ledger: Ledger) -> None:
            await ledger.add_request(REQUEST, happened("asked"))
            approved = replace(REQUEST, state=RequestState.APPROVED, decided_by="root@host")
            decided = await ledger.decide_request(
                "order/1", allowed_from=pending, to=RequestState.APPROVED, by="root@host", event=happened("approved")
            )
            assert decided == approved
            for name in ("order/1", "order/2"):
                again = await ledger.decide_request(
                    name, allowed_from=pending, to=RequestState.DENIED, by="other", event=happened("denied")
                )
                assert again is None
            assert await ledger.pending_request("order/1") == approved
            assert [found.event.kind for found in await ledger.events()] == ["asked", "approved"]

        self.play(tmp_path, scenario)
