"""The chain of audit events: each carries the hash of the one before, so that none can be changed or taken out.

Each writer has a chain of its own (D22): one head for all would make every replica wait for every other. What a
chain alone cannot show is a tail cut off; that takes signed checkpoints over the heads, which `verify` returns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from handclasp.authority.ports import ChainedEvent, Event
from handclasp.findings import Code, Refused

GENESIS = "0" * 64
"""What the first event of a chain has as its ``prev``."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many events it has and the hash of the last."""

    count: int
    hash: str


EMPTY = Head(count=0, hash=GENESIS)


def chained(writer: str, head: Head, event: Event) -> ChainedEvent:
    """The event as the next one of the chain that ends in ``head``. Sequence numbers begin with 1."""
    seq = head.count + 1
    return ChainedEvent(writer, seq, head.hash, _digest(writer, seq, head.hash, event), event)


def verify(events: Iterable[ChainedEvent]) -> dict[str, Head]:
    """The head of every chain, proved from its first event on; takes the whole log, each chain in order.

    Refused(STATE_DAMAGED) names the first event that was changed, left out or put in.
    """
    heads: dict[str, Head] = {}
    for found in events:
        head = heads.get(found.writer, EMPTY)
        if found != chained(found.writer, head, found.event):
            raise Refused(
                Code.STATE_DAMAGED,
                "The audit log does not verify",
                f"event {found.seq} of {found.writer} does not follow from event {head.count}: "
                "an event was changed, removed or inserted",
                "Restore the ledger from a backup, and find out who could write to it.",
            )
        heads[found.writer] = Head(found.seq, found.hash)
    return heads


def _digest(writer: str, seq: int, prev: str, event: Event) -> str:
    """SHA-256 over one spelling of the event: JSON, keys sorted, no blanks, ASCII; time in UTC with microseconds."""
    text = json.dumps(
        {
            "writer": writer,
            "seq": seq,
            "prev": prev,
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "kind": event.kind,
            "subject": event.subject,
            "data": dict(event.data),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()
