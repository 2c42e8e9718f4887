"""The chain of audit events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from handclasp.authority.audit import EMPTY, Head, Walk, chained, verify
from handclasp.authority.records import ChainedEvent, Event
from handclasp.findings import Code, Refused

Log = list[ChainedEvent]
AT = datetime(2026, 3, 1, tzinfo=UTC)


def _log(writer: str, count: int, *, kind: str = "kind") -> Log:
    log: Log = []
    head = EMPTY
    for n in range(count):
        log.append(chained(writer, head, Event(AT, kind, f"subject {n}", {"n": str(n)})))
        head = Head(log[-1].seq, log[-1].hash)
    return log


def test_verify_proves_every_chain() -> None:
    """Each writer's chain is proved by itself; the heads are what a checkpoint would sign."""
    a, b = _log("a", 3), _log("b", 2)
    assert verify([a[0], b[0], a[1], b[1], a[2]]) == {"a": Head(3, a[2].hash), "b": Head(2, b[1].hash)}


def _with(log: Log, at: int, **changes: object) -> Log:
    return [*log[:at], replace(log[at], **changes), *log[at + 1 :]]  # type: ignore[arg-type]


def _retold(log: Log) -> Log:
    return [log[0], chained("a", Head(1, log[0].hash), replace(log[1].event, subject="x")), *log[2:]]


TAMPERED: dict[str, tuple[Callable[[Log], Log], str]] = {
    "changed": (lambda log: _with(log, 1, event=replace(log[1].event, data={"n": "7"})), "event 2 of a was changed"),
    "changed-with-its-hash": (
        _retold,
        "event 3 of a does not follow from event 2: one of the two was replaced by another",
    ),
    "first-removed": (lambda log: log[1:], "event 1 of a was removed"),
    "first-two-removed": (lambda log: log[2:], "events 1 to 2 of a were removed"),
    "one-removed": (lambda log: [log[0], *log[2:]], "event 2 of a was removed"),
    "out-of-order": (lambda log: [log[0], log[2], log[1], log[3]], "event 2 of a was removed"),
    "moved": (
        lambda log: [log[0], replace(log[2], seq=2), replace(log[1], seq=3), log[3]],
        "event 2 of a was moved: it was event 3",
    ),
    "repeated": (lambda log: [log[0], log[1], log[1]], "event 2 of a comes after event 2: it was moved or put in"),
    "of-another-writer": (
        lambda log: [log[0], *_log("a", 4, kind="other")[1:]],
        "event 2 of a does not follow from event 1: one of the two was replaced by another",
    ),
}


@pytest.mark.parametrize(("tamper", "what"), TAMPERED.values(), ids=TAMPERED)
def test_verify_says_where(tamper: Callable[[Log], Log], what: str) -> None:
    """A changed, removed or moved event is Refused(AUDIT_BROKEN), which names it."""
    with pytest.raises(Refused) as caught:
        verify(tamper(_log("a", 4)))
    assert (caught.value.code, caught.value.why) == (Code.AUDIT_BROKEN, what)


def test_a_walk_reports_one_fault_once() -> None:
    """After a fault the walk goes on with what it found: two faults are two findings, not hundreds."""
    log = _log("a", 50)
    log = [*log[:10], *log[11:30], replace(log[30], event=replace(log[30].event, kind="x")), *log[31:]]
    walk = Walk()
    assert [fault.what for found in log for fault in walk.step(found)] == [
        "event 11 of a was removed",
        "event 31 of a was changed",
    ]
    assert (walk.events, walk.heads["a"].count) == (49, 50)
