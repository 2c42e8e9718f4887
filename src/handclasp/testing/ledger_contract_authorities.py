"""The Ledger contract: authorities, and who has confirmed them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from handclasp.authority.ports import Ledger, Stale
from handclasp.authority.records import (
    AuthorityState,
    Confirmation,
    Role,
)
from handclasp.testing.ledger_scenes import (
    ALICE,
    NOON,
    Stage,
    authority,
    happened,
)


class AuthorityContract(Stage):
    """Authorities and confirmations."""

    def test_keeps_authorities_whole(self, tmp_path: Path) -> None:
        """Every field comes back, the oldest first, over restarts."""
        root = replace(authority("root"), role=Role.ROOT, parent=None, above=())
        waiting = replace(authority("issuing-2"), state=AuthorityState.REQUESTED, certificates=(), above=())

        async def first(ledger: Ledger) -> None:
            await ledger.put_authorities([(None, root), (None, authority("issuing"))], [happened("made")] * 2)
            await ledger.put_authorities([(None, waiting)], [])

        async def after_restart(ledger: Ledger) -> None:
            assert await ledger.authorities() == (root, authority("issuing"), waiting)
            assert [found.event for found in await ledger.events()] == [happened("made")] * 2

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_moves_authorities_together(self, tmp_path: Path) -> None:
        """Several change in one transaction; they keep their place."""

        async def scenario(ledger: Ledger) -> None:
            old, new = authority("issuing"), replace(authority("issuing-2"), state=AuthorityState.PUBLISHED)
            await ledger.put_authorities([(None, old), (None, new)], [])
            later = NOON + timedelta(days=1)
            retiring = replace(old, state=AuthorityState.RETIRING, changed_at=later)
            active = replace(new, state=AuthorityState.ACTIVE, changed_at=later, certificates=(b"x" * 1000, b""))
            await ledger.put_authorities(
                [(AuthorityState.ACTIVE, retiring), (AuthorityState.PUBLISHED, active)], [happened("activated")]
            )
            assert await ledger.authorities() == (retiring, active)

        self.play(tmp_path, scenario)

    @pytest.mark.parametrize(
        ("expected", "name"),
        [(None, "issuing"), (AuthorityState.PUBLISHED, "issuing"), (AuthorityState.ACTIVE, "issuing-9")],
        ids=["is-there", "has-moved", "is-not-there"],
    )
    def test_a_stale_change_changes_nothing(self, tmp_path: Path, expected: AuthorityState | None, name: str) -> None:
        """If one authority is not as expected, Stale, and the others stay as they were, and no event is left."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.put_authorities([(None, authority("issuing"))], [])
            changes = [
                (None, authority("issuing-2")),
                (expected, replace(authority(name), state=AuthorityState.RETIRED)),
            ]
            with pytest.raises(Stale):
                await ledger.put_authorities(changes, [happened("changed")])
            assert await ledger.authorities() == (authority("issuing"),)
            assert await ledger.events() == ()

        self.play(tmp_path, scenario)

    def test_of_many_who_move_an_authority_one_wins(self, tmp_path: Path) -> None:
        """Two who both saw the same state cannot both leave it."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.put_authorities([(None, authority("issuing"))], [])
            retiring = replace(authority("issuing"), state=AuthorityState.RETIRING)
            outcomes = await asyncio.gather(
                *(ledger.put_authorities([(AuthorityState.ACTIVE, retiring)], []) for _ in range(8)),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["Stale"] * 7

        self.play(tmp_path, scenario)

    def test_keeps_what_was_confirmed_last(self, tmp_path: Path) -> None:
        """One confirmation for each, the last one, by name, over restarts."""
        gateway = Confirmation("gateway/main", frozenset({"root", "root-2"}), NOON + timedelta(hours=1))
        alice = Confirmation(ALICE, frozenset(), NOON)

        async def first(ledger: Ledger) -> None:
            await ledger.confirm(alice)
            await ledger.confirm(Confirmation("gateway/main", frozenset({"root"}), NOON))
            await ledger.confirm(gateway)

        async def after_restart(ledger: Ledger) -> None:
            assert await ledger.confirmations() == (gateway, alice)

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_forgets(self, tmp_path: Path) -> None:
        """What is forgotten is not expected any more; a second time there is nothing to forget."""

        async def scenario(ledger: Ledger) -> None:
            await ledger.confirm(Confirmation("gateway/old", frozenset(), NOON))
            assert await ledger.forget("gateway/old", happened("forgotten"))
            assert not await ledger.forget("gateway/old", happened("forgotten"))
            assert await ledger.confirmations() == ()
            assert len(await ledger.events()) == 1

        self.play(tmp_path, scenario)
