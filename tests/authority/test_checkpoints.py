"""Signed statements over the audit log, and what they show that a chain alone does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from handclasp.authority import ocsf
from handclasp.authority.audit import EMPTY, Head, chained
from handclasp.authority.checkpoints import AUDIT_KEY, checkpoint, examine
from handclasp.authority.issue import Authority
from handclasp.authority.ports import Ledger
from handclasp.authority.records import ChainedEvent, Checkpoint, Event
from handclasp.authority.revoke import revoke
from handclasp.findings import Code, Refused
from handclasp.pki.keys import KeyType

if TYPE_CHECKING:
    from tests.authority.conftest import Place


class _Copy:
    """A ledger as whoever can write to the database would leave it behind."""

    def __init__(self, events: list[ChainedEvent], checkpoints: list[Checkpoint]) -> None:
        self.log, self.statements = events, checkpoints

    async def all_events(self) -> AsyncIterator[ChainedEvent]:
        for one in self.log:
            yield one

    async def checkpoints(self) -> tuple[Checkpoint, ...]:
        return tuple(self.statements)


async def _signed_log(place: Place, authority: Authority) -> _Copy:
    """Eight events under two checkpoints and one more."""
    for _ in range(2):
        place.now += timedelta(hours=1)
        await place.client(authority)
        await checkpoint(authority.ledger, place.custody, now=place.now)
    await revoke(authority, place.alice, now=place.now)
    return _Copy([one async for one in authority.ledger.all_events()], list(await authority.ledger.checkpoints()))


async def _faults(place: Place, copy: _Copy, kept: tuple[Checkpoint, ...] = ()) -> list[str]:
    key = await place.custody.public_key(AUDIT_KEY)
    report = await examine(cast("Ledger", copy), key=key, kept=kept)
    return [fault.what for fault in report.faults]


def test_a_sound_log_verifies(place: Place) -> None:
    """The report has the size, the heads, the checkpoints and the key; nothing is wrong."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        report = await examine(authority.ledger, key=await place.custody.public_key(AUDIT_KEY))
        last = copy.log[-1]
        assert (report.events, report.heads, report.checkpoints) == (last.seq, {"test": Head(last.seq, last.hash)}, 2)
        assert report.key_ids == (copy.statements[0].key_id,)
        report.check()

    place.with_authority(scenario)


def test_an_unchanged_log_is_signed_once(place: Place) -> None:
    """The second checkpoint without an event between is the first."""

    async def scenario(authority: Authority) -> None:
        first = await checkpoint(authority.ledger, place.custody, now=place.now)
        assert await checkpoint(authority.ledger, place.custody, now=place.now + timedelta(days=1)) == first
        assert await authority.ledger.checkpoints() == (first,)

    place.with_authority(scenario)


def test_two_who_sign_at_once_follow_each_other(place: Place) -> None:
    """Checkpoints asked for together are numbered without gap or repetition, and verify."""

    async def scenario(authority: Authority) -> None:
        async def one() -> None:
            await place.client(authority)
            await checkpoint(authority.ledger, place.custody, now=place.now)

        await asyncio.gather(*(one() for _ in range(8)))
        made = await authority.ledger.checkpoints()
        assert [one.number for one in made] == list(range(1, len(made) + 1))
        (await examine(authority.ledger)).check()

    place.with_authority(scenario)


def _replaced(copy: _Copy) -> None:
    """Everything from event 5 on told anew, with right hashes."""
    head = EMPTY
    for at, one in enumerate(copy.log):
        event = replace(one.event, subject="somebody else") if at == 4 else one.event
        copy.log[at] = chained(one.writer, head, event)
        head = Head(copy.log[at].seq, copy.log[at].hash)


def _cut(copy: _Copy, length: int) -> None:
    del copy.log[length:]


def _statement(copy: _Copy, **changes: Any) -> None:
    copy.statements[0] = replace(copy.statements[0], **changes)


