"""The chain of audit events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from handclasp.authority.audit import EMPTY, Head, chained, verify
from handclasp.authority.ports import ChainedEvent, Event
from handclasp.findings import Code, Refused

Log = list[ChainedEvent]
AT = datetime(2026, 3, 1, tzinfo=UTC)


def _log(writer: str, count: int) -> Log:
    log: Log = []
    head = EMPTY
    for n in range(count):
        log.append(chained(writer, head, Event(AT, "kind", f"subject {n}", {"n": str(n)})))
        head = Head(log[-1].seq, log[-1].hash)
    return log


def test_verify_proves_every_chain() -> None:
    """Each writer's chain is proved by itself; the heads are what a checkpoint would sign."""
    a, b = _log("a", 3), _log("b", 2)
    assert verify([a[0], b[0], a[1], b[1], a[2]]) == {"a": Head(3, a[2].hash), "b": Head(2, b[1].hash)}


def _changed(log: Log) -> Log:
    return [log[0], replace(log[1], event=replace(log[1].event, data={"n": "7"})), *log[2:]]


def _retold(log: Log) -> Log:
    return [log[0], chained("a", Head(1, log[0].hash), replace(log[1].event, subject="x")), *log[2:]]


@pytest.mark.parametrize(
    "tamper",
    [_changed, _retold, lambda log: log[1:], lambda log: [log[0], *log[2:]], lambda log: [log[1], log[0], log[2]]],
    ids=["changed", "changed-with-its-hash", "first-removed", "one-removed", "swapped"],
)
def test_verify_finds_tampering(tamper: Callable[[Log], Log]) -> None:
    """A changed, removed or moved event is Refused(STATE_DAMAGED)."""
    with pytest.raises(Refused) as caught:
        verify(tamper(_log("a", 3)))
    assert caught.value.code is Code.STATE_DAMAGED
