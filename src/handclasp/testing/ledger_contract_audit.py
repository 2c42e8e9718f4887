"""The Ledger contract: the audit log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from handclasp.authority.audit import Head, verify
from handclasp.authority.ports import Ledger, Stale
from handclasp.authority.records import (
    Checkpoint,
)
from handclasp.testing.ledger_scenes import (
    NOON,
    Stage,
    happened,
    intended,
    issued,
    put,
)


def _checkpoint(number: int) -> Checkpoint:
    return Checkpoint(number, NOON, {"local": (7, "ab" * 32), "a": (1, "cd" * 32)}, "ef" * 32, "aa" * 20, b"signed")


class AuditContract(Stage):
    """Events and checkpoints."""

    def test_chains_events_over_restarts(self, tmp_path: Path) -> None:
        """The audit log is one chain that verifies from its first event, whatever was written when."""

        async def first(ledger: Ledger) -> None:
            await put(ledger, issued(intended(1)))
            await ledger.append(happened("noted", "café \N{SNOWMAN}", word="§"))

        async def after_restart(ledger: Ledger) -> None:
            await asyncio.gather(*(ledger.append(happened("noted", str(n))) for n in range(30)))
            log = await ledger.events()
            assert list(verify(log).values()) == [Head(33, log[-1].hash)]
            assert log[2].event == happened("noted", "café \N{SNOWMAN}", word="§")

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_finds_events_by_kind_and_subject(self, tmp_path: Path) -> None:
        """The log is narrowed by kind, by subject, and by both."""

        async def scenario(ledger: Ledger) -> None:
            for kind, subject in (("x", "1"), ("y", "1"), ("x", "2")):
                await ledger.append(happened(kind, subject))
            assert [e.event.subject for e in await ledger.events(kind="x")] == ["1", "2"]
            assert [e.event.kind for e in await ledger.events(subject="1")] == ["x", "y"]
            assert [e.seq for e in await ledger.events(kind="x", subject="2")] == [3]

        self.play(tmp_path, scenario)

    def test_streams_the_whole_log(self, tmp_path: Path) -> None:
        """Read piece by piece it is the same as read at once, however long."""

        async def scenario(ledger: Ledger) -> None:
            assert [one async for one in ledger.all_events()] == []
            await asyncio.gather(*(ledger.append(happened("noted", str(n))) for n in range(2100)))
            assert tuple([one async for one in ledger.all_events()]) == await ledger.events()

        self.play(tmp_path, scenario)

    def test_knows_the_heads(self, tmp_path: Path) -> None:
        """The last number and hash of each chain."""

        async def scenario(ledger: Ledger) -> None:
            assert await ledger.heads() == {}
            for n in range(3):
                await ledger.append(happened("noted", str(n)))
            last = (await ledger.events())[-1]
            assert await ledger.heads() == {last.writer: (3, last.hash)}

        self.play(tmp_path, scenario)

    def test_keeps_checkpoints(self, tmp_path: Path) -> None:
        """Every field comes back, in order, over restarts."""

        async def first(ledger: Ledger) -> None:
            assert await ledger.checkpoints() == ()
            for number in (1, 2):
                await ledger.add_checkpoint(_checkpoint(number))

        async def after_restart(ledger: Ledger) -> None:
            assert await ledger.checkpoints() == (_checkpoint(1), _checkpoint(2))

        self.play(tmp_path, first)
        self.play(tmp_path, after_restart)

    def test_checkpoints_have_no_gap(self, tmp_path: Path) -> None:
        """Stale unless the number is the next one; of several with the same number one is kept."""

        async def scenario(ledger: Ledger) -> None:
            with pytest.raises(Stale):
                await ledger.add_checkpoint(_checkpoint(2))
            outcomes = await asyncio.gather(
                *(ledger.add_checkpoint(_checkpoint(1)) for _ in range(5)), return_exceptions=True
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] + ["Stale"] * 4
            assert await ledger.checkpoints() == (_checkpoint(1),)

        self.play(tmp_path, scenario)