# The log: 7 events of the authorities, 2 of the first certificate, the key's, 2 of the second, the revocations.
TAMPERED: dict[str, tuple[Callable[[_Copy], None], list[str]]] = {
    "tail-cut": (
        lambda copy: _cut(copy, 11),
        ["event 12 of test was cut off: checkpoint 2 states 12 events, and there are 11"],
    ),
    "long-tail-cut": (
        lambda copy: _cut(copy, 10),
        ["events 11 to 12 of test were cut off: checkpoint 2 states 12 events, and there are 10"],
    ),
    "replaced": (
        _replaced,
        [
            "event 10 of test is not the one that checkpoint 1 states: the log up to it was replaced",
            "event 12 of test is not the one that checkpoint 2 states: the log up to it was replaced",
        ],
    ),
    "checkpoint-removed": (
        lambda copy: copy.statements.remove(copy.statements[0]),
        ["checkpoint 1 was removed: 2 comes after 0"],
    ),
    "checkpoint-changed": (
        lambda copy: _statement(copy, heads={}),
        [
            "checkpoint 1 was changed: its signature does not verify",
            "checkpoint 2 does not follow from 1: one of the two was replaced",
        ],
    ),
    "after-the-last-checkpoint": (lambda copy: _cut(copy, 12), []),
}


@pytest.mark.parametrize(("tamper", "what"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_done_to_the_log_is_said(place: Place, tamper: Callable[[_Copy], None], what: list[str]) -> None:
    """A cut tail, a log told anew, a checkpoint taken out or changed: each is named. Only what no checkpoint states
    yet can be cut unseen."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        assert await _faults(place, copy) == []
        tamper(copy)
        assert await _faults(place, copy) == what

    place.with_authority(scenario)


def test_a_kept_checkpoint_shows_what_was_cut_with_the_last_one(place: Place) -> None:
    """Events and their checkpoint cut off together are found by a checkpoint that was kept elsewhere."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        kept = copy.statements.pop()
        _cut(copy, 10)
        assert await _faults(place, copy) == []
        assert await _faults(place, copy, (kept,)) == [
            "checkpoint 2, which was kept elsewhere, was cut off, and perhaps events before it"
        ]

    place.with_authority(scenario)


def test_a_log_told_anew_under_another_key_is_found(place: Place) -> None:
    """Whoever signs a forged log with a key of his own is betrayed by the key that custody has."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        own = await place.custody.create("other", KeyType.EC_P256)
        report = await examine(cast("Ledger", copy), key=own)
        with pytest.raises(Refused) as caught:
            report.check()
        assert caught.value.code is Code.AUDIT_BROKEN

    place.with_authority(scenario)


def test_a_log_told_anew_without_any_checkpoint_is_found(place: Place) -> None:
    """Who cannot sign takes all that is signed away: the audit key in custody says that there was something."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        told_anew: list[ChainedEvent] = []
        head = EMPTY
        for one in copy.log:
            if one.event.kind not in ("certificate.revoked", "audit.key"):
                told_anew.append(chained(one.writer, head, one.event))
                head = Head(told_anew[-1].seq, told_anew[-1].hash)
        assert await _faults(place, _Copy(told_anew, [])) == [
            "all were removed: the audit key is here, and there is nothing it signed"
        ]

    place.with_authority(scenario)


def test_an_event_in_ocsf(place: Place) -> None:
    """An issued certificate as an Entity Management event of OCSF, every field."""
    event = Event(place.now, "certificate.issued", "spiffe://example.org/alice", {"by": "operator", "serial": "1f"})
    assert json.loads(json.dumps(ocsf.encode(chained("test", EMPTY, event), version="1.2"))) == {
        "activity_id": 1,
        "activity_name": "Create",
        "category_name": "Identity & Access Management",
        "category_uid": 3,
        "class_name": "Entity Management",
        "class_uid": 3004,
        "type_uid": 300401,
        "type_name": "Entity Management: Create",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1,
        "status": "Success",
        "time": 1772366400000,
        "message": "certificate.issued spiffe://example.org/alice",
        "metadata": {
            "version": "1.1.0",
            "uid": "test/1",
            "event_code": "certificate.issued",
            "log_name": "audit",
            "log_provider": "test",
            "sequence": 1,
            "product": {"name": "Handclasp", "vendor_name": "Handclasp", "version": "1.2"},
        },
        "actor": {"user": {"name": "operator", "type_id": 99, "type": "principal"}},
        "entity": {
            "name": "spiffe://example.org/alice",
            "type": "certificate",
            "uid": "1f",
            "data": {"serial": "1f"},
        },
        "unmapped": {"prev": "0" * 64, "hash": chained("test", EMPTY, event).hash},
    }


def test_every_kind_of_event_is_known_to_ocsf(place: Place) -> None:
    """Whatever the authority writes has an activity of its own, not "other"."""

    async def scenario(authority: Authority) -> None:
        copy = await _signed_log(place, authority)
        assert [one.event.kind for one in copy.log if ocsf.encode(one, version="")["activity_id"] == 99] == []

    place.with_authority(scenario)
